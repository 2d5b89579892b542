# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The backend in NumPy alone: what the kernels must agree with, and what runs where there is no compiler."""
from __future__ import annotations

import numpy as np

from lsm_ros.fusion.backends import label_codes
from lsm_ros.fusion.backends.blocks import BlockPool, DictIndex
from lsm_ros.fusion.backends.extract import Crossings, crossings
from lsm_ros.fusion.backends.freespace import CELLS, FreeContribution, free_contribution
from lsm_ros.fusion.backends.integrate import LABEL_CELLS, VOXELS, surface_blocks, view_contribution
from lsm_ros.fusion.backends.layout import CameraPose, Layout
from lsm_ros.fusion.backends.pixels import Pixels, prepare
from lsm_ros.fusion.backends.view import View
from lsm_ros.types import Observation


class NumpyBackend:
    """See `backends.Backend`."""

    name = "numpy"

    def pool(self, shapes: dict[str, tuple[int, int]], planar: tuple[str, ...], limit: int) -> BlockPool:
        """See Backend."""
        return BlockPool(shapes, planar, DictIndex(), limit)

    def prepare(self, observation: Observation, layout: Layout) -> Pixels:
        """See Backend."""
        return prepare(observation, layout)

    def surface_blocks(self, pixels: Pixels, view: View) -> np.ndarray:
        """See Backend."""
        return surface_blocks(pixels, view)

    def free_cells(self, pixels: Pixels, view: View, pose: CameraPose, layout: Layout) -> FreeContribution:
        """See Backend."""
        return free_contribution(pixels, pose, layout)

    def sum(self, pool: BlockPool, slots: np.ndarray, pixels: Pixels, view: View, keys: np.ndarray,
            columns: np.ndarray | None, sign: int, labels_only: bool = False) -> None:
        """See Backend."""
        c = view_contribution(pixels, view, keys)
        if columns is None and len(c.label):
            codes = label_codes.codes(pixels.label_ids)[c.label] * (c.count * sign)[:, None]
            np.add.at(pool.blocks("labels"), (slots[c.label_cell // LABEL_CELLS], c.label_cell % LABEL_CELLS), codes)
        elif len(c.label):
            _add(pool.blocks("labels"), slots[c.label_cell // LABEL_CELLS], c.label_cell % LABEL_CELLS, columns[c.label],
                 c.count * sign)
        if labels_only:
            return
        _add(pool.blocks("voxels"), slots[c.voxel // VOXELS], c.voxel % VOXELS, slice(None), c.values * sign)
        if pixels.features is not None:
            _add(pool.blocks("features"), slots[c.feature_cell // LABEL_CELLS], c.feature_cell % LABEL_CELLS, slice(None),
                 c.feature * sign)

    def free_sum(self, pool: BlockPool, slots: np.ndarray, free: FreeContribution, sign: int) -> None:
        """See Backend."""
        weights = free.weights[free.rows].astype(np.int32)
        pool.blocks("weight")[slots] += (weights * sign).reshape(-1, CELLS, 1)

    def crossings(self, pool: BlockPool, slots: np.ndarray, neighbours: np.ndarray, unit: float, least: int) -> Crossings:
        """See Backend."""
        return crossings(pool, slots, neighbours, unit, least)


def _add(array: np.ndarray, slot: np.ndarray, row: np.ndarray, column: np.ndarray | slice, values: np.ndarray) -> None:
    """Adds to distinct places."""
    array[slot, row, column] += values
