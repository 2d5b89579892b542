# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Keyframes, the links between them, their bundle adjustment, and the poses of all frames relative to them."""
