# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rooms for bench/meaning.py: views of simulated worlds with labels as a network gives them, fused at their true poses."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lsm_ros.config import Config
from lsm_ros.fusion.voxel_map import VoxelMap
from lsm_ros.types import UNLABELLED, Observation
from lsm_sim.source import SimSource

Z_STEP, MOST_DEPTH, CLASSES = 0.0005, 5.0, 50


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
