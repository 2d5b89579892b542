# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Memory that is given back."""
import gc
import os
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from lsm_ros import memory


class Circle:
    def __init__(self):
        self.itself = self
        self.data = np.zeros(10)


def test_what_only_refers_to_itself_is_freed():
    gc.disable()
    try:
        circle = Circle()
        seen = weakref.ref(circle)
        del circle
        assert seen() is not None
        memory.give_back()
        assert seen() is None
    finally:
        gc.enable()


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_freed_memory_goes_back_to_the_system():
    if not hasattr(__import__("ctypes").CDLL(None), "malloc_trim"):
        pytest.skip("the C library is not glibc")
    blocks = [np.ones(4000, np.uint8) for _ in range(20000)]  # 80 MB in blocks that are too small for a mapping of their own
    last = np.ones(4000, np.uint8)  # keeps the end of the heap
    blocks.clear()
    kept = resident_bytes()
    memory.give_back()
    assert kept - resident_bytes() > 40e6
    assert last[0] == 1
