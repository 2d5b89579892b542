# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Fixtures that all tests share."""
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def redkitchen() -> Path:
    """Folder of the real sequence (TUM RGB-D layout); tests that need it are skipped where it is not at hand."""
    for parent in Path(__file__).resolve().parents:
        folder = parent / "shared" / "data" / "redkitchen"
        if (folder / "rgb.txt").is_file():
            return folder
    pytest.skip("the sequence shared/data/redkitchen is not here")


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """Folder of the networks' golden vectors; tests that need them are skipped where they are not at hand."""
    for parent in Path(__file__).resolve().parents:
        if (parent / "shared" / "golden" / "README.md").is_file():
            return parent / "shared" / "golden"
    pytest.skip("the golden vectors shared/golden are not here")


@pytest.fixture(scope="session")
def golden(golden_folder):
    """Loads a golden case by name."""
    from helpers.golden_cases import Case

    return lambda name: Case(golden_folder / f"{name}.npz")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request) -> str:
    """The CPU, and under the marker gpu a CUDA GPU."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    return request.param
