# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What the node receives: images with their partners, calibration, labels, transforms."""
