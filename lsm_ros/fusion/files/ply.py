# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Point clouds as binary little-endian PLY: x y z, red green blue, label, confidence."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm_ros.files import replacing_file
from lsm_ros.types import UNLABELLED, MapSnapshot

_VERTEX = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1"),
                    ("label", "<u2"), ("confidence", "<f4")])
_NAMES = {"<f4": "float", "u1": "uchar", "|u1": "uchar", "<u2": "uint16"}  # Open3D reads no "ushort"
_TYPES = {"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2", "ushort": "<u2",
          "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4", "float": "<f4",
          "float32": "<f4", "double": "<f8", "float64": "<f8"}
_LONGEST_HEADER = 65536


@dataclass(frozen=True)
class PlyCloud:
    """points (N, 3) float32 metres; colors (N, 3) uint8; labels (N,) uint16; confidence (N,) float32."""

    points: np.ndarray
    colors: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray


def write_ply(path: Path | str, snapshot: MapSnapshot) -> int:
    """Writes the points of a snapshot and returns the bytes written.

    The file appears, or is replaced, only when all is written: on an error (OSError: full disk) what was
    there stays whole.
    """
    vertices = np.empty(len(snapshot.points_map), _VERTEX)
    for column, name in enumerate(("x", "y", "z")):
        vertices[name] = snapshot.points_map[:, column]
    for column, name in enumerate(("red", "green", "blue")):
        vertices[name] = snapshot.colors[:, column]
    vertices["label"], vertices["confidence"] = snapshot.labels, snapshot.confidence
    lines = ["ply", "format binary_little_endian 1.0", f"comment lsm_ros map, metres; label {UNLABELLED} = unlabelled",
             f"element vertex {len(vertices)}"]
    lines += [f"property {_NAMES[_VERTEX[name].str]} {name}" for name in _VERTEX.names]
    header = ("\n".join([*lines, "end_header"]) + "\n").encode()
    with replacing_file(Path(path)) as file:
        file.write(header)
        file.write(vertices.tobytes())
    return len(header) + vertices.nbytes


def read_ply(path: Path | str) -> PlyCloud:
    """Reads the vertices of a binary little-endian PLY file.

    Other properties than those of `write_ply` are skipped; colour (0), label (`UNLABELLED`) and confidence (1) may be
    absent.
    FileNotFoundError if there is none; ValueError, naming the file, if it is something else or not whole.
    """
    path = Path(path)
    v = read_vertices(path)
    count = len(v)
    missing = {"x", "y", "z"} - set(v.dtype.names or ())
    if missing:
        raise ValueError(f"{path} has no vertex property {sorted(missing)}")

    def columns(names: tuple[str, ...], kind: type, default: int) -> np.ndarray:
        return np.stack([v[n].astype(kind) if n in v.dtype.names else np.full(count, default, kind) for n in names], -1)

    return PlyCloud(columns(("x", "y", "z"), np.float32, 0), columns(("red", "green", "blue"), np.uint8, 0),
                    columns(("label",), np.uint16, UNLABELLED)[:, 0], columns(("confidence",), np.float32, 1)[:, 0])


def read_vertices(path: Path) -> np.ndarray:
    """All properties of the vertices of a binary little-endian PLY file, (N,) with a field for each. Errors as of
    `read_ply`."""
    data = path.read_bytes()
    end = data.find(b"end_header\n", 0, _LONGEST_HEADER)
    if not data.startswith(b"ply\n") or end < 0:
        raise ValueError(f"{path} is no PLY file with a header")
    try:
        count, vertex = _header(data[:end].decode("ascii").split("\n"))
    except (ValueError, IndexError, KeyError) as error:
        raise ValueError(f"{path}: header cannot be read: {error}") from error
    start = end + len(b"end_header\n")
    if len(data) - start < count * vertex.itemsize:
        raise ValueError(f"{path} is truncated: {count} vertices need {count * vertex.itemsize} bytes, "
                         f"{len(data) - start} are there")
    return np.frombuffer(data, vertex, count, start)


def _header(lines: list[str]) -> tuple[int, np.dtype]:
    """Number of vertices and the type of one."""
    if lines[1].split() != ["format", "binary_little_endian", "1.0"]:
        raise ValueError(f"{lines[1]!r} is not 'format binary_little_endian 1.0'")
    count, properties, element = -1, [], ""
    for words in (line.split() for line in lines[2:]):
        if words[:1] == ["element"]:
            if not element and words[1] != "vertex":
                raise ValueError(f"first element is {words[1]!r}, not 'vertex'")
            element = words[1]
            count = int(words[2]) if element == "vertex" else count
        elif words[:1] == ["property"] and element == "vertex":
            if words[1] not in _TYPES:
                raise ValueError(f"vertex property of type {words[1]!r}")
            properties.append((words[2], _TYPES[words[1]]))
    if count < 0:
        raise ValueError("no vertices are declared")
    return count, np.dtype(properties)


__all__ = ["PlyCloud", "read_ply", "write_ply"]
