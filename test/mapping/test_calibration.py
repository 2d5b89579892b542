# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cameras that nobody calibrated."""
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.matched_points import PointMatcher, images
from helpers.pointmaps import FakePairModel

from lsm_ros.config import Config
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.mapping.calibration import Calibrator
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.pairs.base import MATCHES
from lsm_ros.slam.focal import FocalEstimator
from lsm_ros.slam.trackers.cameras import CameraKnowledge
from lsm_ros.types import Frame
from lsm_sim.source import RoomSource


def test_a_camera_whose_focal_length_nothing_finds_is_named():
    warnings = Warnings()
    calibrate = Calibrator(FakePairModel.__new__(FakePairModel), warnings)  # it gives no single points
    frame = Frame(0, "front", np.zeros((48, 64, 3), np.uint8))
    assert calibrate(frame, SimpleNamespace(finds_focal=False)) is frame
    assert "camera 'front' has no calibration" in warnings.texts[0] and "give it a camera_info" in warnings.texts[0]


def test_the_focal_length_that_is_said_is_the_one_at_the_end():
    warnings = Warnings()
    warnings.say("focal a", "500 px so far")
    views = {name: SimpleNamespace(intrinsics=CameraIntrinsics(64, 48, focal, focal, 31.5, 23.5))
             for name, focal in (("a", 523.4), ("b", 600.0))}
    graph = SimpleNamespace(newest=SimpleNamespace(views=views))
    tracker = SimpleNamespace(cameras=CameraKnowledge(uncalibrated={"a"}), graph=graph)
    Calibrator(SimpleNamespace(), warnings).finish(tracker)
    assert warnings.texts == ("camera 'a' has no calibration: its focal length was estimated with the map, 523 px",)


class TestCheck:
    WRONG = CameraIntrinsics(640, 480, 800.0, 800.0, 319.5, 239.5)

    def drive(self, calibrate, *cameras, count=8):
        for tokens in images(525.0, count):
            views = {name: SimpleNamespace(intrinsics=k, tokens=tokens) for name, k in cameras}
            calibrate.check(SimpleNamespace(views=views))

    def made(self, **changes):
        model = PointMatcher()
        model.uses_depth, model.gives = True, {MATCHES}
        for name, value in changes.items():
            setattr(model, name, value)
        return Calibrator(model, Warnings())

    def test_a_calibration_that_depth_contradicts_is_named_with_both_figures(self):
        calibrate = self.made()
        self.drive(calibrate, ("front", self.WRONG), ("rear", replace(self.WRONG, fx=525.0, fy=525.0)))
        (text,) = calibrate._warnings.texts
        assert "camera 'front'" in text and "of 800 px" in text and "check its camera_info" in text
        assert abs(float(re.search(r"motion fit (\d+) px", text)[1]) - 525) < 20

    def test_it_is_over_when_the_calibration_changes(self):
        calibrate = self.made()
        self.drive(calibrate, ("front", self.WRONG))
        self.drive(calibrate, ("front", replace(self.WRONG, fx=525.0, fy=525.0)), count=1)
        assert calibrate._warnings.texts == ()

    def test_a_reset_forgets_what_was_checked(self):
        calibrate = self.made()
        self.drive(calibrate, ("front", self.WRONG))
        calibrate.clear()
        calibrate._warnings.clear()
        self.drive(calibrate, ("front", self.WRONG), count=2)
        assert calibrate._warnings.texts == ()

    def test_an_estimate_is_not_checked_against_itself(self):
        calibrate = self.made()
        calibrate._estimators["front"] = FocalEstimator(calibrate._model)
        self.drive(calibrate, ("front", self.WRONG))
        assert calibrate._warnings.texts == ()

    @pytest.mark.parametrize("changes", [{"uses_depth": False}, {"gives": set()}])
    def test_only_where_depth_is_measured_and_points_are_found(self, changes):
        calibrate = self.made(**changes)
        self.drive(calibrate, ("front", self.WRONG))
        assert calibrate._warnings.texts == ()


def test_wrong_calibration_with_depth_is_said_by_the_pipeline():
    source = RoomSource(seed=3, frames=100, noise=False, labels=False)
    pipeline = MappingPipeline(Config())
    for i in range(60):
        frame_set = source.frame_set(i)
        k = frame_set.frames[0].intrinsics
        frame = replace(frame_set.frames[0], intrinsics=replace(k, fx=k.fx * 1.3, fy=k.fy * 1.3))
        pipeline.process(replace(frame_set, frames=(frame,)))
    assert any("its calibration says a focal length of 271 px" in w for w in pipeline.status().warnings)
    pipeline.close()
