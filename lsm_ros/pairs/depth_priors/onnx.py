# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth priors in ONNX files. A YAML file of the same name beside the model says how an image goes in and what comes out."""
from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lsm_ros.config import PairConfig
from lsm_ros.models.onnx_engine import Engine
from lsm_ros.pairs.depth_priors.base import KINDS, MEANINGS, METRES, DepthPrior
from lsm_ros.reading import read_yaml_file

NCHW, NHWC = "NCHW", "NHWC"
EXAMPLE = "{size: [224, 224], layout: NCHW, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], output: disparity}"


@dataclass(frozen=True)
class OnnxSettings:
    """size: (height, width) of the input, to which the image is stretched. layout: NCHW or NHWC. mean, std: of each colour, as
    (value / 255 - mean) / std. output: see `MEANINGS`. focal_px: see `DepthPrior`, in pixels of the input; 0: any. engines: see
    `Engine`. ValueError that names what is wrong."""

    size: tuple[int, int]
    output: str
    layout: str = NCHW
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    focal_px: float = 0.0
    engines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(isinstance(n, int) and 2 <= n <= 8192 for n in self.size):
            raise ValueError(f"size must be [height, width] in pixels, got {self.size}")
        if self.output not in KINDS:
            raise ValueError(f"output must be one of {MEANINGS}; got {self.output!r}")
        if self.layout not in (NCHW, NHWC):
            raise ValueError(f"layout must be {NCHW} or {NHWC}, got {self.layout!r}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
                raise ValueError(f"{name} must be three numbers, of red, green and blue, got {values}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0, got {self.std}")
        if not (isinstance(self.focal_px, (int, float)) and 0 <= self.focal_px < math.inf):
            raise ValueError(f"focal_px must be a number of pixels, or 0, got {self.focal_px!r}")
        if self.focal_px and self.output != METRES:
            raise ValueError(f"focal_px is for an output in metres, not {self.output}")


def read_settings(path: Path) -> OnnxSettings:
    """The settings in a YAML file. FileNotFoundError, ValueError that names the file and what is wrong."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; it says how the model beside it is used, as in\n{EXAMPLE}\nwhere "
                                f"output is one of {MEANINGS}")
    values, names = read_yaml_file(path, str(path)), [f.name for f in fields(OnnxSettings)]
    if not isinstance(values, dict) or not {"size", "output"} <= values.keys() or values.keys() - set(names):
        found = ", ".join(map(str, values)) if isinstance(values, dict) else type(values).__name__
        raise ValueError(f"{path}: it needs size and output, and may have {', '.join(names[2:])}; it has: {found}")
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return OnnxSettings(**given)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


class OnnxPrior(DepthPrior):
    """The model file `config.depth_prior_model`, run by ONNX Runtime. FileNotFoundError, ImportError, or ValueError for a model
    that is not as its YAML file says."""

    def __init__(self, config: PairConfig) -> None:
        path = Path(config.depth_prior_model).expanduser()
        if not config.depth_prior_model or not path.is_file():
            raise FileNotFoundError(f"depth prior onnx: there is no file {config.depth_prior_model!r}; pairs.depth_prior_model "
                                    "is the model (.onnx), with a YAML file of the same name beside it")
        self.settings = read_settings(path.with_suffix(".yaml"))
        self.name, self.kind = f"depth prior {path.name}", self.settings.output
        self.focal_px, self.focal_width = float(self.settings.focal_px), self.settings.size[1]
        self._engine = Engine(path, self.settings.engines)
        self._input = self._checked_input(path)
        self.predict(np.zeros((*self.settings.size, 3), np.uint8))  # what does not run is refused now

    def _checked_input(self, path: Path) -> str:
        """Name of the input. ValueError unless it takes images as the settings say."""
        inputs = self._engine.inputs
        (height, width), settings = self.settings.size, self.settings
        shape = [1, 3, height, width] if settings.layout == NCHW else [1, height, width, 3]
        said = "; ".join(f"{name} {kind} {wanted}" for name, kind, wanted in inputs)
        name, kind, wanted = inputs[0]
        fits = len(inputs) == 1 and kind == "tensor(float)" and len(wanted) == 4 and all(
            not isinstance(n, int) or n == m for n, m in zip(wanted, shape, strict=True))
        if not fits:
            raise ValueError(f"{path} takes {said}, where {path.with_suffix('.yaml')} says one tensor(float) {shape}: correct "
                             "its size or layout")
        return name

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Values (h, w) of an image (H, W, 3) uint8 RGB. ValueError where the model fails, or gives no image."""
        height, width = self.settings.size
        smaller = height * width < image.shape[0] * image.shape[1]
        pixels = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        mean, std = (np.array(v, np.float32) for v in (self.settings.mean, self.settings.std))
        x = (pixels.astype(np.float32) / 255 - mean) / std
        x = np.ascontiguousarray((x.transpose(2, 0, 1) if self.settings.layout == NCHW else x)[None])
        out = self._engine.run({self._input: x})[self._engine.outputs[0]]
        kept = [n for n in out.shape if n != 1]
        if len(kept) != 2:
            raise ValueError(f"{self.name} gives an output {out.shape}, where one image of depths is needed")
        return out.reshape(kept)
