# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Stand-in for cv_bridge on machines without a ROS installation: image messages to OpenCV arrays and back."""

from cv_bridge.boost.cv_bridge_boost import cvtColorForDisplay, getCvType
from cv_bridge.core import CvBridge, CvBridgeError

__all__ = ["CvBridge", "CvBridgeError", "cvtColorForDisplay", "getCvType"]
