# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tensors from files. A file is data: no code in it runs, and anything that would run code is refused and named."""
from __future__ import annotations

import argparse
import json
import math
import pickle
import pickletools
import re
import struct
import warnings
from collections.abc import Mapping
from operator import index
from pathlib import Path
from typing import Any

import torch

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
          "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}
# Errors of torch and pickle for a truncated or corrupted file, depending on the place of the damage.
_DAMAGE = (RuntimeError, EOFError, KeyError, ValueError, TypeError, AttributeError, IndexError, AssertionError, OverflowError,
           MemoryError, OSError, struct.error)
_LONGEST_HEADER = 100_000_000  # as the format says
# Objects that training leaves beside the weights: left out.
_LEFTOVERS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype", "_codecs.encode",
              "numpy.dtypes.Float64DType", "numpy.dtypes.Float32DType", "numpy.dtypes.Int64DType",
              "pathlib.Path", "pathlib.PosixPath", "pathlib.PurePosixPath")


def read_pickle(path: Path) -> dict[str, Any]:
    """The dict in a .pth file, tensors mapped from the file.

    Read with `weights_only`: tensors, plain containers and argument namespaces; NumPy scalars and paths are left out.
    ValueError when the file is truncated or is no such file, and when it asks for anything else, which it names.
    """
    if not hasattr(torch.serialization, "safe_globals"):
        raise ValueError(f"{path}: reading .pth safely needs torch 2.6 or newer, this is {torch.__version__}; "
                         "use the .safetensors file or a newer torch")
    allowed: list[Any] = [argparse.Namespace, *((_Leftover, name) for name in _LEFTOVERS)]
    zipped = _is_zip(path)
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an error follows, which says the same
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        refused = _refused(path, allowed, str(error))
        if refused:
            raise ValueError(f"{path} is refused: it asks for {', '.join(refused)}, and a checkpoint may hold tensors and "
                             "plain values only") from error
        raise ValueError(f"{path} is truncated or is no checkpoint: {_first_line(error)}") from error
    except _DAMAGE as error:
        raise ValueError(f"{path} is truncated or is no checkpoint: {_first_line(error)}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not the dict of a checkpoint")
    return content


class _Leftover:
    """Stands for every leftover, whatever its class."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass


def _is_zip(path: Path) -> bool:
    with path.open("rb") as f:
        return f.read(4) == b"PK\x03\x04"


def _refused(path: Path, allowed: list[Any], message: str) -> list[str]:
    named = set(re.findall(r"GLOBAL ([\w.]+) (?:was not|whose)", message))
    if _is_zip(path):
        try:
            with torch.serialization.safe_globals(allowed):
                named |= set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
        except (pickle.UnpicklingError, *_DAMAGE):
            return sorted(named)  # it is damaged besides
    elif not named:  # torch gave up before: a pickle of another protocol
        known = {a[1] if isinstance(a, tuple) else f"{a.__module__}.{a.__qualname__}" for a in allowed}
        named |= {g for g in _globals_of(path) if g not in known and g.split(".")[0] not in ("torch", "collections")}
    return sorted(named)


def _globals_of(path: Path) -> set[str]:
    """Classes that a plain pickle asks for, as far as it can be read; nothing is loaded."""
    named, texts = set(), []
    try:
        with path.open("rb") as f:
            for opcode, argument, _ in pickletools.genops(f):
                if opcode.name in ("GLOBAL", "INST"):
                    named.add(argument.replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL":
                    named.add(".".join(texts[-2:]))
                elif isinstance(argument, str):
                    texts = [*texts[-1:], argument]
    except _DAMAGE:
        return named  # it ends here; the part read so far counts
    return named


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].split(". ")[0][:200] or type(error).__name__


def read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors by name, mapped from the file, and the metadata of a .safetensors file.

    The format: eight bytes with the length of a JSON header, the header with type, shape and place of each tensor, data.
    ValueError when the file is truncated or its header does not fit it.
    """
    size = path.stat().st_size
    with path.open("rb") as f:
        start = f.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
            raise ValueError(f"{path} is truncated or is no safetensors file: its header should have {length} bytes")
        try:
            header = json.loads(f.read(length))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no safetensors file: its header is not JSON, or nested too deep") from error
    if not isinstance(header, dict):
        raise ValueError(f"{path} is no safetensors file: its header is a {type(header).__name__}")
    metadata = header.pop("__metadata__", {})
    data = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)[8 + length:]
    return {name: _tensor(path, name, entry, data) for name, entry in header.items()}, metadata


def _tensor(path: Path, name: str, entry: Any, data: torch.Tensor) -> torch.Tensor:
    try:
        dtype, (begin, end) = DTYPES[entry["dtype"]], [index(n) for n in entry["data_offsets"]]
        shape = [index(n) for n in entry["shape"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: tensor {name!r} is not described as the format wants: {entry!r}") from error
    if min(shape, default=0) < 0 or not 0 <= begin <= end or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{path}: tensor {name!r} of shape {shape} does not fit bytes {begin} to {end}")
    if end > len(data):
        raise ValueError(f"{path} is truncated: tensor {name!r} ends at byte {end}, the data at {len(data)}")
    if begin == end:
        return torch.empty(shape, dtype=dtype)
    part = data[begin:end]
    if (part.storage_offset() % dtype.itemsize) != 0:
        part = part.clone()
    return part.view(dtype).view(shape)


def write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Writes tensors by name; those that share memory are written once, and the metadata says for which other name."""
    names = {v: k for k, v in DTYPES.items()}
    header: dict[str, Any] = {}
    notes, seen, order, offset = dict(metadata or {}), {}, [], 0
    for name, tensor in tensors.items():
        place = (tensor.data_ptr(), tuple(tensor.shape), tensor.dtype)
        if tensor.numel() and place in seen:
            notes[name] = seen[place]
            continue
        seen[place] = name
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        order.append(tensor)
        offset += size
    text = json.dumps({**({"__metadata__": notes} if notes else {}), **header}).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for tensor in order:
            f.write(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
