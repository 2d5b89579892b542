# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Quality and cost of a map: trajectory, geometry, semantics, cost, and the report."""
