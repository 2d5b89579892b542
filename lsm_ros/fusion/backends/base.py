# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The backends that compute the map: NumPy (the reference), C on the CPU, or CUDA. All give the same bits."""
from __future__ import annotations

import logging
import os
from typing import Protocol

import numpy as np

from lsm_ros.fusion.backends.blocks import BlockPool
from lsm_ros.fusion.backends.extract import Crossings
from lsm_ros.fusion.backends.freespace import FreeContribution
from lsm_ros.fusion.backends.layout import CameraPose, Layout
from lsm_ros.fusion.backends.view import View
from lsm_ros.types import Observation

_MOST_THREADS = 16  # more cannot be fed from memory
log = logging.getLogger(__name__)


class Prepared(Protocol):
    """Pixels of an observation, ready for projection: where they are is the backend's affair.

    view: the numbers that do not depend on the pose. label_ids (N,) uint16, sorted. farthest: largest depth.
    """

    view: View
    label_ids: np.ndarray

    @property
    def farthest(self) -> float:
        """Largest depth in the camera's units, 0 if there is none."""


class Backend(Protocol):
    """The steps of adding an observation. Each is a pure function of its arguments, up to the sums it changes."""

    name: str

    def pool(self, shapes: dict[str, tuple[int, int]], planar: tuple[str, ...], limit: int) -> BlockPool:
        """A pool whose arrays this backend can add to."""

    def prepare(self, observation: Observation, layout: Layout) -> Prepared:
        """Pixels of a checked observation, every n-th in each direction (see `Layout.stride_for`)."""

    def surface_blocks(self, pixels: Prepared, view: View) -> np.ndarray:
        """Sorted keys (B,) int64 of the blocks within the truncation of surfaces. ValueError if they overflow."""

    def free_cells(self, pixels: Prepared, view: View, pose: CameraPose, layout: Layout) -> FreeContribution:
        """Cells that the observation sees empty. ValueError if indices overflow."""

    def sum(self, pool: BlockPool, slots: np.ndarray, pixels: Prepared, view: View, keys: np.ndarray,
            columns: np.ndarray | None, sign: int, labels_only: bool = False) -> None:
        """Adds (sign 1) or takes away (-1) a contribution to distinct blocks; columns (N,): those of its labels, None: their
        codes are summed."""

    def free_sum(self, pool: BlockPool, slots: np.ndarray, free: FreeContribution, sign: int) -> None:
        """Adds (1) or takes away (-1) free cells."""

    def crossings(self, pool: BlockPool, slots: np.ndarray, neighbours: np.ndarray, unit: float, least: int) -> Crossings:
        """The surface voxels of blocks (B,). neighbours (B, 6) int64: slots of the blocks before and after each along x, y,
        z, -1 where there is none; unit: a step of distance in voxels; least: smallest weight of a surface voxel."""


def choose(name: str, threads: int = 0) -> Backend:
    """The backend `name`: numpy, cpu, cuda, or auto (cuda where CuPy finds a device, else cpu, else numpy).

    threads: of the cpu backend, 0 for as many as there are cores. RuntimeError, saying what to install, if a backend
    that was asked for by name cannot run.
    """
    if name not in ("auto", "numpy", "cpu", "cuda"):
        raise ValueError(f"fusion.backend must be auto, numpy, cpu or cuda, got {name!r}")
    wanted = ("cuda", "cpu", "numpy") if name == "auto" else (name,)
    for kind in wanted:
        try:
            backend = _make(kind, threads)
        except RuntimeError as error:
            if name != "auto":
                raise
            level = logging.WARNING if kind == "cpu" else logging.DEBUG
            log.log(level, "voxel map: backend %s cannot run: %s", kind, error)
        else:
            log.info("voxel map: backend %s", backend.name)
            return backend
    raise RuntimeError("the numpy backend always runs")


def _make(kind: str, threads: int) -> Backend:
    if kind == "cuda":
        from lsm_ros.fusion.backends.cuda import CudaBackend

        return CudaBackend()
    if kind == "cpu":
        from lsm_ros.fusion.backends.cpu import CpuBackend

        return CpuBackend(threads or usable_cores())
    from lsm_ros.fusion.backends.reference import NumpyBackend

    return NumpyBackend()


def usable_cores() -> int:
    """Cores that this process may run on, at most 16."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _MOST_THREADS)
