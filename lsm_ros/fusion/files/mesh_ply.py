# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Meshes as binary little-endian PLY: vertices x y z, red green blue, label; triangles."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from lsm_ros.files import replacing_file
from lsm_ros.fusion.read.mesh import Mesh
from lsm_ros.types import UNLABELLED

_VERTEX = np.dtype([("xyz", "<f4", (3,)), ("rgb", "u1", (3,)), ("label", "<u2")])
_FACE = np.dtype([("corners", "u1"), ("vertex", "<i4", (3,))])


def write_mesh(path: Path | str, mesh: Mesh) -> int:
    """Writes a mesh and returns the bytes written.

    The file appears, or is replaced, only when all is written: on an error (OSError: full disk) what was there
    stays whole.
    """
    vertices, faces = np.empty(len(mesh.vertices), _VERTEX), np.empty(len(mesh.triangles), _FACE)
    vertices["xyz"], vertices["rgb"], vertices["label"] = mesh.vertices, mesh.colors, mesh.labels
    faces["corners"], faces["vertex"] = 3, mesh.triangles
    lines = ["ply", "format binary_little_endian 1.0", f"comment lsm_ros mesh, metres; label {UNLABELLED} = unlabelled",
             f"element vertex {len(vertices)}", *(f"property float {n}" for n in "xyz"),
             *(f"property uchar {n}" for n in ("red", "green", "blue")), "property uint16 label",
             f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    header = ("\n".join(lines) + "\n").encode()
    with replacing_file(Path(path)) as file:
        file.write(header)
        file.write(vertices.tobytes())
        file.write(faces.tobytes())
    return len(header) + vertices.nbytes + faces.nbytes
