# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
from helpers.textured import CAMERA, room, see

from lsm_ros.config import PairConfig
from lsm_ros.geometry import CameraIntrinsics, make_se3, se3_inverse, so3_exp
from lsm_ros.pairs import make_pair_model
from lsm_ros.slam.trackers import TrackedFrame
from lsm_ros.slam.trackers.bootstrap import START_DEPTH, Bootstrap
from lsm_ros.slam.trackers.cameras import with_focal
from lsm_ros.types import Frame

MODEL = make_pair_model(PairConfig(model="two_view"))
BOARDS = room()


def tracked(gray, stamp_ns, intrinsics=CAMERA):
    frame = Frame(stamp_ns, "camera", np.repeat(gray[..., None], 3, 2), intrinsics)
    return TrackedFrame(stamp_ns, {"camera": MODEL.encode([frame])[0]}, {"camera": intrinsics}, {"camera": np.eye(4)}, None)


def poses(step, turn=(0.0, 0.0, 0.0), count=30):
    """Camera poses that start at the origin and move and turn by the same amount each frame."""
    return [make_se3(so3_exp(n * np.asarray(turn)), n * np.asarray(step)) for n in range(count)]


def started(path, bootstrap=None, intrinsics=CAMERA):
    """(index of the frame that started, the start), or (None, None)."""
    bootstrap = bootstrap or Bootstrap(MODEL)
    for n, T in enumerate(path):
        start = bootstrap.add(tracked(see(BOARDS, T)[0], 33_000_000 * n, intrinsics))
        if start is not None:
            return n, start
    return None, None


@pytest.mark.parametrize("step", [(0.02, 0.0, 0.0), (0.0, 0.02, 0.0), (0.005, 0.0, 0.04)])
def test_starts_once_there_is_parallax(step):
    n, start = started(poses(step, (0.0, 0.004, 0.002)))
    assert n is not None and 2 <= n < 25
    T_b_a = poses(step, (0.0, 0.004, 0.002))[n]
    t, truth = se3_inverse(start.T_a_b)[:3, 3], T_b_a[:3, 3]
    assert t @ truth / np.linalg.norm(t) / np.linalg.norm(truth) > np.cos(np.radians(8))
    known = np.isfinite(start.inverse_depth)
    assert known.sum() > 60 and 1 / np.median(start.inverse_depth[known]) == pytest.approx(START_DEPTH, rel=0.2)
    depth = see(BOARDS, np.eye(4))[1]
    x, y = np.rint(start.first.tokens["camera"].corners[known]).astype(int).T
    ratio = start.inverse_depth[known] * depth[y, x]
    assert np.median(np.abs(ratio / np.median(ratio) - 1)) < 0.06
    assert np.linalg.norm(t) * np.median(ratio) == pytest.approx(np.linalg.norm(truth), rel=0.1)  # one scale for all
    assert len(start.between) == n - 1


def test_pure_rotation_does_not_start():
    bootstrap = Bootstrap(MODEL)
    assert started(poses((0, 0, 0), (0.0, 0.02, 0.0), 40), bootstrap)[0] is None
    assert "turn" in bootstrap.reason or "sideways" in bootstrap.reason or "to move" in bootstrap.reason


def test_identical_frames_do_not_start():
    bootstrap = Bootstrap(MODEL)
    assert started(poses((0, 0, 0), count=10), bootstrap)[0] is None
    assert bootstrap.reason == "waiting for the camera to move"


def test_a_blank_wall_does_not_start():
    bootstrap = Bootstrap(MODEL)
    for n in range(5):
        assert bootstrap.add(tracked(np.full((240, 320), 128, np.uint8), n)) is None
    assert "only 0 corners" in bootstrap.reason and "blank" in bootstrap.reason


def test_begins_anew_when_the_view_is_lost():
    bootstrap = Bootstrap(MODEL)
    for n in range(3):
        bootstrap.add(tracked(see(BOARDS, poses((0.001, 0, 0))[n])[0], n))
    bootstrap.add(tracked(np.full((240, 320), 128, np.uint8), 3))
    n, start = started([make_se3(so3_exp([0, 2.0, 0]), [0.02 * i, 0, 0.02 * i]) for i in range(30)], bootstrap)
    assert n is not None and start.first.stamp_ns == 0  # the first frame of the new view


def test_finds_an_unknown_focal_length():
    guess = CameraIntrinsics(320, 240, 400.0, 400.0, 159.5, 119.5)
    path = [make_se3(so3_exp([0.01 * n, 0.025 * n, 0.01 * n]), [0.03 * n, 0.01 * np.sin(n), 0.015 * n]) for n in range(40)]
    n, start = started(path, Bootstrap(MODEL, focal_unknown=True), guess)
    assert n is not None and start.focal_px == pytest.approx(CAMERA.fx, rel=0.12)


def test_an_unknown_focal_length_is_not_made_up():
    guess = CameraIntrinsics(320, 240, 400.0, 400.0, 159.5, 119.5)
    bootstrap = Bootstrap(MODEL, focal_unknown=True)
    assert started(poses((0.002, 0.0, 0.0), count=12), bootstrap, guess)[0] is None
    assert bootstrap.reason


def test_another_focal_length_keeps_the_shape_of_pixels():
    camera = with_focal(CameraIntrinsics(320, 240, 200.0, 220.0, 160.0, 118.0), 300.0)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((300.0, 330.0, 160.0, 118.0))
