# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Computation of the map: storage in blocks, contributions of observations, and the kernels in NumPy, C and CUDA."""
