# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The steps that the C and the CUDA backend take alike around their kernels, whichever memory the arrays are in."""
from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from lsm_ros.fusion.backends.freespace import FreeBox, FreeContribution, free_box, nothing_free
from lsm_ros.fusion.backends.layout import CameraPose, Layout
from lsm_ros.fusion.backends.view import View, blocks_of_rays
from lsm_ros.types import UNLABELLED


class CompiledBackend(ABC):
    """See `backends.Backend`."""

    def surface_blocks(self, pixels: Any, view: View) -> np.ndarray:
        """See Backend."""
        return blocks_of_rays(lambda v: self._blocks(pixels, v), view, pixels.farthest)

    def free_cells(self, pixels: Any, view: View, pose: CameraPose, layout: Layout) -> FreeContribution:
        """See Backend."""
        box = free_box(view, pose, layout, pixels.farthest)
        if box is None:
            return nothing_free()
        weights, used = self._free(pixels, view, box)
        rows = np.flatnonzero(used)
        return FreeContribution(box.keys(rows), weights, rows)

    @abstractmethod
    def _blocks(self, pixels: Any, view: View) -> np.ndarray:
        """Keys (B,) int64 of the blocks that the rays of a view reach, in no order. ValueError beyond the edge of the world."""

    @abstractmethod
    def _free(self, pixels: Any, view: View, box: FreeBox) -> tuple[Any, np.ndarray]:
        """Weights (blocks of the box, 512) uint8, and which blocks have any, (blocks,) uint8 on the host."""


def column_table(label_ids: np.ndarray, columns: np.ndarray | None) -> np.ndarray | None:
    """Column (65536,) int8 of each label id, -1 for none; None where codes are summed. columns (N,): of the ids (N,), see
    `Backend.sum`."""
    if columns is None:
        return None
    table = np.full(UNLABELLED + 1, -1, np.int8)
    table[label_ids] = columns
    return table
