# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cameras that change their resolution, frames that fail, and depth in wrong units."""
from dataclasses import replace

import cv2
import numpy as np
import pytest

from lsm_ros.config import Config
from lsm_ros.geometry import CameraIntrinsics, make_se3, so3_exp
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.mapping.sizes import SizeKeeper
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.types import UNLABELLED, Frame, FrameSet, TrackingState

K = CameraIntrinsics(320, 240, 260.0, 260.0, 159.5, 119.5)
STEP_NS = 100_000_000
PICTURE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8), (0, 0), 3.0)
PICTURE = cv2.normalize(PICTURE, None, 0, 255, cv2.NORM_MINMAX)


def wall(i, k=K, unit=1.0):
    """The i-th view of a textured wall 2 m away, of a camera that moves sideways and turns a little."""
    T_wall_cam = make_se3(so3_exp([0.0, 0.004 * i, 0.0]), [0.02 * i, 0.005 * i, -2.0])
    rays = k.rays(unit=False)
    rays = rays @ T_wall_cam[:3, :3].T
    depth = (2.0 / rays[..., 2]).astype(np.float32)
    points = rays * depth[..., None] + T_wall_cam[:3, 3]
    x, y = (points[..., 0] + 2.4) * 250, (points[..., 1] + 1.8) * 250
    image = cv2.remap(PICTURE, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    return FrameSet(i * STEP_NS, (Frame(i * STEP_NS, "c", image, k, depth * np.float32(unit)),))


def states(pipeline, frame_sets):
    return [pipeline.process(fs).tracking.state for fs in frame_sets]


@pytest.fixture
def pipeline():
    made = MappingPipeline(Config())
    yield made
    made.close()


class TestResolution:
    @pytest.mark.parametrize("other", [K.resize(160, 120), K.resize(480, 360), K.crop(40, 30, 240, 180), K.resize(320, 160)],
                             ids=["half", "larger", "window", "other proportions"])
    def test_goes_on_in_the_same_map(self, pipeline, other):
        frame_sets = [wall(i, K if i < 6 else other) for i in range(12)]
        updates = [pipeline.process(fs) for fs in frame_sets]
        assert all(u.tracking.T_map_rig is not None for u in updates) and pipeline.session == 0
        moved = updates[-1].tracking.T_map_rig[:3, 3] - updates[0].tracking.T_map_rig[:3, 3]
        assert abs(np.linalg.norm(moved) - np.linalg.norm([0.22, 0.055])) < 0.02
        shown = f"{other.width}x{other.height}"
        assert any(f"changed from 320x240 to {shown}" in w for w in pipeline.status().warnings)

    def test_pixels_are_where_the_first_camera_would_see_them(self):
        keeper, tracker = SizeKeeper(Warnings()), MappingPipeline(Config()).tracker
        first = keeper(wall(0).frames[0], tracker)
        again = keeper(wall(0, K.crop(40, 30, 240, 180).resize(120, 90)).frames[0], tracker)
        inside = (slice(40, 200), slice(50, 270))
        assert again.intrinsics == K and again.image.shape == first.image.shape
        difference = np.abs(again.image[inside].astype(int) - cv2.GaussianBlur(first.image, (0, 0), 1.0)[inside])
        assert difference.mean() < 6 and np.abs(again.depth[inside] - first.depth[inside]).max() < 0.02
        assert not again.depth[:20].any(), "beyond the window nothing is known"

    def test_without_any_calibration_the_proportions_must_be_the_same(self):
        keeper, tracker = SizeKeeper(Warnings()), MappingPipeline(Config()).tracker
        bare = [replace(wall(0, k).frames[0], intrinsics=None) for k in (K, K.resize(160, 120), K.resize(160, 100))]
        keeper(bare[0], tracker)
        assert keeper(bare[1], tracker).image.shape == (240, 320, 3)
        with pytest.raises(ValueError, match="from 320x240 to 160x100, of other proportions"):
            keeper(bare[2], tracker)

    @pytest.mark.parametrize("size", [(160, 120), (640, 480)])
    def test_without_calibration_no_pixel_is_shifted(self, size):
        tracker, inside, off = MappingPipeline(Config()).tracker, (slice(8, -8), slice(8, -8)), []
        ramp = np.rint(np.add.outer(np.arange(240) * 0.4, np.arange(320) * 0.45)).astype(np.uint8)
        for values in (ramp, 255 - ramp):  # both, since rounding goes up
            keeper, image = SizeKeeper(Warnings()), cv2.cvtColor(values, cv2.COLOR_GRAY2RGB)
            keeper(Frame(0, "c", image), tracker)
            again = keeper(Frame(1, "c", cv2.resize(image, size, interpolation=cv2.INTER_AREA)), tracker)
            off.append((again.image[inside].astype(float) - image[inside]).mean())
        assert abs(off[0] - off[1]) / 2 < 0.05  # a shift of half a pixel along both sides gives 0.43

    def test_an_uncalibrated_camera_of_a_map_that_was_loaded_may_have_another_size(self, pipeline, tmp_path):
        states(pipeline, [wall(i) for i in range(3)])
        pipeline.tracker.cameras.uncalibrated.add("c")
        bare = replace(wall(0, K.resize(160, 120)).frames[0], intrinsics=None)
        again = SizeKeeper(Warnings())(bare, pipeline.tracker)
        assert again.image.shape == (240, 320, 3) and again.intrinsics is None

    def test_beyond_a_window_there_are_no_labels(self):
        keeper, tracker = SizeKeeper(Warnings()), MappingPipeline(Config()).tracker
        keeper(wall(0).frames[0], tracker)
        part = wall(0, K.crop(40, 30, 240, 180)).frames[0]
        labels = keeper(replace(part, labels=np.full((180, 240), 7, np.uint16)), tracker).labels
        assert (labels[35:200, 45:270] == 7).all() and (labels[:25] == UNLABELLED).all()

    def test_a_calibration_that_comes_later_counts_for_other_sizes(self):
        keeper, tracker = SizeKeeper(Warnings()), MappingPipeline(Config()).tracker
        keeper(replace(wall(0).frames[0], intrinsics=None), tracker)
        keeper(wall(1).frames[0], tracker)
        assert keeper(wall(2, K.resize(160, 120)).frames[0], tracker).intrinsics == K
        keeper.clear()
        small = wall(3, K.resize(160, 120)).frames[0]
        assert keeper(small, tracker) is small, "a new map begins with what comes"

    def test_images_that_get_smaller_are_smoothed_first(self):
        keeper, tracker = SizeKeeper(Warnings()), MappingPipeline(Config()).tracker
        stripes = np.zeros((480, 640, 3), np.uint8)
        stripes[:, ::2] = 200  # of one pixel each, which no half as wide image can show
        keeper(Frame(0, "c", np.zeros((242, 322, 3), np.uint8)), tracker)
        seen = keeper(Frame(1, "c", stripes), tracker).image[20:-20, 20:-20].astype(float)
        assert np.ptp(seen) < 60

    def test_a_camera_whose_calibration_does_not_follow_gets_no_pose(self, pipeline):
        states(pipeline, [wall(i) for i in range(4)])
        small = wall(4, K.resize(160, 120)).frames[0]
        with pytest.raises(ValueError, match="no camera_info fits"):
            pipeline.process(FrameSet(4 * STEP_NS, (replace(small, intrinsics=None),)))

    def test_a_map_that_was_loaded_says_how_the_camera_was(self, pipeline, tmp_path):
        states(pipeline, [wall(i) for i in range(6)])
        pipeline.save(tmp_path / "map")
        pipeline.load(tmp_path / "map")
        for i in range(8):
            update = pipeline.process(wall(i, K.resize(160, 120)))
        assert update.tracking.T_map_rig is not None


class TestFailures:
    def test_three_in_a_row_are_a_state_with_a_reason(self, pipeline):
        states(pipeline, [wall(i) for i in range(4)])
        bad = FrameSet(4 * STEP_NS, (replace(wall(4, K.resize(160, 120)).frames[0], intrinsics=None),))
        for n in (1, 2, 3):
            with pytest.raises(ValueError):
                pipeline.process(bad)
            status = pipeline.status()
            assert (status.frames_processed, status.frames_without_pose) == (4 + n, n)
            assert (status.state is TrackingState.LOST) == (n == 3)
        assert "3 frames in a row failed" in status.state_reason and "no camera_info" in status.state_reason
        assert states(pipeline, [wall(4)]) == [TrackingState.TRACKING]
        assert pipeline.status().state is TrackingState.TRACKING and pipeline.status().frames_without_pose == 3

    def test_before_the_start_the_state_stays(self, pipeline, monkeypatch):
        monkeypatch.setattr(pipeline, "_prepare_frames", lambda *_: 1 / 0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                pipeline.process(wall(0))
        status = pipeline.status()
        assert status.state is TrackingState.INITIALIZING and "ZeroDivisionError" in status.state_reason
        assert status.frames_without_pose == 3

    def test_a_frame_that_fails_after_it_got_its_pose_has_one(self, pipeline, monkeypatch):
        states(pipeline, [wall(0)])
        monkeypatch.setattr(pipeline, "_fuse", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pipeline.process(wall(1))
        assert pipeline.status().frames_without_pose == 0 and len(pipeline.trajectory()) == 2


@pytest.mark.parametrize("unit, said", [(1000.0, "2e+03 m"), (10.0, "20 m"), (0.001, "0.002 m"), (1.0, "")])
def test_depth_in_wrong_units_is_named(pipeline, unit, said):
    update = pipeline.process(wall(0, unit=unit))
    warnings = [w for w in pipeline.status().warnings if "out of range" in w]
    assert bool(warnings) == bool(said) and all(said in w and "millimetres" in w for w in warnings)
    assert (update.tracking.T_map_rig is None) == bool(said)
    assert not said or said in update.tracking.reason, "it is the reason why mapping does not start"
