# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Geometry on predicted pointmaps: matching on rays, relative poses, loops, adjustment of all keyframes."""
