# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth priors in ONNX files. A YAML file of the same name beside the model says how an image goes in and what comes out."""
from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm_ros.config import PairConfig
from lsm_ros.models.image_input import ImageInput, read_settings
from lsm_ros.models.onnx_session import OnnxSession
from lsm_ros.pairs.depth_priors.base import KINDS, MEANINGS, METRES, DepthPrior

EXAMPLE = "{size: [224, 224], layout: NCHW, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], output: disparity}"


@dataclass(frozen=True, kw_only=True)
class OnnxSettings(ImageInput):
    """output: see `MEANINGS`. focal_px: see `DepthPrior`, in pixels of the input; 0: any. engines: see `Engine`. ValueError
    that names what is wrong."""

    output: str
    focal_px: float = 0.0
    engines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output not in KINDS:
            raise ValueError(f"output must be one of {MEANINGS}; got {self.output!r}")
        if not (isinstance(self.focal_px, (int, float)) and 0 <= self.focal_px < math.inf):
            raise ValueError(f"focal_px must be a number of pixels, or 0, got {self.focal_px!r}")
        if self.focal_px and self.output != METRES:
            raise ValueError(f"focal_px is for an output in metres, not {self.output}")


class OnnxPrior(DepthPrior):
    """The model file `config.depth_prior_model`, run by ONNX Runtime. FileNotFoundError, ImportError, or ValueError for a model
    that is not as its YAML file says."""

    def __init__(self, config: PairConfig) -> None:
        path = Path(config.depth_prior_model).expanduser()
        if not config.depth_prior_model or not path.is_file():
            raise FileNotFoundError(f"depth prior onnx: there is no file {config.depth_prior_model!r}; pairs.depth_prior_model "
                                    "is the model (.onnx), with a YAML file of the same name beside it")
        self.settings = read_settings(OnnxSettings, path.with_suffix(".yaml"), EXAMPLE, MEANINGS)
        self.name, self.kind = f"depth prior {path.name}", self.settings.output
        self.focal_px, self.focal_width = float(self.settings.focal_px), self.settings.size[1]
        self._session = OnnxSession(path, self.settings, self.settings.engines)
        self.predict(np.zeros((*self.settings.size, 3), np.uint8))  # what does not run is refused now

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Values (h, w) of an image (H, W, 3) uint8 RGB. ValueError where the model fails, or gives no image."""
        out = self._session.run(self.settings.prepare(image))[0]
        kept = [n for n in out.shape if n != 1]
        if len(kept) != 2:
            raise ValueError(f"{self.name} gives an output {out.shape}, where one image of depths is needed")
        return out.reshape(kept)
