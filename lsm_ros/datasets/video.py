# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A video file, through OpenCV."""
from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2

from lsm_ros.datasets.base import T_BODY_OPTICAL, CameraFile, LoggedSource, WarningLog, read_camera_file
from lsm_ros.reading import check_pixels
from lsm_ros.types import Frame, FrameSet

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv")


class VideoSource(LoggedSource):
    """Frames of a video file in order.

    Stamps are those of the container, from its own zero; where they do not grow, a frame follows the one before by the
    nominal frame time, and that is reported. The rig is the camera's body frame. OpenCV rotates frames as the container says.
    """

    ground_truth_frame = "rig"
    ground_truth = None

    @staticmethod
    def recognizes(path: Path) -> bool:
        """True for a file that is named or opens like a video."""
        return path.is_file() and path.stat().st_size > 0 and (path.suffix.lower() in VIDEO_SUFFIXES or _opens(path))

    def __init__(self, path: str | Path, *, camera: str = "camera", camera_file: str | Path | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"video {self.path} does not exist")
        self.name = self.path.stem
        self.cameras = [camera]
        self._log = WarningLog()
        self.camera_file = read_camera_file(Path(camera_file)) if camera_file is not None else CameraFile(None)
        for note in self.camera_file.notes:
            self._log.once(note)
        capture = self._open()
        try:
            self.rate_hz = _positive(capture.get(cv2.CAP_PROP_FPS)) or self.camera_file.rate_hz or 30.0
            count = _positive(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            done, image = capture.read()
        finally:
            capture.release()
        if not done or image is None:
            raise ValueError(f"video {self.path} holds no frame that OpenCV can decode")
        self._length = int(count) if count is not None else self._count()
        model = self.camera_file.intrinsics
        if model is not None and model.shape != image.shape[:2]:
            raise ValueError(f"the camera is {model.width}x{model.height}, but video {self.path} is "
                             f"{image.shape[1]}x{image.shape[0]}")

    @property
    def taken(self) -> list[str]:
        """The frames, and whether their camera is calibrated."""
        known = "calibrated" if self.camera_file.intrinsics else "no calibration"
        return [f"camera {self.cameras[0]}: {self._length} frames of the video, {self.rate_hz:.3g} Hz; {known}"]

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[FrameSet]:
        capture = self._open()
        last_ns = -1
        read = 0
        try:
            while True:
                done, bgr = capture.read()
                if not done:
                    break
                stamp_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
                if stamp_ns <= last_ns:
                    self._log.add("stamps of the video do not grow; frames counted by its rate", f"{stamp_ns} ns")
                    stamp_ns = last_ns + round(1e9 / self.rate_hz)
                last_ns = stamp_ns
                read += 1
                image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
                yield FrameSet(stamp_ns, (Frame(stamp_ns, self.cameras[0], image, self.camera_file.intrinsics),),
                               {self.cameras[0]: T_BODY_OPTICAL})
        finally:
            capture.release()
        if self._length - read > max(2, 0.01 * self._length):
            self._log.add("video ends early", f"{read} of {self._length} frames could be decoded")

    def close(self) -> None:
        """Does nothing: no file is held open."""

    def _count(self) -> int:
        """Frames of a container that does not say how many it has."""
        capture = self._open()
        count = 0
        while capture.grab():
            count += 1
        capture.release()
        return count

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise ValueError(f"{self.path} is no video that OpenCV can open")
        width, height = (capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        check_pixels(int(width), int(height), f"video {self.path}")
        return capture


def _positive(value: float) -> float | None:
    return value if math.isfinite(value) and value > 0 else None


def _opens(path: Path) -> bool:
    capture = cv2.VideoCapture(str(path))
    opened = capture.isOpened()
    capture.release()
    return bool(opened)
