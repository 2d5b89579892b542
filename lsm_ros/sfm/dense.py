# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth of every pixel once the cameras are known, and what of it contradicts other images."""
from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from lsm_ros.geometry.pointmap_focal import pixel_grid
from lsm_ros.sfm.canonical import spread


def dense_depth(block_depth: torch.Tensor, ratio: torch.Tensor, base_focal: float, focal: float) -> torch.Tensor:
    """(H, W) depth from that of the blocks' centres (H/8, W/8) and the canonical ratio (H, W) of an image, whose focal length
    was base_focal and is focal now: the surface bends less where the image is seen with a longer lens."""
    return spread(block_depth[..., None])[..., 0] * (1 + (ratio - 1) * (base_focal / focal))


def lifted(depth: torch.Tensor, pose: torch.Tensor, focal: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """(H, W, 3) points in the world of a depth image (H, W) whose camera is at pose (4, 4)."""
    ray = (pixel_grid(*depth.shape, depth.device) - centre) / focal
    local = torch.cat([ray * depth[..., None], depth[..., None]], -1)
    return local @ pose[:3, :3].T + pose[:3, 3]


def clean(points: Sequence[torch.Tensor], depths: Sequence[torch.Tensor], confidence: Sequence[torch.Tensor],
          poses: torch.Tensor, focals: torch.Tensor, centres: torch.Tensor, *, tolerance: float = 0.001,
          partners: Sequence[Iterable[int]] | None = None) -> list[torch.Tensor]:
    """Confidence (H, W) of each image, 0 where a point hides a surface that another image sees with more confidence.

    A point of image i that lies nearer to camera j than j's own depth there (by more than `tolerance`), with less
    confidence, cannot be right. Images are compared in order; a point found wrong before stays so. points (H, W, 3) in the
    world, depths (H, W), poses (N, 4, 4), focals (N,), centres (N, 2). partners: with which images each is compared, by default
    all others.
    """
    found = [c.clone() for c in confidence]
    inverse = torch.linalg.inv(poses)
    for i in range(len(found)):
        for j in range(len(found)) if partners is None else sorted(partners[i]):
            if i == j:
                continue
            seen = points[i] @ inverse[j, :3, :3].T + inverse[j, :3, 3]
            z = seen[..., 2]
            pixel = (focals[j] * seen[..., :2] / z[..., None] + centres[j]).round()
            x, y = pixel.nan_to_num(nan=-1, posinf=-1, neginf=-1).clamp(-1, 1e6).long().unbind(-1)
            height, width = depths[j].shape
            inside = (z > 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
            xi, yi = x[inside], y[inside]
            wrong = (z[inside] < (1 - tolerance) * depths[j][yi, xi]) & (found[i][inside] < found[j][yi, xi])
            where = inside.nonzero()[wrong]
            found[i][where[:, 0], where[:, 1]] = 0
    return found
