# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of a pose from landmarks, with points that a model finds without fail."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.landmarks import PointModel, frame_of, keyframe_of, points_around

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, se3_exp, se3_inverse, se3_log, so3_exp
from lsm_ros.pairs.agreement import Agreement
from lsm_ros.pairs.base import Correspondences
from lsm_ros.slam.graph.keyframes import KeyframeGraph
from lsm_ros.slam.trackers.landmark_pose import CLEAR_INLIERS, CLEAR_SHARE, LOCATE_INLIERS, LandmarkPose
from lsm_ros.slam.trackers.progress import PoseStamp, Progress
from lsm_ros.types import TrackingState

AHEAD = {"front": make_se3(so3_exp([0.1, -0.2, 0.05]), [0.1, 0.0, 0.2])}
RIG = AHEAD | {"rear": make_se3(so3_exp([0.0, np.pi, 0.0]), [0.0, 0.0, -0.2])}
HOME = make_se3(so3_exp([0.0, 0.7, 0.0]), [3.0, 1.0, -2.0])  # of the first keyframe
MOVED = HOME @ se3_exp([0.1, -0.05, 0.1, 0.02, 0.05, -0.02])
AGAINST = Agreement(1000, 500, 50, 300, 100, 10)


class Scene:
    """A graph with keyframes at HOME (0) and near it (1), and what finds poses in it."""

    def __init__(self, mounts=AHEAD, count=120, config=None, **looks):
        self.config = from_dict(config or {})
        self.model, self.progress = PointModel(), Progress(state=TrackingState.TRACKING)
        self.graph = KeyframeGraph(self.config.keyframes, self.config.tracking)
        self.points = np.concatenate([points_around(count) @ T[:3, :3].T + T[:3, 3]
                                      for T in (HOME @ T_rig_cam for T_rig_cam in mounts.values())])
        self.mounts = mounts
        for i, T in enumerate((HOME, HOME @ se3_exp([0.05, 0.02, 0.0, 0.0, 0.03, 0.0]))):
            self.graph.add(keyframe_of(i, self.points, T, mounts, **looks))
        self.pose = LandmarkPose(self.config, self.model, self.graph, self.progress)

    def frame(self, T=MOVED, mounts=None, **looks):
        return frame_of(10**9, self.points, T, mounts or self.mounts, **looks)


def off(new, T=MOVED):
    return np.abs(se3_log(se3_inverse(T) @ new.pose.T_map_rig)).max()


@pytest.fixture
def scene():
    return Scene()


# near an expected pose

@pytest.mark.parametrize("mounts", [AHEAD, RIG])
def test_near_finds_the_pose_from_all_keyframes_and_cameras(mounts):
    scene = Scene(mounts)
    new = scene.frame()
    assert scene.pose.near(new, [0, 1], HOME, 0.5) == "" and off(new) < 1e-6
    assert set(new.matches) == {(i, c) for i in (0, 1) for c in mounts}
    assert new.fraction > 0.7 and new.reference in (0, 1)


def test_landmarks_are_searched_around_the_pose_that_is_expected(scene):
    far = HOME @ se3_exp([0.3, 0.0, 0.0, 0.0, 0.2, 0.0])
    assert scene.pose.near(scene.frame(far), [0], HOME, 0.05), "they are 100 pixels from where the keyframe has them"
    new = scene.frame(far)
    assert scene.pose.near(new, [0], far @ se3_exp([0.01] * 3 + [0.005] * 3), 0.05) == "" and off(new, far) < 1e-6


def test_a_camera_that_gave_no_image_is_left_out():
    scene = Scene(RIG)
    new = scene.frame(mounts=AHEAD)
    assert scene.pose.near(new, [0], HOME, 0.7) == "" and set(new.matches) == {(0, "front")}
    assert new.fraction > 0.8, "of the landmarks of the cameras that are there"


def test_keyframes_without_landmarks_of_these_cameras_are_no_reference(scene):
    scene.graph.add(keyframe_of(2, scene.points, HOME, {"rear": RIG["rear"]}))
    new = scene.frame()
    assert scene.pose.near(new, [2, 0], HOME, 0.5) == "" and new.reference == 0 and set(new.matches) == {(0, "front")}
    away = make_se3(so3_exp([0.0, 3.0, 0.0]), [0.0, 0.0, 0.0])
    scene.graph.add(keyframe_of(3, scene.points, HOME @ away, AHEAD))  # sees nothing
    assert not scene.graph.keyframes[3].landmark_count
    assert scene.pose.near(scene.frame(), [3, 0], HOME, 0.5) == ""


