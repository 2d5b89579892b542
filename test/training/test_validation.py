# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import dataclasses
import math

import cv2
import numpy as np
import pytest
import torch
from helpers.training_parts import RandomEncoder

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.lie import make_se3, so3_exp
from lsm_ros.training.language import ClassTargets, fit_codec
from lsm_ros.training.objectives import coarse_labels
from lsm_ros.training.validation import angle_deg, depth_figures, figures, pose_figures, pose_of_points
from lsm_sim.labels import indoor_labels


@pytest.fixture(scope="module")
def codec():
    return fit_codec(RandomEncoder(), indoor_labels(), {}, 16)


def perfect(batch, codec):
    """Output of a network that knows the truth."""
    targets = ClassTargets(codec, torch.device("cpu"))
    views = []
    for points, labels, key in ((batch.points1, batch.labels1, "pts3d"), (batch.points2, batch.labels2, "pts3d_in_other_view")):
        rows = targets.rows(coarse_labels(labels, 6, 8)).clamp(min=0)
        place = torch.nn.functional.normalize(torch.cat([points, torch.ones_like(points[..., :1])], -1), dim=-1)
        views.append({key: points, "conf": torch.ones(points.shape[:3]), "desc": place, "features": targets.vectors[rows]})
    return tuple(views), targets


def test_the_truth_is_perfect(batches, codec):
    views, targets = perfect(batches[0], codec)
    found = figures(views, batches[0], targets)
    assert found["depth_relative"] < 1e-6 and found["depth_metric"] < 1e-6 and found["depth_guess"] > 0.05
    assert found["rotation"] == found["classes"] == 1
    assert math.isnan(found["translation"]) or found["translation"] == 1
    assert found["match_precision"] > 0.3  # points of two pixels differ by less than a pixel, and so do these descriptors


def test_scale_counts_in_metres_only(batches):
    z, valid = batches[0].points1[..., 2], batches[0].valid1
    found = depth_figures(1.5 * z, z, valid)
    assert found["depth_relative"] < 1e-6 and found["depth_metric"] == pytest.approx(0.5, abs=1e-5)
    flat = depth_figures(torch.full_like(z, 2.0), z, valid)
    assert flat["depth_relative"] == pytest.approx(flat["depth_guess"], abs=1e-5)
    none = depth_figures(z, z, torch.zeros_like(valid))
    assert all(math.isnan(v) for v in none.values())


@pytest.mark.parametrize(("degrees", "share"), [(3.0, 1.0), (8.0, 0.0)])
def test_rotations_are_counted_by_degrees(batches, degrees, share):
    batch = batches[0]
    turn = torch.tensor(make_se3(so3_exp(np.radians([0, degrees, 0])), np.zeros(3)), dtype=torch.float32)
    turned = dataclasses.replace(batch, T_1_2=batch.T_1_2 @ turn)  # the truth turns, the prediction does not
    assert pose_figures(batch.points2, turned)["rotation"] == share


def test_translations_are_counted_by_direction(batches):
    batch = batches[0]
    long = batch.T_1_2.clone()
    long[:, :3, 3] = torch.tensor([0.3, 0.0, 0.0])
    inverse = torch.linalg.inv(batch.T_1_2)
    own = batch.points2 @ inverse[:, None, :3, :3].mT + inverse[:, None, None, :3, 3]  # in camera 2
    moved = own @ long[:, None, :3, :3].mT + long[:, None, None, :3, 3]
    right = dataclasses.replace(batch, T_1_2=long)
    assert pose_figures(moved, right)["translation"] == 1
    aside = long.clone()
    aside[:, :3, 3] = torch.tensor([0.0, 0.3, 0.0])
    wrong = pose_figures(moved, dataclasses.replace(batch, T_1_2=aside))
    assert wrong["translation"] == 0 and wrong["rotation"] == 1
    noise = torch.randn(4, 48, 64, 3, generator=torch.Generator().manual_seed(0))
    assert pose_figures(noise, right)["rotation"] == 0


def smooth(rng, rows, columns):
    """Unit noise of low frequency (rows, columns, 3)."""
    return cv2.resize(rng.standard_normal((5, 5, 3)), (columns, rows), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(("noise", "degrees"), [("smooth", 1.5), ("alone", 0.7), ("outliers", 0.2)])
def test_smooth_errors_of_a_network_leave_a_pose(noise, degrees):
    camera, off = CameraIntrinsics(256, 192, 220, 220, 127.5, 95.5), []
    pixels = np.stack(np.meshgrid(np.arange(0, 256, 4), np.arange(0, 192, 4)), -1).astype(np.float64)
    true = make_se3(so3_exp([0.05, -0.15, 0.02]), [0.3, 0.1, -0.2])
    for seed in range(4):
        rng = np.random.default_rng(seed)
        depth = 3 + smooth(rng, *pixels.shape[:2])[..., :1].clip(-2, 2)
        points = (camera.unproject(pixels.reshape(-1, 2)).reshape(48, 64, 3) * depth - true[:3, 3]) @ true[:3, :3]
        size = 0.05 * np.linalg.norm(points, axis=-1, keepdims=True) / np.sqrt(3)
        if noise == "outliers":
            points[rng.random((48, 64)) < 0.4] += rng.standard_normal(3)
        else:
            points += size * (smooth(rng, 48, 64) if noise == "smooth" else rng.standard_normal((48, 64, 3)))
        found = pose_of_points(points.reshape(-1, 3), pixels.reshape(-1, 2), camera)
        off.append(angle_deg(found[:3, :3].T @ true[:3, :3]))
    assert np.median(off) < degrees


def test_a_pose_of_nothing():
    camera = CameraIntrinsics(64, 48, 60, 60, 31.5, 23.5)
    pixels = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), -1).reshape(-1, 2)
    for points in (np.full((64, 3), np.nan), np.zeros((64, 3)), np.ones((64, 3))):
        assert pose_of_points(points, pixels, camera) is None
