# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Masks of cameras: the pixels where a camera sees the robot itself, which moves with it and is no part of any map."""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from lsm_ros.mapping.warnings import Warnings
from lsm_ros.reading import check_pixels, no_file, reading
from lsm_ros.semantics.layer import unmasked_labels
from lsm_ros.types import Frame

HALF = 128  # below it, alpha or grey is masked
MOST_COLOUR = 24  # difference of red, green and blue in an image that is still grey


def parse_masks(text: str) -> dict[str, Path]:
    """Files by camera of `camera=file, camera=file`; empty for an empty text. ValueError for another form or a camera twice."""
    out: dict[str, Path] = {}
    for part in text.split(",") if text.strip() else ():
        camera, separator, file = (p.strip() for p in part.partition("="))
        if not separator or not camera or not file:
            raise ValueError(f"camera_masks {text!r}: expected camera=file, camera=file (without commas in names), got "
                             f"{part.strip()!r}")
        if camera in out:
            raise ValueError(f"camera_masks {text!r}: camera {camera!r} has two masks")
        out[camera] = Path(file).expanduser()
    return out


def check_cameras(text: str, cameras: Collection[str]) -> None:
    """ValueError if `camera_masks` names a camera that is none of these."""
    for camera in parse_masks(text):
        if camera not in cameras:
            raise ValueError(f"camera_masks: there is no camera {camera!r}; there are: {', '.join(sorted(cameras))}")


def read_mask(path: Path) -> np.ndarray:
    """(H, W) bool, true where the robot is: where the image is transparent, or without transparency where it is dark.
    FileNotFoundError; ValueError for what is no such image, and for one that masks everything or nothing."""
    from PIL import Image

    if not path.is_file():
        raise no_file(path, "mask", "an image")
    with reading(path), Image.open(path) as opened:
        width, height = opened.size
        check_pixels(width, height, str(path))
        values = _levels(opened)
    mask: np.ndarray = values < HALF
    if mask.all() or not mask.any():
        raise ValueError(f"mask {path} masks {'every pixel' if mask.any() else 'nothing'}: the robot has to be transparent, or "
                         "black (0) in a grey image, and all else opaque, or white (255)")
    return mask


def _levels(image: object) -> np.ndarray:
    """(H, W) numbers from 0 to 255 of a PIL image: its alpha, where that is not opaque throughout, else its grey."""
    from PIL import Image

    assert isinstance(image, Image.Image)
    if image.mode.startswith("I") or image.mode == "F":
        deep = np.asarray(image)
        if image.mode == "F" or deep.min() < 0 or deep.max() > 65535:
            raise ValueError(f"a mask has 8 or 16 bits a pixel, this image is of mode {image.mode}")
        return deep / 257
    rgba = np.asarray(image.convert("RGBA"))
    if rgba[..., 3].min() < 255:
        return rgba[..., 3]
    colours = rgba[..., :3]
    spread = int((colours.max(2).astype(int) - colours.min(2)).max())
    if spread > MOST_COLOUR:
        raise ValueError("it is a colour picture without transparency; make the robot transparent, or black in a white image")
    return colours[..., 1]


class CameraMasks:
    """The masks of cameras, by the parameter `camera_masks`. ValueError or FileNotFoundError for files that are none."""

    def __init__(self, text: str, warnings: Warnings) -> None:
        self._warnings = warnings
        self._files = parse_masks(text)
        self._masks = {camera: read_mask(file) for camera, file in self._files.items()}
        self._seen: set[str] = set()

    def attach(self, frame: Frame) -> Frame:
        """The frame, as the camera gave it, with its mask. A mask of the same proportions is scaled to the image, which is
        said; ValueError for one of other proportions."""
        if not self._masks:
            return frame
        self._seen.add(frame.camera)
        self._look_for_cameras()
        mask = self._masks.get(frame.camera)
        if mask is None:
            return frame
        (rows, columns), (height, width) = mask.shape, frame.image.shape[:2]
        sizes = (f"the mask {self._files[frame.camera]} of camera {frame.camera!r} is {columns}x{rows}, its image "
                 f"{width}x{height}")
        if (rows, columns) == (height, width):
            self._warnings.over(f"mask {frame.camera}")
        elif abs(rows * width - columns * height) > max(rows, columns, height, width):
            raise ValueError(f"{sizes}: make a mask of the size of the image")
        else:
            self._warnings.say(f"mask {frame.camera}", f"{sizes}: the mask is scaled")
            share = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
            mask = share > 0
        return replace(frame, mask=mask)

    def _look_for_cameras(self) -> None:
        """Warns of masks whose cameras gave no image so far, as of a name that is misspelt."""
        missing = [c for c in self._masks if c not in self._seen]
        if missing:
            self._warnings.say("masks", f"camera_masks: no image of camera {', '.join(map(repr, missing))} so far; there are "
                               f"images of {', '.join(map(repr, sorted(self._seen)))}")
        else:
            self._warnings.over("masks")


def without_robot(frame: Frame) -> Frame:
    """The frame without depth and labels where its mask is."""
    if frame.mask is None:
        return frame
    return replace(frame, depth=None if frame.depth is None else np.where(frame.mask, np.float32(0), frame.depth),
                   labels=None if frame.labels is None else unmasked_labels(frame.labels, frame))