def test_the_reference_is_the_keyframe_of_which_most_is_found(scene):
    scene.graph.add(keyframe_of(2, scene.points, HOME @ se3_exp([0.9, 0.0, 0.0, 0.0, 0.0, 0.0]), AHEAD))
    new = scene.frame(HOME)
    assert scene.pose.near(new, [2, 0], HOME, 0.5) == "" and new.reference == 0 and new.fraction == 1.0
    share = len(new.matches[2, "front"]) / scene.graph.keyframes[2].landmark_count
    assert share < 1.0


def test_the_share_in_view_leaves_out_what_the_pose_puts_beside_the_image(scene):
    aside = HOME @ se3_exp([0.0, 0.0, 0.0, 0.0, 0.45, 0.0])
    new = scene.frame(aside)
    assert scene.pose.near(new, [0], aside, 0.05) == "" and new.fraction < 0.7
    assert scene.pose.share_in_view(new) > 0.9
    new.matches = {key: m.where(np.arange(len(m)) % 2 == 0) for key, m in new.matches.items()}
    assert scene.pose.share_in_view(new) == pytest.approx(0.5, abs=0.05)


def test_the_share_in_view_is_that_of_all_keyframes_together(scene):
    new = scene.frame()
    assert scene.pose.near(new, [0, 1], HOME, 0.5) == ""
    whole, half = scene.pose.share_in_view(new), new.matches[1, "front"]
    new.matches[1, "front"] = half.where(np.arange(len(half)) % 2 == 0)
    assert scene.pose.share_in_view(new) == pytest.approx(0.75 * whole, abs=0.03)


def test_too_few_landmarks_make_no_pose(scene):
    points = scene.points.copy()
    points[19:] = np.nan
    new = frame_of(10**9, points, MOVED, AHEAD)
    assert "fewer than 20 points" in scene.pose.near(new, [0], HOME, 0.0) and new.pose is None and new.matches == {}
    scene = Scene(config={"tracking.min_inliers": 12})
    assert scene.pose.near(frame_of(10**9, points, MOVED, AHEAD), [0], HOME, 0.0) == ""


def test_too_small_a_share_of_the_landmarks_makes_no_pose(scene):
    points = scene.points.copy()
    points[40:] = np.nan
    new = frame_of(10**9, points, MOVED, AHEAD)
    assert "points were found" in scene.pose.near(new, [0], HOME, 0.5) and new.pose is None
    assert scene.pose.near(new, [0], HOME, 0.2) == "" and 0.2 < new.fraction < 0.5


@pytest.mark.parametrize("what", ["pixels", "depth"])
def test_only_matches_that_agree_are_kept(scene, what):
    new = scene.frame()
    tokens = new.tokens["front"]
    wrong = np.arange(0, len(tokens.pixels), 5)
    if what == "pixels":
        tokens.pixels[wrong] += (0.0, 13.0)  # 5.2 deviations
    else:
        tokens.depth[wrong] = 1 / (1 / tokens.depth[wrong] + 10 * scene.config.tracking.depth_sigma)
    assert scene.pose.near(new, [0], HOME, 0.5) == ""
    kept = scene.graph.keyframes[0].views["front"].tokens.corner_of[new.matches[0, "front"].index_b]
    assert len(kept) and not set(kept) & set(wrong) and new.fraction == pytest.approx(len(kept) / scene.graph.keyframes[0].
                                                                                       landmark_count)


def test_a_keyframe_of_which_nothing_is_found_has_no_matches(scene):
    scene.graph.add(keyframe_of(2, points_around(seed=5) + (50.0, 0.0, 0.0), make_se3(np.eye(3), [50.0, 0.0, 0.0]), AHEAD))
    new = scene.frame()
    assert scene.pose.near(new, [0, 2], HOME, 0.5) == "" and set(new.matches) == {(0, "front")}


