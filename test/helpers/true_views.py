# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A multi-view network that knows the truth of a room, disturbed as a network's predictions are."""
from dataclasses import replace

import numpy as np

from helpers.pointmaps import PERIOD_NS, START_NS
from helpers.textured import CAMERA, see
from lsm_ros.config import PairConfig
from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.pairs.views.base import ViewModel, ViewPrediction
from lsm_ros.pairs.views.pair import ViewPairModel
from lsm_ros.types import Frame, FrameSet

OFF = make_se3(so3_exp([0.0, 0.15, 0.0]), [0.05, 0.0, 0.0])  # so slow that anybody may have moved so


class TrueViews(ViewModel):
    """spoil: function (number of the run, predictions) -> predictions. unit_spread: of the logarithm of each run's unit."""

    name, size, patch = "true", 126, 14

    def __init__(self, boards, unit_spread=0.0, ray_noise=0.0, depth_noise=0.0, metric=False, spoil=None):
        self.boards, self.unit_spread, self.ray_noise, self.depth_noise = boards, unit_spread, ray_noise, depth_noise
        self.is_metric, self.scale_std, self.spoil = metric, 0.05 if metric else float("nan"), spoil
        self.known, self.runs = {}, []  # pose and camera of an image by its content; views of each run

    def _predict(self, views):
        self.runs.append(len(views))
        rng = np.random.default_rng(len(self.runs))
        unit, out = np.exp(self.unit_spread * rng.standard_normal()), []
        for view in views:
            T, camera = self.known[view.image.tobytes()]
            depth = see(self.boards, T, camera)[1] * np.exp(self.depth_noise * rng.standard_normal())
            points = camera.rays(unit=False, dtype=np.float64) * np.where(depth > 0, depth, np.nan)[..., None]
            points += self.ray_noise * np.linalg.norm(points, axis=2, keepdims=True) * rng.standard_normal(points.shape)
            T = T.copy()
            T[:3, 3] *= unit
            out.append(ViewPrediction(unit * points, np.full(depth.shape, 5.0), T, camera, self.is_metric))
        return out if self.spoil is None else self.spoil(len(self.runs), out)


class TrueViewModel(ViewPairModel):
    """The pair model of such a network. truth: function of the stamp -> T_world_cam."""

    def __init__(self, views, truth):
        super().__init__(PairConfig(), views)
        self.truth = truth

    def encode(self, frames):
        tokens = super().encode(frames)
        for f, t in zip(frames, tokens, strict=True):
            self.views.known[t.image.tobytes()] = self.truth(f.stamp_ns), t.crop.intrinsics(CAMERA)
        return tokens


def garbled(run, predictions):
    """In each seventh run the points of the last view are noise."""
    if run % 7:
        return predictions
    last = predictions[-1]
    noise = np.abs(np.random.default_rng(run).standard_normal(last.points_cam.shape)) + 0.1
    return [*predictions[:-1], replace(last, points_cam=noise)]


def misplaced(number, every=7):
    """In each so many-th run, the view of this number has a pose that is wrong as a whole; its points are right."""
    def spoil(run, predictions):
        if run % every or number >= len(predictions):
            return predictions
        out = list(predictions)
        out[number] = replace(out[number], T_first_cam=out[number].T_first_cam @ OFF)
        return out

    return spoil


def sharp_frame_set(boards, path, n, camera="camera"):
    """The n-th frame set, with an image to look at; the rig is the camera."""
    stamp = START_NS + n * PERIOD_NS
    image = np.repeat(see(boards, path[n])[0][..., None], 3, 2)
    return FrameSet(stamp, (Frame(stamp, camera, image, CAMERA),), {camera: np.eye(4)})
