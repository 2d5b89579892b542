# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""From frames as they come to frames that can be tracked: calibrated, without lens distortion, with reliable depth only."""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import T_BODY_OPTICAL, CameraIntrinsics, Rectifier, depth_discontinuities
from lsm_ros.mapping.calibration import Calibrator
from lsm_ros.mapping.camera_masks import CameraMasks, without_robot
from lsm_ros.mapping.sizes import SizeKeeper
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.pairs.base import MATCHES, PairModel
from lsm_ros.slam.trackers import Tracker
from lsm_ros.types import UNLABELLED, Frame, FrameSet

MOST_RECTIFIERS = 8
LEAST_IN_RANGE = 0.05  # of the depth; with less its units are doubted


class FrameRectifier:
    """Takes lens distortion out of frames; keeps the maps of each camera."""

    def __init__(self) -> None:
        self._rectifiers: dict[CameraIntrinsics, Rectifier] = {}

    def __call__(self, frame: Frame) -> Frame:
        """The frame as a pinhole without distortion sees it. Unchanged without intrinsics or distortion."""
        if frame.intrinsics is None or not frame.intrinsics.has_distortion:
            return frame
        r = self.of(frame.intrinsics)
        return replace(frame, image=r.image(frame.image), intrinsics=r.target,
                       depth=None if frame.depth is None else r.depth(frame.depth),
                       labels=None if frame.labels is None else r.labels(frame.labels, fill=UNLABELLED),
                       mask=None if frame.mask is None else r.labels(frame.mask.view(np.uint8), fill=0) > 0)

    def of(self, intrinsics: CameraIntrinsics) -> Rectifier:
        """The rectifier of a camera. At most eight cameras are remembered."""
        if intrinsics not in self._rectifiers:
            if len(self._rectifiers) >= MOST_RECTIFIERS:
                self._rectifiers.pop(next(iter(self._rectifiers)))
            self._rectifiers[intrinsics] = Rectifier(intrinsics)
        return self._rectifiers[intrinsics]

    def known(self) -> list[Rectifier]:
        """The rectifiers made so far."""
        return list(self._rectifiers.values())


class FramePreparation:
    """Prepares frame sets for tracking. rectify, calibrate and sizes keep what they learn over sessions."""

    def __init__(self, config: Config, model: PairModel, warnings: Warnings) -> None:
        self._config, self._model, self._warnings = config, model, warnings
        self.rectify = FrameRectifier()
        self.calibrate = Calibrator(model, warnings)
        self.sizes = SizeKeeper(warnings)
        self._masks = CameraMasks(config.camera_masks, warnings)

    def clear(self) -> None:
        """Forgets what it learned of the cameras, but for lenses."""
        self.calibrate.clear()
        self.sizes.clear()

    def __call__(self, frame_set: FrameSet, tracker: Tracker) -> FrameSet:
        """The frame set with intrinsics where they are known, without distortion, in the size in which its cameras began,
        with the depth that is used, and with masks, under which there is neither depth nor a label. ValueError for a camera
        that changed beyond that, or whose mask does not fit."""
        if not frame_set.T_rig_cam and len(frame_set.frames) == 1:  # the rig is the body of its one camera
            frame_set = replace(frame_set, T_rig_cam={frame_set.frames[0].camera: T_BODY_OPTICAL})
        frames = [self.rectify(self._masks.attach(f)) for f in frame_set.frames]
        if MATCHES in self._model.gives:  # networks of pointmaps take every size as it comes
            frames = [self.sizes(f, tracker) for f in frames]
        frames = self._usable_depth([self.calibrate(f, tracker) for f in frames], bool(tracker.graph.keyframes))
        return replace(frame_set, frames=tuple(without_robot(self._reliable(f)) for f in frames))

    def _usable_depth(self, frames: list[Frame], started: bool) -> list[Frame]:
        """Frames with the depth that the pair model uses: others find it themselves, in a scale of their own."""
        if not self._model.uses_depth:
            return [f if f.depth is None else replace(f, depth=None) for f in frames]
        if all(f.depth is None for f in frames) and not started:
            names = ", ".join(f.camera for f in frames)
            self._warnings.say("depth", f"no depth for camera {names}: pair model {self._model.name!r} cannot start without it")
        elif any(f.depth is not None for f in frames):
            self._warnings.over("depth")
        return frames

    def _reliable(self, frame: Frame) -> Frame:
        if frame.depth is None:
            return frame
        depth = reliable_depth(frame.depth, self._config)
        self._say_range(frame.camera, frame.depth, depth)
        return replace(frame, depth=depth)

    def _say_range(self, camera: str, given: np.ndarray, used: np.ndarray) -> None:
        """Warns of depth that is nearly all out of range, which wrong units are."""
        known = np.isfinite(given) & (given > 0)
        if np.count_nonzero(used) >= LEAST_IN_RANGE * np.count_nonzero(known):
            return
        limits, middle = self._config.pairs, float(np.median(given[known]))
        if not limits.min_depth <= middle <= limits.max_depth:
            self._warnings.say("depth", f"depth of camera {camera!r} is out of range: {middle:.3g} m in the middle, while "
                               f"pairs.min_depth and pairs.max_depth are {limits.min_depth:g} and {limits.max_depth:g} m; are "
                               "its units right (16UC1: millimetres, 32FC1: metres)?")


def reliable_depth(depth: np.ndarray, config: Config) -> np.ndarray:
    """(H, W) float32 metres, 0 where there is none, out of range, or at the edge of something."""
    good = (depth >= config.pairs.min_depth) & (depth <= config.pairs.max_depth)  # NaN is neither
    good &= ~depth_discontinuities(depth)
    return np.where(good, depth, np.float32(0.0)).astype(np.float32, copy=False)
