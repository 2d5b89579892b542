# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Casts the rays of a camera into a room of boxes."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.lie import se3_inverse, transform_points
from lsm_ros.sim.room import Room
from lsm_ros.sim.surfaces import Surfaces
from lsm_ros.types import UNLABELLED

_NEAR = 0.02


@dataclass(frozen=True)
class Rendering:
    """image (H, W, 3) uint8 RGB, depth (H, W) float32 metres along z, labels (H, W) uint16; without noise."""

    image: np.ndarray
    depth: np.ndarray
    labels: np.ndarray


class Renderer:
    """Renders a room; textures and light are made once."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._surfaces = Surfaces(room)

    def render(self, T_world_cam: np.ndarray, camera: CameraIntrinsics) -> Rendering:
        """What a camera sees. T_world_cam: (4, 4) pose of its optical frame inside the room; else ValueError.

        Pixels for which a strongly distorted lens has no ray are black, at depth 0 and unlabelled. A ray (x, y, 1) of
        the camera reaches the plane at z after z of its lengths, so that its parameter is the depth.
        """
        origin = T_world_cam[:3, 3]
        if not np.all((origin > self.room.low) & (origin < self.room.high)):
            raise ValueError(f"the camera at {origin.round(3).tolist()} is outside of the room")
        rays_cam = camera.rays(unit=False, dtype=np.float32)
        dark = np.isnan(rays_cam[..., 0])
        rays_cam = np.where(dark[..., None], np.float32([0, 0, 1]), rays_cam)
        rays = np.ascontiguousarray(np.moveaxis(rays_cam @ T_world_cam[:3, :3].T.astype(np.float32), -1, 0))
        inverse = 1 / np.where(np.abs(rays) < 1e-9, np.float32(1e-9), rays)
        depth, face = self._shell(rays, inverse, origin)
        for body in range(1, len(self._surfaces.lows)):
            window = self._window(body, T_world_cam, camera)
            if window is not None:
                self._box(body, window, inverse, origin, depth, face)
        image, labels = self._colors(rays, origin, depth, face, camera), self._surfaces.labels[face]
        image[dark], depth[dark], labels[dark] = 0, 0, UNLABELLED
        return Rendering(image, depth, labels)

    def _shell(self, rays: np.ndarray, inverse: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Depth and face where rays leave the room."""
        low, high = self._surfaces.lows[0], self._surfaces.highs[0]
        ends = rays > 0
        high, low = (high - origin).astype(np.float32), (low - origin).astype(np.float32)
        exits = np.stack([np.where(ends[a], high[a], low[a]) * inverse[a] for a in range(3)])
        axis = exits.argmin(0)
        end = np.take_along_axis(ends, axis[None], 0)[0]
        return exits.min(0), 2 * axis + end

    def _window(self, body: int, T_world_cam: np.ndarray, camera: CameraIntrinsics) -> tuple[slice, slice] | None:
        """The part of the image that a box can cover, None if it is behind the camera or beside the image."""
        low, high = self._surfaces.lows[body], self._surfaces.highs[body]
        corners = np.array([(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
        corners_cam = transform_points(se3_inverse(T_world_cam), corners)
        if (corners_cam[:, 2] <= _NEAR).all():
            return None
        if (corners_cam[:, 2] <= _NEAR).any() or camera.has_distortion:
            return slice(0, camera.height), slice(0, camera.width)
        pixels, _ = camera.project(corners_cam)
        x0, y0 = np.maximum(np.floor(pixels.min(0)), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(pixels.max(0)) + 1, (camera.width, camera.height)).astype(int)
        return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None

    def _box(self, body: int, window: tuple[slice, slice], inverse: np.ndarray, origin: np.ndarray, depth: np.ndarray,
             face: np.ndarray) -> None:
        """Puts a box into depth and face where it is nearest."""
        low = (self._surfaces.lows[body] - origin).astype(np.float32)
        high = (self._surfaces.highs[body] - origin).astype(np.float32)
        step = inverse[(slice(None), *window)]
        a, b = low[:, None, None] * step, high[:, None, None] * step
        enter = np.minimum(a, b)
        near, far = enter.max(0), np.maximum(a, b).min(0)
        hit = (near < far) & (near > _NEAR) & (near < depth[window])
        if not hit.any():
            return
        axis = enter.argmax(0)[hit]
        backward = np.moveaxis(step, 0, -1)[hit][np.arange(len(axis)), axis] < 0
        depth[window][hit] = near[hit]
        face[window][hit] = 6 * body + 2 * axis + backward

    def _colors(self, rays: np.ndarray, origin: np.ndarray, depth: np.ndarray, face: np.ndarray,
                camera: CameraIntrinsics) -> np.ndarray:
        flat = rays.reshape(3, -1)
        z, faces = depth.ravel(), face.ravel()
        points = (flat * z + origin.astype(np.float32)[:, None]).T
        length = np.sqrt((flat * flat).sum(0))
        incidence = np.abs(flat[faces % 6 // 2, np.arange(faces.size)]) / length
        footprint = z * length / camera.fx / np.sqrt(np.maximum(incidence, 0.03))
        linear = self._surfaces.colors(faces, points, footprint).reshape(*depth.shape, 3)
        linear = cv2.GaussianBlur(linear, (3, 3), 0.45)  # a lens; softens the steps at edges
        return (255 * np.clip(linear, 0, 1) ** np.float32(1 / 1.6) + 0.5).astype(np.uint8)
