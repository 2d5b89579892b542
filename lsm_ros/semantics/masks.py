# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Masks for costmaps: what classes cost, where they are in the plan of the map."""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from lsm_ros.semantics.classes import Classes
from lsm_ros.types import UNLABELLED, LabelSpace, OccupancyMap


def label_mask(grid: OccupancyMap, points_map: np.ndarray, labels: np.ndarray, names: LabelSpace, classes: Classes,
               max_height: float) -> OccupancyMap:
    """Cost (0 to 100) of each cell that the grid knows, the highest of its labelled points (N, 3) below `max_height` metres; -1
    where the grid knows nothing and nothing costs. labels (N,) uint16."""
    costs = np.zeros(UNLABELLED + 1, np.int8)
    for i, name in names.names.items():
        costs[i] = classes.about(name).cost
    mask = np.where(grid.grid < 0, -1, 0).astype(np.int8)
    cost = costs[labels]
    some = (cost > 0) & (points_map[:, 2] <= max_height)
    columns, rows = np.floor((points_map[some, :2] - (grid.origin_x, grid.origin_y)) / grid.resolution).astype(int).T
    inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    np.maximum.at(mask, (rows[inside], columns[inside]), cost[some][inside])
    return replace(grid, grid=mask)
