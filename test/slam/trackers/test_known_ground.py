# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule by which known ground needs no new keyframe, with points that a model finds without fail."""
import numpy as np
import pytest
from helpers.landmarks import PointModel, frame_of, keyframe_of, points_around

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.pairs.agreement import Agreement
from lsm_ros.slam.graph.keyframes import KeyframeGraph
from lsm_ros.slam.trackers.known_ground import KNOWN_SHARE, SAME_POSE, UNCHANGED, KnownGround
from lsm_ros.slam.trackers.landmark_pose import LandmarkPose
from lsm_ros.slam.trackers.progress import Progress
from lsm_ros.slam.trackers.whole_image import LEAST_MEASURED
from lsm_ros.types import TrackingState

MOUNT = {"front": np.eye(4)}
HERE = np.eye(4)
CONFIG = from_dict({"keyframes.overlap": 0.6, "keyframes.max_translation": 0.2, "keyframes.max_rotation": 0.3})


def beside(x):
    return make_se3(np.eye(3), [x, 0.0, 0.0])


class Scene:
    """Keyframe 0, the reference, beside keyframe 1, from which the frame set is taken; points are about 3 m away."""

    def __init__(self, drift=0.0, far=0.1):
        self.model, self.points = PointModel(), points_around(200)
        self.graph = KeyframeGraph(CONFIG.keyframes, CONFIG.tracking)
        for i, T in enumerate((HERE, beside(far))):
            self.graph.add(keyframe_of(i, self.points, T, MOUNT))
        if drift:  # keyframe 1 is not where the map has it
            self.graph.keyframes[1].T_map_rig = self.graph.keyframes[1].T_map_rig @ beside(drift)
            self.graph.version += 1
        self.pose = LandmarkPose(CONFIG, self.model, self.graph, Progress(state=TrackingState.TRACKING))
        self.ground = KnownGround(CONFIG, self.model, self.graph, self.pose)

    def frame(self, T=None, stamp_ns=10**9, share=1.0):
        """A frame set at T (4, 4) with its pose by keyframe 0, in which only a share of the points is seen."""
        T = beside(0.08) if T is None else T
        seen = self.points.copy()
        seen[int(share * len(seen)):] += 100.0
        new = frame_of(stamp_ns, seen, T, MOUNT)
        assert self.pose.near(new, [0], T, 0.05) == ""
        return new

    def known(self, new, T=None):
        return self.ground.known_by(new, beside(0.08) if T is None else T, 0)


def test_a_keyframe_around_that_shows_the_same_is_enough():
    assert Scene().known(Scene().frame()) == 1


def test_the_reference_itself_is_not_asked():
    scene = Scene()
    scene.graph.remove(1)
    assert scene.known(scene.frame()) is None


@pytest.mark.parametrize("share, known", [(KNOWN_SHARE * 0.6 + 0.04, 1), (KNOWN_SHARE * 0.6 - 0.04, None)])
def test_it_must_show_enough_of_it(share, known):
    scene = Scene()
    assert scene.known(scene.frame(share=share)) == known


@pytest.mark.parametrize("drift, known", [(0.5 * SAME_POSE, 1), (1.5 * SAME_POSE, None)])
def test_by_its_landmarks_alone_the_frame_must_be_where_it_is(drift, known):
    scene = Scene(drift=drift * 3.0)
    assert scene.known(scene.frame()) == known


@pytest.mark.parametrize("far, turn, known", [(0.5, 0.0, 1), (0.7, 0.0, None), (0.0, 0.25, 1), (0.0, 0.35, None)])
def test_it_must_stand_and_look_about_the_same(far, turn, known):
    scene = Scene(far=far)
    scene.graph.keyframes[1].T_map_rig = make_se3(so3_exp([0.0, turn, 0.0]), [far, 0.0, 0.0])
    scene.graph.version += 1
    assert scene.ground.is_elsewhere(1, HERE) == (known is None)
    if turn == 0.0:
        assert scene.known(scene.frame(HERE), HERE) == known


def test_what_was_found_to_be_enough_is_not_looked_for_again_while_frames_show_as_much(monkeypatch):
    scene, asked = Scene(), []
    near = scene.pose.near
    monkeypatch.setattr(scene.pose, "near", lambda *args: asked.append(args) or near(*args))
    frame = scene.frame()
    assert scene.known(frame) == 1
    count = len(asked)
    again = scene.frame()
    near(again, [0, 1], beside(0.08), 0.05)
    asked.clear()
    assert scene.known(again) == 1 and not asked and count
    less = scene.frame(share=0.3)
    near(less, [0, 1], beside(0.08), 0.05)
    assert scene.known(less) is None, "it shows too little now"
    away = scene.frame(beside(0.9))
    near(away, [0, 1], beside(0.9), 0.05)
    assert scene.known(away, beside(0.9)) is None, "it stands elsewhere now"
    scene.graph.remove(1)
    assert scene.known(scene.frame()) is None, "it is gone"


@pytest.mark.parametrize("agree, measured, changed", [
    (UNCHANGED - 0.05, 2 * LEAST_MEASURED, True), (UNCHANGED + 0.05, 2 * LEAST_MEASURED, False),
    (UNCHANGED - 0.05, LEAST_MEASURED - 2, False)])
def test_the_world_has_changed_where_measured_depths_differ(agree, measured, changed):
    scene = Scene()
    scene.model.verdict = Agreement(measured, measured, int(agree * measured), 0, 0, 0)
    assert scene.ground.has_changed(scene.frame(), scene.graph.keyframes[1]) == changed


def test_that_is_looked_at_now_and_then():
    scene = Scene()
    scene.model.verdict = Agreement(1000, 1000, 0, 0, 0, 0)
    seen = [scene.ground.has_changed(scene.frame(stamp_ns=10**9 + n * 10**7), scene.graph.keyframes[1]) for n in range(30)]
    assert seen[0] and 1 < sum(seen) < 4
