# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The voxel map: adds, moves and removes observations, always exactly; what it shows is read by the readers in `read/`.

Always: map = sum of the contributions of all fused observations at their fused poses (and of frozen ones), whatever
was done in which order. A call that raises has changed nothing.
"""
from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from lsm_ros.config import FusionConfig, GridConfig
from lsm_ros.fusion.backends.base import Prepared, choose
from lsm_ros.fusion.backends.blocks import MapFullError, unpack_keys
from lsm_ros.fusion.backends.layout import CameraPose, Layout, check_pose
from lsm_ros.fusion.files import storage
from lsm_ros.fusion.map import ledger
from lsm_ros.fusion.map.ledger import Entry
from lsm_ros.fusion.map.pools import Part, Pools, part
from lsm_ros.fusion.publish.encoding import SurfaceCloud
from lsm_ros.fusion.publish.updates import MAX_BYTES, BlockPart, EncodedBlocks
from lsm_ros.fusion.read.distance_field import DistanceReader
from lsm_ros.fusion.read.gaussians import is_free
from lsm_ros.fusion.read.grid_reader import GridReader
from lsm_ros.fusion.read.mesh import Mesh, MeshReader
from lsm_ros.fusion.read.query import QueryResult, features_at, query
from lsm_ros.fusion.read.surface import Surface
from lsm_ros.fusion.read.surface_reader import SurfaceReader, VolumeReader, snapshot
from lsm_ros.types import MapSnapshot, NameVectors, Observation, OccupancyMap

__all__ = ["MapFullError", "VoxelMap"]
MOST_GRIDS = 4  # height bands whose grids are kept


class VoxelMap:
    """Block-sparse signed distances, colours, labels and free space. Not thread-safe.

    `layout` (voxel size, truncation, depth limit, stride) is fixed when the map is made; the other parameters follow
    `config`, which may be replaced at any time (but for its backend). `seq` grows with every change. `backend.name` says
    what computes. RuntimeError if the backend that the configuration names cannot run.
    """

    def __init__(self, config: FusionConfig) -> None:
        self.config = config
        self.layout = Layout.of(config)
        self.seq = 0
        self.backend = choose(config.backend, config.threads)
        self.pools = Pools(self.backend, config.max_blocks, config.labels, config.min_label_probability)
        self._entries: dict[int, Entry] = {}
        self._frozen: set[int] = set()
        self._reader, self._volume = SurfaceReader(self.layout), VolumeReader(self.layout)
        self._snapshot: tuple[Surface, float, MapSnapshot] | None = None
        self._grids: dict[tuple[float, float], GridReader] = {}
        self._distance = DistanceReader()
        self._encoded = EncodedBlocks(self.layout)
        self._mesh = MeshReader(self.layout)

    # what is in the map

    @property
    def observations(self) -> dict[int, Observation]:
        """The known observations by id, fused or resting; frozen ones are no longer known."""
        return {i: e.observation for i, e in self._entries.items()}

    @property
    def has_frozen(self) -> bool:
        """True if there are frozen observations in the map."""
        return bool(self._frozen)

    @property
    def next_id(self) -> int:
        """The smallest id greater than those of all observations that are or were made part of the map."""
        return max((*self._entries, *self._frozen), default=-1) + 1

    @property
    def observation_bytes(self) -> int:
        """Bytes of the known observations."""
        return sum(e.nbytes for e in self._entries.values())

    @property
    def block_count(self) -> int:
        """Number of voxel blocks."""
        return len(self.pools.voxels)

    @property
    def nbytes(self) -> int:
        """Bytes of the voxel arrays, without observations."""
        return self.pools.nbytes

    def fused_poses(self) -> dict[int, np.ndarray]:
        """T_map_rig (4, 4) float64 that each fused observation is in the map with, by observation id."""
        return {i: e.T_map_rig.copy() for i, e in self._entries.items() if e.fused}

    def touched_blocks(self, observation_id: int) -> np.ndarray:
        """Block indices (N, 3) int32 that an observation contributes to. ValueError for an unknown id."""
        return unpack_keys(self._entry(observation_id).keys)

    # changes

    def add(self, observation: Observation, T_map_rig: np.ndarray) -> int:
        """Fuses a new observation at pose T_map_rig (4, 4), rigid or scaled; returns the number of changed blocks.

        ValueError for a bad pose, bad arrays, a known id, indices that overflow, or more labels than the map may hold;
        MapFullError if it does not fit. The map is unchanged then.
        """
        checked = ledger.checked_observation(observation)
        if checked.id in self._entries or checked.id in self._frozen:
            raise ValueError(f"observation {checked.id} is in the map already; move it or remove it first")
        T = check_pose(T_map_rig, "T_map_rig")
        new = self._at_pose(self.backend.prepare(checked, self.layout), checked, T)
        self.pools.check([new], [], self.config.max_blocks)
        self.seq += 1
        self.pools.add(new, self.seq)
        self._entries[checked.id] = Entry(checked, T, True, new.keys)
        return len(new.keys)

    def remove(self, observation_id: int, keep: bool = False) -> int:
        """Takes an observation out of the map; returns the number of changed blocks. ValueError for an unknown id.

        With `keep` it stays known and can be restored; else it is forgotten.
        """
        entry = self._entry(observation_id)
        changed = 0
        if entry.fused:
            old = self._part(entry)
            self.seq += 1
            self.pools.remove(old, self.seq, self.config.max_blocks)
            entry.fused, entry.keys, changed = False, np.zeros(0, np.int64), len(old.keys)
        if not keep:
            del self._entries[observation_id]
        return changed

    def restore(self, observation_id: int) -> int:
        """Fuses an observation again that was removed with `keep`, at the pose where its keyframe is now; returns the
        number of changed blocks. ValueError for an unknown id, MapFullError if it does not fit."""
        entry = self._entry(observation_id)
        if entry.fused:
            raise ValueError(f"observation {observation_id} is fused already")
        new = self._part(entry)
        self.pools.check([new], [], self.config.max_blocks)
        self.seq += 1
        self.pools.add(new, self.seq)
        entry.fused, entry.keys = True, new.keys
        return len(new.keys)

    def move(self, observation_id: int, T_map_rig: np.ndarray) -> int:
        """Fuses an observation at another pose instead of its own; returns the number of changed blocks.

        ValueError for an unknown id or a bad pose, MapFullError if it does not fit; the map is unchanged then.
        """
        entry = self._entry(observation_id)
        T = check_pose(T_map_rig, "T_map_rig")
        if not entry.fused:
            entry.T_map_rig = T
            return 0
        pixels = self.backend.prepare(entry.observation, self.layout)
        old, new = self._part(entry, pixels), self._at_pose(pixels, entry.observation, T)
        self.pools.check([new], [old], self.config.max_blocks)
        self.seq += 1
        self.pools.remove(old, self.seq, self.config.max_blocks)
        self.pools.add(new, self.seq)
        entry.T_map_rig, entry.keys = T, new.keys
        return len(np.union1d(old.keys, new.keys))

    def add_labels(self, observation_id: int, labels: np.ndarray) -> int:
        """Gives an observation labels (H, W) uint16, in place of those it had; returns the number of changed blocks.

        ValueError for an unknown id, a wrong size or type, or more labels than the map may hold.
        """
        entry = self._entry(observation_id)
        version = replace(entry.observation, labels=ledger.checked_labels(labels, entry.observation))
        if not entry.fused:
            entry.observation = version
            return 0
        old = self._part(entry)
        new = self._at_pose(self.backend.prepare(version, self.layout), version, entry.T_map_rig, entry.keys)
        self.pools.check([new], [old], self.config.max_blocks)
        self.seq += 1
        self.pools.apply_labels(old, -1)
        self.pools.apply_labels(new, 1)
        self.pools.voxels.seq[self.pools.voxels.find(entry.keys)] = self.seq
        entry.observation = version
        return len(entry.keys)

    def freeze(self, keyframe: int) -> tuple[int, ...]:
        """Makes the observations of a keyframe part of the map for good and lets go of their images; returns their ids.

        They can no longer be moved or removed; those that rest are forgotten.
        """
        ids = tuple(i for i, e in self._entries.items() if e.observation.keyframe == keyframe)
        for i in ids:
            if self._entries.pop(i).fused:
                self._frozen.add(i)
        return ids

    # following the graph

    def follow(self, poses: Mapping[int, np.ndarray], budget_ms: float) -> tuple[tuple[int, ...], int]:
        """Moves the observations whose keyframe is elsewhere now, nearest to the newest keyframe first.

        poses: T_map_rig by keyframe id; observations of other keyframes stay. One is moved when its camera or its point
        at median depth is off by more than `config.move_voxels`. At least one is moved if there is any budget, and none
        is begun that would not end in time. Returns the ids moved and the number that still wait.
        """
        limit = self.config.move_voxels * self.layout.voxel_size
        waiting = []
        for entry, T in self._moved(poses):
            if not entry.fused:
                entry.T_map_rig = T
            elif ledger.displacement(entry, T) > limit:
                waiting.append((entry, T))
        moved: list[int] = []
        start, longest = time.perf_counter(), 0.0
        for entry, T in ledger.nearest_first(waiting, poses):
            begin = time.perf_counter()
            if budget_ms <= 0 or (moved and (begin - start + longest) * 1e3 > budget_ms):
                break
            try:
                self.move(entry.observation.id, T)
            except MapFullError:
                break  # it stays in the backlog, which is reported
            longest = max(longest, time.perf_counter() - begin)
            moved.append(entry.observation.id)
        return tuple(moved), len(waiting) - len(moved)

    def settle(self, poses: Mapping[int, np.ndarray]) -> tuple[int, ...]:
        """Makes the map what fusing all observations with these poses (T_map_rig by keyframe id) gives, exactly.

        Where the map is full and the new poses need more blocks, the oldest observations that do not fit rest; their
        ids are returned.
        """
        late = []
        for entry, T in self._moved(poses):
            try:
                self.move(entry.observation.id, T)
            except MapFullError:
                late.append((entry, T))
        for entry, T in late:
            self.remove(entry.observation.id, keep=True)
            entry.T_map_rig = T
        resting = []
        for entry, _ in sorted(late, key=lambda e: e[0].observation.id, reverse=True):
            try:
                self.restore(entry.observation.id)
            except MapFullError:
                resting.append(entry.observation.id)
        return tuple(sorted(resting))

    def stale_observations(self) -> tuple[int, ...]:
        """Fused observations whose view cell has `config.view_cell_keyframes` newer fused keyframes, in order of id.

        A view cell is a cube of `config.view_cell` metres around the camera and 30 degrees of its direction.
        """
        rank = ledger.ranks((e for e in self._entries.values() if e.fused), self.config.view_cell)
        return tuple(sorted(i for i, n in rank.items() if n >= self.config.view_cell_keyframes))

    # reading

    def changed_blocks(self, since_seq: int) -> np.ndarray:
        """Indices (N, 3) int32 of the blocks that changed or went after `since_seq`, in order of their keys.

        Complete unless more than `config.max_blocks` blocks went since then.
        """
        pool = self.pools.voxels
        keys = [pool.keys[pool.slots_since(since_seq)],
                np.array([k for k, s in self.pools.freed.items() if s > since_seq], np.int64)]
        return unpack_keys(np.sort(np.concatenate(keys)))

    def surface(self) -> Surface:
        """All surface voxels, with the probability of their labels. Computed anew only where blocks changed."""
        return self._reader.read(self.pools, self.seq, self.config.min_weight)

    def snapshot(self, graph_version: int = 0, map_epoch: int = 0, label_threshold: float = 0.0) -> MapSnapshot:
        """The surface as others may keep it. Labels less probable than `label_threshold` are `UNLABELLED`.

        The arrays are read-only. Costs nothing while the map is unchanged.
        """
        surface = self.surface()
        old = self._snapshot
        if old is None or old[0] is not surface or old[1] != label_threshold:
            volume = self._volume.read(self.pools, self.seq)
            old = surface, label_threshold, snapshot(surface, self.layout, label_threshold, volume, self.seq)
            self._snapshot = old
        return replace(old[2], graph_version=graph_version, map_epoch=map_epoch)

    def occupancy(self, config: GridConfig) -> OccupancyMap:
        """2D grid of the height band of `config`; z of the map must be up. ValueError if it would be too large."""
        band = config.min_height, config.max_height
        if band not in self._grids and len(self._grids) >= MOST_GRIDS:
            self._grids.clear()
        return self._grids.setdefault(band, GridReader(self.layout)).read(self.pools, self.seq, self.config.min_weight, config)

    def distance_field(self, config: GridConfig) -> OccupancyMap:
        """Distance to the nearest occupied cell of `occupancy`, in hundredths of `config.max_distance`, rounded down, at most
        100; -1 where unknown. ValueError as there."""
        return self._distance.read(self.occupancy(config), config.max_distance)

    @property
    def blocks_version(self) -> int:
        """Version of the blocks as `refresh_blocks` last saw them; it grows with every block that shows something else."""
        return self._encoded.version

    def refresh_blocks(self) -> int:
        """Brings the published blocks up to date; returns how many show something else. Costs what changed."""
        return self._encoded.refresh(self.pools, self.seq, self.config.min_weight)

    def encoded_blocks(self, since: int = 0, max_bytes: int = MAX_BYTES) -> BlockPart:
        """The first blocks, encoded, that changed after version `since`, as of the last refresh; see `updates`."""
        return self._encoded.part(since, max_bytes)

    def published_cloud(self) -> SurfaceCloud:
        """The surface as it is published, of now: what `encoded_blocks` tell, in the order of blocks and voxels."""
        self.refresh_blocks()
        return self._encoded.cloud()

    def mesh(self) -> Mesh:
        """The surface as a coloured and labelled mesh. Computed anew only where blocks changed."""
        return self._mesh.read(self.pools, self.seq, self.config.min_weight)

    def mesh_within(self, budget_ms: float) -> Mesh | None:
        """The same for a viewer: vertices at the sides of blocks come more than once. None if more has changed than the time
        allows; the next call goes on with it."""
        return self._mesh.read(self.pools, self.seq, self.config.min_weight, welded=False, budget_ms=budget_ms)

    def is_free(self, points_map: np.ndarray) -> np.ndarray:
        """(N,) bool: voxels of points (N, 3) that more weight saw empty than saw a surface in or near them."""
        return is_free(self.pools, self.layout, points_map)

    def query(self, vector: np.ndarray) -> QueryResult:
        """Similarity of the language features of every voxel of `surface` to a vector (D,). ValueError if the map has none, or
        if the vector is of another length, zero or not finite."""
        return query(self.pools, self.surface().voxel, vector)

    @property
    def has_features(self) -> bool:
        """True if any observation in the map carries language features."""
        return self.pools.feature_users > 0

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Language features of the voxels of `surface`: cell (N,) int32 of each voxel, -1 without, and (M, D) int8 unit vectors
        times 127 of the cells. ValueError if the map has none."""
        return features_at(self.pools, self.surface().voxel)

    def set_names(self, names: NameVectors | None) -> None:
        """Sets the names of language features for wherever no observation gave a label: in the surface, the mesh and
        the published blocks. None: nothing. Costs nothing until these are read. Features of another length stay unlabelled."""
        if names is not self.pools.names and not (names is not None and names.same_as(self.pools.names)):
            self.pools.names = names
            self.pools.look += 1

    # on disk

    def save(self, folder: Path) -> None:
        """Writes map, ledger and observations into `folder`, which is made. OSError if that fails; what was there stays
        whole."""
        storage.save(Path(folder), self.layout, self.seq, self.pools, self._entries, self._frozen)

    def load(self, folder: Path) -> None:
        """Replaces the map by a saved one; moves and removals are exact as before.

        FileNotFoundError if there is none; ValueError, naming the file, if it is damaged or was made with another voxel
        size, truncation, depth limit or stride. Nothing has changed then.
        """
        seq, pools, entries, frozen = storage.load(Path(folder), self.layout, self.backend, self.config.max_blocks,
                                                  self.config.labels)
        pools.names, pools.look = self.pools.names, self.pools.look
        pools.least_probability = self.config.min_label_probability
        self.seq, self.pools, self._entries, self._frozen = max(seq, self.seq) + 1, pools, entries, frozen
        pools.voxels.seq[:] = self.seq  # all of it is new to whoever asks for changes
        self._snapshot = None

    # inside

    def _entry(self, observation_id: int) -> Entry:
        if observation_id not in self._entries:
            why = "is frozen" if observation_id in self._frozen else "is not in the map"
            raise ValueError(f"observation {observation_id!r} {why}")
        return self._entries[observation_id]

    def _part(self, entry: Entry, pixels: Prepared | None = None) -> Part:
        """Contribution of an entry at the pose that it has."""
        pixels = pixels or self.backend.prepare(entry.observation, self.layout)
        return self._at_pose(pixels, entry.observation, entry.T_map_rig, entry.keys if entry.fused else None)

    def _at_pose(self, pixels: Prepared, o: Observation, T: np.ndarray, keys: np.ndarray | None = None) -> Part:
        return part(self.backend, pixels, CameraPose.of(T, o.T_rig_cam), self.layout, keys)

    def _moved(self, poses: Mapping[int, np.ndarray]) -> list[tuple[Entry, np.ndarray]]:
        """Entries whose keyframe's pose is not the one they have, and that pose. ValueError if one of these is bad."""
        out = []
        for entry in self._entries.values():
            T = poses.get(entry.observation.keyframe)
            if T is not None and not np.array_equal(T, entry.T_map_rig):
                out.append((entry, check_pose(T, f"T_map_rig of keyframe {entry.observation.keyframe}")))
        return out
