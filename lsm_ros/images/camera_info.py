# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The camera that a sensor_msgs/CameraInfo describes, for the images that come with it; bags and the node share it.

By the definition of the message, width, height, K and P are of the whole sensor; its region of interest is a window of that,
and binning makes the window smaller. So K is shifted, then scaled.
"""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.distortion import standard_model

__all__ = ["CameraInfoReader", "camera_from_info", "camera_of_image", "without_skew"]

Size = tuple[int, int]  # height, width


def camera_from_info(width: int, height: int, K: ArrayLike, D: ArrayLike = (), distortion_model: str = "",
                     P: ArrayLike | None = None, rectified: bool = False) -> tuple[CameraIntrinsics | None, list[str]]:
    """Camera of the whole sensor, None if it is not calibrated (K[0] is 0), and notes on what of it is not used.

    K: 9 values; P: 12 values, taken instead of K and D where the images are `rectified`. ValueError for NaN, a zero size, an
    unknown distortion model or coefficients that it does not have.
    """
    matrix = np.asarray(K, dtype=np.float64).reshape(-1)
    D = tuple(float(d) for d in np.asarray(D, dtype=np.float64).reshape(-1))
    if not np.isfinite(matrix).all():
        raise ValueError(f"K holds a value that is not finite: {matrix.tolist()}")
    if rectified and P is not None:
        projection = np.asarray(P, dtype=np.float64).reshape(3, 4)
        if projection[0, 0] != 0:
            matrix, D = projection[:, :3].reshape(-1), ()
    if matrix.size == 9 and matrix[0] == 0:
        return None, []
    matrix, notes = without_skew(matrix)
    return CameraIntrinsics.from_K(matrix, width, height, *standard_model(distortion_model, D)), notes


def without_skew(K: ArrayLike) -> tuple[np.ndarray, list[str]]:
    """K (9 values) with square corners, for pixels of today's sensors have them, and a note if it was another one."""
    matrix = np.array(K, dtype=np.float64).reshape(-1)
    if matrix.size != 9 or matrix[1] == 0:
        return matrix, []
    skew, matrix[1] = matrix[1], 0.0
    return matrix, [f"its skew of {skew:g} px is ignored"]


def camera_of_image(message: Any, size: Size, rectified: bool = False) -> tuple[CameraIntrinsics | None, list[str]]:
    """Camera of images of a size (height, width) that come with a CameraInfo (a message of rclpy or rosbags), and notes on
    what was assumed or is not used. None if it is not calibrated. ValueError for one that is unusable, or of another size.
    """
    roi, binning = message.roi, (max(int(message.binning_x), 1), max(int(message.binning_y), 1))
    width, height, more = int(message.width), int(message.height), []
    window = (int(roi.x_offset), int(roi.y_offset), int(roi.width) or width, int(roi.height) or height)
    if width == height == 0:
        height, width, window, binning = *size, (0, 0, size[1], size[0]), (1, 1)
        more = [f"it names no size: it is taken as of images of {width}x{height}"]
    whole, notes = camera_from_info(width, height, message.k, message.d, message.distortion_model, message.p, rectified)
    if whole is None:
        return None, []
    part = _part(whole, window, binning)
    if part.shape == size:
        return part, notes + more
    if whole.shape == size:
        return whole, [*notes, "its binning and region of interest are ignored, since the images have its full size"]
    raise ValueError(f"the image has another size: it is {size[1]}x{size[0]}, but camera_info is for "
                     f"{part.width}x{part.height}")


def _part(whole: CameraIntrinsics, window: tuple[int, int, int, int], binning: tuple[int, int]) -> CameraIntrinsics:
    """Camera of a window (x, y, width, height) of the sensor, made smaller by binning (x, y); what fills no pixel is cut."""
    x, y, w, h = window
    columns, rows = w // binning[0], h // binning[1]
    try:
        return whole.crop(x, y, columns * binning[0], rows * binning[1]).resize(columns, rows)
    except ValueError as error:
        raise ValueError(f"its region of interest or binning cannot be: {error}") from error


class CameraInfoReader:
    """The camera of one topic of images by its newest camera_info.

    An unusable camera_info leaves the last usable one in force where that fits the images. problem: what is wrong with the
    newest one, or ''; notes: what of it was assumed or is not used.
    """

    def __init__(self) -> None:
        self._key = ""
        self._last: CameraIntrinsics | None = None
        self.problem = ""
        self.notes: tuple[str, ...] = ()

    def read(self, message: Any | None, size: Size, rectified: bool = False) -> CameraIntrinsics | None:
        """Camera of an image of a size (height, width) by the newest camera_info (None: there is none); None if it has none.

        rectified: the images are free of distortion, so that P counts instead of K and D.
        """
        key = "" if message is None else repr((size, [_plain(getattr(message, name)) for name in _FIELDS]))
        if key not in ("", self._key):  # as text, for NaN does not equal itself
            self._key = key
            self._take(message, size, rectified)
        return self._last if self._last is not None and self._last.shape == size else None

    def _take(self, message: Any, size: Size, rectified: bool) -> None:
        stays = "the last usable one stays" if self._last is not None and self._last.shape == size else \
            "the camera is taken as uncalibrated"
        self.problem, self.notes = "", ()
        try:
            found, notes = camera_of_image(message, size, rectified)
        except ValueError as error:
            self.problem = f"is unusable, {stays}: {error}"
            return
        if found is None:
            self.problem = f"has a K of zero (not calibrated), {stays}"
            return
        self._last, self.notes = found, tuple(notes)


_FIELDS = ("width", "height", "distortion_model", "d", "k", "p", "binning_x", "binning_y", "roi")


def _plain(value: Any) -> Any:
    """A field of a message as something whose text is short and whole."""
    if hasattr(value, "x_offset"):
        return value.x_offset, value.y_offset, value.width, value.height
    return value if isinstance(value, str | int) else np.asarray(value).tolist()
