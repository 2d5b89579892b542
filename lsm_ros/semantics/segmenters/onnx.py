# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Segmenters in ONNX files."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from lsm_ros.models.onnx_session import OnnxSession
from lsm_ros.semantics.segmenters.network import FileSegmenter


class OnnxSegmenter(FileSegmenter):
    """The file `semantics.segmenter_model` run by ONNX Runtime. Errors as of `FileSegmenter`; ImportError without it."""

    kind = "onnx"

    def _open(self, path: Path) -> None:
        self._session = OnnxSession(path, self.settings)

    def _run(self, x: np.ndarray) -> list[np.ndarray]:
        return self._session.run(x)
