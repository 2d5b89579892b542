# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Outputs of the node: topics, transforms, status, diagnostics."""
