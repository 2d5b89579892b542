# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What an encoding string says: sample type, channels, and what the channels mean.

The strings are those of sensor_msgs/image_encodings.hpp (jazzy), plus the OpenCV forms ``<depth>C<channels>``.
"""

import re
from dataclasses import dataclass

import cv2
import numpy as np

DEPTHS = {"8U": cv2.CV_8U, "8S": cv2.CV_8S, "16U": cv2.CV_16U, "16S": cv2.CV_16S,
          "32S": cv2.CV_32S, "32F": cv2.CV_32F, "64F": cv2.CV_64F}
DTYPES = {"8U": "uint8", "8S": "int8", "16U": "uint16", "16S": "int16",
          "32S": "int32", "32F": "float32", "64F": "float64"}

# OpenCV packs (depth, channels - 1) into one integer; the step between channel counts is read, not assumed.
_CHANNEL_STEP = cv2.CV_8UC2 - cv2.CV_8UC1
_MAX_CHANNELS = 512
_GENERIC = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)(?:C([0-9]+))?")

# encoding -> (colour model, depth, channels). Planar YUV (nv21, nv24) is one plane of bytes: luma rows, then chroma.
_NAMED = {
    "mono8": ("gray", "8U", 1), "mono16": ("gray", "16U", 1),
    "rgb8": ("rgb", "8U", 3), "rgb16": ("rgb", "16U", 3), "rgba8": ("rgba", "8U", 4), "rgba16": ("rgba", "16U", 4),
    "bgr8": ("bgr", "8U", 3), "bgr16": ("bgr", "16U", 3), "bgra8": ("bgra", "8U", 4), "bgra16": ("bgra", "16U", 4),
    "uyvy": ("uyvy", "8U", 2), "yuv422": ("uyvy", "8U", 2),
    "yuyv": ("yuyv", "8U", 2), "yuv422_yuy2": ("yuyv", "8U", 2),
    "nv21": ("nv21", "8U", 1), "nv24": ("nv24", "8U", 1),
    **{f"bayer_{order}{bits}": (f"bayer_{order}", f"{bits}U", 1)
       for order in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)},
}


@dataclass(frozen=True)
class Encoding:
    """One encoding: ``model`` is the meaning of the channels, or None for bare numbers such as ``32FC1``."""

    name: str
    model: str | None
    depth: str
    channels: int

    @property
    def dtype(self) -> np.dtype:
        """NumPy type of one sample, native byte order."""
        return np.dtype(DTYPES[self.depth])

    @property
    def bits(self) -> int:
        """Bits per sample."""
        return self.dtype.itemsize * 8

    @property
    def cv_type(self) -> int:
        """OpenCV's integer for depth and channels, as ``cv2.CV_8UC3``."""
        return DEPTHS[self.depth] + (self.channels - 1) * _CHANNEL_STEP

    @property
    def is_planar(self) -> bool:
        """Whether chroma follows the luma plane, so that the buffer has more rows than the picture."""
        return self.model in ("nv21", "nv24")


def parse(encoding: str) -> Encoding:
    """Return what ``encoding`` says; RuntimeError if it is unknown."""
    named = _NAMED.get(encoding)
    if named is not None:
        return Encoding(encoding, *named)
    match = _GENERIC.fullmatch(encoding)
    channels = int(match[2] or 1) if match else 0
    if match is None or not 1 <= channels <= _MAX_CHANNELS:
        raise RuntimeError(
            f"Unrecognized image encoding [{encoding}]; known are {', '.join(sorted(_NAMED))} "
            f"and the OpenCV forms such as 8UC1, 16UC1, 32FC3 with 1 to {_MAX_CHANNELS} channels")
    return Encoding(encoding, None, match[1], channels)


def getCvType(encoding: str) -> int:  # noqa: N802 (the original's name)
    """Return OpenCV's type integer for an encoding: ``getCvType('bgr8') == cv2.CV_8UC3``; RuntimeError if unknown."""
    return parse(encoding).cv_type


def CV_MAT_CNWrap(cv_type: int) -> int:  # noqa: N802 (the original's name)
    """Return the number of channels in OpenCV's type integer."""
    return cv_type // _CHANNEL_STEP + 1


def CV_MAT_DEPTHWrap(cv_type: int) -> int:  # noqa: N802 (the original's name)
    """Return the depth (``cv2.CV_8U`` to ``cv2.CV_64F``) in OpenCV's type integer."""
    return cv_type % _CHANNEL_STEP
