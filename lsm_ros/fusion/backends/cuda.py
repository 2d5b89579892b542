# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The backend on a GPU, with CuPy: sums and pixels live on the device, the index of blocks on the host.

Formulas are in kernels.h, which the C backend compiles too; gpu.cu has one thread for each item, `compiled` the steps that
both take around their kernels. Per observation a handful of transfers, whatever the number of blocks: images go up, keys
come down, slots go up.
"""
from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.fusion.backends import native
from lsm_ros.fusion.backends.blocks import HALF, BlockPool, DictIndex, Rows, far_away
from lsm_ros.fusion.backends.compiled import CompiledBackend, column_table
from lsm_ros.fusion.backends.cpu import HashIndex, functions
from lsm_ros.fusion.backends.extract import Crossings
from lsm_ros.fusion.backends.freespace import CELLS, FreeBox, FreeContribution
from lsm_ros.fusion.backends.integrate import LABEL_CELLS, VOXELS
from lsm_ros.fusion.backends.layout import Layout
from lsm_ros.fusion.backends.view import View, pixel_view
from lsm_ros.types import UNLABELLED, Observation

OPTIONS = ("--std=c++14", "-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true")
KERNELS = ("depth", "tiles", "pyramid", "pixels", "blocks", "free", "sum", "features", "free_sum",
           "surface_flags", "surface_voxels")
_THREADS = 256
_FIRST_SET = 1 << 14
_NONE = np.uint64(0)  # a null pointer


@dataclass(frozen=True)
class CudaPixels:
    """Pixels on the device: pixels (H*W, 2) uint32; near, known: pyramid; labels (H, W) uint16 or null; features (rows,
    columns, D) int8 or None."""

    view: View
    pixels: Any
    near: Any
    known: Any
    labels: Any
    label_ids: np.ndarray
    features: Any
    farthest: float


class DeviceRows(Rows):
    """Rows of blocks that are on a device, read on the host."""

    def __init__(self, blocks: Any, cupy: Any) -> None:
        super().__init__(blocks)
        self._host, self._device = cupy.asnumpy, cupy.asarray  # type: ignore[method-assign]


class CudaPool(BlockPool):
    """A pool with its sums on the device; keys, users and seq are on the host."""

    def __init__(self, shapes: dict[str, tuple[int, int]], planar: tuple[str, ...], index: Any, cupy: Any) -> None:
        self._cupy = cupy
        super().__init__(shapes, planar, index)

    def rows(self, name: str) -> Rows:
        """See BlockPool."""
        return DeviceRows(super().blocks(name)[:self._top], self._cupy)

    def blocks(self, name: str) -> np.ndarray:
        """A copy of all blocks up to the last in use; `take` copies fewer."""
        return self._cupy.asnumpy(super().blocks(name)[:self._top])

    def take(self, name: str, slots: np.ndarray) -> np.ndarray:
        """See BlockPool."""
        return self._cupy.asnumpy(super().blocks(name)[self._cupy.asarray(slots)])

    def column(self, name: str, slots: np.ndarray, column: int) -> np.ndarray:
        """See BlockPool."""
        return self._cupy.asnumpy(super().blocks(name)[self._cupy.asarray(slots), :, column])

    def put(self, name: str, slots: np.ndarray, content: np.ndarray) -> None:
        """See BlockPool."""
        super().blocks(name)[self._cupy.asarray(slots), :, :content.shape[2]] = self._cupy.asarray(content)

    def _zeros(self, blocks: int, name: str) -> Any:
        rows, columns = self._shapes[name]
        shape = (blocks, columns, rows) if name in self._planar else (blocks, rows, columns)
        return self._cupy.zeros(shape, np.int32)


class CudaBackend(CompiledBackend):
    """See `backends.Backend`. cupy: the module, imported if not given.

    RuntimeError, saying what to install, if CuPy or a device is missing, or the kernels do not compile.
    """

    name = "cuda"

    def __init__(self, cupy: Any = None) -> None:
        self._cupy = _import() if cupy is None else cupy
        self._kernels = _compiled(self._cupy)
        self._set_size = _FIRST_SET

    def pool(self, shapes: dict[str, tuple[int, int]], planar: tuple[str, ...], limit: int) -> BlockPool:
        """See Backend."""
        try:
            index: HashIndex | DictIndex = HashIndex(functions())
        except RuntimeError:  # no C compiler: slower, with the same content
            index = DictIndex()
        return CudaPool(shapes, planar, index, self._cupy)

    def prepare(self, observation: Observation, layout: Layout) -> CudaPixels:
        """See Backend."""
        o, cp, v = observation, self._cupy, pixel_view(observation, layout)
        view, count, tiles = self._upload(v), v.height * v.width, v.tile_rows * v.tile_columns
        z, confidence, rgb = (cp.asarray(np.ascontiguousarray(a)) for a in (o.z, o.confidence, o.rgb))
        labels = _NONE if o.labels is None else cp.asarray(np.ascontiguousarray(o.labels))
        depth = cp.empty(count, np.float32)
        rho, near, known = cp.empty(tiles, np.float32), cp.empty(v.tiles, np.float32), cp.empty(v.tiles, np.int32)
        pixels, farthest = cp.empty((count, 2), np.uint32), cp.zeros(1, np.int32)
        present = cp.zeros(UNLABELLED + 1, np.uint8)
        self._launch("depth", count, view, z, confidence, depth)
        self._launch("tiles", tiles, view, depth, rho, near, known)
        shapes = v.level_shapes()
        for level in range(1, v.levels):
            below, here = shapes[level - 1], shapes[level]
            self._launch("pyramid", here[0] * here[1], view, near, known, np.int32(level), np.int32(below[0]),
                         np.int32(below[1]))
        self._launch("pixels", count, view, depth, rho, z, confidence, rgb, labels, pixels, present, farthest)
        seen = np.zeros(0, np.uint8) if o.labels is None else cp.asnumpy(present)[:UNLABELLED]
        features = None if o.features is None else cp.asarray(np.ascontiguousarray(o.features))
        shown = labels if v.stride == 1 or o.labels is None else cp.asarray(
            np.ascontiguousarray(o.labels[::v.stride, ::v.stride]))
        return CudaPixels(v, pixels, near, known, shown, np.flatnonzero(seen).astype(np.uint16), features,
                          float(cp.asnumpy(farthest).view(np.float32)[0]))

    def _blocks(self, pixels: CudaPixels, view: View) -> np.ndarray:
        cp, rays = self._cupy, -(-view.height // view.step) * -(-view.width // view.step)
        while True:
            used = cp.full(self._set_size, -1, np.int64)
            keys, state = cp.empty(self._set_size, np.int64), cp.zeros(3, np.int32)
            self._launch("blocks", rays, self._upload(view), pixels.pixels, used, np.int32(self._set_size - 1), keys, state)
            count, full, outside = cp.asnumpy(state).tolist()
            if outside:
                raise far_away(HALF)
            if not full and 2 * count <= self._set_size:
                return cp.asnumpy(keys[:count])
            self._set_size *= 4

    def _free(self, pixels: CudaPixels, view: View, box: FreeBox) -> tuple[Any, np.ndarray]:
        cp, count = self._cupy, int(box.blocks.prod())
        weights, used = cp.empty((count, CELLS), np.uint8), cp.zeros(count, np.uint8)
        axes = [cp.asarray(np.ascontiguousarray(a)) for a in box.axes]
        self._launch("free", count * CELLS, self._upload(view), pixels.near, pixels.known, *axes, *box.blocks, weights, used)
        return weights, cp.asnumpy(used)

    def sum(self, pool: BlockPool, slots: np.ndarray, pixels: CudaPixels, view: View, keys: np.ndarray,
            columns: np.ndarray | None, sign: int, labels_only: bool = False) -> None:
        """See Backend."""
        if not len(keys):
            return
        cp, view = self._cupy, view.copy()
        view.label_width = pool.columns("labels")
        column_of, labels = _NONE, _NONE
        if len(pixels.label_ids):
            labels, table = pool.raw("labels"), column_table(pixels.label_ids, columns)
            column_of = _NONE if table is None else cp.asarray(table)
        voxels = _NONE if labels_only else pool.raw("voxels")
        on_device = self._upload(view), pixels.pixels, cp.asarray(keys), cp.asarray(slots)
        self._launch("sum", len(keys) * VOXELS, *on_device, voxels, labels, pixels.labels, column_of,
                     np.int32(sign))
        if pixels.features is not None and not labels_only:
            count = len(keys) * LABEL_CELLS * (view.feature_dim + 1)
            self._launch("features", np.int64(count), *on_device, pool.raw("features"), pixels.features, np.int32(sign))

    def free_sum(self, pool: BlockPool, slots: np.ndarray, free: FreeContribution, sign: int) -> None:
        """See Backend."""
        cp = self._cupy
        self._launch("free_sum", len(slots) * CELLS, pool.raw("weight"), cp.asarray(slots), cp.asarray(free.rows),
                     free.weights, np.int32(sign))

    def crossings(self, pool: BlockPool, slots: np.ndarray, neighbours: np.ndarray, unit: float, least: int) -> Crossings:
        """See Backend."""
        cp, bits = self._cupy, np.float32(unit).view(np.int32)
        flags = cp.empty(len(slots) * VOXELS, np.uint8)
        place = pool.raw("voxels"), cp.asarray(slots), cp.asarray(neighbours)
        self._launch("surface_flags", np.int64(len(slots) * VOXELS), *place, bits, np.int32(least), flags)
        items = cp.flatnonzero(flags)
        distance, slope = cp.empty(len(items), np.float32), cp.empty((len(items), 3), np.float32)
        self._launch("surface_voxels", len(items), *place, items, bits, np.int32(least), distance, slope)
        return Crossings(*np.divmod(cp.asnumpy(items), VOXELS), cp.asnumpy(distance), cp.asnumpy(slope))

    def _upload(self, view: View) -> Any:
        return self._cupy.asarray(np.frombuffer(bytes(view), np.uint8))

    def _launch(self, name: str, count: int | np.int64, *arguments: Any) -> None:
        """One thread for each of `count` items; the count is the last argument, int32 unless it is an int64."""
        if not count:
            return
        if not isinstance(count, np.int64):
            count = np.int32(count)
        self._kernels[name]((-(-int(count) // _THREADS),), (_THREADS,), (*arguments, count))


def _compiled(cupy: Any) -> dict[str, Any]:
    """The kernels by name. RuntimeError, with the compiler's words, if they do not compile.

    RawModule would compile them with -ftz=true, whatever the options say; so it gets them compiled.
    """
    nvrtc, architecture = cupy.cuda.nvrtc, f"--gpu-architecture=sm_{cupy.cuda.Device().compute_capability}"
    program = nvrtc.createProgram(native.source_text("gpu.cu"), "gpu.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*OPTIONS, architecture))
        binary = nvrtc.getCUBIN(program)
    except nvrtc.NVRTCError as error:
        raise RuntimeError(f"the voxel map's CUDA kernels do not compile: {nvrtc.getProgramLog(program)}") from error
    finally:
        nvrtc.destroyProgram(program)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.cubin"
        path.write_bytes(binary)
        module = cupy.RawModule(path=str(path))
        return {name: module.get_function(f"lsm_gpu_{name}") for name in KERNELS}  # these load it


def _import() -> Any:
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError("CuPy is not installed (pip install cupy-cuda12x)") from error
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(f"CuPy finds no GPU: {error}") from error
    if not devices:
        raise RuntimeError("CuPy finds no GPU")
    return cupy
