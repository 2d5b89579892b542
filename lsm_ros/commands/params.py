# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""print all parameters as a Markdown table"""
from __future__ import annotations

import argparse

from lsm_ros.config import parameter_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds no arguments."""


def run(args: argparse.Namespace) -> int:
    """Prints the table."""
    print(parameter_table())
    return 0
