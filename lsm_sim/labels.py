# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The classes of simulated worlds: those of config/label_spaces/indoor.yaml."""
from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from lsm_ros.datasets.base import read_label_space
from lsm_ros.types import LabelSpace


def indoor_labels() -> LabelSpace:
    """The classes of config/label_spaces/indoor.yaml, from the source tree or from where the package is installed.

    FileNotFoundError if neither has it.
    """
    return read_label_space(_config_file("label_spaces/indoor.yaml"))


@lru_cache(maxsize=8)
def _config_file(name: str) -> Path:
    package = Path(__file__).resolve().parent
    places = [package.parent / "config", *(p / "share" / "lsm_ros" / "config" for p in package.parents)]
    found = next((p / name for p in places if (p / name).is_file()), None)
    if found is None:
        raise FileNotFoundError(f"config/{name} of lsm_ros is neither in {places[0]} nor in a share/lsm_ros beside it")
    return found
