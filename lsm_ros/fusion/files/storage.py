# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The voxel map on disk: one npz file without pickles, written beside the old one and then put in its place."""
from __future__ import annotations

import io
import json
import math
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.files import replacing_file
from lsm_ros.fusion.backends.base import Backend
from lsm_ros.fusion.backends.blocks import BlockPool, unpack_keys
from lsm_ros.fusion.backends.layout import Layout, check_pose
from lsm_ros.fusion.map.labels import LabelTable
from lsm_ros.fusion.map.ledger import Entry, checked_observation
from lsm_ros.fusion.map.pools import Pools
from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.reading import check_archive, reading
from lsm_ros.types import Observation

FILE = "voxel_map.npz"
FORMAT = 3  # those before had other contributions
_ARRAYS = ("voxels", "labels", "features")
_IMAGES = ("z", "confidence", "rgb", "labels", "features")


def save(folder: Path, layout: Layout, seq: int, pools: Pools, entries: dict[int, Entry], frozen: set[int]) -> None:
    """Writes everything into `folder`/voxel_map.npz. OSError if that fails."""
    ledger = []
    for i, e in entries.items():
        o, k = e.observation, e.observation.intrinsics
        ledger.append({"id": i, "keyframe": o.keyframe, "stamp_ns": int(o.stamp_ns), "camera": o.camera,
                       "fused": e.fused, "z_step": o.z_step, "intrinsics": [k.width, k.height, k.fx, k.fy, k.cx, k.cy],
                       "T_map_rig": e.T_map_rig.tolist(), "T_rig_cam": np.asarray(o.T_rig_cam).tolist()})
    meta = {"format": FORMAT, "layout": asdict(layout), "seq": seq, "ledger": ledger, "frozen": sorted(frozen),
            "feature_users": pools.feature_users}
    with replacing_file(folder / FILE) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED,
                                                                compresslevel=1) as out:
        _write(out, "meta", np.frombuffer(json.dumps(meta).encode(), np.uint8))
        _write(out, "label_table", pools.labels.state())
        for name, pool, arrays in (("voxels", pools.voxels, _ARRAYS), ("free", pools.free, ("weight",))):
            slots = pool.all_slots()
            _write(out, f"{name}/keys", pool.keys[slots])
            _write(out, f"{name}/users", pool.users[slots])
            for array in arrays:
                _write(out, f"{name}/{array}", pool.take(array, slots))
        for i, e in entries.items():
            _write(out, f"observation{i}/keys", e.keys)
            for field in _IMAGES:
                if getattr(e.observation, field) is not None:
                    _write(out, f"observation{i}/{field}", getattr(e.observation, field))


def load(folder: Path, layout: Layout, backend: Backend, limit: int, label_mode: str = "auto",
         ) -> tuple[int, Pools, dict[int, Entry], set[int]]:
    """seq, sums (for `backend`), ledger and frozen ids from `folder`. FileNotFoundError or ValueError as in `VoxelMap.load`."""
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no voxel map ({FILE} is missing)")
    with reading(path), zipfile.ZipFile(path) as archive:
        check_archive(archive, path)
        meta = json.loads(_read(archive, "meta", np.uint8).tobytes())
        if meta["format"] != FORMAT:
            raise ValueError(f"format {meta['format']!r} is not {FORMAT}")
        _same_layout(meta["layout"], layout)
        pools = _load_pools(archive, backend, limit, label_mode)
        pools.feature_users = int(meta["feature_users"])
        entries, frozen = {int(e["id"]): _entry(archive, e) for e in meta["ledger"]}, {int(i) for i in meta["frozen"]}
        _check_fit(pools, entries, frozen)
        return int(meta["seq"]), pools, entries, frozen


