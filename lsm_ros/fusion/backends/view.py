# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The numbers that kernels and their NumPy reference compute with: one observation at one pose in one layout."""
from __future__ import annotations

import ctypes
import math
from collections.abc import Callable

import numpy as np

from lsm_ros.fusion.backends.blocks import HALF, far_away
from lsm_ros.fusion.backends.layout import BLOCK, STEPS, WEIGHT_UNIT, CameraPose, Layout, feature_stride
from lsm_ros.types import Observation

TILE = 4  # pixels; slopes are estimated on tiles, single pixels of a depth camera are too noisy
LEVELS = 16
SLOPE_STEPS = 32768  # to 1
_REACH_CELLS = 64  # free space is marked up to this many cells from the camera, which bounds the work
_float, _int, _double = ctypes.c_float, ctypes.c_int, ctypes.c_double


class View(ctypes.Structure):
    """`lsm_view` of kernels.h, which explains the fields. Reading a float gives its float32 value."""

    _fields_ = [
        ("inverse", _double * 9), ("t", _double * 3), ("size", _double),
        ("fx", _float), ("fy", _float), ("cx", _float), ("cy", _float), ("cx_floor", _float), ("cy_floor", _float),
        ("inverse_fx", _float), ("inverse_fy", _float), ("largest_f", _float),
        ("z_step", _float), ("max_depth", _float), ("quality", _float),
        ("tile_cx", _float), ("tile_cy", _float),
        ("steps", _float), ("one_voxel", _float), ("behind", _float),
        ("scale", _float), ("rotation", _float * 9), ("fraction", _float * 3), ("offsets", _float * 8),
        ("cell_radius", _float), ("cell_margin", _float), ("cell_reach", _float),
        ("base", _int * 3),
        ("width", _int), ("height", _int), ("full_width", _int), ("full_height", _int), ("stride", _int),
        ("tile_columns", _int), ("tile_rows", _int), ("step", _int), ("samples", _int),
        ("feature_columns", _int), ("feature_rows", _int), ("feature_dim", _int),
        ("feature_stride", _int), ("label_width", _int),
        ("levels", _int), ("level_offset", _int * LEVELS),
    ]

    @property
    def tiles(self) -> int:
        """Tiles of all levels of the pyramid."""
        return sum(rows * columns for rows, columns in self.level_shapes())

    def level_shapes(self) -> list[tuple[int, int]]:
        """(rows, columns) of each level of the pyramid: tiles of 4 pixels, then twice as large until there is one."""
        shapes = [(self.tile_rows, self.tile_columns)]
        while shapes[-1] != (1, 1):
            shapes.append((-(-shapes[-1][0] // 2), -(-shapes[-1][1] // 2)))
        return shapes

    def copy(self) -> View:
        """Another one with the same numbers."""
        return View.from_buffer_copy(self)


def pixel_view(o: Observation, layout: Layout) -> View:
    """Numbers that depend on the observation alone, as every n-th pixel in each direction is used (see `Layout.stride_for`)."""
    k, v = o.intrinsics, View()
    n = layout.stride_for(max(k.fx, k.fy))
    fx, fy, cx, cy = k.fx / n, k.fy / n, k.cx / n, k.cy / n
    v.fx, v.fy, v.cx, v.cy, v.cx_floor, v.cy_floor = fx, fy, cx, cy, cx + 0.5, cy + 0.5
    v.inverse_fx, v.inverse_fy, v.largest_f = 1 / fx, 1 / fy, max(fx, fy)
    v.z_step, v.max_depth, v.quality = o.z_step, layout.max_depth, WEIGHT_UNIT / 255.0
    v.tile_cx, v.tile_cy = 0.5 * (TILE - 1) - cx, 0.5 * (TILE - 1) - cy
    v.full_height, v.full_width = o.z.shape
    v.stride, v.height, v.width = n, -(-v.full_height // n), -(-v.full_width // n)
    v.tile_rows, v.tile_columns = -(-v.height // TILE), -(-v.width // TILE)
    if o.features is not None:
        v.feature_rows, v.feature_columns, v.feature_dim = o.features.shape
        v.feature_stride = feature_stride(o.intrinsics.shape, o.features.shape[:2])
    first = 0
    shapes = v.level_shapes()
    v.levels = len(shapes)
    for level, (rows, columns) in enumerate(shapes):
        v.level_offset[level] = first
        first += rows * columns
    return v


def posed_view(pixels: View, pose: CameraPose, layout: Layout, farthest: float) -> View:
    """The view of an observation with largest depth `farthest` (camera units) at a pose.

    ValueError if the camera is too far away for block indices.
    """
    v = pixels.copy()
    v.inverse[:], v.t[:], v.size = pose.inverse.ravel().tolist(), pose.t.tolist(), layout.voxel_size
    one_voxel = STEPS / layout.truncation_voxels
    v.steps, v.one_voxel = pose.scale * STEPS / layout.truncation / SLOPE_STEPS, one_voxel
    v.behind = 1 / (STEPS - one_voxel) if one_voxel < STEPS else 0.0
    v.scale, v.rotation[:] = pose.scale, (pose.R.ravel() / layout.block_size).tolist()
    place = [t / layout.block_size for t in pose.t.tolist()]
    for p in place:
        if not -HALF <= p < HALF:
            raise far_away(p)
    v.base[:] = [math.floor(p) for p in place]
    v.fraction[:] = [p - math.floor(p) for p in place]
    v.samples = math.ceil(2 * layout.truncation_voxels / (BLOCK // 2)) + 1
    v.offsets[:v.samples] = [layout.truncation * (2 * n / (v.samples - 1) - 1) for n in range(v.samples)]
    reach = max(farthest * pose.scale, 1e-6)
    v.step = min(max(int(layout.voxel_size * min(v.fx, v.fy) / reach), 1), BLOCK)
    v.cell_radius = 0.5 * math.sqrt(3.0) * layout.free_cell / pose.scale
    v.cell_margin = layout.truncation / pose.scale
    v.cell_reach = free_reach(pose, layout, farthest) / pose.scale
    return v


def free_reach(pose: CameraPose, layout: Layout, farthest: float) -> float:
    """Reach of free space from the camera, in metres of the map."""
    return min(farthest * pose.scale, _REACH_CELLS * layout.free_cell)


def blocks_of_rays(find: Callable[[View], np.ndarray], view: View, farthest: float) -> np.ndarray:
    """Sorted keys (B,) int64 of the blocks that `find` gives for the rays of a view, of all rays where those that are taken
    miss all that is known. farthest: largest depth, 0 if nothing is known."""
    found = find(view)
    if not len(found) and farthest > 0:
        view = view.copy()
        view.step = 1
        found = find(view)
    return np.unique(found)
