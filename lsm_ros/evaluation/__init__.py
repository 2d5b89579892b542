# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""How good a map is, and what it cost: trajectory, geometry, semantics, cost, and the report."""
