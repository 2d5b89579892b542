# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pairs of rendered images as a network would predict them: the truth, with errors of a chosen size."""
from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
import torch

from lsm_ros.geometry import CameraIntrinsics, se3_inverse
from lsm_ros.models.preprocess import Crop
from lsm_ros.sfm.model import SetImage
from lsm_ros.sfm.predictor import SymmetricPrediction

SURE, UNSURE = 8.0, 1.5  # confidence of what both images show, and of the rest
STRIDE = 4  # pixels from match to match
WRONG = 0.05  # share of matches that are anywhere


class TruePairs:
    """Predicts pairs of images whose depth (N, H, W) and poses (N, 4, 4) T_world_cam are known.

    worlds (N,): images of different worlds show nothing in common. noise: relative, of depth (half of it smooth over an eighth
    of the image) and of the scale of each pointmap; a tenth of it times the width, at least 0.3 pixels, of matches. All is
    deterministic for a seed.
    """

    def __init__(self, depths: np.ndarray, poses: np.ndarray, camera: CameraIntrinsics, noise: float = 0.0, *,
                 worlds: Sequence[int] | None = None, is_metric: bool = False, seed: int = 0) -> None:
        self.depths, self.poses, self.camera, self.noise, self.seed = depths, poses, camera, noise, seed
        self.worlds = [0] * len(depths) if worlds is None else list(worlds)
        height, width = camera.shape
        self.crops = [Crop(width, height, (width, height), 0, 0, (width, height))] * len(depths)
        self.is_metric, self.identity = is_metric, f"truth {noise} {seed}"
        self.rays = camera.rays(unit=False, dtype=np.float64)
        self.predicted = 0

    def likeness(self) -> np.ndarray:
        """(N, N) share of a coarse grid of each image that the other shows, with some noise."""
        count = len(self.depths)
        found = np.zeros((count, count))
        step = max(self.camera.height // 12, 1)
        for i in range(count):
            points = self._world(i)[::step, ::step].reshape(-1, 3)
            for j in range(count):
                if self.worlds[i] == self.worlds[j]:
                    found[i, j] = self._seen(points, j)[1].mean()
        return found + 0.05 * np.random.default_rng(self.seed).random((count, count))

    def predict(self, i: int, j: int) -> SymmetricPrediction:
        """Both orders of a pair."""
        self.predicted += 1
        rng = np.random.default_rng([self.seed, i, j])
        related = self.worlds[i] == self.worlds[j]
        own, other, own_conf, other_conf = [], [], [], []
        for a, b in ((i, j), (j, i)):
            T_b_a = se3_inverse(self.poses[b]) @ self.poses[a] if related else np.eye(4)
            visible = self._seen(self._world(a).reshape(-1, 3), b)[1].reshape(self.camera.shape) if related else \
                np.zeros(self.camera.shape, bool)
            confidence = np.where(visible, SURE, UNSURE)
            for into, transform, conf in ((own, np.eye(4), own_conf), (other, T_b_a, other_conf)):
                points = self.rays * self._noisy(self.depths[a], rng)[..., None]
                points = np.exp(self.noise * rng.normal()) * (points @ transform[:3, :3].T + transform[:3, 3])
                into.append(torch.from_numpy(points).float())
                conf.append(torch.from_numpy(confidence).float())
        xy_i, xy_j = self._matches(i, j, rng) if related else (np.zeros((0, 2)), np.zeros((0, 2)))
        stray = rng.uniform(0, 1, (max(10, int(WRONG * len(xy_i))), 4))
        size = np.array([self.camera.width, self.camera.height])
        xy_i, xy_j = np.concatenate([xy_i, stray[:, :2] * size]), np.concatenate([xy_j, stray[:, 2:] * size])
        confidence = np.concatenate([np.full(len(xy_i) - len(stray), SURE), np.full(len(stray), UNSURE)])
        pixels = (torch.from_numpy(np.clip(np.floor(xy), 0, size - 1).astype(np.int64)) for xy in (xy_i, xy_j))
        return SymmetricPrediction(tuple(own), tuple(other), tuple(own_conf), tuple(other_conf), *pixels,
                                   torch.from_numpy(confidence).float())

    def _noisy(self, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = depth.shape
        smooth = cv2.resize(rng.normal(size=(8, 8)), (width, height), interpolation=cv2.INTER_CUBIC)
        return depth * np.exp(self.noise * (0.5 * smooth + 0.5 * rng.normal(size=depth.shape)))

    def _world(self, n: int) -> np.ndarray:
        return self.rays * self.depths[n][..., None] @ self.poses[n][:3, :3].T + self.poses[n][:3, 3]

    def _seen(self, points: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (M, 2) of world points in image n, and which of them it shows."""
        T = se3_inverse(self.poses[n])
        local = points @ T[:3, :3].T + T[:3, 3]
        pixels, front = self.camera.project(local)
        size = (self.camera.width - 1, self.camera.height - 1)
        inside = front & (pixels >= 0).all(1) & (pixels <= size).all(1)
        x, y = np.clip(np.rint(np.nan_to_num(pixels)), 0, size).astype(int).T
        return pixels, inside & (np.abs(self.depths[n][y, x] - local[:, 2]) < 0.03 * local[:, 2])

    def _matches(self, i: int, j: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        height, width = self.camera.shape
        y, x = np.meshgrid(np.arange(2, height, STRIDE), np.arange(2, width, STRIDE), indexing="ij")
        start = np.stack([x.ravel(), y.ravel()], 1)
        pixels, shown = self._seen(self._world(i)[start[:, 1], start[:, 0]], j)
        sigma = max(0.3, 0.1 * self.noise * width)
        return start[shown] + 0.5, np.round(pixels[shown] + sigma * rng.normal(size=(shown.sum(), 2))) + 0.5


def true_set(images: np.ndarray, camera: CameraIntrinsics) -> list[SetImage]:
    """Images (N, H, W, 3) as a set whose camera is not known."""
    guess = CameraIntrinsics(camera.width, camera.height, camera.width, camera.width, camera.cx, camera.cy)
    return [SetImage(f"{n:04d}.png", partial(_one, images, n), guess) for n in range(len(images))]


def _one(images: np.ndarray, n: int) -> np.ndarray:
    return images[n]
