# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Surface voxels of a block as bytes and back. docs/map.md describes the format byte by byte.

What is published of the surface, ~/map_cloud too, is what these bytes say: who rebuilds the map from updates has the same
numbers to the last bit.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.backends.blocks import HALF, pack_keys, unpack_keys
from lsm_ros.fusion.backends.layout import BLOCK
from lsm_ros.fusion.read.surface import Surface, confidence_of
from lsm_ros.types import UNLABELLED

ENCODING = "lsm_surface_1"
VOXEL = np.dtype([("voxel", "<u2"), ("offset", "i1", (3,)), ("color", "u1", (3,)), ("label", "<u2"), ("confidence", "u1")])
"""A surface voxel: 11 bytes, little endian."""
_STEPS = 128  # steps of an offset in a voxel: a power of two, so that positions are exact until the last product


@dataclass(frozen=True)
class SurfaceCloud:
    """Published part of the surface, in the order of blocks and voxels.

    points_map (N, 3) float32 metres; colors (N, 3) uint8 RGB; labels (N,) uint16, `UNLABELLED` where unknown; confidence
    (N,) float32 in [0, 1].
    """

    points_map: np.ndarray
    colors: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray


def encode(surface: Surface, voxel_size: float, label_threshold: float = 0.0) -> dict[int, bytes]:
    """Bytes of each block of `surface` by its key, in the order in which blocks come in it; voxels of a block are together.

    A point is rounded to 1/128 voxel, confidence to 1/255. Labels less probable than `label_threshold` are `UNLABELLED`.
    """
    records = np.zeros(len(surface.voxel), VOXEL)
    block = surface.voxel // BLOCK
    inner = surface.voxel - block * BLOCK
    records["voxel"] = (inner[:, 0] * BLOCK + inner[:, 1]) * BLOCK + inner[:, 2]
    offset = surface.points_map.astype(np.float64) / voxel_size - (surface.voxel + 0.5)
    records["offset"] = np.clip(np.rint(offset * _STEPS), -127, 127)
    records["color"] = surface.colors
    records["label"] = np.where(surface.label_probability >= label_threshold, surface.labels, np.uint16(UNLABELLED))
    records["confidence"] = np.rint(confidence_of(surface) * np.float32(255))
    keys, data = pack_keys(block), records.tobytes()
    first = np.flatnonzero(np.diff(keys, prepend=-1))  # keys are not negative
    bounds = (np.append(first, len(keys)) * VOXEL.itemsize).tolist()
    return {k: data[a:b] for k, a, b in zip(keys[first].tolist(), bounds[:-1], bounds[1:], strict=True)}


def decode(blocks: Mapping[int, bytes], voxel_size: float) -> SurfaceCloud:
    """The surface voxels of blocks by key, in the order of keys and voxels. The bytes must be sound, see `check`."""
    keys = sorted(blocks)
    data = [blocks[k] for k in keys]
    records = np.frombuffer(b"".join(data), VOXEL)
    counts = np.array([len(d) // VOXEL.itemsize for d in data], np.int64)
    corner = np.repeat(unpack_keys(np.array(keys, np.int64)) * BLOCK, counts, axis=0)
    n = records["voxel"].astype(np.int32)
    inner = np.stack([n // (BLOCK * BLOCK), n // BLOCK % BLOCK, n % BLOCK], -1)
    points = (corner + inner + 0.5 + records["offset"] / _STEPS) * voxel_size
    return SurfaceCloud(points.astype(np.float32), records["color"].copy(), records["label"].copy(),
                        records["confidence"].astype(np.float32) / np.float32(255))


def check(index: np.ndarray, data: list[bytes]) -> None:
    """Checks that blocks at `index` (N, 3) with encoded `data` are sound; no bytes: a block that is gone. ValueError if not."""
    if ((index < -HALF) | (index >= HALF)).any():
        raise ValueError(f"block index outside of +-{HALF} in {index[((index < -HALF) | (index >= HALF)).any(1)][0].tolist()}")
    if len(np.unique(index, axis=0)) != len(index):
        raise ValueError("a block comes twice")
    sizes = np.array([len(d) for d in data], np.int64)
    odd = np.flatnonzero((sizes % VOXEL.itemsize != 0) | (sizes > BLOCK**3 * VOXEL.itemsize))
    if len(odd):
        raise ValueError(f"block {index[odd[0]].tolist()} has {sizes[odd[0]]} bytes, no multiple of {VOXEL.itemsize} up to "
                         f"{BLOCK**3 * VOXEL.itemsize}")
    voxel = np.frombuffer(b"".join(data), VOXEL)["voxel"].astype(np.int64)
    place = np.repeat(np.arange(len(data)), sizes // VOXEL.itemsize)
    bad = np.flatnonzero(voxel >= BLOCK**3)
    if not len(bad):
        bad = np.flatnonzero(np.diff(place * BLOCK**3 + voxel) <= 0) + 1
    if len(bad):
        raise ValueError(f"block {index[place[bad[0]]].tolist()}: voxel {voxel[bad[0]]} is beyond {BLOCK**3 - 1} or out of "
                         "order")
