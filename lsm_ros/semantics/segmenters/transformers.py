# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Segmenters of the package transformers, from a folder or Hugging Face's cache: SegFormer, Mask2Former, OneFormer, EoMT and
others that its classes for semantic and universal segmentation load.

Nothing is downloaded.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.config import Config
from lsm_ros.models.hub import find_in_hub
from lsm_ros.semantics.label_spaces import plain, space_of
from lsm_ros.semantics.segmenters.network import NetworkSegmenter
from lsm_ros.semantics.segmenters.outputs import LOGITS, MASKS, best_class, class_scores

TASK = "oneformer"  # the only kind that is asked, in words, for what it is to do
IN_PARTS = "eomt"


class TransformersSegmenter(NetworkSegmenter):
    """The model `semantics.segmenter_model`, on the GPU if there is one; its names are those of its configuration. ImportError,
    FileNotFoundError where it is not on this machine, or ValueError for one that segments no images."""

    def __init__(self, config: Config) -> None:
        given = config.semantics.segmenter_model
        if not given:
            raise FileNotFoundError("segmenter transformers: semantics.segmenter_model must be a folder with a model, or a "
                                    "Hugging Face id such as nvidia/segformer-b0-finetuned-ade-512-512")
        self.name = f"segmenter {Path(given).name}"
        self._processor, self._model = _loaded(given)
        names = {int(i): str(n) for i, n in self._model.config.id2label.items()}
        self._begin(config, space_of(sorted(_apart(names).items())))
        self.predict(np.zeros((64, 64, 3), np.uint8))  # what does not run is refused now

    def predict(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class and probability of each pixel; of EoMT, which looks at parts of the image that the package puts together, the
        probability is 1."""
        import torch

        asked = {"task_inputs": ["semantic"]} if self._model.config.model_type == TASK else {}
        inputs = self._processor(images=image, return_tensors="pt", **asked)
        with torch.inference_mode():
            out = self._model(**inputs.to(self._model.device))
        height, width = image.shape[:2]
        if self._model.config.model_type.startswith(IN_PARTS):
            found = self._processor.post_process_semantic_segmentation(out, target_sizes=[(height, width)])[0].cpu().numpy()
            return found.astype(np.int64), np.ones(found.shape, np.float32)
        logits = getattr(out, "logits", None)
        kind, given = (LOGITS, [logits]) if logits is not None else (
            MASKS, [getattr(out, "class_queries_logits", None), getattr(out, "masks_queries_logits", None)])
        if any(g is None for g in given):
            raise ValueError(f"{self.name} gives {', '.join(out)}, where logits, or queries with classes and masks, are needed")
        arrays = [g.float().cpu().numpy() for g in given if g is not None]
        try:
            return best_class(class_scores(kind, arrays, len(self._ids), True), height, width)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error


def _apart(names: dict[int, str]) -> dict[int, str]:
    """The names, each once: of classes with the same name, the later ones carry their number."""
    seen: set[str] = set()
    out = {}
    for i, name in sorted(names.items()):
        out[i] = f"{name} {i}" if plain(name) in seen else name
        seen.add(plain(name))
    return out


def _loaded(name: str) -> tuple[Any, Any]:
    """Image processor and model. Errors as of `TransformersSegmenter`."""
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ImportError("segmenter transformers needs the package transformers: pip install transformers") from error
    folder = Path(name).expanduser()
    place = str(folder if folder.is_dir() else find_in_hub(name))
    try:
        settings = transformers.AutoConfig.from_pretrained(place, local_files_only=True)
        processor_kind = transformers.AutoProcessor if settings.model_type == TASK else transformers.AutoImageProcessor
        processor = processor_kind.from_pretrained(place, local_files_only=True)
        try:
            model = transformers.AutoModelForSemanticSegmentation.from_pretrained(place, local_files_only=True)
        except ValueError:  # it is of another kind
            model = transformers.AutoModelForUniversalSegmentation.from_pretrained(place, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"segmenter transformers: {place} holds no model that segments images: {error}") from error
    return processor, model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
