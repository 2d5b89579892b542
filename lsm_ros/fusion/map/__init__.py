# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The sums of the map and what is known of each observation in them."""
