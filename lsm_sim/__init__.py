# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Simulated worlds whose truth is known: rooms, cameras that go through them, and what they measure."""
