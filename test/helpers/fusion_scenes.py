# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Scenes with a known surface, rendered by intersecting rays, as observations."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lsm_ros.fusion.backends.integrate import Contribution, surface_blocks, view_contribution
from lsm_ros.fusion.backends.layout import CameraPose, Layout
from lsm_ros.fusion.backends.pixels import Pixels
from lsm_ros.fusion.backends.view import posed_view
from lsm_ros.geometry import CameraIntrinsics, make_se3, so3_exp
from lsm_ros.types import UNLABELLED, Observation

MIDDLE = CameraIntrinsics(160, 120, 140.0, 140.0, 79.5, 59.5)
SMALL = CameraIntrinsics(80, 60, 70.0, 70.0, 39.5, 29.5)
# Rig axes x forward, y left, z up; camera in its origin, looking along x.
T_RIG_CAM = make_se3(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.array([0.1, 0.0, 0.05]))
Z_STEP = 0.0005
Ray = tuple[np.ndarray, np.ndarray]


def pose(x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw: float = 0.0, pitch: float = 0.0) -> np.ndarray:
    """T_map_rig; yaw about z, then pitch about y (down is positive), in radians."""
    return make_se3(so3_exp([0, 0, yaw]) @ so3_exp([0, pitch, 0]), np.array([x, y, z], float))


def plane(normal: tuple[float, float, float], offset: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Distance along rays to the plane normal . p = offset; inf where there is none in front."""
    n = np.array(normal) / np.linalg.norm(normal)

    def hit(origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (offset - n @ origin) / (rays @ n)
        return np.where(t > 0, t, np.inf)

    return hit


def sphere(centre: tuple[float, float, float], radius: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Distance along rays to a sphere; inf where it is missed."""

    def hit(origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        to = np.array(centre) - origin
        a, b = (rays**2).sum(-1), rays @ to
        root = b * b - a * (to @ to - radius**2)
        t = (b - np.sqrt(np.maximum(root, 0))) / a
        return np.where((root > 0) & (t > 0), t, np.inf)

    return hit


def observe(surfaces: list, T_map_rig: np.ndarray, number: int = 0, keyframe: int | None = None,
            camera: CameraIntrinsics = SMALL, labelled: bool = True, scale: float = 1.0) -> Observation:
    """Renders `surfaces` (see `plane`, `sphere`): surface n has label n + 1 and colour (50 n + 40, 100, 200).

    scale: size of the map's metre in the camera's units is 1 / scale, for poses with a scale.
    """
    T_map_cam = T_map_rig @ T_RIG_CAM
    rays = camera.rays(unit=False) @ T_map_cam[:3, :3].T
    depths = np.stack([hit(T_map_cam[:3, 3], rays) for hit in surfaces])
    nearest, depth = depths.argmin(0), depths.min(0)
    known = depth < 0.9 * 65535 * Z_STEP
    z = np.where(known, np.rint(np.where(known, depth, 0) / Z_STEP), 0).astype(np.uint16)
    rgb = np.stack([50 * nearest + 40, np.full_like(nearest, 100), np.full_like(nearest, 200)], -1).astype(np.uint8)
    labels = np.where(known, nearest + 1, UNLABELLED).astype(np.uint16)
    return Observation(number, number if keyframe is None else keyframe, 1000 * number, "front", T_RIG_CAM, z, Z_STEP,
                       np.where(known, 255, 0).astype(np.uint8), rgb, camera, labels if labelled else None)


ROOM = [plane((0, 0, 1), 0.0), plane((1, 0, 0), 2.6), plane((0, 1, 0), 1.7), plane((0, 1, 0), -1.7),
        sphere((1.7, 0.2, 0.5), 0.35)]


def contribution(pixels: Pixels, pose: CameraPose, layout: Layout, keys: np.ndarray | None = None) -> Contribution:
    """The contribution of an observation at a pose; `keys`: the blocks it touches, where they are known already.

    ValueError if block indices overflow.
    """
    view = posed_view(pixels.view, pose, layout, pixels.farthest)
    return view_contribution(pixels, view, surface_blocks(pixels, view) if keys is None else keys)


def state_of(voxel_map: object) -> tuple[dict, dict]:
    """All that the sums of a map hold, by block and independent of slots and columns: for comparing maps exactly."""
    pools = voxel_map.pools
    ids, columns = pools.labels.sorted()
    pool, slots = pools.voxels, pools.voxels.all_slots()
    labels = pool.take("labels", slots)
    if columns is None:  # coded: the sums as they are, by their number
        ids = columns = np.arange(labels.shape[2])
    labels = labels[:, :, columns]
    used = labels.any(1)
    content = zip(pool.keys[slots].tolist(), pool.users[slots].tolist(), pool.take("voxels", slots), labels, used,
                  pool.take("features", slots), strict=True)
    voxels = {}
    for key, users, sums, counts, shown, features in content:
        by_id = {int(ids[c]): counts[:, c].tobytes() for c in np.flatnonzero(shown)}
        voxels[key] = users, sums.tobytes(), by_id, features.tobytes() if features.any() else b""
    slots = pools.free.all_slots()
    cells = zip(pools.free.keys[slots].tolist(), pools.free.users[slots].tolist(), pools.free.take("weight", slots),
                strict=True)
    return voxels, {key: (users, weight.tobytes()) for key, users, weight in cells}


def with_features(observation, vectors):
    """Gives each 16x16 patch the vector of the label in its middle. vectors: (labels, D) of unit length."""
    rows, columns = observation.z.shape[0] // 16, observation.z.shape[1] // 16
    labels = observation.labels[8::16, 8::16][:rows, :columns]
    return replace(observation, features=np.rint(127 * vectors[np.minimum(labels, len(vectors) - 1)]).astype(np.int8))
