# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The functions that the original compiles; nodes import them from ``cv_bridge.boost.cv_bridge_boost``."""
