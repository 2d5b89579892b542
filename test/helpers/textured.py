# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A small box room of textured walls and boards, seen from any pose with exact depth; quick, without the simulator."""
from dataclasses import dataclass

import cv2
import numpy as np

from lsm_ros.geometry import CameraIntrinsics

CAMERA = CameraIntrinsics(320, 240, 260.0, 260.0, 159.5, 119.5)


@dataclass(frozen=True)
class Board:
    """A rectangle from `corner` along `u` and `v` (3,), metres, with a grey picture of `texture` (S, S) uint8."""

    corner: np.ndarray
    u: np.ndarray
    v: np.ndarray
    texture: np.ndarray


def picture(seed: int, size: int = 512) -> np.ndarray:
    """(size, size) uint8: noise of several sizes, as a poster seen from near and far has it."""
    rng = np.random.default_rng(seed)
    out = np.zeros((size, size))
    for cells, weight in ((8, 1.0), (24, 1.0), (64, 0.8), (160, 0.5)):
        out += weight * cv2.resize(rng.standard_normal((cells, cells)), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 45 * out, 0, 255).astype(np.uint8)


def room(seed: int = 0) -> list[Board]:
    """Walls of a room 6 x 3 x 6 m around the origin (y down, z forward), and boards that stand in it."""
    x, y, z = np.eye(3)
    walls = [(-3 * x - 1.5 * y + 3 * z, 6 * x, 3 * y), (3 * x - 1.5 * y + 3 * z, -6 * z, 3 * y),
             (-3 * x - 1.5 * y - 3 * z, 6 * z, 3 * y), (3 * x - 1.5 * y - 3 * z, -6 * x, 3 * y),
             (-3 * x + 1.5 * y + 3 * z, 6 * x, -6 * z), (-3 * x - 1.5 * y - 3 * z, 6 * x, 6 * z)]
    boards = [((-1.3, -0.6, 1.6), 0.9 * x, 1.0 * y), ((0.5, -0.2, 2.1), 0.8 * x + 0.3 * z, 0.9 * y),
              ((1.8, -0.5, -0.4), -0.7 * z, 1.0 * y), ((-1.9, -0.4, -0.3), 0.8 * z, 0.9 * y)]
    return [Board(np.asarray(c, float), u, v, picture(100 * seed + i)) for i, (c, u, v) in enumerate([*walls, *boards])]


def see(boards: list[Board], T_world_cam: np.ndarray, camera: CameraIntrinsics = CAMERA) -> tuple[np.ndarray, np.ndarray]:
    """Grey image (H, W) uint8 and depth (H, W) float32 along z, 0 where there is nothing, of a pinhole at a pose."""
    rays = camera.rays(unit=False, dtype=np.float64) @ T_world_cam[:3, :3].T
    origin = T_world_cam[:3, 3]
    depth, image = np.full(rays.shape[:2], np.inf), np.zeros(rays.shape[:2], np.uint8)
    for board in boards:
        normal = np.cross(board.u, board.v)
        slope = rays @ normal
        t = (board.corner - origin) @ normal / np.where(np.abs(slope) < 1e-12, 1e-12, slope)
        hit = origin + rays * t[..., None] - board.corner
        a, b = hit @ board.u / (board.u @ board.u), hit @ board.v / (board.v @ board.v)
        here = (t > 0.05) & (t < depth) & (a >= 0) & (a <= 1) & (b >= 0) & (b <= 1)
        size = board.texture.shape[0] - 1
        found = cv2.remap(board.texture, (a * size).astype(np.float32), (b * size).astype(np.float32), cv2.INTER_LINEAR)
        image[here], depth[here] = found[here], t[here]
    return image, np.where(np.isfinite(depth), depth, 0.0).astype(np.float32)
