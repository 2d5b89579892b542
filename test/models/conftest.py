# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Fixtures of the tests of the networks."""
import importlib.util

import pytest
import torch


@pytest.fixture(scope="session")
def keyed(golden_folder):
    """The module that makes the weights of the official sizes."""
    spec = importlib.util.spec_from_file_location("keyed", golden_folder / "keyed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
