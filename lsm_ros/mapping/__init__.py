# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""From frame sets to a map: the pipeline, and what it is made of."""
