# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""For `pip install -e .` with tools that want this file; everything stands in pyproject.toml."""
from setuptools import setup

setup()
