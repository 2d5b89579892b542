# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cameras and depth of two images from one pair, without optimisation."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from lsm_ros.geometry.pointmap_focal import estimate_focal
from lsm_ros.sfm.pair_set import PairSet
from lsm_ros.sfm.poses import camera_pose

PNP_ITERATIONS = 100


@dataclass(frozen=True)
class TwoCameras:
    """focals (2,) in pixels; poses (2, 4, 4) of the cameras in the world, one of which is the world; depths (H, W) each."""

    focals: np.ndarray
    poses: np.ndarray
    depths: tuple[torch.Tensor, torch.Tensor]


def view_pair(pairs: PairSet, min_confidence: float = 3.0) -> TwoCameras:
    """Focal lengths, poses and depth of two images from both orders of their pair.

    Each focal length comes from the image's own prediction, each pose from its points in the other camera (PnP with points
    above min_confidence; identity when it fails). The order with more confidence decides the world's camera. ValueError unless
    there are exactly two images, in both orders, whose points imply a focal length.
    """
    if len(pairs.sizes) != 2:
        raise ValueError(f"a pair has two images, got {len(pairs.sizes)}")
    edges = (pairs.index(0, 1), pairs.index(1, 0))
    confidence, scores = pairs.image_confidence(), pairs.scores()
    focals, poses = [], []
    for i in (0, 1):
        height, width = pairs.sizes[i]
        centre = (width / 2, height / 2)
        focal = float(estimate_focal(pairs.points_i[edges[i]][None], torch.tensor([centre]).to(confidence[i])))
        if not math.isfinite(focal):
            raise ValueError(f"image {i}: its points imply no focal length; they are NaN, or all on the camera's axis")
        solved = camera_pose(pairs.points_j[edges[1 - i]], focal, centre, mask=confidence[i] > min_confidence,
                             iterations=PNP_ITERATIONS)
        focals.append(focal)
        poses.append(np.eye(4) if solved is None else solved[1])
    world = 0 if scores[edges[0]] > scores[edges[1]] else 1
    other, edge = 1 - world, edges[world]
    own = pairs.points_i[edge][..., 2]
    inverse = torch.from_numpy(np.linalg.inv(poses[other])).to(own)
    seen = pairs.points_j[edge] @ inverse[2, :3] + inverse[2, 3]
    poses[world] = np.eye(4)
    depths = (own, seen) if world == 0 else (seen, own)
    return TwoCameras(np.array(focals), np.stack(poses), depths)
