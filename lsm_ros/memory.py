# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Gives memory that is no longer used back to the system. Imports nothing of the package."""
import ctypes
import gc


def give_back() -> None:
    """Frees objects that only refer to each other, and returns what the C library keeps of freed memory (only glibc has
    a call for it). Takes some tens of milliseconds: for the end of a map, not for frames."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
