# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cameras that change their resolution while they are mapped with: their images go on in the same map."""
from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.slam.trackers import Tracker
from lsm_ros.types import UNLABELLED, Frame


@dataclass(frozen=True)
class _First:
    """A camera when its map began: size (height, width), and calibration without distortion if it had one."""

    size: tuple[int, int]
    intrinsics: CameraIntrinsics | None


class SizeKeeper:
    """Images of a camera as its first ones were, so that all its keyframes are alike."""

    def __init__(self, warnings: Warnings) -> None:
        self._warnings = warnings
        self._first: dict[str, _First] = {}

    def clear(self) -> None:
        """Forgets all cameras."""
        self._first.clear()

    def __call__(self, frame: Frame, tracker: Tracker) -> Frame:
        """The frame (without distortion) in the size of the first one of its camera, as that would have seen it.

        ValueError for one of another size whose camera is not known as well as it was, or has other proportions.
        """
        first = self._first.get(frame.camera) or self._known(frame, tracker)
        size = frame.image.shape[:2]
        if size == first.size:
            if first.intrinsics is None and frame.intrinsics is not None:
                first = replace(first, intrinsics=frame.intrinsics)
            self._first[frame.camera] = first
            return frame
        change = f"images of camera {frame.camera!r} changed from {first.size[1]}x{first.size[0]} to {size[1]}x{size[0]}"
        if first.intrinsics is not None and frame.intrinsics is None:
            raise ValueError(f"{change}, and no camera_info fits them: they get no pose")
        if first.intrinsics is None and abs(size[0] * first.size[1] - size[1] * first.size[0]) > max(first.size):
            raise ValueError(f"{change}, of other proportions, and the camera has no calibration: they get no pose")
        self._warnings.say(f"size {frame.camera}", f"{change}: they are brought to the size of the first")
        if first.intrinsics is None or frame.intrinsics is None:
            scale = np.array([first.size[1] / size[1], first.size[0] / size[0]])
            return _moved(frame, first.size, np.diag(scale), (scale - 1) / 2, None)  # corners, at -0.5, stay corners
        k, to = frame.intrinsics, first.intrinsics
        scale = np.diag([to.fx / k.fx, to.fy / k.fy])
        return _moved(frame, first.size, scale, np.array([to.cx, to.cy]) - scale @ [k.cx, k.cy], to)

    def _known(self, frame: Frame, tracker: Tracker) -> _First:
        """The camera in a map that was loaded, else as it is now."""
        newest = tracker.graph.newest
        view = None if newest is None else newest.views.get(frame.camera)
        if view is not None:
            is_guess = frame.camera in tracker.cameras.uncalibrated
            return _First(view.intrinsics.shape, None if is_guess else view.intrinsics)
        return _First(frame.image.shape[:2], frame.intrinsics)


def _moved(frame: Frame, size: tuple[int, int], scale: np.ndarray, shift: np.ndarray,
           intrinsics: CameraIntrinsics | None) -> Frame:
    """The frame with its pixels at scale (2, 2) @ pixel + shift (2,), and its parts in a size (height, width)."""
    M = np.column_stack([scale, shift])
    smooth = frame.image
    if scale[0, 0] < 1:  # so that nothing is skipped between the samples
        smooth = cv2.GaussianBlur(smooth, (0, 0), 0.5 / scale[0, 0])

    def nearest(values: np.ndarray, fill: int) -> np.ndarray:
        return cv2.warpAffine(values, M, size[::-1], flags=cv2.INTER_NEAREST, borderValue=fill)

    return replace(frame, image=cv2.warpAffine(smooth, M, size[::-1], flags=cv2.INTER_LINEAR), intrinsics=intrinsics,
                   depth=None if frame.depth is None else nearest(frame.depth, 0),
                   labels=None if frame.labels is None else nearest(frame.labels, UNLABELLED),
                   mask=None if frame.mask is None else nearest(frame.mask.view(np.uint8), 0) > 0)
