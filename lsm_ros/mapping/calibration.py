# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Focal lengths of cameras that nobody calibrated, or calibrated wrongly: found before the map, or together with it."""
from __future__ import annotations

from dataclasses import replace

from lsm_ros.mapping.warnings import Warnings
from lsm_ros.pairs.base import PairModel, finds_points
from lsm_ros.slam.focal import CalibrationCheck, FocalEstimator
from lsm_ros.slam.graph.keyframes import Keyframe
from lsm_ros.slam.trackers import Tracker
from lsm_ros.types import Frame


class Calibrator:
    """Gives frames their intrinsics. Keeps one estimator for each camera whose tracking cannot find them itself."""

    def __init__(self, model: PairModel, warnings: Warnings) -> None:
        self._model, self._warnings = model, warnings
        self._estimators: dict[str, FocalEstimator] = {}
        self._checks: dict[str, CalibrationCheck] = {}

    def __call__(self, frame: Frame, tracker: Tracker) -> Frame:
        """The frame with intrinsics once they are known; what people should know about them becomes a warning."""
        name = f"focal {frame.camera}"
        if frame.intrinsics is not None:
            self._compare(name, frame.camera, tracker)
            return frame
        who = f"camera {frame.camera!r} has no calibration"
        if tracker.finds_focal:
            guess = tracker.cameras.guess(frame)
            self._warnings.say(name, f"{who}: its focal length is estimated with the map, {guess.fx:.0f} px so far")
            return replace(frame, intrinsics=guess)
        if not finds_points(self._model):
            self._warnings.say(name, f"{who}, and pair model {self._model.name!r} cannot find its focal length: give it a "
                                     "camera_info")
            return frame
        estimator = self._estimators.setdefault(frame.camera, FocalEstimator(self._model))
        if estimator.focal_px is None:
            estimator.add(self._model.encode([frame])[0])
            if estimator.focal_px is None:
                self._warnings.say(name, f"{who}: its focal length is being estimated from motion; "
                                         "give it a camera_info to start at once")
                return frame
            self._warnings.say(name, f"{who}: focal length {estimator.focal_px:.0f} px "
                                     f"(+- {estimator.std_px:.0f}) was estimated")
        height, width = frame.image.shape[:2]
        return replace(frame, intrinsics=estimator.intrinsics(width, height))

    def _compare(self, name: str, camera: str, tracker: Tracker) -> None:
        wrong = tracker.cameras.wrong_calibration().get(camera)
        if wrong is None:
            self._warnings.over(name)
            return
        given, found, std = wrong
        self._warnings.say(name, f"camera {camera!r}: its calibration says a focal length of {given:.0f} px, but the images "
                                 f"fit {found:.0f} px (+- {std:.0f}), which is used: check its camera_info")

    def check(self, keyframe: Keyframe) -> None:
        """Warns where the measured depth of keyframes contradicts the focal length of a calibration."""
        if not (self._model.uses_depth and finds_points(self._model)):
            return
        for camera, view in keyframe.views.items():
            if camera in self._estimators:
                continue
            if camera not in self._checks or self._checks[camera].given != view.intrinsics:
                self._checks[camera] = CalibrationCheck(self._model, view.intrinsics)
                self._warnings.over(f"calibration {camera}")
            check = self._checks[camera]
            check.add(view.tokens)
            if check.wrong_px is not None:
                self._warnings.say(f"calibration {camera}", f"camera {camera!r}: its calibration says a focal length of "
                                   f"{check.given.fx:.0f} px, but its depth and its motion fit {check.wrong_px:.0f} px "
                                   f"(+- {check.std_px:.0f}): check its camera_info; the map is distorted by that")

    def finish(self, tracker: Tracker) -> None:
        """Says the focal lengths that were estimated with the map as they are at its end."""
        for camera, focal in self.focal_px(tracker)[0].items():
            if camera in tracker.cameras.uncalibrated and self._warnings.get(f"focal {camera}"):
                self._warnings.say(f"focal {camera}", f"camera {camera!r} has no calibration: its focal length was estimated "
                                   f"with the map, {focal:.0f} px")

    def clear(self) -> None:
        """Forgets all estimates."""
        self._estimators.clear()
        self._checks.clear()

    def focal_px(self, tracker: Tracker) -> tuple[dict[str, float], dict[str, bool]]:
        """Focal length of each camera, 0 while unknown, and whether it is an estimate that replaces or stands in for a
        calibration."""
        focal = {c: e.focal_px or 0.0 for c, e in self._estimators.items()}
        estimated = {c: e.focal_px is not None for c, e in self._estimators.items()}
        newest = tracker.graph.newest
        for camera, view in ({} if newest is None else newest.views).items():
            focal.setdefault(camera, view.intrinsics.fx)
            estimated.setdefault(camera, camera in tracker.cameras.uncalibrated
                                 or camera in tracker.cameras.wrong_calibration())
        return focal, estimated
