# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Language features of one image: summed over the predictions that show it, then brought to the cells of an observation."""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from lsm_ros.models.preprocess import Crop

FINE_BELOW = 512  # pixels of width; smaller frames have a feature for each 8 pixels, larger ones for each 16
UNIT = 127  # length of a feature there
_SURE = 20.0  # confidences above are as good as this: they are about depth, less about what a thing is


class FeatureSum:
    """The weighted sum of unit vectors predicted for one image. Empty until the first `add`."""

    def __init__(self) -> None:
        self._sum: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the sum."""
        return 0 if self._sum is None else self._sum.nbytes

    def add(self, features: torch.Tensor | None, confidence: torch.Tensor) -> None:
        """Adds a prediction: features (h, w, D) of unit length, confidence (H, W) of the pixels that they stand for, H and W
        multiples of h and w. The weight of a cell is log(1 + confidence), the mean over its pixels; what is no number has none.
        None adds nothing. ValueError for features of another size than before."""
        if features is None:
            return
        rows, columns = features.shape[:2]
        sure = np.nan_to_num(confidence.float().cpu().numpy(), nan=0.0, posinf=_SURE, neginf=0.0)
        weight = np.log1p(np.clip(sure, 0.0, _SURE)).reshape(rows, sure.shape[0] // rows, columns, -1).mean((1, 3))
        new = features.float().cpu().numpy()
        new = np.where(np.isfinite(new).all(-1, keepdims=True), new, 0) * weight[..., None].astype(np.float32)
        if self._sum is None:
            self._sum = new
        elif self._sum.shape != new.shape:
            raise ValueError(f"features {new.shape} do not fit those before, {self._sum.shape}")
        else:
            self._sum = self._sum + new

    def cells(self, crop: Crop) -> np.ndarray | None:
        """(H/16, W/16, D) int8 unit vectors times 127 at the middles of the cells of the frame (H, W) that `crop` was cut from,
        (H/8, W/8, D) for one of less than 512 columns; the nearest that are known outside of the crop. None while nothing
        was added."""
        if self._sum is None:
            return None
        width, height = crop.source
        stride = 8 if width < FINE_BELOW else 16
        columns, rows = (max(n // stride, 1) for n in (width, height))
        x = crop.to_input(np.stack([_middles(columns, width, stride), np.zeros(columns)], 1))[:, 0]
        y = crop.to_input(np.stack([np.zeros(rows), _middles(rows, height, stride)], 1))[:, 1]
        found = _between(_between(self._sum, (y + 0.5) * self._sum.shape[0] / crop.height, 0),
                         (x + 0.5) * self._sum.shape[1] / crop.width, 1)
        length = np.linalg.norm(found, axis=-1, keepdims=True)
        unit = np.where(length > 1e-6, found / np.maximum(length, 1e-6), 0.0)
        return np.rint(UNIT * unit).astype(np.int8)


def _middles(count: int, size: int, stride: int) -> np.ndarray:
    """Middle pixel of each cell along an axis; the last cell also has what is left of the image."""
    first = np.arange(count) * stride
    last = np.append(first[1:], size) - 1
    return (first + last) / 2.0


def _between(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Values at places, in cells whose middles are at 0.5, 1.5, ..., linear between them."""
    at = np.clip(places - 0.5, 0, values.shape[axis] - 1)
    low = np.minimum(at.astype(np.int64), max(values.shape[axis] - 2, 0))
    share = (at - low).astype(np.float32)
    share = share.reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    high = np.minimum(low + 1, values.shape[axis] - 1)
    return np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share
