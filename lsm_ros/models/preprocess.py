# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Images as the networks were trained on them: resized, cropped to whole patches, from -1 to 1."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.models.blocks import PATCH
from lsm_ros.reading import check_pixels

SQUARE_SIZE = 224  # networks of this size see a square, all others the whole width


@dataclass(frozen=True)
class Crop:
    """Mapping from pixels of an image to those of a network's input. Pixel centres are integers.

    width, height: of the input. resized: (width, height) of the whole image before cropping; left, top: pixels cut off;
    source: (width, height) of the image.
    """

    width: int
    height: int
    resized: tuple[int, int]
    left: int
    top: int
    source: tuple[int, int]

    def to_input(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of the image to those of the input."""
        scale = np.array(self.resized) / np.array(self.source)
        return (np.asarray(pixels) + 0.5) * scale - 0.5 - (self.left, self.top)

    def to_image(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of the input to those of the image."""
        scale = np.array(self.source) / np.array(self.resized)
        return (np.asarray(pixels) + (self.left, self.top) + 0.5) * scale - 0.5

    def intrinsics(self, camera: CameraIntrinsics) -> CameraIntrinsics:
        """The camera of the input, from that of the image."""
        (cx, cy), (sx, sy) = self.to_input(np.array([camera.cx, camera.cy])), np.array(self.resized) / np.array(self.source)
        return replace(camera, width=self.width, height=self.height, fx=camera.fx * float(sx), fy=camera.fy * float(sy),
                       cx=float(cx), cy=float(cy))


def plan_crop(width: int, height: int, size: int = 512, *, square_ok: bool = False, patch: int = PATCH, whole: bool = False
              ) -> Crop:
    """Plan for resizing and cropping an image of width x height.

    size 224, unless `whole`: the short side becomes 224, then the largest centred square. Others: the long side becomes `size`,
    then whole patches around the centre; a square loses a quarter of its height unless square_ok. ValueError for an image
    from which no patch is left.
    """
    if min(width, height) < 1 or size < patch:
        raise ValueError(f"an image of {width}x{height} pixels cannot be brought to size {size}")
    longest, square = max(width, height), size == SQUARE_SIZE and not whole
    goal = round(size * longest / min(width, height)) if square else size
    w, h = (round(s * goal / longest) for s in (width, height))
    cx, cy = w // 2, h // 2
    if square:
        half_w = half_h = min(cx, cy)
    else:
        half_w, half_h = ((2 * c) // patch * patch // 2 for c in (cx, cy))
        if w == h and not square_ok:
            half_h = 3 * half_w // 4
    if not half_w or not half_h:
        raise ValueError(f"an image of {width}x{height} pixels at size {size} is narrower than a patch of {patch} pixels")
    return Crop(2 * half_w, 2 * half_h, (w, h), cx - half_w, cy - half_h, (width, height))


def preprocess(image: np.ndarray | Any, size: int = 512, *, square_ok: bool = False, patch: int = PATCH, index: int = 0
               ) -> dict[str, Any]:
    """The view dict of one image.

    image: (H, W, 3) uint8 RGB or a PIL image of any mode. Returns img (1, 3, h, w) float32 from -1 to 1, true_shape (1, 2)
    int32, idx, instance, and crop. ValueError for another layout or dtype.
    """
    pixels, crop = resize(image, size, square_ok=square_ok, patch=patch)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    return {"img": (tensor - 0.5) / 0.5, "true_shape": np.array([[crop.height, crop.width]], np.int32), "idx": index,
            "instance": str(index), "crop": crop}


def resize(image: np.ndarray | Any, size: int = 512, *, square_ok: bool = False, patch: int = PATCH, whole: bool = False
           ) -> tuple[np.ndarray, Crop]:
    """(h, w, 3) uint8 pixels of the network's input, and the crop that made them. Arguments as of `plan_crop`."""
    from PIL import Image

    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"expected an image (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}")
        image = Image.fromarray(image)
    elif not isinstance(image, Image.Image):
        raise ValueError(f"expected an image (H, W, 3) uint8 RGB or a PIL image, got {type(image).__name__}")
    image = image.convert("RGB")
    crop = plan_crop(*image.size, size, square_ok=square_ok, patch=patch, whole=whole)
    way = Image.LANCZOS if max(image.size) > max(crop.resized) else Image.BICUBIC  # their names in every Pillow
    box = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
    return np.array(image.resize(crop.resized, way).crop(box)), crop


def load_images(paths: Sequence[str | Path], size: int = 512, *, square_ok: bool = False, patch: int = PATCH
                ) -> list[dict[str, Any]]:
    """View dicts of image files, turned as their EXIF says. FileNotFoundError or ValueError names a file that is no image."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    views = []
    for index, path in enumerate(paths):
        if not Path(path).is_file():
            raise FileNotFoundError(f"image {path} does not exist")
        try:
            with Image.open(path) as opened:
                check_pixels(*opened.size, str(path))
                image = ImageOps.exif_transpose(opened).convert("RGB")
        except Image.DecompressionBombError as error:
            raise ValueError(f"{path} claims too many pixels: {error}") from error
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"{path} is no image that can be read: {error}") from error
        views.append(preprocess(image, size, square_ok=square_ok, patch=patch, index=index))
    return views
