# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""As much of CuPy as the GPU backend uses, on a machine without a GPU: arrays are NumPy's, and the CUDA source is compiled
for the CPU, where one thread after another runs. It shows that kernels and launches fit together, not that they are fast."""
from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

_PRELUDE = """
#include <math.h>
#include <string.h>
#define __CUDACC__
#define __global__
#define __device__
struct place { unsigned int x, y, z; };
static place blockIdx, threadIdx, blockDim;
static int __float_as_int(float x) { int i; memcpy(&i, &x, 4); return i; }
static float __int_as_float(int i) { float x; memcpy(&x, &i, 4); return x; }
template <class T> static T atomicAdd(T *at, T value) { T old = *at; *at += value; return old; }
template <class T> static T atomicMax(T *at, T value) { T old = *at; *at = old > value ? old : value; return old; }
template <class T> static T atomicCAS(T *at, T was, T value) { T old = *at; *at = old == was ? value : old; return old; }
"""
_LAUNCH = """
typedef void (*kernel)(long long, long long, long long, long long, long long, long long, long long, long long, long long,
                       long long, long long, long long);
extern "C" void launch(kernel f, unsigned int blocks, unsigned int threads, const long long *a) {
    blockDim.x = threads;
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++)
        for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++)
            f(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11]);
}
"""
asarray, empty, zeros, full, flatnonzero = np.asarray, np.empty, np.zeros, np.full, np.flatnonzero


def available() -> bool:
    """True if there is a compiler for it."""
    return shutil.which("g++") is not None


def asnumpy(array: np.ndarray) -> np.ndarray:
    """A copy, as from a device."""
    return np.array(array)


class _Nvrtc:
    """A compiler whose binary is the source."""

    class NVRTCError(RuntimeError):
        """As CuPy's."""

    def __init__(self) -> None:
        self._program: str | None = None

    def createProgram(self, source: str, name: str, headers: tuple, include_names: tuple) -> int:
        """The only program at a time."""
        assert isinstance(source, str) and isinstance(name, str) and len(headers) == len(include_names) == 0
        self._program = source
        return 1

    def compileProgram(self, program: int, options: tuple[str, ...]) -> None:
        """Only with options that keep the bits; NVRTCError for a source without kernels."""
        assert program == 1 and {"-fmad=false", "-ftz=false"} <= set(options) and "--gpu-architecture=sm_90" in options
        if "lsm_gpu_sum" not in self._program:
            raise self.NVRTCError("NVRTC_ERROR_COMPILATION")

    def getCUBIN(self, program: int) -> bytes:
        """The source."""
        return self._program.encode()

    def getProgramLog(self, program: int) -> str:
        """Message of the compiler."""
        return "there is no kernel"

    def destroyProgram(self, program: int) -> None:
        """Nothing can be asked after it."""
        self._program = None


class cuda:
    """As much of cupy.cuda."""

    nvrtc = _Nvrtc()

    class Device:
        """A Hopper, by name."""

        compute_capability = "90"


class RawModule:
    """A module of kernels whose arguments are pointers and whole numbers."""

    def __init__(self, path: str) -> None:
        code = Path(path).read_text()
        with tempfile.TemporaryDirectory() as folder:
            source, library = Path(folder) / "kernels.cpp", Path(folder) / "kernels.so"
            source.write_text(_PRELUDE + code + _LAUNCH)
            subprocess.run(["g++", "-O2", "-std=c++14", "-ffp-contract=off", "-fPIC", "-shared", str(source), "-o",
                            str(library)], check=True)
            self._library = ctypes.CDLL(str(library))

    def get_function(self, name: str):
        """The kernel as a function of grid, block and arguments."""
        kernel = getattr(self._library, name)

        def call(grid: tuple[int], block: tuple[int], arguments: tuple) -> None:
            values = np.zeros(12, np.int64)
            for i, a in enumerate(arguments):
                assert isinstance(a, (np.ndarray, np.integer)), f"argument {i} of {name} is {type(a)}"
                assert not isinstance(a, np.ndarray) or a.flags.c_contiguous, f"argument {i} of {name}"
                values[i] = a.ctypes.data if isinstance(a, np.ndarray) else int(a)
            self._library.launch(kernel, ctypes.c_uint(grid[0]), ctypes.c_uint(block[0]), values.ctypes.data_as(
                ctypes.POINTER(ctypes.c_longlong)))

        return call
