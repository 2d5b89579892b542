# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Changed blocks of the map as encoded surface state: kept by version, cut into messages, sent again on request.

Every block carries the version at which it last showed something else; versions are counted one by one, so any version
is a state that somebody may hold, and what changed after it is a tail of the blocks in the order of versions.
"""
from __future__ import annotations

import secrets
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lsm_ros.fusion.backends.blocks import unpack_keys
from lsm_ros.fusion.backends.layout import BLOCK, Layout
from lsm_ros.fusion.map.pools import Pools
from lsm_ros.fusion.publish.encoding import ENCODING, VOXEL, SurfaceCloud, decode, encode
from lsm_ros.fusion.read.block_rows import BlockRows
from lsm_ros.fusion.read.reading import FACES, ChangeTracker, least_weight, live_keys, read_visible

MAX_BYTES = 1_000_000
BLOCK_OVERHEAD = 24  # bytes of a block in a message besides its data
MESSAGE_OVERHEAD = 256
_MOST_GONE = 100_000  # blocks that went and are remembered


@dataclass(frozen=True)
class MapUpdate:
    """Changed blocks; who holds state `base_seq` of this epoch and applies them holds state `seq`. See
    lsm_ros/SemanticVoxelUpdate.

    base_seq 0: complete, what was held before is dropped. index (N, 3) int32; data: N encodings, empty = the block is gone.
    """

    epoch: int
    seq: int
    base_seq: int
    index: np.ndarray
    data: tuple[bytes, ...]
    voxel_size: float
    graph_version: int = 0
    backlog: int = 0
    block_edge: int = BLOCK
    encoding: str = ENCODING

    @property
    def nbytes(self) -> int:
        """About the bytes that it takes in a message."""
        return MESSAGE_OVERHEAD + sum(len(d) + BLOCK_OVERHEAD for d in self.data)


@dataclass(frozen=True)
class BlockPart:
    """Blocks that changed after version `base`, in the order of versions up to `version`. base 0: complete from the start.

    keys (N,) int64; data: their encodings, empty = the block is gone.
    """

    base: int
    version: int
    keys: np.ndarray
    data: tuple[bytes, ...]


class EncodedBlocks:
    """The published surface of a map by block, brought up to date only where something changed. Versions begin at 1."""

    def __init__(self, layout: Layout, label_threshold: float = 0.0) -> None:
        self._layout, self._threshold = layout, label_threshold
        self._changes = ChangeTracker(layout, FACES)
        self._blocks: dict[int, tuple[int, bytes]] = {}  # in the order of versions
        self._gone: dict[int, None] = {}  # keys of blocks without bytes, oldest first
        self._forgotten = 0
        self._decoded: tuple[int, BlockRows, SurfaceCloud] | None = None  # the version of it
        self.version = 0

    def refresh(self, pools: Pools, seq: int, min_weight: float) -> int:
        """Takes over the state `seq` of the map; returns the number of blocks that show something else now."""
        least = least_weight(min_weight)
        keys = self._changes.changed(pools, seq, least)
        if keys is None:
            held = np.fromiter(self._blocks, np.int64, len(self._blocks))
            keys = np.union1d(live_keys(pools.voxels), held)
        if not len(keys):
            return 0
        shown = encode(read_visible(pools, keys, self._layout, least), self.voxel_size, self._threshold)
        before = self.version
        for key in keys.tolist():
            data = shown.get(key, b"")
            if data != self._blocks.get(key, (0, b""))[1]:
                self._put(key, data)
        while len(self._gone) > _MOST_GONE:
            key = next(iter(self._gone))
            del self._gone[key]
            self._forgotten = self._blocks.pop(key)[0]
        return self.version - before

    @property
    def voxel_size(self) -> float:
        """Edge of a voxel in metres as messages carry it, float32."""
        return float(np.float32(self._layout.voxel_size))

    def part(self, since: int, max_bytes: int = MAX_BYTES) -> BlockPart:
        """The first blocks after version `since`, as many as fit; at least one if there is any. Of a version that is none of
        this map's, or too old for it, or 0: from the start."""
        known = max(self._forgotten, 1) <= since <= self.version
        keys: list[int] = []
        data: list[bytes] = []
        size, last, base = MESSAGE_OVERHEAD, since if known else 0, since if known else 0
        for key, version, content in self._after(base):
            if not known and not content:
                last = version
                continue
            size += len(content) + BLOCK_OVERHEAD
            if keys and size > max_bytes:
                return BlockPart(base, last, np.array(keys, np.int64), tuple(data))
            keys.append(key)
            data.append(content)
            last = version
        return BlockPart(base, self.version, np.array(keys, np.int64), tuple(data))

    def cloud(self) -> SurfaceCloud:
        """All that is published of the surface, in the order of blocks and voxels; the same object while nothing changed.
        Only what changed is decoded."""
        old = self._decoded
        if old is None or old[0] < self._forgotten:
            rows = self._decode({k: d for k, (_, d) in self._blocks.items()})
        elif old[0] == self.version:
            return old[2]
        else:
            changed = {key: data for key, _, data in self._after(old[0])}
            rows = old[1].replaced(np.sort(np.fromiter(changed, np.int64, len(changed))), self._decode(changed))
        cloud = SurfaceCloud(*rows.columns)
        self._decoded = self.version, rows, cloud
        return cloud

    def _decode(self, blocks: dict[int, bytes]) -> BlockRows:
        shown = {k: blocks[k] for k in sorted(blocks) if blocks[k]}
        cloud = decode(shown, self.voxel_size)
        counts = np.fromiter((len(d) // VOXEL.itemsize for d in shown.values()), np.int64, len(shown))
        keys = np.repeat(np.fromiter(shown, np.int64, len(shown)), counts)
        return BlockRows.of(keys, (cloud.points_map, cloud.colors, cloud.labels, cloud.confidence))

    def _put(self, key: int, data: bytes) -> None:
        self.version += 1
        self._blocks.pop(key, None)
        self._gone.pop(key, None)
        self._blocks[key] = self.version, data
        if not data:
            self._gone[key] = None

    def _after(self, version: int) -> Iterator[tuple[int, int, bytes]]:
        """(key, version, data) of the blocks after a version, in order; costs what they are."""
        found = []
        for key, (v, data) in reversed(self._blocks.items()):
            if v <= version:
                break
            found.append((key, v, data))
        return reversed(found)


def random_origin() -> int:
    """First number of a map's versions in messages: different for each map, so that a subscriber that outlives
    a mapper does not take the state of another map for its own."""
    return (1 << 40) + secrets.randbits(56)


class BlockSource(Protocol):
    """Source of the messages: a map that keeps its published blocks encoded, as `VoxelMap` does."""

    @property
    def layout(self) -> Layout:
        """Voxel size and what else is fixed."""

    @property
    def blocks_version(self) -> int:
        """Version of the blocks as of the last refresh."""

    def refresh_blocks(self) -> int:
        """Brings the published blocks up to date; returns how many show something else."""

    def encoded_blocks(self, since: int = 0, max_bytes: int = MAX_BYTES) -> BlockPart:
        """The first blocks that changed after version `since`, as many as fit."""


class UpdateStream:
    """The messages of ~/map_update, and the answers of ~/get_blocks."""

    def __init__(self, origin: Callable[[], int] = random_origin) -> None:
        self._draw = origin
        self._map: Callable[[], BlockSource | None] = lambda: None
        self._origin, self._epoch, self._graph_version, self._backlog = 0, 0, 0, 0
        self._sent = 0

    def follow(self, voxel_map: BlockSource, epoch: int, graph_version: int = 0, backlog: int = 0) -> None:
        """Takes over the map of now. Another map, or another epoch, is sent from its start."""
        if voxel_map is not self._map() or epoch != self._epoch:
            self._map, self._epoch, self._origin, self._sent = weakref.ref(voxel_map), epoch, self._draw(), 0
        self._graph_version, self._backlog = graph_version, backlog
        voxel_map.refresh_blocks()

    @property
    def pending(self) -> bool:
        """True if there is something to send."""
        voxel_map = self._map()
        return voxel_map is not None and self._sent < voxel_map.blocks_version

    def next(self, max_bytes: int = MAX_BYTES) -> MapUpdate | None:
        """The next message; None when all is sent."""
        if not self.pending:
            return None
        update, self._sent = self._message(self._sent, max_bytes)
        return update

    def beat(self) -> MapUpdate:
        """A message without blocks that says where the map is, so that who missed the last one finds out; to be sent when
        nothing is pending. ValueError before `follow`."""
        return self._message(self._sent, 0)[0]

    def skip(self) -> None:
        """Takes what there is as sent: who listens from now on asks ~/get_blocks for it."""
        voxel_map = self._map()
        self._sent = 0 if voxel_map is None else voxel_map.blocks_version

    def answer(self, epoch: int, since_seq: int, max_bytes: int = MAX_BYTES) -> MapUpdate:
        """Blocks that a subscriber with `since_seq` of `epoch` lacks, or the first part of them; without blocks: nothing.

        From the start (base_seq 0) if that is 0, of another epoch or another map, or too old. ValueError before `follow`.
        """
        return self._message(since_seq - self._origin if epoch == self._epoch else 0, max_bytes)[0]

    def _message(self, since: int, max_bytes: int) -> tuple[MapUpdate, int]:
        voxel_map = self._map()
        if voxel_map is None:
            raise ValueError("there is no map yet")
        part = voxel_map.encoded_blocks(since, max_bytes)
        update = MapUpdate(self._epoch, self._origin + part.version, self._origin + part.base if part.base else 0,
                           unpack_keys(part.keys), part.data, float(np.float32(voxel_map.layout.voxel_size)),
                           self._graph_version, self._backlog)
        return update, part.version
