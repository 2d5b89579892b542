# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Size of a map from one camera on wheels: where the camera sits on the base is known in metres.

A base on wheels moves along its heading, so its middle has no way to go sideways. The camera in front of it swings when the
base turns; how far it swings in the map, for a lever of so many metres, is the map's scale.
"""
from __future__ import annotations

import numpy as np

from lsm_ros.geometry import se3_inverse

MIN_TURNS = 4  # pairs of poses between which the lever swings
MIN_SWING = 0.05  # of the lever, sideways, for a pair to count as a turn
MAX_TURN = 1.0  # radians between two poses; beyond that the way between them is not known
MAX_STD = 0.1  # relative; a map whose scale is not known so well keeps its own
SCALES = (0.1, 10.0)  # map units per metre that are believed


def map_units_per_metre(T_map_rig: np.ndarray, T_rig_cam: np.ndarray) -> tuple[float, float] | None:
    """Scale of the map and its standard deviation from successive poses (N, 4, 4) of a base, camera at T_rig_cam.

    The camera's way is in map units, the lever in metres. Between two poses the base goes along its mean heading (exact for
    an arc), so across it the camera's way d and the swing s of the lever obey d = scale * s. Pairs between which it drove
    first and then turned disagree, and lose their weight. None where the camera has no lever, the base hardly turns, or the
    poses contradict such a base.
    """
    lever = T_rig_cam[:3, 3]
    R, camera = T_map_rig[:, :3, :3], (T_map_rig @ T_rig_cam)[:, :3, 3]
    across = R[1:, :, 1] + R[:-1, :, 1]
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    swing = np.sum(across * ((R[1:] - R[:-1]) @ lever), axis=1)
    way = np.sum(across * np.diff(camera, axis=0), axis=1)
    cosine = (np.einsum("nij,nij->n", R[1:], R[:-1]) - 1) / 2
    good = cosine > np.cos(MAX_TURN)
    swing, way = swing[good], way[good]
    if np.count_nonzero(np.abs(swing) > MIN_SWING * max(float(np.linalg.norm(lever[:2])), 1e-3)) < MIN_TURNS:
        return None
    order = np.argsort(way / np.where(swing == 0, 1e-12, swing))
    half = np.cumsum(np.abs(swing[order]))
    middle = order[np.searchsorted(half, 0.5 * half[-1])]
    scale = float(way[middle] / swing[middle])  # weighted median, then least squares with Cauchy weights
    for _ in range(10):
        error = way - scale * swing
        sigma = max(1.5 * float(np.median(np.abs(error))), 1e-9)
        weight = 1.0 / (1.0 + (error / (2 * sigma)) ** 2)
        scale = float((weight * swing) @ way / ((weight * swing) @ swing))
    std = float(np.sqrt((weight @ error**2) / (weight.sum() - 1) / ((weight * swing) @ swing)))
    if not SCALES[0] < scale < SCALES[1] or std > MAX_STD * scale:
        return None
    return scale, std


def resized(T_map_rig: np.ndarray, T_rig_cam: np.ndarray, centre_map: np.ndarray, factor: float) -> np.ndarray:
    """The pose (4, 4) of a rig whose camera went by `factor` away from `centre_map` (3,)."""
    T_map_cam = T_map_rig @ T_rig_cam
    T_map_cam[:3, 3] = centre_map + factor * (T_map_cam[:3, 3] - centre_map)
    return T_map_cam @ se3_inverse(T_rig_cam)
