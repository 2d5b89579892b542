# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The names of the compiled module, here in plain Python; their errors are RuntimeError, as there."""

from cv_bridge.conversion import cvtColor2
from cv_bridge.display import cvtColorForDisplay
from cv_bridge.encodings import CV_MAT_CNWrap, CV_MAT_DEPTHWrap, getCvType

__all__ = ["CV_MAT_CNWrap", "CV_MAT_DEPTHWrap", "cvtColor2", "cvtColorForDisplay", "getCvType"]
