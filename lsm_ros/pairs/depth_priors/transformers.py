# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth priors of the package transformers (AutoModelForDepthEstimation), from a folder or Hugging Face's cache.

Nothing is downloaded.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.config import PairConfig
from lsm_ros.models.hub import find_in_hub
from lsm_ros.pairs.depth_priors.base import DISPARITY, METRES, DepthPrior

GIVES = {"depth_anything": DISPARITY, "dpt": DISPARITY, "depth_pro": METRES, "glpn": METRES, "zoedepth": METRES,
         "prompt_depth_anything": METRES}
"""Kind of the values by `model_type`. Depth Anything says itself when it gives metres (`depth_estimation_type`)."""


class TransformersPrior(DepthPrior):
    """The model `config.depth_prior_model`, on the GPU if there is one. ImportError, FileNotFoundError where it is not on this
    machine, or ValueError for one that estimates no depth."""

    def __init__(self, config: PairConfig) -> None:
        name = config.depth_prior_model
        if not name:
            raise FileNotFoundError("depth prior transformers: pairs.depth_prior_model must be a folder with a model, or a "
                                    "Hugging Face id such as depth-anything/Depth-Anything-V2-Small-hf")
        self.name = f"depth prior {Path(name).name}"
        self._processor, self._model, self.kind = load_model(name)

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Values (h, w) of an image (H, W, 3) uint8 RGB."""
        import torch

        inputs = self._processor(images=image, return_tensors="pt").to(self._model.device)
        with torch.inference_mode():
            out = self._model(**inputs).predicted_depth
        return np.asarray(out.squeeze(0).float().cpu().numpy())


def load_model(name: str) -> tuple[Any, Any, str]:
    """Image processor, model, and kind of its values. Errors as of `TransformersPrior`."""
    processor, model = _loaded(name)
    settings = model.config
    if settings.model_type not in GIVES:
        raise ValueError(f"{name} is a {settings.model_type}, of which it is not known what it gives; known are "
                         f"{', '.join(sorted(GIVES))}")
    metric = getattr(settings, "depth_estimation_type", "") == "metric"
    return processor, model, METRES if metric else GIVES[settings.model_type]


def _loaded(name: str) -> tuple[Any, Any]:
    """Image processor and model. Errors as of `TransformersPrior`."""
    try:
        import torch
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation
    except ImportError as error:
        raise ImportError("depth prior transformers needs the package transformers: pip install transformers") from error
    folder = Path(name).expanduser()
    place = str(folder if folder.is_dir() else find_in_hub(name))
    try:
        processor = AutoImageProcessor.from_pretrained(place, local_files_only=True)
        model = AutoModelForDepthEstimation.from_pretrained(place, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ValueError(f"depth prior transformers: {place} holds no model that estimates depth: {error}") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return processor, model.eval().to(device)
