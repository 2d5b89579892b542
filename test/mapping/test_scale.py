# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The scale of a map from what its keyframes and odometry say, on a graph without images."""
from types import SimpleNamespace

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.geometry import CameraIntrinsics, make_se3, se3_inverse, so3_exp
from lsm_ros.mapping.scale import ScaleKeeper
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.pairs.base import Correspondences
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView
from lsm_ros.slam.scale import resized
from lsm_ros.slam.trackers import FrameDepth, KeyframeDepth
from lsm_ros.types import Frame, FrameSet

T_RIG_CAM = make_se3(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), [0.2, 0.0, 1.1])
CAMERA = CameraIntrinsics(64, 48, 50.0, 50.0, 31.5, 23.5)
UNIT = 0.4
"""Metres of a unit of the map at its start."""


def view(camera, T_rig_cam=T_RIG_CAM):
    """A keyframe's view without landmarks."""
    none, tokens = np.zeros(0), SimpleNamespace(camera=camera)
    return KeyframeView(camera, tokens, CAMERA, T_rig_cam, np.zeros((0, 2)), np.zeros((0, 3)), none, none)


class Growing:
    """As much of a tracker as its scale needs, which can grow. sizes: by what it has grown."""

    resizes = True

    def __init__(self):
        self.graph = KeyframeGraph(from_dict({}).keyframes, from_dict({}).tracking)
        self.reference, self.sizes = None, []

    def resize(self, factor):
        self.sizes.append(factor)
        for k in self.graph.keyframes.values():
            k.T_map_rig = resized(k.T_map_rig, T_RIG_CAM, np.zeros(3), factor)
            k.size *= factor


class Rigid(Growing):
    """A tracker of a metric model."""

    resizes = False


def colour(**attributes):
    """A pair model without a scale."""
    return SimpleNamespace(**{"is_metric": False, "scale_source": "none", "scale_std": float("nan"), "gives": frozenset(),
                              **attributes})


def metric(std=0.01):
    return colour(is_metric=True, scale_source="depth", scale_std=std)


