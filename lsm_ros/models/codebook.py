# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Reads NumPy arrays and plain containers from a pickle; objects of other kinds become their attributes, nothing runs."""
from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

_BUILTINS = {"dict", "list", "tuple", "set", "frozenset", "int", "float", "complex", "bool", "str", "bytes", "bytearray"}
_ARRAYS = {"numpy": {"ndarray", "dtype"}, "numpy.core.multiarray": {"_reconstruct", "scalar"},
           "numpy._core.multiarray": {"_reconstruct", "scalar"}}


class _Attributes(dict):
    """An object of a class that is not imported: its attributes as a dict."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        self.update(state if isinstance(state, dict) else {"state": state})


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _ARRAYS and name in _ARRAYS[module]:
            core = np.core if np.lib.NumpyVersion(np.__version__) < "2.0.0" else np._core
            return getattr(np if module == "numpy" else core.multiarray, name)
        if module == "builtins" and name in _BUILTINS:
            return getattr(__import__("builtins"), name)
        if module == "collections" and name == "OrderedDict":
            return dict
        if module.split(".")[0] == "asmk":
            return _Attributes
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, and a codebook may hold arrays only")


def read_arrays(path: Path) -> Any:
    """What a pickle holds. FileNotFoundError when it is not there; ValueError, which names what it asks for, when it holds
    anything but arrays, plain values and ASMK's own objects, or is truncated."""
    if not path.is_file():
        raise FileNotFoundError(f"codebook {path} does not exist")
    try:
        with path.open("rb") as f:
            return _Reader(f).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError,
            MemoryError) as error:
        raise ValueError(f"{path} is refused: {error or 'it is truncated'}") from error
