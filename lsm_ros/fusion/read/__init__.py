# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Readers of the map: surface, grid, distance field, mesh, similarity to a vector. Nothing here changes the sums."""
