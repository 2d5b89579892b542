# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Networks of one image in ONNX files, run by ONNX Runtime."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lsm_ros.models.image_input import ImageInput
from lsm_ros.models.onnx_engine import Engine


class OnnxSession:
    """A model with one image as its input. engines: see `Engine`. ImportError, or ValueError for what is no model, or for one
    that does not take images as the settings, read from the YAML file beside it, say."""

    def __init__(self, path: Path, settings: ImageInput, engines: Sequence[str] = ()) -> None:
        self._engine, shape = Engine(path, engines), settings.shape
        name, kind, wanted = self._engine.inputs[0]
        fits = len(self._engine.inputs) == 1 and kind == "tensor(float)" and len(wanted) == 4 and all(
            not isinstance(n, int) or n == m for n, m in zip(wanted, shape, strict=True))
        if not fits:
            said = "; ".join(" ".join(map(str, i)) for i in self._engine.inputs)
            raise ValueError(f"{path} takes {said}, where {path.with_suffix('.yaml')} says one tensor(float) {shape}: correct "
                             "its size or layout")
        self._input = name

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        """All outputs for an input as of `ImageInput.prepare`. ValueError where the model fails."""
        return [np.asarray(out) for out in self._engine.run({self._input: x}).values()]
