# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The backend in C, with threads: arrays of NumPy and calls of cpu.c. Formulas are in kernels.h, steps around the calls that
the GPU takes too in `compiled`. Sizes are checked before they get here."""
from __future__ import annotations

import ctypes
import weakref
from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.backends.blocks import HALF, BlockPool, far_away
from lsm_ros.fusion.backends.compiled import CompiledBackend, column_table
from lsm_ros.fusion.backends.extract import Crossings
from lsm_ros.fusion.backends.freespace import CELLS, FreeBox, FreeContribution
from lsm_ros.fusion.backends.integrate import VOXELS
from lsm_ros.fusion.backends.layout import Layout
from lsm_ros.fusion.backends.native import library
from lsm_ros.fusion.backends.view import View, pixel_view
from lsm_ros.types import UNLABELLED, Observation

PIXEL = np.dtype([("geometry", "<u4"), ("rgbw", "<u4")])  # lsm_pixel of kernels.h
_FIRST_TABLE = 1024
_pointer, _int, _long, _uint = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong, ctypes.c_uint
_SIGNATURES = {
    "lsm_prepare": ([_pointer] * 11 + [_int], _int),
    "lsm_surface_blocks": ([_pointer, _pointer, _pointer, _long, _int], _long),
    "lsm_sum": ([_pointer] * 4 + [_int] + [_pointer] * 6 + [_int, _int], None),
    "lsm_free_cells": ([_pointer] * 10 + [_int], None),
    "lsm_free_sum": ([_pointer] * 3 + [_int, _pointer, _int], None),
    "lsm_surface_flags": ([_pointer] * 3 + [_int, ctypes.c_float, _int, _pointer, _int], None),
    "lsm_surface_voxels": ([_pointer] * 4 + [_int, ctypes.c_float, _int, _pointer, _pointer, _int], None),
    "lsm_find": ([_pointer, _pointer, _uint, _pointer, _long, _pointer], None),
    "lsm_insert": ([_pointer, _pointer, _uint, _pointer, _pointer, _long], None),
    "lsm_erase": ([_pointer, _pointer, _uint, _pointer, _long], None),
}


def functions(lib: ctypes.CDLL | None = None) -> ctypes.CDLL:
    """The library (or `lib`) with the types of its functions. RuntimeError as in `library`."""
    lib = library() if lib is None else lib
    for name, (arguments, result) in _SIGNATURES.items():
        function = getattr(lib, name)
        function.argtypes, function.restype = arguments, result
    return lib


def _at(array: np.ndarray | None) -> int | None:
    return None if array is None else array.ctypes.data


@dataclass(frozen=True)
class CpuPixels:
    """Pixels as the kernels read them. pixels (H*W,) PIXEL; near, known, far: pyramid; labels (H, W) uint16 or None; features
    (rows, columns, D) int8 or None."""

    view: View
    pixels: np.ndarray
    near: np.ndarray
    known: np.ndarray
    far: np.ndarray
    labels: np.ndarray | None
    label_ids: np.ndarray
    features: np.ndarray | None
    farthest: float


class HashIndex:
    """The index of a pool as an open hash table of keys (int64, -1 = empty) and slots (int32)."""

    def __init__(self, lib: ctypes.CDLL) -> None:
        self._lib, self._count = lib, 0
        self._make(_FIRST_TABLE)

    def find(self, keys: np.ndarray) -> np.ndarray:
        """See BlockIndex."""
        keys, out = np.ascontiguousarray(keys, np.int64), np.empty(len(keys), np.int64)
        self._lib.lsm_find(*self._table, _at(keys), len(keys), _at(out))
        return out

    def insert(self, keys: np.ndarray, slots: np.ndarray) -> None:
        """See BlockIndex."""
        self._count += len(keys)
        if 2 * self._count > self._mask:
            old = np.flatnonzero(self._keys >= 0)
            old_keys, old_slots = self._keys[old], self._slots[old].astype(np.int64)
            self._make(1 << (4 * self._count).bit_length())
            self._put(old_keys, old_slots)
        self._put(keys, slots)

    def erase(self, keys: np.ndarray) -> None:
        """See BlockIndex."""
        keys = np.ascontiguousarray(keys, np.int64)
        self._count -= len(keys)
        self._lib.lsm_erase(*self._table, _at(keys), len(keys))

    def _put(self, keys: np.ndarray, slots: np.ndarray) -> None:
        keys, slots = np.ascontiguousarray(keys, np.int64), np.ascontiguousarray(slots, np.int64)
        self._lib.lsm_insert(*self._table, _at(keys), _at(slots), len(keys))

    def _make(self, size: int) -> None:
        self._mask = size - 1
        self._keys, self._slots = np.full(size, -1, np.int64), np.zeros(size, np.int32)
        self._table = _at(self._keys), _at(self._slots), self._mask


class CpuBackend(CompiledBackend):
    """See `backends.Backend`. threads: at most this many work on one observation; lib: instead of the usual one."""

    name = "cpu"

    def __init__(self, threads: int, lib: ctypes.CDLL | None = None) -> None:
        self._lib, self._threads = functions(lib), max(1, int(threads))
        self._keys = np.empty(1 << 14, np.int64)
        self._spare: list[np.ndarray] = []

    def pool(self, shapes: dict[str, tuple[int, int]], planar: tuple[str, ...], limit: int) -> BlockPool:
        """See Backend."""
        return BlockPool(shapes, planar, HashIndex(self._lib), limit)

    def prepare(self, observation: Observation, layout: Layout) -> CpuPixels:
        """See Backend."""
        o, view = observation, pixel_view(observation, layout)
        z, confidence, rgb = (np.ascontiguousarray(a) for a in (o.z, o.confidence, o.rgb))
        labels = None if o.labels is None else np.ascontiguousarray(o.labels)
        pixels = self._spare_pixels(view.height * view.width)
        near, known, far = (np.empty(view.tiles, kind) for kind in (np.float32, np.int32, np.float32))
        present = None if labels is None else np.zeros(UNLABELLED + 1, np.uint8)
        farthest = ctypes.c_float()
        failed = self._lib.lsm_prepare(ctypes.addressof(view), _at(z), _at(confidence), _at(rgb), _at(labels), _at(pixels),
                                       _at(near), _at(known), _at(far), _at(present), ctypes.addressof(farthest), self._threads)
        if failed:
            raise MemoryError("no memory to prepare an observation")
        ids = np.zeros(0, np.uint16) if present is None else np.flatnonzero(present[:UNLABELLED]).astype(np.uint16)
        features = None if o.features is None else np.ascontiguousarray(o.features)
        shown = None if labels is None else np.ascontiguousarray(labels[::view.stride, ::view.stride])
        prepared = CpuPixels(view, pixels, near, known, far, shown, ids, features, farthest.value)
        if not self._spare:
            weakref.finalize(prepared, self._spare.append, pixels).atexit = False
        return prepared

    def _spare_pixels(self, count: int) -> np.ndarray:
        """Memory for pixels: what the last observation needed serves again, for fresh pages cost more than the work."""
        last = self._spare.pop() if self._spare else None
        return last if last is not None and len(last) == count else np.empty(count, PIXEL)

    def _blocks(self, pixels: CpuPixels, view: View) -> np.ndarray:
        while True:
            count = self._lib.lsm_surface_blocks(ctypes.addressof(view), _at(pixels.pixels), _at(self._keys),
                                                 len(self._keys), self._threads)
            if count == -2:
                raise far_away(HALF)
            if count < 0:
                raise MemoryError("no memory to find the blocks near surfaces")
            if count <= len(self._keys):
                return self._keys[:count]
            self._keys = np.empty(2 * count, np.int64)

    def _free(self, pixels: CpuPixels, view: View, box: FreeBox) -> tuple[np.ndarray, np.ndarray]:
        count = int(box.blocks.prod())
        weights, used = np.zeros((count, CELLS), np.uint8), np.zeros(count, np.uint8)
        axes = [np.ascontiguousarray(a) for a in box.axes]
        self._lib.lsm_free_cells(ctypes.addressof(view), _at(pixels.near), _at(pixels.known), _at(pixels.far),
                                 *(_at(a) for a in axes), _at(box.blocks), _at(weights), _at(used), self._threads)
        return weights, used

    def sum(self, pool: BlockPool, slots: np.ndarray, pixels: CpuPixels, view: View, keys: np.ndarray,
            columns: np.ndarray | None, sign: int, labels_only: bool = False) -> None:
        """See Backend."""
        view = view.copy()
        view.label_width = pool.columns("labels")
        column_of = labels = None
        if len(pixels.label_ids):
            labels, column_of = pool.raw("labels"), column_table(pixels.label_ids, columns)
        voxels = None if labels_only else pool.raw("voxels")
        features = None if labels_only else pixels.features
        sums = None if features is None else pool.raw("features")
        keys = np.ascontiguousarray(keys, np.int64)
        self._lib.lsm_sum(ctypes.addressof(view), _at(pixels.pixels), _at(keys), _at(slots), len(keys), _at(voxels),
                          _at(labels), _at(pixels.labels), _at(column_of), _at(sums), _at(features), sign, self._threads)

    def free_sum(self, pool: BlockPool, slots: np.ndarray, free: FreeContribution, sign: int) -> None:
        """See Backend."""
        self._lib.lsm_free_sum(_at(pool.raw("weight")), _at(slots), _at(free.rows), len(slots), _at(free.weights), sign)

    def crossings(self, pool: BlockPool, slots: np.ndarray, neighbours: np.ndarray, unit: float, least: int) -> Crossings:
        """See Backend."""
        place = _at(pool.raw("voxels")), _at(slots), _at(neighbours)
        flags = np.empty(len(slots) * VOXELS, np.uint8)
        self._lib.lsm_surface_flags(*place, len(slots), unit, least, _at(flags), self._threads)
        items = np.flatnonzero(flags)
        distance, slope = np.empty(len(items), np.float32), np.empty((len(items), 3), np.float32)
        self._lib.lsm_surface_voxels(*place, _at(items), len(items), unit, least, _at(distance), _at(slope), self._threads)
        return Crossings(*np.divmod(items, VOXELS), distance, slope)
