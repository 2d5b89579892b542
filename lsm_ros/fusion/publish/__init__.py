# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Changed blocks of the map for subscribers, encoded, and the copy that a subscriber rebuilds from them."""
