# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth of empty box rooms in closed form, for tests of surfaces."""
import numpy as np

from lsm_ros.geometry import CameraIntrinsics, make_se3

CAMERA = CameraIntrinsics(160, 120, 130.0, 130.0, 79.5, 59.5)
LOW, HIGH = (-2.0, -1.5, 0.0), (4.0, 1.5, 2.5)


def looking(yaw: float, position: tuple[float, float, float], pitch: float = 0.2) -> np.ndarray:
    """T_map_cam (4, 4) of a camera that looks along `yaw` and `pitch` downwards; z is up."""
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([forward[1], -forward[0], 0.0]) / np.cos(pitch)
    return make_se3(np.stack([right, np.cross(forward, right), forward], 1), np.array(position))


def box_depth(T_map_cam: np.ndarray, low=LOW, high=HIGH, camera: CameraIntrinsics = CAMERA, noise: float = 0.0,
              seed: int = 0) -> np.ndarray:
    """(H, W) float64 metres to the inside of a box; noise: standard deviation at 1 m, growing with depth squared."""
    pixels = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), -1).reshape(-1, 2).astype(float)
    rays = camera.unproject(pixels) @ T_map_cam[:3, :3].T
    rays = np.where(np.abs(rays) < 1e-12, 1e-12, rays)
    wall = np.where(rays > 0, high, low)
    depth = ((wall - T_map_cam[:3, 3]) / rays).min(axis=1).reshape(camera.shape)
    return depth + np.random.default_rng(seed).standard_normal(depth.shape) * noise * depth**2
