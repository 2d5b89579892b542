# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Threads of the libraries: how many there are, and that they sleep while they wait. Imports nothing of the package.

By default idle threads of OpenMP (PyTorch), OpenBLAS (NumPy, SciPy) and OpenCV spin for a while, so as to start sooner. On a
machine that has other work to do they then take the processor from those that they wait for. bench/threads.py measures it.
"""
from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

ASLEEP = {
    "OMP_WAIT_POLICY": "passive",  # GNU and Intel OpenMP
    "KMP_BLOCKTIME": "0",  # milliseconds that a thread of Intel's or LLVM's OpenMP spins
    "OPENBLAS_THREAD_TIMEOUT": "4",  # the least: 2^4 cycles
    "OPENCV_THREAD_POOL_ACTIVE_WAIT_MAIN": "0",
    "OPENCV_THREAD_POOL_ACTIVE_WAIT_WORKER": "0",
}


def sleep_while_waiting(environment: MutableMapping[str, str] = os.environ) -> None:
    """Lets the threads of libraries that are loaded from now on sleep while they wait; what a user has set stays."""
    for name, value in ASLEEP.items():
        environment.setdefault(name, value)


def use_threads(count: int) -> None:
    """At most `count` threads each for OpenCV and PyTorch, in the whole process. 0: as the libraries and `OMP_NUM_THREADS` have
    it."""
    if count == 0:
        return
    import cv2

    cv2.setNumThreads(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    else:
        os.environ["OMP_NUM_THREADS"] = str(count)  # read when it is loaded