class Drive:
    """A robot that goes in a slalom, mapped in units of UNIT metres; each pose is a keyframe."""

    def __init__(self, model=None, tracker=None, unit=UNIT, cameras=("front",), **config):
        self.warnings = Warnings()
        self.keeper = ScaleKeeper(from_dict({"scale.lever": False, **config}), model or colour(), self.warnings)
        self.tracker, self.unit, self.k, self.pose = tracker or Growing(), unit, 0, np.eye(4)
        self.odometry, self.cameras, self.grown, self.origin = np.eye(4), cameras, [], None

    def go(self, steps, odometry=1.0):
        """Drives on; odometry: by what its way is longer than it should be, None: there is none. Returns the status."""
        rng = np.random.default_rng(self.k)
        for _ in range(steps):
            move = make_se3(so3_exp([0, 0, 0.1 * np.sin(0.3 * self.k)]), [0.15, 0, 0])
            self.pose = self.pose @ move
            measured = move.copy()
            measured[:3, 3] *= odometry or 0.0
            self.odometry = self.odometry @ measured
            stamp_ns = self.k * 500_000_000
            frame_set = self.keeper.check(FrameSet(
                stamp_ns, tuple(Frame(stamp_ns, c, np.zeros((4, 4, 3), np.uint8)) for c in self.cameras),
                {c: T_RIG_CAM for c in self.cameras}, None if odometry is None else self.odometry, rig_is_base=True))
            T_map_cam = self.pose @ T_RIG_CAM
            place = T_map_cam[:3, 3] / self.unit * np.prod(self.tracker.sizes)
            if self.origin is not None:  # the map goes on there in another unit
                at, before, after = self.origin
                place = at * before + (T_map_cam[:3, 3] - at) * after
            T_map_cam[:3, 3] = place + 0.001 * rng.standard_normal(3)
            views = {c: view(c) for c in self.cameras}
            T_map_rig = T_map_cam @ se3_inverse(T_RIG_CAM)
            self.tracker.graph.add(Keyframe(self.k, stamp_ns, T_map_rig, views))
            self.tracker.reference = self.k
            self.keeper.note(frame_set, T_map_rig, self.tracker)
            self.grown.append(self.keeper.update(self.tracker))
            self.k += 1
        return self.keeper.status(True)

    def see_floor(self, height_m=1.1):
        """The newest keyframe gives depth of a floor this far below its camera."""
        y = CAMERA.rays(unit=False)[..., 1]
        height = height_m / self.unit * np.prod(self.tracker.sizes)
        depth = np.where(y > 0.1, height / np.maximum(y, 0.1), 0.0).astype(np.float32)
        depth[:20] = 3.0 * height
        depth[:, :20] = np.minimum(np.where(depth[:, :20] > 0, depth[:, :20], 9e9), 3.0 * height)
        big = np.repeat(np.repeat(depth, 8, 0), 8, 1)
        camera = CameraIntrinsics(512, 384, 400.0, 400.0, 31.5 * 8, 23.5 * 8)
        frame = Frame(0, self.cameras[0], np.zeros((384, 512, 3), np.uint8))
        seen = FrameDepth(frame, camera, big, np.ones_like(big), measured=False)
        self.keeper.add_depths([KeyframeDepth(self.k - 1, T_RIG_CAM, seen)], self.tracker.graph)

    def guess(self, off, error):
        """A depth prior of the newest keyframe: its metres are off by a factor, and it errs by so much within the image."""
        unit = self.unit / np.prod(self.tracker.sizes) * off  # metres
        frame = Frame(0, self.cameras[0], np.zeros((48, 64, 3), np.uint8))
        seen = FrameDepth(frame, CAMERA, np.ones((48, 64), np.float32), np.ones((48, 64), np.float32), measured=False)
        given = KeyframeDepth(self.k - 1, T_RIG_CAM, seen, prior_scale=(np.log(unit), error))
        self.keeper.add_depths([given], self.tracker.graph)


def test_a_map_of_colour_becomes_metric_by_odometry():
    drive = Drive()
    first = drive.go(10)
    assert not first.is_metric and first.source == "none" and np.isnan(first.std)
    status = drive.go(50)
    assert status.is_metric and status.source == "odometry" and 0.01 <= status.std < 0.02
    assert drive.grown.count(True) == 1 and drive.tracker.sizes[0] == pytest.approx(UNIT, rel=0.01)
    assert drive.warnings.texts == ()


def test_without_any_source_it_stays_as_it_is():
    drive = Drive()
    status = drive.go(40, odometry=None)
    assert not status.is_metric and drive.tracker.sizes == []
    assert not drive.keeper.settle(drive.tracker)


def test_odometry_may_be_kept_out():
    assert Drive(**{"scale.odometry_std": 0.0}).go(40).source == "none"


def test_odometry_that_is_not_sure_enough_gives_the_size_at_the_end_only():
    drive = Drive(**{"scale.odometry_std": 0.05})
    status = drive.go(40)
    assert not status.is_metric and drive.tracker.sizes == [] and status.std == pytest.approx(0.05, rel=0.1)
    assert drive.keeper.settle(drive.tracker) and drive.tracker.sizes[0] == pytest.approx(UNIT, rel=0.01)
    assert not drive.keeper.status(True).is_metric
    assert not drive.keeper.settle(drive.tracker)  # it has it


def test_a_jump_is_not_in_the_way():
    drive = Drive()
    drive.go(20)
    drive.odometry = make_se3(np.eye(3), [30.0, 0, 0]) @ drive.odometry
    status = drive.go(40)
    assert status.is_metric and drive.tracker.sizes[0] == pytest.approx(UNIT, rel=0.01)
    assert "odometry jumped by 30" in drive.warnings.texts[0]