def _load_pools(archive: zipfile.ZipFile, backend: Backend, limit: int, label_mode: str) -> Pools:
    pools = Pools(backend, limit, label_mode)
    pools.labels = LabelTable.from_state(_read(archive, "label_table", np.int64), label_mode)
    pools.voxels.widen("labels", pools.labels.width)
    for name, pool, arrays in (("voxels", pools.voxels, _ARRAYS), ("free", pools.free, ("weight",))):
        keys, users = _read(archive, f"{name}/keys", np.int64), _read(archive, f"{name}/users", np.int32)
        if keys.ndim != 1 or users.shape != keys.shape or (np.diff(keys) <= 0).any() or (users < 1).any() or (
                keys < 0).any():
            raise ValueError(f"keys or users of the {name} blocks are damaged")
        for array in arrays:  # before memory is taken for so many blocks
            shape, (rows, columns) = _shape(archive, f"{name}/{array}"), pool.blocks(array).shape[1:]
            if len(shape) != 3 or shape[:2] != (len(keys), rows) or array in ("voxels", "weight") and shape[2] != columns:
                raise ValueError(f"{name}/{array} has shape {shape}, where {len(keys)} blocks of {rows} rows are")
            pool.widen(array, shape[2])
        slots = _claim(pool, keys, users)
        for array in arrays:
            pool.put(array, slots, _read(archive, f"{name}/{array}", np.int32))
    return pools


def _check_fit(pools: Pools, entries: dict[int, Entry], frozen: set[int]) -> None:
    """Checks that the sums may hold what the ledger says, since all of it is taken away again one day. ValueError."""
    if frozen & set(entries):
        raise ValueError(f"observation {min(frozen & set(entries))} is known and frozen at once")
    users = np.zeros(pools.voxels.users.shape, np.int64)
    for i, e in entries.items():
        slots = pools.voxels.find(e.keys) if e.fused else np.zeros(0, np.int64)
        if (slots < 0).any() or len(np.unique(slots)) < len(slots):
            raise ValueError(f"observation {i} touches blocks that are not in the map")
        users[slots] += 1
        features = e.observation.features
        if features is not None and pools.feature_users and e.fused and features.shape[2] != pools.feature_dim:
            raise ValueError(f"features of observation {i} have {features.shape[2]} numbers, the map has {pools.feature_dim}")
    if (users > pools.voxels.users).any() or not frozen and (users < pools.voxels.users).any():
        raise ValueError("the users of the voxel blocks are not those that the observations say")


def _claim(pool: BlockPool, keys: np.ndarray, users: np.ndarray) -> np.ndarray:
    slots = pool.claim(keys)
    pool.users[slots] = users
    return slots


def _entry(archive: zipfile.ZipFile, e: dict[str, Any]) -> Entry:
    names = set(archive.NameToInfo)
    prefix = f"observation{e['id']}/"
    kinds = {"z": np.uint16, "confidence": np.uint8, "rgb": np.uint8, "labels": np.uint16, "features": np.int8}
    images = {f: _read(archive, prefix + f, kinds[f]) for f in _IMAGES if f"{prefix}{f}.npy" in names}
    observation = checked_observation(Observation(
        id=int(e["id"]), keyframe=int(e["keyframe"]), stamp_ns=int(e["stamp_ns"]), camera=e["camera"],
        T_rig_cam=np.array(e["T_rig_cam"]), z_step=e["z_step"],
        intrinsics=CameraIntrinsics(*e["intrinsics"]), **images))
    keys = _read(archive, prefix + "keys", np.int64)
    unpack_keys(keys)
    return Entry(observation, check_pose(e["T_map_rig"], "T_map_rig"), bool(e["fused"]), keys)


def _same_layout(saved: dict[str, Any], layout: Layout) -> None:
    for name, value in asdict(layout).items():
        if saved[name] != value:
            raise ValueError(f"it was made with {name} {saved[name]}, the configuration says {value}; "
                             f"set fusion.{name} to {saved[name]}")


def _write(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    """Shape of an array of int32, by its header; ValueError if there is less data than that."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version](file)
    if math.prod(header[0]) * 4 > archive.getinfo(f"{name}.npy").file_size:
        raise ValueError(f"{name} has less data than its shape {header[0]} needs")
    return header[0]


def _read(archive: zipfile.ZipFile, name: str, kind: type) -> np.ndarray:
    # Read whole: only then does zipfile compare the checksum.
    array = np.lib.format.read_array(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
    if array.dtype != kind:
        raise ValueError(f"{name} has type {array.dtype}, not {np.dtype(kind)}")
    return array
