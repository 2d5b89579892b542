# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Two NumPy functions under the module that older nodes import them from; every supported NumPy has them."""

from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured

__all__ = ["structured_to_unstructured", "unstructured_to_structured"]
