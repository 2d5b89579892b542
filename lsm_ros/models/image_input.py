# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Images for networks that come as a file: a YAML file of the same name beside the model says how an image goes in."""
from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from lsm_ros.reading import read_yaml_file

NCHW, NHWC = "NCHW", "NHWC"


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """size: (height, width) of the input, to which the image is stretched. layout: NCHW or NHWC. mean, std: of each colour, as
    (value / 255 - mean) / std. ValueError that names what is wrong."""

    size: tuple[int, int]
    layout: str = NCHW
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(isinstance(n, int) and 2 <= n <= 8192 for n in self.size):
            raise ValueError(f"size must be [height, width] in pixels, got {self.size}")
        if self.layout not in (NCHW, NHWC):
            raise ValueError(f"layout must be {NCHW} or {NHWC}, got {self.layout!r}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
                raise ValueError(f"{name} must be three numbers, of red, green and blue, got {values}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0, got {self.std}")

    @property
    def shape(self) -> list[int]:
        """Shape of the input with one image."""
        return [1, 3, *self.size] if self.layout == NCHW else [1, *self.size, 3]

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """The input, float32 of `shape`, of an image (H, W, 3) uint8 RGB."""
        height, width = self.size
        smaller = height * width < image.shape[0] * image.shape[1]
        pixels = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        mean, std = (np.array(v, np.float32) for v in (self.mean, self.std))
        x = (pixels.astype(np.float32) / 255 - mean) / std
        return np.ascontiguousarray((x.transpose(2, 0, 1) if self.layout == NCHW else x)[None])


Settings = TypeVar("Settings", bound=ImageInput)


def read_settings(kind: type[Settings], path: Path, example: str, meaning: str) -> Settings:
    """Settings of a class in a YAML file. example, meaning: for errors, the content of such a file and of its output.
    FileNotFoundError, ValueError that names the file and what is wrong."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; it says how the model beside it is used, as in\n{example}\nwhere "
                                f"output is one of {meaning}")
    values = read_yaml_file(path, str(path))
    needed = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    others = [f.name for f in fields(kind) if f.name not in needed]
    if not isinstance(values, dict) or not set(needed) <= values.keys() or values.keys() - {*needed, *others}:
        found = ", ".join(map(str, values)) if isinstance(values, dict) else type(values).__name__
        raise ValueError(f"{path}: it needs {' and '.join(needed)}, and may have {', '.join(others)}; it has: {found}")
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return kind(**given)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
