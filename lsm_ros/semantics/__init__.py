# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What things are called: label spaces, texts as vectors, features of images, places that a sentence describes."""
