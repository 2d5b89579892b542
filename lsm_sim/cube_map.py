# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cube maps: six square pictures around a point, one for each of -x, +x, -y, +y, -z, +z of the world."""
from __future__ import annotations

import numpy as np
import torch

from lsm_ros.geometry.camera import CameraIntrinsics

SIDES = 6


def cube_camera(side: int) -> CameraIntrinsics:
    """The camera of one side, of `side` pixels squared: a quarter turn wide."""
    return CameraIntrinsics(side, side, side / 2, side / 2, (side - 1) / 2, (side - 1) / 2)


def cube_poses(positions: np.ndarray) -> np.ndarray:
    """T_world_cam (N, 6, 4, 4) of the cameras of cubes at positions (N, 3)."""
    T = np.zeros((len(positions), SIDES, 4, 4))
    T[..., 3, 3] = 1
    T[..., :3, 3] = np.asarray(positions)[:, None]
    for axis in range(3):
        for k, sign in enumerate((-1.0, 1.0)):
            side = 2 * axis + k
            T[:, side, axis, 2] = sign
            T[:, side, (axis + 1) % 3, 0] = sign
            T[:, side, (axis + 2) % 3, 1] = 1.0
    return T


def cube_lookup(d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hits of directions (3, ...) on a cube: side (...) int64, place (x, y) in [-1, 1], and depth along the side's axis."""
    x, y, z = d.unbind(0)
    ax, ay, az = d.abs().unbind(0)
    by_x, by_y = (ax >= ay) & (ax >= az), ay >= az
    main = torch.where(by_x, x, torch.where(by_y, y, z))
    first = torch.where(by_x, y, torch.where(by_y, z, x))
    second = torch.where(by_x, z, torch.where(by_y, x, y))
    depth = main.abs().clamp_(min=1e-9)
    # Sides come in the order -, + of each axis.
    side = torch.where(by_x, 0, torch.where(by_y, 2, 4)) + (main > 0)
    return side, first / main, second / depth, depth
