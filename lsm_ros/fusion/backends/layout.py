# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Inputs of a contribution besides observation and voxel: the map's layout and the pose of a camera."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lsm_ros.config import FusionConfig

BLOCK = 8  # voxels along the edge of a block
STEPS = 511  # steps of signed distance in the truncation
WEIGHT_UNIT = 16  # integer weight of a good pixel at 1 m; weights are published in this unit
MAX_WEIGHT = 63
FEATURE_STRIDES = (16, 8)  # pixels between the features of an observation: what is usual, and in small images
_SMALLEST_FREE_CELL = 0.08  # metres; finer cells would only cost time, free space has no detail
_FOOTPRINT = 0.5  # of a voxel: where pixels are to be left out, those that stay are no farther apart at the depth limit
_LARGEST_STRIDE = 3


@dataclass(frozen=True)
class Layout:
    """The parameters that fix what an observation contributes; they cannot change while a map lives.

    voxel_size, max_depth in metres; truncation_voxels in voxels; stride in pixels, 0: see `stride_for`.
    """

    voxel_size: float
    truncation_voxels: float
    max_depth: float
    stride: int

    @classmethod
    def of(cls, config: FusionConfig) -> Layout:
        """The layout that a configuration asks for."""
        return cls(float(config.voxel_size), float(config.truncation_voxels), float(config.max_depth),
                   int(config.stride))

    def stride_for(self, f: float) -> int:
        """Every n-th pixel of a camera with focal length f (pixels) is fused: `stride`, or, where that is 0, the largest of
        1 to 3 whose pixels lie within half a voxel of each other at `max_depth`. More of them would hit the same voxels."""
        apart = self.max_depth / f
        return self.stride or max(1, min(_LARGEST_STRIDE, math.floor(_FOOTPRINT * self.voxel_size / apart)))

    @property
    def truncation(self) -> float:
        """Distance in metres at which the signed distance ends."""
        return self.truncation_voxels * self.voxel_size

    @property
    def block_size(self) -> float:
        """Edge of a block in metres."""
        return BLOCK * self.voxel_size

    @property
    def free_factor(self) -> int:
        """Voxels along the edge of a cell of the free-space layer: 4, or more where voxels are very small."""
        factor = 4
        while factor * self.voxel_size < _SMALLEST_FREE_CELL:
            factor *= 2
        return factor

    @property
    def free_cell(self) -> float:
        """Edge of a cell of the free-space layer in metres."""
        return self.free_factor * self.voxel_size


@dataclass(frozen=True)
class CameraPose:
    """A camera in the map: points_map = scale * R @ points_cam + t, and its inverse matrix R^T / scale. All float64."""

    R: np.ndarray
    t: np.ndarray
    scale: float
    inverse: np.ndarray

    @classmethod
    def of(cls, T_map_rig: np.ndarray, T_rig_cam: np.ndarray) -> CameraPose:
        """The pose from two checked (4, 4) transforms; the first may have a scale.

        Computed number by number: a matrix product of BLAS may round differently on another machine, and then what a
        saved map takes away would not be what was added.
        """
        A, B = T_map_rig.tolist(), T_rig_cam.tolist()
        M = [[A[r][0] * B[0][c] + A[r][1] * B[1][c] + A[r][2] * B[2][c] for c in range(3)] for r in range(3)]
        t = [A[r][0] * B[0][3] + A[r][1] * B[1][3] + A[r][2] * B[2][3] + A[r][3] for r in range(3)]
        scale = math.sqrt(M[0][0] ** 2 + M[1][0] ** 2 + M[2][0] ** 2)
        R = np.array(M) / scale
        return cls(R, np.array(t), scale, R.T / scale)


def check_pose(T: np.ndarray, name: str, may_scale: bool = True) -> np.ndarray:
    """A float64 copy of a rigid transform (4, 4), or of a similarity if `may_scale`.

    ValueError, naming the value, if it is not finite, singular, mirrored, sheared, or of a scale outside 0.001..1000.
    """
    try:
        out = np.array(T, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a (4, 4) transform, got {T!r}") from error
    if out.shape != (4, 4):
        raise ValueError(f"{name} must be a (4, 4) transform, got shape {out.shape}")
    a, b, c, last = out.tolist()  # plain numbers: this is done for each frame, and arrays of nine cost more than the sums
    if not all(map(math.isfinite, (*a, *b, *c, *last))):
        raise ValueError(f"{name} must be finite, got {out.tolist()}")
    if max(map(abs, (*last[:3], last[3] - 1.0))) > 1e-9:
        raise ValueError(f"last row of {name} must be (0, 0, 0, 1), got {last}")
    determinant = (a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
                   + a[2] * (b[0] * c[1] - b[1] * c[0]))
    if determinant <= 1e-9 or determinant > 1e9:
        kind = "mirrored" if determinant < -1e-9 else "singular or of a scale out of range"
        raise ValueError(f"{name} is {kind}: determinant {determinant!r} of its upper 3x3")
    scale = determinant ** (1.0 / 3.0)
    for n, (p, q) in enumerate(((a, a), (b, b), (c, c), (a, b), (a, c), (b, c))):
        if abs((p[0] * q[0] + p[1] * q[1] + p[2] * q[2]) / (scale * scale) - (n < 3)) > 1e-4:
            raise ValueError(f"{name} is no rotation (times a scale): {out[:3, :3].tolist()}")
    if not may_scale and abs(scale - 1) > 1e-4:
        raise ValueError(f"{name} must be rigid, it has scale {scale!r}")
    return out


def feature_grid(shape: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of features for an image of `shape` (H, W); the last ones also have what is left of the image."""
    return max(shape[0] // stride, 1), max(shape[1] // stride, 1)


def feature_stride(shape: tuple[int, int], grid: tuple[int, int]) -> int | None:
    """Pixels between the features of such a grid: 16, or 8 in small images; None where it is neither."""
    return next((s for s in FEATURE_STRIDES if feature_grid(shape, s) == tuple(grid)), None)
