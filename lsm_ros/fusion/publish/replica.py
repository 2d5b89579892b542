# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A copy of the published map, rebuilt from updates: the subscriber's half of `updates`, without ROS."""
from __future__ import annotations

import math
from enum import Enum

import numpy as np

from lsm_ros.fusion.backends.blocks import pack_keys
from lsm_ros.fusion.backends.layout import BLOCK
from lsm_ros.fusion.publish import encoding
from lsm_ros.fusion.publish.encoding import SurfaceCloud
from lsm_ros.fusion.publish.updates import MapUpdate


class Applied(Enum):
    """Outcome of an update."""

    APPLIED = "applied"
    KNOWN = "known"  # all of it was held already
    BEHIND = "behind"  # it ends before what is held: it came late, or is of another map; ask to be sure
    GAP = "gap"  # something before it is missing: ask for what changed since `seq` of `epoch`


class MapReplica:
    """The blocks of a map as its updates tell them. Not thread-safe.

    `epoch` and `seq`: the state that is held; seq 0: none. `voxel_size` in metres, 0 before the first update.
    """

    def __init__(self) -> None:
        self.epoch, self.seq, self.voxel_size = 0, 0, 0.0
        self.graph_version, self.backlog = 0, 0
        self._blocks: dict[int, bytes] = {}
        self._cloud: SurfaceCloud | None = None

    @property
    def block_count(self) -> int:
        """Number of blocks that show something."""
        return len(self._blocks)

    def apply(self, update: MapUpdate) -> Applied:
        """Takes over an update if it joins what is held. ValueError, naming what is wrong, for one that is garbled; then
        nothing has changed."""
        keys = _checked(update)
        if update.base_seq:
            if update.epoch != self.epoch or update.base_seq > self.seq or not self.seq:
                return Applied.GAP
            if update.seq <= self.seq:
                return Applied.KNOWN if update.seq == self.seq else Applied.BEHIND
            if update.voxel_size != self.voxel_size:
                raise ValueError(f"map update {update.seq}: voxel_size {update.voxel_size} of a map with {self.voxel_size}")
        elif update.seq == self.seq and update.epoch == self.epoch:
            return Applied.KNOWN
        else:
            self._blocks.clear()
        for key, data in zip(keys, update.data, strict=True):
            if data:
                self._blocks[key] = data
            else:
                self._blocks.pop(key, None)
        self.epoch, self.seq, self.voxel_size = update.epoch, update.seq, update.voxel_size
        self.graph_version, self.backlog = update.graph_version, update.backlog
        self._cloud = None
        return Applied.APPLIED

    def clear(self) -> None:
        """Forgets everything."""
        self.__init__()

    def cloud(self) -> SurfaceCloud:
        """All surface voxels, equal to ~/map_cloud bit for bit when nothing is missing. Costs nothing while unchanged."""
        if self._cloud is None:
            self._cloud = encoding.decode(self._blocks, self.voxel_size)
        return self._cloud


def _checked(update: MapUpdate) -> list[int]:
    """Keys of the blocks of a sound update. ValueError if it is not."""
    name = f"map update {update.seq} of epoch {update.epoch}"
    if update.encoding != encoding.ENCODING:
        raise ValueError(f"{name}: encoding {update.encoding!r} is not {encoding.ENCODING!r}")
    if update.block_edge != BLOCK:
        raise ValueError(f"{name}: block_edge {update.block_edge} is not {BLOCK}")
    if not (math.isfinite(update.voxel_size) and update.voxel_size > 0):
        raise ValueError(f"{name}: voxel_size {update.voxel_size!r} is no length")
    if update.seq < update.base_seq:
        raise ValueError(f"{name}: seq is before base_seq {update.base_seq}")
    index = np.asarray(update.index, np.int64).reshape(-1, 3)
    if len(index) != len(update.data):
        raise ValueError(f"{name}: {len(index)} blocks but {len(update.data)} encodings")
    try:
        encoding.check(index, list(update.data))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return pack_keys(index).tolist()
