# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Photographs of a folder: of any sizes, by any cameras, in any order, with what EXIF says of them."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm_ros.datasets.base import IMAGE_SUFFIXES, image_size, read_color
from lsm_ros.datasets.images import list_images, stamps_from_names
from lsm_ros.reading import no_folder

_EXIF_IFD, _FOCAL_35MM, _MAKE, _MODEL = 0x8769, 0xA405, 0x010F, 0x0110
_DIAGONAL_35MM = 43.27  # millimetres
SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Photograph:
    """path; size (H, W), turned as EXIF says; stamp_ns. focal_px: what EXIF says, None where it says nothing. camera: equal for
    photographs of one camera at one focal length and size."""

    path: Path
    size: tuple[int, int]
    stamp_ns: int
    focal_px: float | None
    camera: tuple[object, ...]

    def load(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB, turned as EXIF says. ValueError if it cannot be read."""
        return read_color(self.path)


def read_photographs(folder: Path, progress: Callable[[int, int], None] = lambda done, total: None
                     ) -> tuple[list[Photograph], dict[str, str]]:
    """Photographs in natural order of their names, and why others cannot be read, by name.

    Stamps are their names where all are times, else the place in that order in seconds. FileNotFoundError or ValueError for a
    folder that is none, or holds no images.
    """
    if not folder.is_dir():
        raise no_folder(folder)
    files = list_images(folder)
    if not files:
        raise ValueError(f"folder {folder} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    stamps = stamps_from_names([f.stem for f in files])
    if stamps is not None:
        order = sorted(range(len(files)), key=stamps.__getitem__)
        files, stamps = [files[n] for n in order], [stamps[n] for n in order]
    found, broken = [], {}
    for n, file in enumerate(files):
        progress(n, len(files))
        try:
            size = read_color(file).shape[:2]
        except ValueError as error:
            broken[file.name] = f"cannot be read: {error}"
            continue
        focal, camera = _exif(file, size)
        found.append(Photograph(file, size, n * SECOND_NS if stamps is None else stamps[n], focal, camera))
    return found, broken


def _exif(file: Path, size: tuple[int, int]) -> tuple[float | None, tuple[object, ...]]:
    """Focal length in pixels, or None; and a key that is equal for photographs of one camera."""
    from PIL import Image

    if image_size(file) is None:
        return None, (size,)
    with Image.open(file) as image:
        exif = image.getexif()
        focal_35mm = exif.get_ifd(_EXIF_IFD).get(_FOCAL_35MM)
        maker = tuple(str(exif.get(tag, "")) for tag in (_MAKE, _MODEL))
    try:
        focal = float(focal_35mm or 0) / _DIAGONAL_35MM * float(np.hypot(*size))
    except (TypeError, ValueError):
        focal = 0.0
    return (focal if 0.1 * max(size) < focal < 50 * max(size) else None), (size, maker, focal_35mm)
