# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The map on disk: one folder, complete or not there. Arrays in npz without pickles, the rest in JSON."""
from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.pairs.base import Matches
from lsm_ros.slam.graph.keyframes import Keyframe, Link
from lsm_ros.slam.trackers import Tracker
from lsm_ros.types import TrackingState

FORMAT = 1
GRAPH, META = "graph.npz", "map.json"


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def save_graph(folder: Path, tracker: Tracker, meta: dict[str, Any]) -> None:
    """Writes keyframes and links of `tracker` and `meta` (plain values) into `folder`."""
    arrays: dict[str, np.ndarray] = {}
    keyframes = []
    for i, keyframe in sorted(tracker.graph.keyframes.items()):
        arrays[f"{i}/T_map_rig"] = keyframe.T_map_rig
        if keyframe.thumbnail is not None:
            arrays[f"{i}/thumbnail"] = keyframe.thumbnail
        views = []
        for camera, v in keyframe.views.items():
            k = v.intrinsics
            views.append({"camera": camera, "intrinsics": [k.width, k.height, k.fx, k.fy, k.cx, k.cy],
                          "guess_std": v.guess_std})
            arrays.update({f"{i}/{camera}/{name}": part for name, part in (tracker.model.pack(v.tokens) | v.pack()).items()})
        keyframes.append({"id": i, "stamp_ns": keyframe.stamp_ns, "views": views})
    links = []
    for n, x in enumerate(tracker.graph.links.values()):
        links.append([x.anchor, x.anchor_camera, x.observer, x.observer_camera])
        arrays[f"link{n}/index_b"], arrays[f"link{n}/pixels_a"] = x.matches.index_b, x.matches.pixels_a
        arrays[f"link{n}/depth_a"] = x.matches.depth_a
    np.savez_compressed(folder / GRAPH, **arrays)  # type: ignore[arg-type]  # NumPy's stubs fear a name `allow_pickle`
    text = json.dumps({"format": FORMAT, "pair_model": tracker.model.identity, "keyframes": keyframes, "links": links,
                       "knowledge": tracker.cameras.to_dict(), **meta})
    (folder / META).write_text(text)


def load_graph(folder: Path, tracker: Tracker) -> dict[str, Any]:
    """Fills an empty `tracker` from `folder` and returns what `save_graph` got as meta. FileNotFoundError if there is no
    map, ValueError if it is damaged or of another kind."""
    if not (folder / META).is_file():
        raise FileNotFoundError(f"{folder} holds no map ({META} is missing)")
    try:
        meta = json.loads((folder / META).read_text())
        if meta.get("format") != FORMAT:
            raise ValueError(f"format {meta.get('format')!r} is not {FORMAT}")
        if meta["pair_model"] != tracker.model.identity:
            raise ValueError(f"it was made with pair model {meta['pair_model']!r}, not {tracker.model.identity!r}")
        with np.load(folder / GRAPH, allow_pickle=False) as arrays:
            for entry in meta["keyframes"]:
                tracker.graph.add(_keyframe(entry, arrays, tracker))
            for n, (anchor, anchor_camera, observer, observer_camera) in enumerate(meta["links"]):
                matches = Matches(*(arrays[f"link{n}/{x}"] for x in ("index_b", "pixels_a", "depth_a")))
                tracker.graph.connect(Link(anchor, anchor_camera, observer, observer_camera, matches))
        tracker.cameras.recall(meta.get("knowledge", {}))
    except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"the map in {folder} cannot be read: {error}") from error
    tracker.progress.reference = max(tracker.graph.keyframes, default=None)
    tracker.progress.state = TrackingState.LOST
    return meta


def _keyframe(entry: dict[str, Any], arrays: Any, tracker: Tracker) -> Keyframe:
    i, views = entry["id"], {}
    for v in entry["views"]:
        key, camera, intrinsics = f"{i}/{v['camera']}/", v["camera"], CameraIntrinsics(*v["intrinsics"])
        parts = {name.removeprefix(key): arrays[name] for name in arrays.files if name.startswith(key)}
        tokens = tracker.model.unpack(camera, entry["stamp_ns"], intrinsics, parts)
        views[camera] = tracker.view_type.unpack(camera, tokens, intrinsics, v.get("guess_std"), parts)
    return Keyframe(i, entry["stamp_ns"], arrays[f"{i}/T_map_rig"], views, arrays.get(f"{i}/thumbnail"))
