# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The floor plane, which gives z of the map when no robot base does."""
from __future__ import annotations

import numpy as np

from lsm_ros.geometry import hat, make_se3, so3_exp

MAX_TILT = 0.7  # radians between the floor's normal and the camera's own up
MIN_SHARE = 0.08  # of the points lie on the floor
HEIGHT = (0.15, 3.0)  # of the camera above the floor, metres
TOLERANCE = 0.025  # metres; grows with distance


def find_floor(points_rig: np.ndarray, seed: int = 0, iterations: int = 1000) -> np.ndarray | None:
    """Pose of the rig above the floor that it sees, T_floor_rig (4, 4): z up, floor at z = 0, heading kept.

    points_rig: (N, 3) in a frame whose z points roughly up, metres. None when no large plane lies below with a normal
    within 40 degrees of z. RANSAC on three points, then least squares; the lowest well-supported plane wins, so that a
    table is not taken for the floor.
    """
    points = points_rig[np.isfinite(points_rig).all(1)]
    if len(points) < 200:
        return None
    rng = np.random.default_rng(seed)
    if len(points) > 4000:
        points = points[rng.choice(len(points), 4000, replace=False)]
    tolerance = TOLERANCE * np.maximum(1.0, np.linalg.norm(points, axis=1) / 2.0)
    low = points[points[:, 2] < -HEIGHT[0]]  # what the floor could be part of, even for a camera that looks up
    low = low if len(low) >= 100 else points
    corners = low[rng.integers(0, len(low), (iterations, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1)
    normals = normals[length > 1e-6] / length[length > 1e-6, None]
    corners = corners[length > 1e-6]
    normals *= np.where(normals[:, 2:] < 0, -1.0, 1.0)
    heights = -np.einsum("ij,ij->i", normals, corners[:, 0])  # of the rig's origin above the plane
    plausible = (normals[:, 2] > np.cos(MAX_TILT)) & (heights > HEIGHT[0]) & (heights < HEIGHT[1])
    best, best_score = None, 0.0
    for n, h in zip(normals[plausible], heights[plausible], strict=True):
        distance = points @ n + h
        share = np.mean(np.abs(distance) < tolerance)
        below = np.mean(distance < -3 * tolerance)
        if share >= MIN_SHARE and below < 0.03 and share > best_score:
            best, best_score = np.abs(distance) < tolerance, share
    if best is None:
        return None
    on = points[best]
    centre = on.mean(0)
    n = np.linalg.svd(on - centre, full_matrices=False)[2][2]
    n = n if n[2] > 0 else -n
    axis, z = hat(n) @ np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0])
    sine, cosine = float(np.linalg.norm(axis)), float(n @ z)
    R = so3_exp(axis / sine * np.arctan2(sine, cosine)) if sine > 1e-9 else np.eye(3)
    return make_se3(R, np.array([0.0, 0.0, float(-n @ centre)]))
