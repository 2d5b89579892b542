# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rooms for bench/meaning.py: views of simulated worlds with labels as a network gives them, fused at their true poses."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components

from lsm_ros.config import Config
from lsm_ros.fusion.voxel_map import VoxelMap
from lsm_ros.semantics.classes import Classes
from lsm_ros.semantics.objects import LabelledVoxels, Seen, find_objects
from lsm_ros.semantics.regions import find_regions
from lsm_ros.semantics.regions.finding import WIDEST_DOOR
from lsm_ros.types import UNLABELLED, LabelSpace, Observation, OccupancyMap
from lsm_sim.solids import signed_distance
from lsm_sim.source import SimSource
from lsm_sim.world import World

Z_STEP, MOST_DEPTH, CLASSES, MOST_IDS, LEAST_SIDE, GAP = 0.0005, 5.0, 50, 64, 0.2, 0.125


@dataclass(frozen=True)
class View:
    """A view without noise: number, and its observation with true labels at pose T_map_rig (4, 4); instances (H, W) int32."""

    observation: Observation
    T_map_rig: np.ndarray
    instances: np.ndarray


def views(source: SimSource, step: int) -> Iterator[View]:
    """Every step-th view of a source."""
    camera = source.cameras[0]
    for number, n in enumerate(range(0, len(source), step)):
        seen, frame = source.render(n), source.frame_set(n).frames[0]
        assert frame.intrinsics is not None  # cameras of worlds are calibrated
        z = (np.where(seen.depth < MOST_DEPTH, seen.depth, 0) / Z_STEP + 0.5).astype(np.uint16)
        seen_at = source.T_rig_cam[camera]
        observation = Observation(number, number, frame.stamp_ns, camera, seen_at, z, Z_STEP,
                                  np.where(z > 0, 255, 0).astype(np.uint8), frame.image, frame.intrinsics,
                                  seen.labels.astype(np.uint16))
        yield View(observation, source.ground_truth[n].T_map_rig, seen.instances)


