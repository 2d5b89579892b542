# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of the start from colour alone, with points that are found without fail."""
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.landmarks import PINHOLE, PointModel, frame_of, points_around

from lsm_ros.geometry import make_se3, se3_inverse, so3_exp, so3_log
from lsm_ros.slam.trackers import bootstrap as module
from lsm_ros.slam.trackers.bootstrap import MIN_PARALLAX, MIN_TRACKS, START_DEPTH, Bootstrap

POINTS = points_around(150)
STEP = np.array([0.02, 0.005, 0.01])


def pose(n):
    return make_se3(so3_exp([0.002 * n, 0.004 * n, 0.0]), n * STEP)


def frame(n, T=None, points=POINTS, intrinsics=PINHOLE, noise=0.0, camera="camera"):
    """The n-th frame set, in which pixels are those of PINHOLE, whatever the intrinsics say."""
    new = frame_of(n, points, pose(n) if T is None else T, {camera: np.eye(4)}, gives_depth=False)
    tokens = new.tokens[camera]
    tokens.pixels = tokens.pixels + noise * np.random.default_rng(n).standard_normal(tokens.pixels.shape)
    new.intrinsics[camera] = intrinsics
    return new


def started(bootstrap, frames):
    """(index of the frame that started, the start), or (None, None)."""
    for n, new in enumerate(frames):
        start = bootstrap.add(new)
        if start is not None:
            return n, start
    return None, None


@pytest.fixture(autouse=True)
def wide_search(monkeypatch):
    monkeypatch.setattr("helpers.landmarks.SEARCH_PX", 200.0)


def off(start):
    """Angle (rad) of the rotation's error, and of the way's direction."""
    n = start.newest.stamp_ns - start.first.stamp_ns
    truth = se3_inverse(pose(n))
    turn = np.linalg.norm(so3_log(start.T_a_b[:3, :3] @ truth[:3, :3].T))
    cosine = start.T_a_b[:3, 3] @ truth[:3, 3] / np.linalg.norm(start.T_a_b[:3, 3]) / np.linalg.norm(truth[:3, 3])
    return turn, np.arccos(np.clip(cosine, -1, 1))


def test_two_frames_their_depth_and_what_came_between():
    n, start = started(Bootstrap(PointModel()), map(frame, range(30)))
    assert max(off(start)) < 1e-3 and start.camera == "camera" and start.focal_px is None
    assert [f.stamp_ns for f in (start.first, *start.between, start.newest)] == list(range(n + 1))
    depth = start.first.tokens["camera"].depth[start.first.tokens["camera"].corner_of]
    ratio = start.inverse_depth * depth
    known = np.isfinite(ratio)
    assert known.sum() == len(start.matches) > 100 and np.ptp(ratio[known]) < 1e-3 * ratio[known].mean()
    assert 1 / np.median(start.inverse_depth[known]) == pytest.approx(START_DEPTH)
    assert np.linalg.norm(start.T_a_b[:3, 3]) * ratio[known].mean() == pytest.approx(n * np.linalg.norm(STEP), rel=1e-3)


def test_another_camera_begins_anew():
    bootstrap = Bootstrap(PointModel())
    for n in range(3):
        bootstrap.add(frame(n, camera="left"))
    _, start = started(bootstrap, (frame(n, camera="right") for n in range(3, 30)))
    assert start.first.stamp_ns == 3 and start.camera == "right"


def test_corners_that_are_hardly_seen_any_more_begin_anew():
    bootstrap = Bootstrap(PointModel())
    for n in range(3):
        bootstrap.add(frame(n))
    hidden = POINTS.copy()
    hidden[MIN_TRACKS - 1:] = np.nan
    bootstrap.add(frame(3, points=hidden))
    assert "corners in the image" in bootstrap.reason
    _, start = started(bootstrap, map(frame, range(4, 40)))
    assert start.first.stamp_ns == 4 and [f.stamp_ns for f in start.before] == [0, 1, 2]


def test_corners_are_looked_for_where_they_were_last(monkeypatch):
    monkeypatch.setattr("helpers.landmarks.SEARCH_PX", 15.0)  # six to eight a frame, and more than 20 until there is parallax
    n, start = started(Bootstrap(PointModel()), map(frame, range(30)))
    assert start.first.stamp_ns == 0 and n > 3 and max(off(start)) < 1e-3