def test_odometry_that_changes_its_size_locks_the_map_anew():
    """A tyre that loses its air: what came after outweighs what was before."""
    drive = Drive()
    drive.go(40)
    assert drive.grown.count(True) == 1
    drive.go(240, odometry=1.2)
    assert drive.grown.count(True) == 2 and np.prod(drive.tracker.sizes) == pytest.approx(1.2 * UNIT, rel=0.02)


def test_a_map_that_drifts_is_metric_no_more():
    drive = Drive()
    assert drive.go(60).is_metric
    drive.unit *= 1.5
    here = np.prod(drive.tracker.sizes)
    drive.origin = (drive.pose @ T_RIG_CAM)[:3, 3].copy(), here / (drive.unit / 1.5), here / drive.unit
    status = drive.go(25)
    assert not status.is_metric and status.std > 0.2 and drive.grown.count(True) == 1
    assert any("the scale of the map has drifted" in w for w in drive.warnings.texts)


@pytest.mark.parametrize("settings", [{"scale.camera_height": 1.1}, {"scale.base_on_floor": True}])
def test_the_height_of_the_camera(settings):
    drive = Drive(**settings)
    for _ in range(12):
        drive.go(1, odometry=None)
        drive.see_floor()
    status = drive.go(1, odometry=None)
    assert status.is_metric and status.source == "camera_height" and status.std < 0.02
    assert np.prod(drive.tracker.sizes) == pytest.approx(UNIT, rel=0.01)


def test_a_height_that_nobody_knows_is_no_source():
    drive = Drive()
    for _ in range(12):
        drive.go(1, odometry=None)
        drive.see_floor()
    assert drive.go(1, odometry=None).source == "none"


def test_sources_that_agree_are_surer_together():
    alone, both = Drive(), Drive(**{"scale.camera_height": 1.1})
    for _ in range(40):
        both.go(1)
        both.see_floor()
    together = both.go(1)
    assert together.source == "camera_height+odometry" or together.source == "odometry+camera_height"
    assert together.std < 0.9 * alone.go(41).std and both.warnings.texts == ()


def test_sources_that_disagree_are_named_and_the_map_is_not_metric():
    drive = Drive(**{"scale.camera_height": 1.4})
    for _ in range(40):
        drive.go(1)
        drive.see_floor()  # it is 1.1
    status = drive.go(1)
    assert not status.is_metric and status.std > 0.05
    assert any("camera_height" in w and "odometry" in w and "nothing says who is right" in w for w in drive.warnings.texts)


def test_a_metric_map_is_compared_but_does_not_grow():
    drive = Drive(metric(), Rigid(), unit=1.0)
    assert drive.go(1).source == "depth"
    status = drive.go(50)
    assert status.is_metric and status.source == "depth+odometry" and status.std < 0.01
    assert drive.tracker.sizes == [] and drive.warnings.texts == ()


def test_depth_and_odometry_that_contradict():
    drive = Drive(metric(), Rigid(), unit=1.0)
    status = drive.go(50, odometry=1.15)
    assert status.is_metric and status.std > 0.05
    assert any("by depth lengths are 0.87 times those by odometry" in w for w in drive.warnings.texts)


def test_a_metric_map_that_is_off_by_more_than_is_said_of_it_says_so():
    """A network is sure to 10 %, and odometry says that it is off by 8."""
    status = Drive(metric(0.1), Rigid(), unit=1.0).go(50, odometry=1.08)
    assert status.std == pytest.approx(0.08, abs=0.01)


def test_no_map_has_no_scale():
    drive = Drive(metric(), Rigid(), unit=1.0)
    assert not drive.keeper.status(False).is_metric and drive.keeper.status(True).is_metric