def test_a_pose_that_nobody_can_have_reached_is_not_believed(scene):
    scene.progress.poses = [PoseStamp(10**9 - 10**7, HOME, None)]
    new = scene.frame(HOME @ se3_exp([0.2, 0.0, 0.0, 0.0, 0.0, 0.0]))  # 20 m/s
    assert "m/s" in scene.pose.near(new, [0], HOME, 0.1) and new.pose is None and new.reference is None


# by flow

def test_flow_needs_no_expectation(scene):
    last = scene.frame()
    assert scene.pose.near(last, [0, 1], HOME, 0.5) == ""
    far = HOME @ se3_exp([0.2, 0.0, 0.2, 0.0, 0.5, 0.0])
    guess = scene.pose.by_flow(scene.frame(far), last)
    assert np.abs(se3_log(se3_inverse(far) @ guess)).max() < 1e-6


def test_flow_goes_on_with_the_landmarks_that_it_finds_of_keyframes_that_are_left():
    scene = Scene(RIG)
    last = scene.frame()
    assert scene.pose.near(last, [0, 1], HOME, 0.5) == ""
    scene.graph.remove(1)
    points = scene.points.copy()
    points[10:40] = np.nan  # hidden by now
    far = HOME @ se3_exp([0.1, 0.0, 0.1, 0.0, 0.2, 0.0])
    guess = scene.pose.by_flow(frame_of(10**9, points, far, AHEAD), last)
    assert np.abs(se3_log(se3_inverse(far) @ guess)).max() < 1e-6


def test_flow_bears_more_than_a_search_near_the_pose_but_needs_as_many(scene):
    last = scene.frame()
    assert scene.pose.near(last, [0], HOME, 0.5) == ""
    new = scene.frame()
    rng = np.random.default_rng(0)
    new.tokens["front"].pixels += rng.uniform(-9.0, 9.0, new.tokens["front"].pixels.shape)
    guess = scene.pose.by_flow(new, last)
    assert np.abs(se3_log(se3_inverse(MOVED) @ guess)).max() < 0.05
    new.tokens["front"].pixels[19:] = np.nan
    assert scene.pose.by_flow(new, last) is None


# by descriptors

def lost(scene):
    """Descriptors are all there is."""
    scene.progress.state = TrackingState.LOST
    return scene


def test_descriptors_find_the_pose_and_the_landmarks_around_it(scene):
    new = lost(scene).frame(HOME @ se3_exp([0.5, 0.0, 0.2, 0.0, 0.3, 0.0]))
    assert scene.pose.by_descriptors(new, [0], 0.15) == ""
    assert off(new, HOME @ se3_exp([0.5, 0.0, 0.2, 0.0, 0.3, 0.0])) < 1e-6
    assert {i for i, _ in new.matches} == {0, 1}, "those of the neighbours, too"
    assert {id(b) for _, b, _ in scene.model.asked} == {id(k.views["front"].tokens) for k in scene.graph.keyframes.values()}
    a, b, T_a_b = scene.model.asked[0]
    T_map_a = new.pose.T_map_rig @ AHEAD["front"]
    assert np.allclose(T_map_a @ T_a_b, scene.graph.keyframes[0].T_map_rig @ AHEAD["front"])


def test_one_keyframe_after_the_other_is_asked(scene):
    scene.graph.add(keyframe_of(2, np.full((120, 3), np.nan), HOME, AHEAD))
    new = lost(scene).frame()
    assert scene.pose.by_descriptors(new, [2, 0], 0.15) == "" and new.reference in (0, 1)
    assert "fits no keyframe" in scene.pose.by_descriptors(scene.frame(), [2], 0.15)


def test_what_the_whole_image_contradicts_is_taken_back(scene):
    scene.model.verdict = AGAINST
    new = lost(scene).frame()
    assert "fits no keyframe" in scene.pose.by_descriptors(new, [0, 1], 0.15)
    assert new.pose is None and new.matches == {} and new.fraction == 0.0 and new.reference is None


def descriptors_only(scene, count, wrong=0):
    """The landmarks are not found again, though descriptors of `count` points are; `wrong` others are not the same points."""
    scene.model.match = lambda a, b, guess: PointModel.match(scene.model, a, b, np.full_like(guess, np.nan))

    def correspond(a, b):
        both = PointModel.correspond(scene.model, a, b).where(np.arange(count + wrong))
        pixels = both.pixels_a.copy()
        pixels[count:] = np.random.default_rng(1).uniform([0, 0], [640, 480], (wrong, 2))
        return Correspondences(pixels, both.pixels_b, np.where(np.arange(count + wrong) < count, both.depth_a, np.nan),
                               both.depth_b)

    scene.model.correspond = correspond
    return lost(scene)


