# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Instances of classes in labelled voxels: what touches is one thing, unless it is two that lean on each other."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from lsm_ros.semantics.classes import Classes
from lsm_ros.semantics.objects.map_object import Box
from lsm_ros.semantics.search import components
from lsm_ros.types import LabelSpace

LEAST_CELL = 0.125  # metres; voxels of cells that touch belong together
PLAN_CELL = 0.025  # metres
LEAST_AREA = 0.01  # square metres of surface
THICK = 0.2  # metres from the middle of a core to its side: plans of thinner things are too ragged to say
NECK = 0.5  # two things that touch are thinner than this where they meet, relative to the thinner of both
LEAST_PART = 0.2  # of the voxels: what is less is no thing of its own


@dataclass(frozen=True)
class LabelledVoxels:
    """Surface voxels: voxel (N, 3) int32, points_map (N, 3) float32, labels (N,) uint16 and probability (N,) float32."""

    voxel: np.ndarray
    points_map: np.ndarray
    labels: np.ndarray
    probability: np.ndarray
    voxel_size: float


@dataclass(frozen=True)
class Seen:
    """A thing as the voxels show it. label: common name of its class. members (M,) int64: its voxels. probability: mean of
    theirs."""

    label: str
    box: Box
    centroid: np.ndarray
    members: np.ndarray
    probability: float


def find_objects(voxels: LabelledVoxels, names: LabelSpace, classes: Classes, min_size: float = 0.1,
                 min_probability: float = 0.0) -> list[Seen]:
    """Things in the voxels whose largest side is at least `min_size` metres, of classes that are counted; voxels below
    `min_probability` are left out. z of the map is up. In the order of their labels and voxels."""
    by_name: dict[str, list[int]] = {}
    for i, name in names.names.items():
        about = classes.about(name)
        if about.is_counted:
            by_name.setdefault(about.name, []).append(i)
    sure = voxels.probability >= min_probability
    least = max(round(LEAST_AREA / voxels.voxel_size**2), 4)
    found = []
    for label, ids in sorted(by_name.items()):
        chosen = np.flatnonzero(np.isin(voxels.labels, np.array(ids, np.uint16)) & sure)
        for whole in _touching(voxels, chosen):
            for members in _apart(voxels.points_map[whole], whole):
                if len(members) < least:
                    continue
                points = voxels.points_map[members].astype(np.float64)
                box = Box.around(points).grown(voxels.voxel_size / 2)
                if box.size.max() >= min_size:
                    found.append(Seen(label, box, points.mean(0), members, float(voxels.probability[members].mean())))
    return found


def _touching(voxels: LabelledVoxels, chosen: np.ndarray) -> Iterator[np.ndarray]:
    """Members (M,) of each group of voxels that touch, at the size of a cell."""
    if not len(chosen):
        return
    step = max(2, round(LEAST_CELL / voxels.voxel_size))
    cells, which = np.unique(voxels.voxel[chosen] // step, axis=0, return_inverse=True)
    group = components(cells)[which.ravel()]
    order = np.argsort(group, kind="stable")
    yield from np.split(chosen[order], np.flatnonzero(np.diff(group[order])) + 1)


def _apart(points: np.ndarray, members: np.ndarray) -> list[np.ndarray]:
    """Members (M,) of each of the things that stand side by side in a group with points (M, 3): its plan from above has cores
    that only thinner necks join. What is around a core belongs to it."""
    cell = PLAN_CELL
    low = points[:, :2].min(0) - 2 * cell
    at = ((points[:, :2] - low) / cell).astype(int)
    plan = np.zeros(tuple(at.max(0) + 3), np.uint8)
    plan[at[:, 0], at[:, 1]] = 255
    plan = cv2.morphologyEx(plan, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    depth = cv2.distanceTransform(plan, cv2.DIST_L2, 5)
    count, seeds = cv2.connectedComponents((depth > NECK * depth.max()).astype(np.uint8))
    if count <= 2 or depth.max() * cell < THICK:
        return [members]
    markers = np.where(plan > 0, seeds, 0).astype(np.int32)
    rest = (plan > 0) & (seeds == 0)
    _, nearest = cv2.distanceTransformWithLabels((seeds == 0).astype(np.uint8), cv2.DIST_L2, 5,
                                                 labelType=cv2.DIST_LABEL_CCOMP)
    seed_of = np.zeros(nearest.max() + 1, np.int32)
    seed_of[nearest[seeds > 0]] = seeds[seeds > 0]
    markers[rest] = seed_of[nearest[rest]]
    part = markers[at[:, 0], at[:, 1]]
    parts = [members[part == n] for n in range(1, count)]
    big = [p for p in parts if len(p) >= LEAST_PART * len(members)]
    return parts if len(big) == len(parts) else [members]
