# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A map with its graph on disk."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from lsm_ros.config import Config
from lsm_ros.mapping.session import MapSession
from lsm_ros.mapping.store.checks import whole
from lsm_ros.mapping.store.graph import META, load_graph, save_graph
from lsm_ros.mapping.store.sums import write_sums
from lsm_ros.reading import reading

SAVED = "saved_map"  # in a result of `lsm map`


def save_session(folder: Path, session: MapSession, language: dict[str, Any], config: Config) -> None:
    """Writes a map into `folder`. language: what `SemanticLayer.save` gave."""
    session.fuser.map.save(folder / "map")
    session.objects.write(folder, session.tracker.graph)
    save_graph(folder, session.tracker, {
        **language, "gravity_source": session.levelling.source, "scale": session.scale.to_dict(),
        "next_observation": session.fuser.next_observation, "config": config.to_dict()})
    write_sums(folder)


def load_session(folder: Path, empty: MapSession) -> dict[str, Any]:
    """Fills an empty session from `folder`; returns what was saved beside it. Errors as of `load_graph` and `VoxelMap.load`."""
    meta = load_graph(folder, empty.tracker)
    empty.fuser.map.load(folder / "map")
    with reading(folder / META):
        empty.fuser.next_observation = whole(meta["next_observation"], "next_observation", empty.fuser.map.next_id)
        empty.levelling.recall(meta["gravity_source"])
        empty.scale.recall(meta.get("scale"))
    empty.objects.load(folder, empty.tracker.graph, empty.fuser.map)
    return meta


def saved_map(folder: Path) -> Path:
    """The folder of a saved map: the given one, or that inside of a result of `lsm map`."""
    return folder / SAVED if (folder / SAVED).is_dir() else folder
