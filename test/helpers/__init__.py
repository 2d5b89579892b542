# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What several tests share."""
