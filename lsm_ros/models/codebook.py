# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Reads NumPy arrays and plain containers from a pickle; objects of other kinds become their attributes, nothing runs."""
from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

_BUILTINS = {"dict", "list", "tuple", "set", "frozenset", "int", "float", "complex", "bool", "str", "bytes", "bytearray"}
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")


class _Attributes(dict):
    """An object of a class that is not imported: its attributes as a dict."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        self.update(state if isinstance(state, dict) else {"state": state})


class _Kind:
    """A dtype that is being read. NumPy's own would take flags from the file, with which it touches foreign memory."""

    def __init__(self, code: str, *_args: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[?biufc]\d{0,2}", code):
            raise pickle.UnpicklingError(f"it holds an array of {str(code)[:20]!r}, and a codebook holds numbers only")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that is being read; NumPy checks that its bytes fill its shape."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Kind) or not isinstance(data, bytes):
            raise pickle.UnpicklingError("it holds an array that is no numbers")
        super().__setstate__((1, tuple(int(n) for n in shape), kind.dtype, bool(fortran), data))


def _empty(*_args: Any) -> _Array:
    return np.ndarray.__new__(_Array, (0,), np.uint8)


def _scalar(kind: Any, data: Any) -> Any:
    if not isinstance(kind, _Kind) or not isinstance(data, bytes):
        raise pickle.UnpicklingError("it holds a scalar that is no number")
    return np.frombuffer(data, kind.dtype, 1)[0].item()


def _bytes(text: Any, encoding: Any) -> bytes:
    """Bytes from the form in which pickles of old protocols hold them."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it holds text where bytes should be")
    return text.encode("latin1")


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "numpy" and name in ("ndarray", "dtype"):
            return _Array if name == "ndarray" else _Kind
        if module in _MULTIARRAY and name in ("_reconstruct", "scalar"):
            return _empty if name == "_reconstruct" else _scalar
        if (module, name) == ("_codecs", "encode"):
            return _bytes
        if module == "builtins" and name in _BUILTINS:
            return getattr(__import__("builtins"), name)
        if module == "collections" and name == "OrderedDict":
            return dict
        if module.split(".")[0] == "asmk":
            return _Attributes
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, and a codebook may hold arrays only")


def read_arrays(path: Path) -> Any:
    """Content of a pickle. FileNotFoundError when there is no such file; ValueError, which names the refused class, when it
    holds anything but arrays, plain values and ASMK's own objects, or is truncated."""
    if not path.is_file():
        raise FileNotFoundError(f"codebook {path} does not exist")
    try:
        with path.open("rb") as f:
            return _Reader(f).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError,
            MemoryError, OverflowError) as error:
        raise ValueError(f"{path} is refused: {error or 'it is truncated'}") from error
