# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Modules that a test needs and a machine may lack. What is there, but whose libraries are not, pytest.importorskip takes only
from 8.2 on; ROS distributions have older ones."""
import importlib

import pytest


def imported(name):
    """The module; the test is skipped where it cannot be imported."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        return pytest.skip(f"{name} cannot be imported ({error}); pip install {name}")


def needs_safe_reader(test):
    """Marks a test that reads weights in a .pth file, which is refused by name where torch has no reader that is safe."""
    import torch

    return pytest.mark.skipif(not hasattr(torch.serialization, "safe_globals"),
                              reason="torch 2.6, which reads .pth safely, is not installed")(test)
