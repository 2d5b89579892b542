# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The backends of the voxel map, for tests that run on each of them."""
import shutil
from functools import lru_cache

import pytest

from helpers import emulated_cupy
from lsm_ros.fusion.backends.cpu import CpuBackend
from lsm_ros.fusion.backends.cuda import CudaBackend
from lsm_ros.fusion.backends.reference import NumpyBackend

NO_COMPILER = "no C compiler (apt-get install build-essential)"


@lru_cache
def make_backend(name: str):
    """A backend by name: numpy, cpu, emulated (the GPU's, without one) or cuda. Skips where it cannot run."""
    if name == "numpy":
        return NumpyBackend()
    if name == "cpu":
        return CpuBackend(2) if shutil.which("cc") else pytest.skip(NO_COMPILER)
    if name == "emulated":
        return CudaBackend(emulated_cupy) if emulated_cupy.available() else pytest.skip(NO_COMPILER)
    try:
        return CudaBackend()
    except RuntimeError as error:
        pytest.skip(str(error))


BACKENDS = ["numpy", "cpu", "emulated", pytest.param("cuda", marks=pytest.mark.gpu)]
