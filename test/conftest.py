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
