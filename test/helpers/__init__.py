# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Code that several tests share."""