@dataclass(frozen=True)
class Noise:
    """Errors of a network: share of instances that it takes for another class in a view, share of the image in blots of wrong
    classes, and how far borders stray (pixels)."""

    instances: float
    blots: float
    border_px: float = 6.0

    def spoil(self, view: View, rng: np.random.Generator) -> np.ndarray:
        """Labels (H, W) uint16 as a network would give them. An instance is taken for one of three classes."""
        labels, (height, width) = view.observation.labels, view.instances.shape
        assert labels is not None

        def field(size: int) -> np.ndarray:
            coarse = rng.normal(size=(height // size + 2, width // size + 2)).astype(np.float32)
            return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)

        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        x, y = x + self.border_px * field(12), y + self.border_px * field(12)
        ragged, instance = (cv2.remap(a, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
                            for a in (labels, view.instances.astype(np.float32)))
        out = ragged.copy()
        for i in np.unique(instance):
            if rng.random() < self.instances:
                mask = instance == i
                out[mask] = (int(ragged[mask][0]) * 7 + int(rng.integers(1, 4)) * 11) % CLASSES + 1
        patches = np.kron(rng.integers(1, CLASSES + 1, (height // 40 + 1, width // 40 + 1)), np.ones((40, 40), int))
        blot = field(40)
        mask = blot > np.quantile(blot, 1 - self.blots)
        out[mask] = patches[:height, :width][mask]
        return out.astype(np.uint16)


@dataclass(frozen=True)
class Fused:
    """A room fused with true and with wrong labels. truth, labels (N,) uint16 and probability (N,) float32 of the voxels;
    wrong: share of wrong pixels; single: mean IoU of single views."""

    truth: np.ndarray
    labels: np.ndarray
    probability: np.ndarray
    wrong: float
    single: float


def fuse(source: SimSource, step: int, noise: Noise, config: Config, seed: int) -> Fused:
    """Fuses views of a room twice. What is true of a voxel is its label in the map of true labels."""
    rng = np.random.default_rng(seed)
    good, bad = VoxelMap(config.fusion), VoxelMap(config.fusion)
    seen, given = [], []
    for view in views(source, step):
        labels = noise.spoil(view, rng)
        good.add(view.observation, view.T_map_rig)
        bad.add(replace(view.observation, labels=labels), view.T_map_rig)
        true = view.observation.labels
        assert true is not None
        seen.append(true.ravel()[::7])
        given.append(labels.ravel()[::7])
    truth, labels = np.concatenate(seen), np.concatenate(given)
    known = truth != UNLABELLED
    surface = bad.surface()
    return Fused(good.surface().labels, surface.labels, surface.label_probability, float(np.mean((truth != labels)[known])),
                 mean_iou(truth, labels, 5000))


def mean_iou(truth: np.ndarray, labels: np.ndarray, least: int = 500) -> float:
    """Mean intersection over union of the classes with at least `least` elements in the truth (N,)."""
    known = truth != UNLABELLED
    values = []
    for i in np.unique(truth[known]):
        true, found = truth == i, (labels == i) & known
        if np.count_nonzero(true) >= least:
            values.append(np.count_nonzero(true & found) / np.count_nonzero(true | found))
    return float(np.mean(values))


def calibration(probability: np.ndarray, right: np.ndarray) -> tuple[float, list[tuple[float, float, float]]]:
    """Expected calibration error in ten equal bins (Guo et al. 2017, equation 3) of probabilities (N,) of what was right (N,)
    or not; and of each bin that is not empty its share, mean probability and share that is right."""
    bins = np.minimum((probability * 10).astype(int), 9)
    rows = [(float(np.mean(bins == b)), float(probability[bins == b].mean()), float(right[bins == b].mean()))
            for b in np.unique(bins)]
    return sum(share * abs(p - r) for share, p, r in rows), rows


@dataclass(frozen=True)
class Instances:
    """Things of a room. there, found: numbers of things larger than 20 cm; right: of those that are there and were found;
    double: of those found beside the one that was right."""

    there: int
    found: int
    right: int
    double: int


def instances_of(source: SimSource, step: int, noise: Noise, config: Config, seed: int) -> Instances:
    """Finds objects in a room. Truth are the voxels that show one instance, one class of it (a pillow is no bed), and parts
    up to 12.5 cm apart (books side by side are one, the two curtains of a window two). Right is an object of that class whose
    voxels and the thing's have an intersection over union of at least 0.5; double is one of which more than half of the voxels
    lie in a thing that another object was right for."""
    rng, classes, names = np.random.default_rng(seed), Classes(), source.world.label_space
    good, bad = VoxelMap(config.fusion), VoxelMap(replace(config.fusion, labels="dense"))
    for view in views(source, step):
        truth = view.observation.labels
        assert truth is not None
        key = np.where(view.instances >= 0, view.instances * MOST_IDS + truth, UNLABELLED).astype(np.uint16)
        good.add(replace(view.observation, labels=key), view.T_map_rig)
        bad.add(replace(view.observation, labels=noise.spoil(view, rng)), view.T_map_rig)
    size, s = config.fusion.voxel_size, bad.surface()
    truth = pieces(source.world, good.surface().labels, s.points_map)
    found = find_objects(LabelledVoxels(s.voxel, s.points_map, s.labels, s.label_probability, size), names, classes,
                         config.objects.min_size, config.objects.min_probability)
    there = things_in(truth, s.points_map, size, names, classes)
    return judged([f for f in found if f.box.size.max() > LEAST_SIDE], truth, there)


def pieces(world: World, keys: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Number (N,) int64 of the thing that each voxel shows, a multiple of 1000 of its key (instance and class) and its piece of
    touching parts; -1 for none. keys (N,) uint16, points (N, 3)."""
    R, centre = world.poses(0.0)
    out = np.full(len(keys), -1, np.int64)
    reach = np.abs(R * world.half[:, None, :]).sum(2) + GAP / 2
    for key in np.unique(keys[keys != UNLABELLED]).tolist():
        parts = np.flatnonzero((world.instance == key // MOST_IDS) & (world.label == key % MOST_IDS))
        members = np.flatnonzero(keys == key)
        touch = (np.abs(centre[parts][:, None] - centre[parts]) < reach[parts][:, None] + reach[parts]).all(2)
        piece = connected_components(touch, directed=False)[1]
        local = np.einsum("pji,npj->npi", R[parts], points[members][:, None] - centre[parts])
        outside = np.linalg.norm(np.maximum(np.abs(local) - world.half[parts], 0), axis=2)
        out[members] = key * 1000 + piece[outside.argmin(1)]
    return out


def things_in(truth: np.ndarray, points: np.ndarray, size: float, names: LabelSpace, classes: Classes) -> dict[int, str]:
    """Class by number of the things larger than 20 cm of which at least 200 square centimetres were seen."""
    there = {}
    for key in np.unique(truth[truth >= 0]).tolist():
        members, about = np.flatnonzero(truth == key), classes.about(names.names[key // 1000 % MOST_IDS])
        if about.is_counted and len(members) * size**2 > 0.02 and np.ptp(points[members], 0).max() > LEAST_SIDE:
            there[key] = about.name
    return there


def judged(found: list[Seen], truth: np.ndarray, there: dict[int, str]) -> Instances:
    """Counts what was found, by the number of the thing that each voxel shows."""
    right: dict[int, int] = {}
    inside: dict[int, int] = {}
    for n, f in enumerate(found):
        keys, counts = np.unique(truth[f.members], return_counts=True)
        key, most = int(keys[counts.argmax()]), int(counts.max())
        if key in there and most * 2 > len(f.members):
            inside[n] = key
        union = np.count_nonzero(truth == key) + len(f.members) - most
        if key in there and most >= 0.5 * union and f.label == there[key]:
            right.setdefault(key, n)
    double = sum(key in right and right[key] != n for n, key in inside.items())
    return Instances(len(there), len(found), len(right), double)


def wall_grid(world: World, resolution: float = 0.05, height: float = 1.6) -> OccupancyMap:
    """The grid of a world's walls at a height, as a map that has seen all of it would have it."""
    low, high = world.bounds
    columns, rows = np.ceil((high[:2] - low[:2]) / resolution).astype(int) + 8
    x0, y0 = low[:2] - 4 * resolution
    x, y = np.meshgrid(x0 + (np.arange(columns) + 0.5) * resolution, y0 + (np.arange(rows) + 0.5) * resolution)
    points = np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], 1)
    solid = signed_distance(world, points, limit=0.2) < resolution / 2
    inside = np.array([world.zone_at(p) >= 0 for p in points])
    near_door = np.zeros(len(points), bool)
    for d in world.doorways:
        near_door |= np.linalg.norm(points[:, :2] - d.center[:2], axis=1) < max(d.width / 2, 0.4)
    grid = np.where(solid, 100, np.where(inside | near_door, 0, -1)).astype(np.int8)
    return OccupancyMap(grid.reshape(x.shape), float(x0), float(y0), resolution)


def regions_right(world: World, grid: OccupancyMap) -> tuple[float, int, int]:
    """Share of the free area of a world's rooms that is in the right region, one region for each room at best; the number of
    rooms, and of regions. Rooms that a passage wider than a door joins are one."""
    zones = list(range(len(world.zones)))
    for d in world.doorways:
        if d.width > WIDEST_DOOR:
            a, b = zones[d.zones[0]], zones[d.zones[1]]
            zones = [a if z == b else z for z in zones]
    found = find_regions(grid)
    rows, columns = np.nonzero(grid.grid == 0)
    at = found.points(np.stack([rows, columns], 1))
    of = np.array([world.zone_at(p) for p in at])
    truth = np.where(of >= 0, np.array([*zones, -1])[of], -1)
    label = found.labels[rows, columns]
    table = np.zeros((len(world.zones), len(found.regions) + 1))
    np.add.at(table, (truth[truth >= 0], label[truth >= 0]), 1)
    best = linear_sum_assignment(-table[:, 1:])
    return float(table[:, 1:][best].sum() / table.sum()), len(set(zones)), len(found.regions)
