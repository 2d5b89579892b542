# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The map on disk: one folder, complete or not there. Arrays in npz without pickles, the rest in JSON."""
from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.files import tidy
from lsm_ros.fusion.files.storage import FILE
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.mapping.store.checks import MOST, check_ends, check_keyframe, check_link, whole
from lsm_ros.mapping.store.sums import NONE, OWN, SUMS, WITH_OWN, WITHOUT_OWN, check_files
from lsm_ros.pairs.base import Matches
from lsm_ros.pairs.surfaces import Surfaces
from lsm_ros.reading import open_arrays, reading
from lsm_ros.slam.graph.keyframes import Keyframe, Link
from lsm_ros.slam.trackers import Tracker
from lsm_ros.types import TrackingState

FORMAT, WITHOUT_SIGNATURES = 4, 1
GUARDS = {1: NONE, 2: NONE, 3: WITHOUT_OWN, 4: WITH_OWN}
"""Formats that are read, and the checksums that maps of each have at least; the first one has other signatures."""
SURFACES = "points", "planes", "sigma"
GRAPH, META, VOXELS = "graph.npz", "map.json", f"map/{FILE}"


def folder_bytes(folder: Path) -> int:
    """Bytes of the map in a folder."""
    return sum((folder / name).stat().st_size for name in OWN if (folder / name).is_file())


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
        if x.surfaces is not None:
            arrays.update({f"link{n}/{name}": getattr(x.surfaces, name) for name in SURFACES})
    np.savez_compressed(folder / GRAPH, **arrays)  # type: ignore[arg-type]  # NumPy's stubs fear a name `allow_pickle`
    text = json.dumps({"format": FORMAT, "pair_model": tracker.model.identity, "keyframes": keyframes, "links": links,
                       "knowledge": tracker.cameras.to_dict(), **meta})
    (folder / META).write_text(text)


def load_graph(folder: Path, tracker: Tracker) -> dict[str, Any]:
    """Fills an empty `tracker` from `folder` and returns what `save_graph` got as meta. FileNotFoundError if there is no
    map; ValueError, naming the file, if it is damaged, does not fit together or is of another kind."""
    meta = read_meta(folder)
    form = meta["format"]
    with reading(folder / META):
        if form not in GUARDS:
            raise ValueError(f"format {form!r} is not {FORMAT}")
        if meta["pair_model"] != tracker.model.identity:
            raise ValueError(f"it was made with pair model {meta['pair_model']!r}, not {tracker.model.identity!r}")
        tracker.cameras.recall(meta.get("knowledge", {}))
        keyframes = [_described(entry) for entry in meta["keyframes"]]
        links = [(whole(a, "a link"), str(b), whole(c, "a link"), str(d)) for a, b, c, d in meta["links"]]
        check_ends(links, {k.id: k.cameras for k in keyframes})
    with open_arrays(folder / GRAPH) as arrays:
        for described in keyframes:
            keyframe = _keyframe(described, arrays, tracker, form)
            check_keyframe(keyframe, tracker.graph)
            tracker.graph.add(keyframe)
        for n, ends in enumerate(links):
            link = Link(*ends, Matches(*(arrays[f"link{n}/{x}"] for x in ("index_b", "pixels_a", "depth_a"))))
            if any(f"link{n}/{x}" in arrays for x in SURFACES):
                link.surfaces = Surfaces(*(arrays[f"link{n}/{x}"] for x in SURFACES))
            check_link(link, tracker.graph)
            tracker.graph.connect(link)
    tracker.progress.reference = max(tracker.graph.keyframes, default=None)
    tracker.progress.state = TrackingState.LOST
    return meta


def read_meta(folder: Path) -> dict[str, Any]:
    """The description of a saved map, once its files are known to be as they were written. FileNotFoundError if there is none;
    ValueError, naming the file, if it is damaged."""
    if not (folder / META).is_file():
        tidy(folder)  # a save that was killed may have moved it away
    if not (folder / META).is_file():
        raise FileNotFoundError(f"{folder} holds no map ({META} is missing)")
    guard = check_files(folder, (META, GRAPH, VOXELS))
    with reading(folder / META):
        meta = json.loads((folder / META).read_text())
        if not isinstance(meta, dict):
            raise ValueError(f"it holds a {type(meta).__name__}, not the description of a map")
        needed = GUARDS.get(whole(meta.get("format"), "the format"), WITH_OWN)
    if guard < needed:
        what = "is missing" if guard == NONE else "is damaged: its last line, the checksum of the others, is missing"
        raise ValueError(f"{folder / SUMS} {what}")
    return meta


@dataclass(frozen=True)
class _Described:
    """A keyframe as map.json has it. cameras: intrinsics and `guess_std` by name."""

    id: int
    stamp_ns: int
    cameras: dict[str, tuple[CameraIntrinsics, float | None]]


def _described(entry: dict[str, Any]) -> _Described:
    name = f"keyframe {entry['id']!r}"
    cameras = {}
    for v in entry["views"]:
        std = v.get("guess_std")
        if not isinstance(v["camera"], str) or v["camera"] in cameras:
            raise ValueError(f"{name} has camera {v['camera']!r} twice, or it is no name")
        if std is not None and not (isinstance(std, float) and 0 < std < math.inf):
            raise ValueError(f"guess_std of {name} must be positive, got {std!r}")
        cameras[v["camera"]] = CameraIntrinsics(*v["intrinsics"]), std
    if not cameras:
        raise ValueError(f"{name} has no camera")
    return _Described(whole(entry["id"], "the number of a keyframe"), whole(entry["stamp_ns"], f"the stamp of {name}", -MOST),
                      cameras)


def _keyframe(described: _Described, arrays: Any, tracker: Tracker, form: int) -> Keyframe:
    i, stamp_ns, views = described.id, described.stamp_ns, {}
    for camera, (intrinsics, guess_std) in described.cameras.items():
        key = f"{i}/{camera}/"
        parts = {name.removeprefix(key): arrays[name] for name in arrays.files if name.startswith(key)}
        tokens = tracker.model.unpack(camera, stamp_ns, intrinsics, parts)
        views[camera] = tracker.view_type.unpack(camera, tokens, intrinsics, guess_std, parts)
    signature = tracker.model.signature([v.tokens for _, v in sorted(views.items())]) if form == WITHOUT_SIGNATURES else (
        arrays.get(f"{i}/thumbnail"))
    return Keyframe(i, stamp_ns, arrays[f"{i}/T_map_rig"], views, signature)
