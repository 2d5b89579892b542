# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Inputs of the node: images with their partners, calibration, labels, transforms."""
