# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Offline alignment of an image set from predictions of its pairs."""
