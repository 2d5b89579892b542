# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Networks in ONNX files, run by ONNX Runtime."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lsm_ros.models.image_input import ImageInput


class OnnxSession:
    """A model with one image as its input. name: as in messages. ImportError, or ValueError for what is no model, or for one
    that does not take images as the settings, read from the YAML file beside it, say."""

    def __init__(self, path: Path, settings: ImageInput, name: str) -> None:
        self._name = name
        self._session = _session(path, name)
        inputs, shape = self._session.get_inputs(), settings.shape
        fits = len(inputs) == 1 and inputs[0].type == "tensor(float)" and len(inputs[0].shape) == 4 and all(
            not isinstance(n, int) or n == m for n, m in zip(inputs[0].shape, shape, strict=True))
        if not fits:
            said = "; ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise ValueError(f"{path} takes {said}, where {path.with_suffix('.yaml')} says one tensor(float) {shape}: correct "
                             "its size or layout")
        self._input = str(inputs[0].name)

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        """All outputs for an input as of `ImageInput.prepare`. ValueError where the model fails."""
        try:
            return [np.asarray(out) for out in self._session.run(None, {self._input: x})]
        except Exception as error:  # ONNX Runtime's own kinds have no common base
            raise ValueError(f"{self._name} does not run: {error}") from error


def _session(path: Path, name: str) -> Any:
    """The model, on the fastest device that ONNX Runtime has."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"{name} needs ONNX Runtime: pip install onnxruntime (or onnxruntime-gpu)") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, cv2.getNumThreads()  # as `limits.threads` has it
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=onnxruntime.get_available_providers())
    except Exception as error:  # ONNX Runtime's own kinds have no common base
        raise ValueError(f"{path} cannot be used as an ONNX model: {error}") from error
