# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The result of structure from motion: cameras of an image set, and points that they see."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lsm_ros.geometry import CameraIntrinsics, so3_exp
from lsm_ros.geometry.lie import make_se3


@dataclass(frozen=True)
class SetImage:
    """An image of a set. name: of its file. load: reads it as (H, W, 3) uint8 RGB; sets may be larger than the memory.
    intrinsics: the known camera, or a guess of it. known: the intrinsics are not to be changed. camera: images of one number
    share their intrinsics."""

    name: str
    load: Callable[[], np.ndarray]
    intrinsics: CameraIntrinsics
    known: bool = False
    camera: int = 0


@dataclass(frozen=True)
class SceneModel:
    """A part of an image set whose images are connected.

    images: (N,) indices into the set. cameras: for each of them. poses: (N, 4, 4) T_world_cam. points (P, 3) float64, colors
    (P, 3) uint8. Observations: seen_by (M,) row of `images`, point (M,) row of `points`, pixels (M, 2). is_metric: its lengths
    are metres.
    """

    images: np.ndarray
    cameras: tuple[CameraIntrinsics, ...]
    poses: np.ndarray
    points: np.ndarray
    colors: np.ndarray
    seen_by: np.ndarray
    point: np.ndarray
    pixels: np.ndarray
    is_metric: bool = False

    def errors(self) -> np.ndarray:
        """(M,) reprojection errors in pixels, inf behind the camera."""
        found = np.full(len(self.point), np.inf)
        for n, (camera, pose) in enumerate(zip(self.cameras, self.poses, strict=True)):
            rows = np.flatnonzero(self.seen_by == n)
            local = (self.points[self.point[rows]] - pose[:3, 3]) @ pose[:3, :3]
            pixels, front = camera.project(local)
            found[rows] = np.where(front, np.linalg.norm(pixels - self.pixels[rows], axis=1), np.inf)
        return found

    def moved(self, scale: float, R: np.ndarray, t: np.ndarray) -> SceneModel:
        """The model in another frame: x becomes scale R x + t."""
        poses = self.poses.copy()
        poses[:, :3, :3] = R @ poses[:, :3, :3]
        poses[:, :3, 3] = scale * poses[:, :3, 3] @ R.T + t
        return replace(self, poses=poses, points=scale * self.points @ R.T + t)


@dataclass(frozen=True)
class SfmResult:
    """All of a set: models, the largest first; edges: (E, 2) pairs that were compared, and matches (E,) that agree with one
    geometry; left_out: why an image is in no model, by index. notes: what its user should know."""

    models: tuple[SceneModel, ...]
    edges: np.ndarray
    matches: np.ndarray
    left_out: dict[int, str]
    notes: tuple[str, ...] = field(default_factory=tuple)


def upright(model: SceneModel, typical_depth: float) -> SceneModel:
    """The model in the frame of `upright_frame`."""
    return model.moved(*upright_frame(model, typical_depth))


def upright_frame(model: SceneModel, typical_depth: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation (3, 3) and translation (3,) to a frame with z up, the mean of what is up in the images, and the first
    image at the origin, looking along x. typical_depth: unless it is metric, the median depth of the points becomes this."""
    up = -model.poses[:, :3, 1].mean(0)
    if np.linalg.norm(up) < 0.1:  # images from all sides: none is better than another
        up = -model.poses[0, :3, 1]
    z = up / np.linalg.norm(up)
    forward = model.poses[0, :3, 2] - z * (model.poses[0, :3, 2] @ z)
    if np.linalg.norm(forward) < 1e-3:
        forward = np.cross(model.poses[0, :3, 0], z)
    x = forward / np.linalg.norm(forward)
    R = np.stack([x, np.cross(z, x), z])
    scale = 1.0
    if not model.is_metric and len(model.point):
        depth = np.einsum("mi,mi->m", model.points[model.point] - model.poses[model.seen_by, :3, 3],
                          model.poses[model.seen_by, :3, 2])
        scale = typical_depth / float(np.median(depth))
    return scale, R, -scale * R @ model.poses[0, :3, 3]


def turned(T_cam_world: np.ndarray, twists: np.ndarray) -> np.ndarray:
    """Poses (N, 4, 4) after small motions (N, 6) of the world before the camera: shift, then turn."""
    return np.stack([make_se3(so3_exp(d[3:]), d[:3]) @ T for T, d in zip(T_cam_world, twists, strict=True)])


def largest_first(models: Sequence[SceneModel]) -> tuple[SceneModel, ...]:
    """Models by their number of images, then by their first image."""
    return tuple(sorted(models, key=lambda m: (-len(m.images), int(m.images.min()))))