def test_corners_are_not_followed_for_ever(monkeypatch):
    monkeypatch.setattr(module, "MAX_FRAMES", 3)
    bootstrap = Bootstrap(PointModel())
    assert started(bootstrap, (frame(n, np.eye(4)) for n in range(5))) == (None, None)
    _, start = started(bootstrap, (frame(n, pose(2 * n)) for n in range(5, 40)))
    assert start.first.stamp_ns == 4


def answering(monkeypatch, **changes):
    """A motion that is found from two frames, with other values than it has."""
    plain = module.relative_pose

    def found(*args):
        pose = plain(*args)
        return None if "none" in changes else replace(pose, **{k: v(pose) if callable(v) else v for k, v in changes.items()})

    monkeypatch.setattr(module, "relative_pose", found)


def only(count):
    return lambda pose: np.arange(len(pose.inliers)) < count


@pytest.mark.parametrize(("changes", "reason"), [
    ({}, ""), ({"none": True}, "fit no motion"), ({"parallax": 0.95 * MIN_PARALLAX}, "parallax 1.2 degrees of 1.3"),
    ({"parallax": 1.05 * MIN_PARALLAX}, ""), ({"turned": 0.45}, ""), ({"turned": 0.55}, "turning alone explains 55%"),
    ({"ambiguous": True}, "equally well"), ({"inliers": only(75)}, "one motion explains only 75 of"),
    ({"inliers": only(100)}, "")])
def test_a_motion_that_cannot_be_believed_starts_nothing(monkeypatch, changes, reason):
    answering(monkeypatch, **changes)
    bootstrap = Bootstrap(PointModel())
    bootstrap.add(frame(0))
    start = bootstrap.add(frame(12))
    assert (start is None) == bool(reason) and reason in bootstrap.reason


@pytest.mark.parametrize(("count", "starts"), [(39, False), (41, True)])
def test_a_motion_of_few_points_is_not_believed(monkeypatch, count, starts):
    answering(monkeypatch, inliers=only(count))
    bootstrap, few = Bootstrap(PointModel()), points_around(64, 5, (-1.0, -0.7, 2.0), (1.0, 0.7, 4.0))
    bootstrap.add(frame(0, points=few))
    assert (bootstrap.add(frame(12, points=few)) is not None) == starts


def test_what_moves_by_itself_has_no_depth():
    moving = [POINTS + np.where(np.arange(150)[:, None] < 30, (0.0, 0.015 * n, 0.0), 0.0) for n in range(30)]
    _, start = started(Bootstrap(PointModel()), (frame(n, points=p) for n, p in enumerate(moving)))
    assert max(off(start)) < 0.01
    own = start.first.tokens["camera"].corner_of < 30
    assert np.isfinite(start.inverse_depth[own]).mean() < 0.3 and np.isfinite(start.inverse_depth[~own]).mean() > 0.9
    assert np.isfinite(start.inverse_depth[start.matches.index_b]).all()


def test_frames_between_make_the_start_more_exact():
    """The newest image is noisy; those before are not."""
    errors = []
    for skip in (False, True):
        frames = [frame(n, noise=0.8 if n == 14 else 0.0) for n in ((0, 14) if skip else (0, *range(6, 15)))]
        bootstrap, start = Bootstrap(PointModel()), None
        bootstrap.add(frames[0])
        for new in frames[1:-1]:
            bootstrap._frames.append(new)  # as followed, though they would have started
            found = bootstrap.model.match(new.tokens["camera"], frames[0].tokens["camera"],
                                          frames[0].tokens["camera"].corners)
            bootstrap._tracks.append((found.index_b, found.pixels_a))
        start = bootstrap.add(frames[-1])
        depth = frames[0].tokens["camera"].depth[frames[0].tokens["camera"].corner_of]
        ratio = start.inverse_depth * depth
        errors.append(np.nanstd(ratio) / np.nanmean(ratio))
    assert errors[0] < 0.4 * errors[1]


def adjusting(monkeypatch, results=None):
    """Records bundles; those for a focal length give `results` (cost, log_focal, std) by their place."""
    asked, plain = [], module.bundle_adjust

    def adjust(problem, *args, **options):
        asked.append(replace(problem))
        if problem.focal_std is None or results is None:
            return plain(problem, *args, **options)
        cost, log_focal, std = results[min(len(asked) - 1, len(results) - 1)]
        return SimpleNamespace(costs=(2 * cost, cost), log_focal=log_focal, log_focal_std=std)

    monkeypatch.setattr(module, "bundle_adjust", adjust)
    return asked


