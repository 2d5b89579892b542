# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Keyframes whose pointmaps are exact points of a small world, for tests of the graph and of loops without a network."""
from dataclasses import dataclass

import numpy as np

from lsm_ros.config import KeyframeConfig, TrackingConfig
from lsm_ros.geometry import CameraIntrinsics, make_se3, se3_inverse, so3_exp, transform_points
from lsm_ros.pairs.base import Matches
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeView, Link
from lsm_ros.slam.pointmap.graph import PointmapGraph
from lsm_ros.slam.pointmap.ray_bundle import RayNoise

CAMERA = CameraIntrinsics(64, 48, 50.0, 50.0, 31.5, 23.5)
MOUNT = make_se3(so3_exp([0.1, -0.2, 0.05]), [0.1, 0.0, 0.2])
WORLD = np.random.default_rng(0).uniform([-1.5, -1.0, 2.5], [1.5, 1.0, 5.0], (60, 3))


@dataclass
class ExactView(KeyframeView):
    """Point i of the world is pixel (i, 0) and index i. points_cam (N, 3) in a unit of its own."""

    points_cam: np.ndarray = None

    def points_at(self, index):
        return self.points_cam[index]

    def rays_at(self, pixels):
        points = self.points_cam[pixels[:, 0].astype(int)]
        distances = np.linalg.norm(points, axis=1)
        return points / distances[:, None], distances

    def resize(self, factor):
        self.points_cam = factor * self.points_cam


def keyframe(number, T_true, T_map_rig=None, unit=1.0, thumbnail=None, mount=MOUNT, camera="front"):
    """A keyframe that sees the world from T_true, and is held to be at T_map_rig."""
    points = unit * transform_points(se3_inverse(T_true @ mount), WORLD)
    nothing = np.zeros(0)
    view = ExactView(camera, ("tokens", number), CAMERA, mount, np.zeros((0, 2)), np.zeros((0, 3)), nothing, 1 / points[:, 2],
                     points_cam=points)
    return Keyframe(number, 10**9 * number, (T_true if T_map_rig is None else T_map_rig).copy(), {camera: view}, thumbnail)


def link(anchor, observer, off=0, camera="front"):
    """A link of all points; off: each is taken for the one so many farther on, as where something else looks alike."""
    index = np.arange(len(WORLD))
    pixels = np.stack([(index + off) % len(WORLD), 0 * index], 1).astype(float)
    return Link(anchor, camera, observer, camera, Matches(index, pixels, np.full(len(index), np.nan)))


def key(x):
    return x.anchor, x.anchor_camera, x.observer, x.observer_camera


def graph_of(keyframes, links=(), free_scale=False, **noise):
    graph = PointmapGraph(KeyframeConfig(), TrackingConfig(), noise=RayNoise(**noise), free_scale=free_scale)
    for k in keyframes:
        graph.add(k)
    for x in links:
        graph.connect(x)
    return graph