def test_the_baseline_of_a_rig():
    """Two cameras, 20 cm apart, which see the same points."""
    rng = np.random.default_rng(0)
    points = np.c_[rng.uniform(-0.5, 0.5, (80, 2)), rng.uniform(1.0, 3.0, 80)]
    T_left_right = make_se3(np.eye(3), [0.2, 0, 0])
    drive = Drive(cameras=("left", "right"))

    def correspond(a, b):
        """Pixels with noise; the depth is of the map as it is."""
        pixels = [CAMERA.project(p)[0] + rng.normal(0, 0.3, (80, 2)) for p in (points, points - T_left_right[:3, 3])]
        depth = points[:, 2] / UNIT * np.prod(drive.tracker.sizes)
        return Correspondences(*pixels, depth, np.full(80, np.nan))

    drive.keeper._model = colour(gives=frozenset({"matches"}), correspond=correspond)
    for _ in range(20):
        drive.tracker.graph.add(Keyframe(drive.k, drive.k, np.eye(4), {
            "left": view("left"), "right": view("right", T_RIG_CAM @ T_left_right)}))
        drive.k += 1
        drive.keeper.update(drive.tracker)
    status = drive.keeper.status(True)
    assert status.is_metric and status.source == "baseline" and np.prod(drive.tracker.sizes) == pytest.approx(UNIT, rel=0.03)


def test_a_saved_map_knows_its_scale():
    drive = Drive()
    before = drive.go(50)
    again = Drive()
    again.keeper.recall(drive.keeper.to_dict())
    assert again.keeper.status(True) == before and again.go(50) == before
    assert again.tracker.sizes == []
    fresh = Drive()
    fresh.keeper.recall(None)
    assert fresh.keeper.status(True).source == "none"
    fresh.keeper.recall(fresh.keeper.to_dict())
    assert np.isnan(fresh.keeper.status(True).std)


def guessed(drive, count, scatter, error, off=1.0, seed=0):
    """The status after so many keyframes with a depth prior whose metres differ from image to image."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        drive.go(1, odometry=None)
        drive.guess(off * np.exp(scatter * rng.standard_normal()), error)
    return drive.go(1, odometry=None)


def test_a_depth_prior_that_agrees_with_itself_makes_a_single_camera_metric():
    drive = Drive()
    status = guessed(drive, 30, scatter=0.01, error=0.02)
    assert status.is_metric and status.source == "depth_prior" and 0.01 < status.std < 0.02
    assert np.prod(drive.tracker.sizes) == pytest.approx(UNIT, rel=0.02)
    assert guessed(drive, 5, scatter=0.01, error=0.02).is_metric  # what was said of the smaller map still holds
    assert np.prod(drive.tracker.sizes) == pytest.approx(UNIT, rel=0.02)


def test_a_depth_prior_is_not_surer_than_its_images_agree_however_many_there_are():
    few, many = (guessed(Drive(), count, scatter=0.1, error=0.1) for count in (20, 150))
    assert not many.is_metric and many.std == pytest.approx(0.11, abs=0.03) and few.std == pytest.approx(many.std, abs=0.04)


def test_what_a_depth_prior_errs_by_within_images_counts_too():
    """Images that show the same agree with each other, whatever is wrong with all of them."""
    status = guessed(Drive(), 30, scatter=0.0, error=0.3)
    assert not status.is_metric and status.std == pytest.approx(0.15, abs=0.01)


def test_a_depth_prior_gives_the_size_at_the_end():
    drive = Drive()
    assert not guessed(drive, 30, scatter=0.1, error=0.15, off=1.1).is_metric and drive.tracker.sizes == []
    assert drive.keeper.settle(drive.tracker) and drive.tracker.sizes[0] == pytest.approx(1.1 * UNIT, rel=0.06)
    status = drive.keeper.status(True)
    assert not status.is_metric and status.source == "depth_prior" and status.std > 0.1


def test_few_images_of_a_depth_prior_say_nothing_and_wild_ones_are_reported():
    assert guessed(Drive(), 9, scatter=0.01, error=0.02).source == "none"
    drive = Drive()
    assert guessed(drive, 30, scatter=0.5, error=0.1).source == "none"
    assert any("the depth prior is not used for the scale" in w for w in drive.warnings.texts)
