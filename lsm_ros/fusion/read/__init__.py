# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What the map shows: surface, grid, distance field, mesh, similarity to a vector. Nothing here changes the sums."""
