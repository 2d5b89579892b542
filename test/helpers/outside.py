# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Data that the repository may not hold: where the tests look for it."""
import os
from pathlib import Path

VARIABLE = "LSM_TEST_DATA"
TESTS = Path(__file__).resolve().parents[1]


def find(name: str, marker: str, beside: str) -> Path | None:
    """Folder `name` of $LSM_TEST_DATA where that is set, else the folder `beside` in a parent of the tests; None without.

    marker: a file that the folder must hold. FileNotFoundError where the variable names no folder.
    """
    given = os.environ.get(VARIABLE, "")
    if given and not Path(given).expanduser().is_dir():
        raise FileNotFoundError(f"{VARIABLE}={given} is no folder")
    places = [Path(given).expanduser() / name] if given else [parent / beside for parent in TESTS.parents]
    return next((place for place in places if (place / marker).is_file()), None)
