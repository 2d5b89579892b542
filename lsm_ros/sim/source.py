# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The rendered room as a source of frame sets: a robot drives round in it with one or two RGB-D cameras."""
from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from lsm_ros.datasets.base import T_BODY_OPTICAL
from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.lie import make_se3
from lsm_ros.sim.motion import drifting_odometry, loop_poses
from lsm_ros.sim.render import Renderer, Rendering
from lsm_ros.sim.room import Room, build_room
from lsm_ros.types import UNLABELLED, Frame, FrameSet, TrajectoryPose

_NAMES = ("front", "rear")
_FOV_X, _TILT, _HEIGHT, _FORWARD = math.radians(75.0), math.radians(14.0), 1.1, 0.1
_COLOR_SIGMA = 2.0  # grey levels
_DEPTH_SIGMA = 0.0012  # metres at 1 m; grows with the square of depth
_DEPTH_RANGE = (0.25, 8.0)


class RoomSource:
    """Frame sets of a room: colour with noise, depth whose noise grows with z^2 and that lacks a few percent, labels.

    seed: room, noise and drift; the same seed gives the same bytes. frames: number of frame sets, rate_hz of them a
    second (150 at 10 Hz are one round). cameras: 1 ('front') or 2 (and 'rear'). odometry: T_odom_base that drifts a
    little. The rig is base_link, on the floor; ground truth is T_world_rig at each stamp. noise: False for none.
    """

    name = "room"
    ground_truth_frame = "rig"

    def __init__(self, seed: int = 0, frames: int = 150, width: int = 320, height: int = 240, odometry: bool = True,
                 labels: bool = True, cameras: int = 1, rate_hz: float = 10.0, depth: bool = True,
                 noise: bool = True) -> None:
        if frames < 1 or width < 8 or height < 8:
            raise ValueError(f"a room needs frames and images of 8 pixels or more, got {frames} of {width}x{height}")
        if cameras not in (1, 2):
            raise ValueError(f"cameras must be 1 or 2, got {cameras}")
        if not 1.0 <= rate_hz <= 1000.0:
            raise ValueError(f"rate_hz must be 1 to 1000, got {rate_hz}")
        self.seed, self.with_labels, self.with_depth, self.noise = seed, labels, depth, noise
        self.cameras = list(_NAMES[:cameras])
        self.room: Room = build_room(seed)
        self.intrinsics = CameraIntrinsics.from_fov(width, height, _FOV_X)
        self.T_rig_cam = {name: mount(math.pi * i) for i, name in enumerate(self.cameras)}
        self._stamps = [round(i * 1e9 / rate_hz) for i in range(frames)]
        poses = loop_poses(np.array(self._stamps) / 1e9)
        self.ground_truth = [TrajectoryPose(s, T) for s, T in zip(self._stamps, poses, strict=True)]
        self._odometry = drifting_odometry(poses, np.random.default_rng([seed, 3])) if odometry else None
        self._renderer: Renderer | None = None

    @property
    def warnings(self) -> list[str]:
        """Nothing goes wrong here."""
        return []

    def __len__(self) -> int:
        return len(self._stamps)

    def __iter__(self) -> Iterator[FrameSet]:
        for i in range(len(self)):
            yield self.frame_set(i)

    def close(self) -> None:
        """Forgets the textures; they are made again when needed."""
        self._renderer = None

    def frame_set(self, index: int) -> FrameSet:
        """The frame set of one instant; it does not depend on those asked for before."""
        pose = self.ground_truth[index]
        frames = tuple(self._frame(index, k, pose) for k in range(len(self.cameras)))
        return FrameSet(pose.stamp_ns, frames, dict(self.T_rig_cam),
                        None if self._odometry is None else self._odometry[index], rig_is_base=True)

    def render(self, index: int, camera: str = "front") -> Rendering:
        """What a camera sees at one instant, without noise."""
        if self._renderer is None:
            self._renderer = Renderer(self.room)
        return self._renderer.render(self.ground_truth[index].T_map_rig @ self.T_rig_cam[camera], self.intrinsics)

    def surface_points(self, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """n true points of open surfaces: (n, 3) float64 in the world, and (n,) uint16 labels."""
        return self.room.surface_points(n, seed)

    def _frame(self, index: int, camera: int, pose: TrajectoryPose) -> Frame:
        name = self.cameras[camera]
        seen = self.render(index, name)
        image, depth, labels = seen.image, seen.depth, seen.labels
        if self.noise:
            rng = np.random.default_rng([self.seed, 4, index, camera])
            image, depth, labels = noisy_image(image, rng), noisy_depth(depth, rng), noisy_labels(labels, rng)
        return Frame(pose.stamp_ns, name, image, self.intrinsics, depth if self.with_depth else None,
                     labels if self.with_labels else None, self.room.label_space if self.with_labels else None,
                     f"{name}_optical")


def mount(yaw: float) -> np.ndarray:
    """T_rig_cam (4, 4) of a camera on the mast, turned by yaw and tilted down a little."""
    cy, sy, ct, st = math.cos(yaw), math.sin(yaw), math.cos(_TILT), math.sin(_TILT)
    turned = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1.0]])
    tilted = np.array([[ct, 0, st], [0, 1.0, 0], [-st, 0, ct]])
    return make_se3(turned @ tilted, [_FORWARD * cy, _FORWARD * sy, _HEIGHT]) @ T_BODY_OPTICAL


def noisy_image(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds the noise of a sensor to (H, W, 3) uint8 colours."""
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(_COLOR_SIGMA)
    return np.clip(image + noise + 0.5, 0, 255).astype(np.uint8)


def noisy_depth(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Depth (H, W) as a stereo camera gives it: noise of 1.2 mm z^2, whole millimetres, 0 where it fails.

    It fails in patches (2 %), along half of the edges of things, and out of range.
    """
    noise = rng.standard_normal(depth.shape, dtype=np.float32) * np.float32(_DEPTH_SIGMA)
    out = np.rint((depth + noise * depth * depth) * 1000) / np.float32(1000)
    height, width = depth.shape
    coarse = rng.random((height // 6 + 2, width // 6 + 2), dtype=np.float32)
    patches = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR) > 0.93
    jump = cv2.morphologyEx(depth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0.06 * depth
    failed = patches | (jump & (rng.random(depth.shape) < 0.5)) | (depth < _DEPTH_RANGE[0]) | (depth > _DEPTH_RANGE[1])
    out[failed] = 0
    return out.astype(np.float32)


def noisy_labels(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels (H, W) of which 1 % in patches are unlabelled, as where a network is not sure."""
    height, width = labels.shape
    coarse = rng.random((height // 8 + 2, width // 8 + 2), dtype=np.float32)
    out = labels.copy()
    out[cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR) > 0.95] = UNLABELLED
    return out
