# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Errors in one line, as people read them."""
from __future__ import annotations


def one_line(error: BaseException) -> str:
    """Text of an error in one line; for an OSError its reason and its file."""
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.strerror}: {error.filename}"
    elif isinstance(error, MemoryError):
        text = f"out of memory {error}"
    elif isinstance(error, ModuleNotFoundError):
        text = f"{error}; `lsm doctor` says how to install what is missing"
    else:
        text = str(error)
    return " ".join(text.split()) or type(error).__name__