@pytest.mark.parametrize(("count", "wrong", "believed"), [
    (CLEAR_INLIERS, 0, True), (CLEAR_INLIERS - 1, 0, False),
    (CLEAR_INLIERS + 1, round(CLEAR_INLIERS / CLEAR_SHARE) - CLEAR_INLIERS - 4, True),
    (CLEAR_INLIERS, round(CLEAR_INLIERS / CLEAR_SHARE) - CLEAR_INLIERS + 8, False)])
def test_without_landmarks_descriptors_have_to_be_clear(scene, count, wrong, believed):
    new = descriptors_only(scene, count, wrong).frame()
    reason = scene.pose.by_descriptors(new, [0], 0.15)
    assert (reason == "") == believed == (new.pose is not None)
    if believed:
        assert off(new) < 1e-3 and new.matches == {} and new.reference == 0 and new.fraction == 0.15


def test_clear_descriptors_are_not_believed_at_any_speed(scene):
    descriptors_only(scene, 60)
    scene.progress.state = TrackingState.TRACKING
    scene.progress.poses = [PoseStamp(10**9 - 10**7, HOME @ se3_exp([1.0] + [0.0] * 5), None)]
    assert scene.pose.by_descriptors(scene.frame(), [0], 0.15)


def test_a_find_counts_only_with_its_share_of_landmarks(scene):
    """Twenty of the landmarks are found around what a few descriptors say: not enough for a strict test."""
    points = scene.points.copy()
    points[24:] = np.nan
    strict, loose = frame_of(10**9, points, MOVED, AHEAD), frame_of(10**9, points, MOVED, AHEAD)
    assert lost(scene).pose.by_descriptors(strict, [0], 0.5) and strict.pose is None
    assert scene.pose.by_descriptors(loose, [0], 0.1) == ""


@pytest.mark.parametrize(("count", "found"), [(LOCATE_INLIERS, True), (LOCATE_INLIERS - 1, False)])
def test_a_dozen_descriptors_say_where_to_look(scene, count, found):
    descriptors_only(scene, count)
    scene.model.match = PointModel().match
    assert (scene.pose.by_descriptors(scene.frame(), [0], 0.15) == "") == found


@pytest.mark.parametrize(("pixels", "depths", "found"), [(6.0, 0.0, True), (150.0, 0.0, False), (0.0, 2.0, True),
                                                         (0.0, 30.0, False)])
def test_descriptors_may_be_somewhat_off(scene, pixels, depths, found):
    """pixels: of each in any direction; depths: deviations of inverse depth."""
    rng, plain = np.random.default_rng(2), descriptors_only(scene, 100).model.correspond

    def correspond(a, b):
        both = plain(a, b)
        angle = rng.uniform(0, 2 * np.pi, len(both))
        shift = pixels * np.stack([np.cos(angle), np.sin(angle)], 1)
        error = rng.normal(0, depths * scene.config.tracking.depth_sigma, len(both))
        return replace(both, pixels_a=both.pixels_a + shift, depth_a=1 / (1 / both.depth_a + error))

    scene.model.correspond = correspond
    assert (scene.pose.by_descriptors(scene.frame(), [0], 0.15) == "") == found


def test_descriptors_without_a_depth_in_the_keyframe_say_nothing_of_the_pose(scene):
    plain = descriptors_only(scene, 80).model.correspond
    known = np.arange(80) < 60
    scene.model.correspond = lambda a, b: replace(plain(a, b), depth_b=np.where(known, plain(a, b).depth_b, np.nan))
    new = scene.frame()
    assert scene.pose.by_descriptors(new, [0], 0.15) == ""
    assert new.pose.inlier_count == 60 and np.isfinite(new.pose.covariance).all()


def test_a_camera_without_an_image_has_no_descriptors():
    scene = lost(Scene(RIG))
    new = scene.frame(mounts=AHEAD)
    assert scene.pose.by_descriptors(new, [0], 0.15) == "" and off(new) < 1e-6
