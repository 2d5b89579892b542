# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Names of things: label spaces, texts as vectors, features of images, places that a sentence describes."""
