# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest
from helpers.image_sets import around

from lsm_ros.geometry import se3_inverse
from lsm_ros.sfm.bundle import BundleData, BundleState, adjust, residuals
from lsm_ros.sfm.model import turned


@pytest.fixture
def problem():
    """A true state of two cameras and exact observations."""
    rng = np.random.default_rng(0)
    intrinsics = np.array([[500.0, 320, 240, -0.1], [300, 160, 120, 0]])
    state = BundleState(se3_inverse(around(6)), rng.uniform(-1, 1, (60, 3)), intrinsics)
    image, point = (x.ravel() for x in np.meshgrid(np.arange(6), np.arange(60), indexing="ij"))
    data = BundleData(image, point, np.zeros((360, 2)), np.array([0, 0, 0, 1, 1, 1]), np.array([True, False]), state.intrinsics)
    return state, replace(data, pixels=residuals(state, data)[0])


def disturbed(state, size=0.01):
    rng = np.random.default_rng(1)
    twists = size * rng.normal(size=(6, 6))
    twists[0] = 0
    K = state.intrinsics.copy()
    K[0, 0] *= 1.03
    return replace(state, T_cam_world=turned(state.T_cam_world, twists), intrinsics=K,
                   points=state.points + size * rng.normal(size=(60, 3)))


def test_the_truth_is_found_again(problem):
    state, data = problem
    start = disturbed(state)
    found = adjust(start, data, 40)
    assert np.linalg.norm(residuals(start, data)[0], axis=1).mean() > 3
    assert np.linalg.norm(residuals(found, data)[0], axis=1).max() < 0.05
    assert found.intrinsics[0, 0] == pytest.approx(500, rel=0.005) and np.array_equal(found.intrinsics[1], state.intrinsics[1])
    assert np.array_equal(found.T_cam_world[0], start.T_cam_world[0])


def test_outliers_do_not_pull(problem):
    state, data = problem
    pixels = data.pixels.copy()
    pixels[::19] += 60
    found = adjust(disturbed(state, 0.003), replace(data, pixels=pixels), 40)
    clean = np.delete(residuals(found, data)[0], np.arange(0, 360, 19), axis=0)
    assert np.median(np.linalg.norm(clean, axis=1)) < 0.3


def test_points_behind_the_camera_do_not_lead_it_astray(problem):
    state, data = problem
    points = state.points.copy()
    points[0] = state.T_cam_world[0][:3, :3].T @ (np.array([0, 0, -1.0]) - state.T_cam_world[0][:3, 3])
    found = adjust(replace(disturbed(state, 0.003), points=points), data, 30)
    assert np.isfinite(found.points).all() and np.median(np.linalg.norm(residuals(found, data)[0], axis=1)) < 0.3
