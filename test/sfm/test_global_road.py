# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from pathlib import Path

import numpy as np
import pytest
from helpers import textured
from helpers.image_sets import pose_errors

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.geometry.lie import make_se3
from lsm_ros.geometry.rotation import so3_exp
from lsm_ros.sfm.global_road import MOST_IMAGES, reconstruct_globally
from lsm_ros.sfm.model import SetImage
from lsm_ros.sfm.views import DenseStore

BENCH = Path(__file__).resolve().parents[2] / "bench"
CAMERA = CameraIntrinsics(96, 64, 80.0, 80.0, 48.0, 32.0)


@pytest.fixture
def pairs(monkeypatch):
    """Makes (images, predictor, poses) of a textured room."""
    monkeypatch.syspath_prepend(str(BENCH))
    import sfm_truth

    def make(count, **keywords):
        poses = np.stack([make_se3(so3_exp(np.array([0, 0.1 * k - 0.2, 0])), np.array([0.4 * np.sin(2 * k), 0.1 * k, -1.5]))
                          for k in range(count)])
        seen = [textured.see(textured.room(0), T, CAMERA) for T in poses]
        images = np.stack([np.repeat(i[..., None], 3, 2) for i, _ in seen])
        return (sfm_truth.true_set(images, CAMERA), sfm_truth.TruePairs(np.stack([d for _, d in seen]), poses, CAMERA, 0.002,
                                                                        **keywords), poses)

    return make


def test_few_images(pairs, tmp_path):
    images, predictor, poses = pairs(4)
    result = reconstruct_globally(images, predictor, DenseStore(tmp_path), 60)
    turn, shift = pose_errors(result.models[0].poses, poses)
    assert turn < 3 and shift < 0.06 and len(result.models[0].points) > 100
    assert len(result.edges) == 6 and DenseStore(tmp_path).read("0003.png").depth.shape == (64, 96)


def test_two_images(pairs, tmp_path):
    images, predictor, poses = pairs(2)
    model = reconstruct_globally(images, predictor, DenseStore(tmp_path)).models[0]
    way, true = (np.linalg.inv(p[0]) @ p[1] for p in (model.poses, poses))
    cosine = way[:3, 3] @ true[:3, 3] / np.linalg.norm(way[:3, 3]) / np.linalg.norm(true[:3, 3])
    assert cosine > 0.99 and np.trace(way[:3, :3].T @ true[:3, :3]) > 2.999


def test_errors(pairs, tmp_path):
    images, predictor, _ = pairs(3, worlds=[0, 0, 1])
    store = DenseStore(tmp_path)
    with pytest.raises(ValueError, match="2 groups: alone are 0002.png"):
        reconstruct_globally(images, predictor, store)
    with pytest.raises(ValueError, match=f"2 to {MOST_IMAGES} images, got 1"):
        reconstruct_globally(images[:1], predictor, store)
    known = [SetImage(i.name, i.load, CAMERA, True) for i in images]
    with pytest.raises(ValueError, match="no --calibration"):
        reconstruct_globally(known, predictor, store)