def test_the_bundle_of_a_start_is_one_of_a_known_focal_length_from_the_first_frame(monkeypatch):
    asked = adjusting(monkeypatch)
    bootstrap = Bootstrap(PointModel())
    n, _ = started(bootstrap, map(frame, range(30)))
    problem = asked[-1]
    assert problem.focal_std is None and problem.fixed.tolist() == [True] + [False] * (len(problem.fixed) - 1)
    assert len(problem.T_map_rig) == min(n, 6) + 1 and np.isnan(problem.measured).all() and (problem.inverse_depth > 0).all()
    assert np.abs(problem.T_map_rig[-1][:3, :3] - pose(n)[:3, :3]).max() < 0.01
    assert np.array_equal(problem.T_map_rig[0], np.eye(4))


GUESS = replace(PINHOLE, fx=600.0, fy=600.0)


def unknown(count=14):
    """A bootstrap that has seen all but the last of `count` frames, and that."""
    bootstrap = Bootstrap(PointModel(), focal_unknown=True)
    frames = [frame(n, intrinsics=GUESS) for n in (0, count)]
    bootstrap.add(frames[0])
    return bootstrap, frames[1]


def in_pixels(focal):
    """What the bundle from 0.5 of the width, the first that is tried, says where that is the focal length."""
    return np.log(focal / (0.5 * PINHOLE.width))


def test_the_focal_length_that_fits_best_is_taken_and_the_motion_is_that_of_it(monkeypatch):
    bad, good = (5.0, in_pixels(900.0), 0.01), (1.0, np.log(500.0 / (0.5 * 640 * 3.8 ** (1 / 6))), 0.01)
    adjusting(monkeypatch, [bad, good, bad])
    bootstrap, last = unknown()
    start = bootstrap.add(last)
    assert start.focal_px == pytest.approx(500.0, rel=1e-6) and max(off(start)) < 1e-3


@pytest.mark.parametrize(("std", "starts"), [(0.09, True), (0.11, False)])
def test_a_focal_length_that_is_not_clear_starts_nothing(monkeypatch, std, starts):
    adjusting(monkeypatch, [(1.0, in_pixels(500.0), std), (9.0, in_pixels(500.0), 0.01)])
    bootstrap, last = unknown()
    assert (bootstrap.add(last) is not None) == starts
    assert starts or "not clear yet (500 px +- 11 %)" in bootstrap.reason


@pytest.mark.parametrize("share", [0.34, 3.05])
def test_a_focal_length_that_no_camera_has_does_not_count(monkeypatch, share):
    """None of the starts from 0.5 to 1.9 of the width leads anywhere else."""
    asked = []

    def adjust(problem, *args, **options):
        asked.append(problem)
        log_focal = np.log(share * 640 / problem.focal[0, 0])
        return SimpleNamespace(costs=(1.0,), log_focal=log_focal, log_focal_std=0.01)

    monkeypatch.setattr(module, "bundle_adjust", adjust)
    bootstrap, last = unknown()
    assert bootstrap.add(last) is None and bootstrap.reason == "no focal length fits the motion yet" and len(asked) >= 5


def test_a_focal_length_is_asked_only_of_motions_with_some_parallax(monkeypatch):
    asked, plain = adjusting(monkeypatch, [(1.0, in_pixels(500.0), 0.01)]), module.relative_pose
    tolerances = []

    def found(rays_b, rays_a, tolerance):
        tolerances.append(tolerance)
        pose = plain(rays_b, rays_a, tolerance)
        return pose if len(tolerances) == 1 else None if len(tolerances) == 2 else replace(pose, parallax=0.4 * MIN_PARALLAX)

    monkeypatch.setattr(module, "relative_pose", found)
    bootstrap, last = unknown()
    assert bootstrap.add(last) is None and not asked and "no focal length fits" in bootstrap.reason
    assert tolerances[0] == 1 / 600.0 and tolerances[1] == pytest.approx(2 / 320.0)


def test_the_bundle_for_a_focal_length_is_of_what_agrees(monkeypatch):
    asked = adjusting(monkeypatch, [(1.0, in_pixels(500.0), 0.01)])
    bootstrap = Bootstrap(PointModel(), focal_unknown=True)
    bootstrap.add(frame(0, intrinsics=GUESS))
    moving = POINTS + np.where(np.arange(150)[:, None] < 20, (0.0, 0.4, 0.0), 0.0)
    bootstrap.add(frame(14, points=moving, intrinsics=GUESS))
    corners = len(frame(0).tokens["camera"].corner_of)
    assert asked and all(p.focal_std == 1.0 and len(p.inverse_depth) < corners - 10 for p in asked if p.focal_std is not None)
