# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Whether the focal length of a calibration can be right, by images with depth: each rule of it."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.matched_points import PointMatcher, Points

from lsm_ros.geometry import CameraIntrinsics, se3_exp, transform_points
from lsm_ros.slam.focal import CHECKED_PAIRS, MOST_CHECKED, CalibrationCheck

TRUE = CameraIntrinsics(640, 480, 525.0, 525.0, 319.5, 239.5)


def images(camera, count, turn=0.03, seed=0):
    """Images of a camera that moves sideways, and turns."""
    rng = np.random.default_rng(seed)
    points = np.c_[rng.uniform(-1.5, 1.5, 200), rng.uniform(-1, 1, 200), rng.uniform(1.5, 4, 200)]
    for i in range(count):
        cam = transform_points(se3_exp([0.08 * i, 0.0, 0.02 * i, 0.3 * turn * i, turn * i, 0.0]), points)
        pixels, ok = camera.project(cam)
        pixels = np.where(ok[:, None], pixels + 0.5 * rng.standard_normal(pixels.shape), np.nan)
        yield Points(np.zeros(camera.shape, np.uint8), pixels, True, 1 / (1 / cam[:, 2] + 0.001 * rng.standard_normal(200)))


def checked(given, camera=TRUE, count=9, turn=0.03):
    check = CalibrationCheck(PointMatcher(), given)
    for tokens in images(camera, count, turn):
        check.add(tokens)
    return check


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.3, 2.0])
def test_a_wrong_focal_length_is_found_with_the_right_one(factor):
    check = checked(replace(TRUE, fx=525 * factor, fy=525 * factor))
    assert check.wrong_px == pytest.approx(525, rel=0.04) and abs(check.wrong_px - 525) < 3 * check.std_px


@pytest.mark.parametrize("factor", [0.87, 1.0, 1.15])
def test_what_depth_that_is_a_little_late_can_cause_is_not_called_wrong(factor):
    check = checked(replace(TRUE, fx=525 * factor, fy=525 * factor))
    assert check.focal_px == pytest.approx(525, rel=0.04) and check.wrong_px is None


@pytest.mark.parametrize("other", [replace(TRUE, fy=700.0), replace(TRUE, cx=200.0, cy=330.0)],
                         ids=["oblong pixels", "a centre far from the middle"])
def test_the_rest_of_the_calibration_is_used(other):
    assert checked(other, other).wrong_px is None
    wrong = replace(other, fx=other.fx * 1.4, fy=other.fy * 1.4)
    assert checked(wrong, other).wrong_px == pytest.approx(525, rel=0.04)


def test_it_takes_several_pairs():
    wrong = replace(TRUE, fx=900.0, fy=900.0)
    assert checked(wrong, count=CHECKED_PAIRS).wrong_px is None
    assert checked(wrong, count=CHECKED_PAIRS + 1).wrong_px is not None


def test_straight_motion_shows_nothing_and_says_nothing():
    assert checked(replace(TRUE, fx=900.0, fy=900.0), count=16, turn=0.0).wrong_px is None


def test_a_camera_that_never_turns_is_not_matched_for_ever(monkeypatch):
    """It runs with each keyframe, in the time of a frame."""
    check, matched = CalibrationCheck(PointMatcher(), TRUE), []
    monkeypatch.setattr(check.model, "correspond", lambda a, b, find=check.model.correspond: matched.append(a) or find(a, b))
    monkeypatch.setattr(check, "_take", lambda *_: None)
    for tokens in images(TRUE, MOST_CHECKED + 20, turn=0.0):
        check.add(tokens)
    assert len(matched) == MOST_CHECKED - 1 and check._first is None and check.wrong_px is None
