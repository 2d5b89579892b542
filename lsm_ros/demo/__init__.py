# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""`make demo`: a rendered room is replayed over topics into the running node, and its output is checked."""
