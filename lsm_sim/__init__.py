# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Simulated worlds with known ground truth: rooms, cameras that move through them, and their measurements."""
