# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tests of what stands in for packages of ROS that the index lacks. Where the originals are installed, nothing is tested."""
import importlib.util
from pathlib import Path

import pytest

STAND_INS = ("cv_bridge", "message_filters", "sensor_msgs_py", "tf2_geometry_msgs", "tf2_ros", "tf_transformations")
OURS = "The lsm_ros authors"


def originals(names=STAND_INS) -> list[str]:
    """Which of these packages are here and are not ours."""
    found = {name: importlib.util.find_spec(name) for name in names}
    return [name for name, spec in found.items()
            if spec is not None and (spec.origin is None or OURS not in Path(spec.origin).read_text(encoding="utf-8"))]


@pytest.fixture(autouse=True, scope="session")
def stand_ins():
    """Skips all where an original is installed."""
    if there := originals():
        pytest.skip(f"{', '.join(there)}: the originals are installed, which ROS tests itself")
