# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The networks against the numbers of their references."""

