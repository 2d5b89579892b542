# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Masks for costmaps."""
import numpy as np

from lsm_ros.semantics.classes import Classes
from lsm_ros.semantics.masks import label_mask
from lsm_ros.types import UNLABELLED, LabelSpace, OccupancyMap

NAMES = LabelSpace({1: "floor", 2: "stairs", 3: "rug"})


def test_cells_cost_the_most_of_what_is_in_them():
    grid = OccupancyMap(np.array([[0, 0, -1], [0, 100, -1]], np.int8), 1.0, 2.0, 0.5)
    points = np.array([[1.2, 2.2, 0], [1.3, 2.3, 0.1], [1.7, 2.2, 3.0], [2.2, 2.7, 0], [1.2, 2.7, 0], [9, 9, 0], [1.7, 2.7, 0]],
                      np.float32)
    labels = np.array([1, 2, 2, 2, 3, 2, UNLABELLED], np.uint16)
    classes = Classes({"rug": {"cost": 30}})
    mask = label_mask(grid, points, labels, NAMES, classes, 1.8)
    assert mask.grid.tolist() == [[100, 0, -1], [30, 0, 100]] and mask.grid.dtype == np.int8
    assert (mask.origin_x, mask.origin_y, mask.resolution) == (1.0, 2.0, 0.5)
