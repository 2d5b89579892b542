# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A pair model that knows the truth: exact pointmaps of a textured room, disturbed as a network's are."""
from dataclasses import dataclass, replace

import numpy as np
import torch

from helpers.textured import CAMERA, see
from lsm_ros.geometry import make_se3, se3_inverse, so3_exp, transform_points
from lsm_ros.models.preprocess import plan_crop
from lsm_ros.pairs.base import PointmapPairModel
from lsm_ros.pairs.retrieval import compare_means
from lsm_ros.types import Frame, FrameSet, PairPrediction

PERIOD_NS = 33_333_333
START_NS = 1_000_000_000
BLOCK = 8  # pixels of an image that are alike
COARSE = replace(CAMERA, width=CAMERA.width // BLOCK, height=CAMERA.height // BLOCK, fx=CAMERA.fx / BLOCK, fy=CAMERA.fy / BLOCK,
                 cx=(CAMERA.cx + 0.5) / BLOCK - 0.5, cy=(CAMERA.cy + 0.5) / BLOCK - 0.5)


def walk(count):
    """Poses of a camera that sways sideways and looks about, in a room."""
    s = np.arange(count) / 30.0
    return [make_se3(so3_exp([0.05 * np.sin(1.3 * t), 0.25 * np.sin(0.9 * t), 0.03 * np.sin(2 * t)]),
                     [0.6 * np.sin(0.9 * t), 0.1 * np.sin(1.7 * t), 0.35 * t - 0.3 * np.sin(t)]) for t in s]


@dataclass
class FakeTokens:
    camera: str
    stamp_ns: int
    size: tuple
    crop: object
    intrinsics: object
    points: np.ndarray  # (h, w, 3) in the camera, metres, exact
    image: np.ndarray
    T_world_cam: np.ndarray
    nbytes: int = 1000


class FakePairModel(PointmapPairModel):
    """Predicts what a network would: pointmaps in a unit of their own for each pair, noisy rays and depths, and a confidence.

    truth: function of the stamp -> T_world_cam. spoil: function (prediction, stamps) -> prediction.
    """

    name = "fake"
    scale_source, scale_std = "model", 0.1

    def __init__(self, boards, truth, size=256, metric=False, ray_noise=0.0, depth_noise=0.0, unit_spread=0.0,
                 descriptors=False, spoil=None, camera=CAMERA):
        self.boards, self.truth, self.image_size, self.is_metric, self.camera = boards, truth, size, metric, camera
        self.ray_noise, self.depth_noise, self.unit_spread = ray_noise, depth_noise, unit_spread
        self.descriptors, self.spoil, self.predicted = descriptors, spoil, []

    def encode(self, frames):
        out = []
        for f in frames:
            crop = plan_crop(f.image.shape[1], f.image.shape[0], self.image_size)
            pinhole, T = crop.intrinsics(self.camera), self.truth(f.stamp_ns)
            depth = self.depth(f, crop, pinhole, T)
            points = np.where(depth[..., None] > 0, pinhole.rays(unit=False, dtype=np.float64) * depth[..., None], np.nan)
            given = None if f.intrinsics is None else crop.intrinsics(f.intrinsics)
            out.append(FakeTokens(f.camera, f.stamp_ns, (crop.height, crop.width), crop, given, points, f.image, T))
        return out

    def depth(self, _frame, _crop, pinhole, T_world_cam):
        """(h, w) exact depth, 0 where there is none."""
        return see(self.boards, T_world_cam, pinhole)[1]

    def signature(self, tokens):
        """Places of the world in view: the content of a network's tokens."""
        out = []
        for t in tokens:
            world = transform_points(t.T_world_cam, t.points[::4, ::4].reshape(-1, 3))
            cells = np.floor(world[np.isfinite(world).all(1)] / 0.5).astype(np.int64) @ (73856093, 19349663, 83492791)
            out.append(np.bincount(cells % 512, minlength=512).astype(np.float32))
        return np.concatenate(out)

    def alike(self, tokens, signatures):
        return compare_means(tokens if isinstance(tokens, np.ndarray) else self.signature(tokens), signatures)

    def pack(self, tokens):
        return {"image": tokens.image, "given": np.array([tokens.intrinsics is not None])}

    def unpack(self, camera, stamp_ns, intrinsics, parts):
        return self.encode([Frame(stamp_ns, camera, parts["image"], intrinsics)])[0]

    def predict(self, pairs, priors=None):
        return [self._predict(a, b) for a, b in pairs]

    def _predict(self, a, b):
        self.predicted.append((a.stamp_ns, b.stamp_ns))
        rng = np.random.default_rng([a.stamp_ns % 2**31, b.stamp_ns % 2**31])
        unit = np.exp(self.unit_spread * rng.standard_normal())
        in_a = transform_points(se3_inverse(a.T_world_cam) @ b.T_world_cam, b.points)
        found = []
        for points in (a.points, in_a):
            depth = np.exp(self.depth_noise * rng.standard_normal() + 0.3 * self.depth_noise
                           * rng.standard_normal((*points.shape[:2], 1)))
            turned = points + self.ray_noise * np.linalg.norm(points, axis=2, keepdims=True) * rng.standard_normal(points.shape)
            found.append(torch.from_numpy((unit * depth * turned).astype(np.float32)))
        conf = [torch.full(p.shape[:2], 5.0) for p in found]
        extra = {}
        if self.descriptors:
            world = transform_points(a.T_world_cam, a.points), transform_points(b.T_world_cam, b.points)
            turn = np.random.default_rng(0).standard_normal((3, 12)) * 2.5
            desc = [np.concatenate([np.sin(w @ turn), np.cos(w @ turn)], 2) for w in world]
            desc = [torch.from_numpy(np.nan_to_num(d / np.sqrt(12))).half() for d in desc]
            extra = {"desc_a": desc[0], "desc_b": desc[1], "desc_conf_a": conf[0], "desc_conf_b": conf[1]}
        out = PairPrediction(*found, *conf, is_metric=self.is_metric, **extra)
        return out if self.spoil is None else self.spoil(out, (a.stamp_ns, b.stamp_ns))


HANDED = []


def handed(config):
    """The newest model in `HANDED`: an entry of a registry for tests that start from the command line."""
    return HANDED[-1]


def on_path(path):
    """Function of the stamp -> pose, for `FakePairModel`."""
    return lambda stamp_ns: path[round((stamp_ns - START_NS) / PERIOD_NS)]


def frame_set(boards, path, n, intrinsics=CAMERA, camera="camera"):
    """The n-th frame set; the rig is the camera. The image is coarse, for the fake pair model does not look at it."""
    stamp = START_NS + n * PERIOD_NS
    image = see(boards, path[n], COARSE)[0].repeat(BLOCK, 0).repeat(BLOCK, 1)
    return FrameSet(stamp, (Frame(stamp, camera, np.repeat(image[..., None], 3, 2), intrinsics),), {camera: np.eye(4)})
