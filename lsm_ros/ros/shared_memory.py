# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Room for images in Fast DDS's shared memory, for programs that publish them. Imports no ROS."""
from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")  # the second from Fast DDS 3 on


def config_file(name: str) -> Path:
    """A file of this package's config folder: in the source tree, or installed."""
    here = Path(__file__).resolve()
    places = [p / "config" / name for p in here.parents] + [p / "share" / "lsm_ros" / "config" / name for p in here.parents]
    return next((p for p in places if p.is_file()), places[0])


def make_room(environment: MutableMapping[str, str] = os.environ) -> None:
    """Names the profile with room for images, before ROS starts, unless the user has one; other middlewares ignore it.

    With Fast DDS's default of 512 KiB images get lost.
    """
    file = config_file("fastdds.xml")
    if file.is_file() and not any(name in environment for name in PROFILES):
        for name in PROFILES:
            environment[name] = str(file)
