# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""3D Gaussians as the PLY file that viewers of 3D Gaussian Splatting read, and their language features beside it."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from lsm_ros.files import replacing_file
from lsm_ros.fusion.files.feature_file import FeatureCloud, write_features
from lsm_ros.fusion.files.ply import read_vertices
from lsm_ros.fusion.read.gaussians import GaussianCloud

FILE, FEATURES_FILE = "gaussians.ply", "gaussian_features.npz"
_CERTAIN = 1e-6  # opacities are stored as logits


def write_gaussians(path: Path | str, cloud: GaussianCloud) -> int:
    """Writes the Gaussians and returns the bytes written: logarithms of scales, logits of opacities, quaternions w, x, y, z,
    and the coefficients of degree 0 and, if there are any, of higher ones, colour by colour. All float32, metres.

    The file appears, or is replaced, only when all is written: on an error (OSError: full disk) what was there stays whole.
    """
    count, rest = len(cloud), cloud.sh.shape[1] - 1
    opacity = np.clip(cloud.opacities, _CERTAIN, 1 - _CERTAIN)
    parts = [("x y z", cloud.means), ("nx ny nz", np.zeros((count, 3))), ("f_dc_0 f_dc_1 f_dc_2", cloud.sh[:, 0]),
             (" ".join(f"f_rest_{i}" for i in range(3 * rest)), cloud.sh[:, 1:].transpose(0, 2, 1).reshape(count, 3 * rest)),
             ("opacity", np.log(opacity / (1 - opacity))[:, None]), ("scale_0 scale_1 scale_2", np.log(cloud.scales)),
             ("rot_0 rot_1 rot_2 rot_3", cloud.rotations)]
    names = " ".join(n for n, _ in parts).split()
    values = np.concatenate([v for _, v in parts], 1).astype("<f4")
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {count}", *(f"property float {n}" for n in names)]
    header = ("\n".join([*lines, "end_header"]) + "\n").encode()
    with replacing_file(Path(path)) as file:
        file.write(header)
        file.write(values.tobytes())
    return len(header) + values.nbytes


def write_gaussian_features(path: Path, cloud: GaussianCloud, voxel_size: float) -> None:
    """Writes the features of the Gaussians, in the order of the PLY file; see `feature_file`."""
    voxel = np.floor(cloud.means / voxel_size).astype(np.int32)
    write_features(path, FeatureCloud(voxel, cloud.means, cloud.cell, cloud.features, voxel_size))


def read_gaussians(path: Path | str) -> GaussianCloud:
    """Reads Gaussians that this or other software wrote; they come without features. FileNotFoundError if there is no file;
    ValueError, naming it, if it is something else or not whole."""
    vertices = read_vertices(Path(path))
    present = vertices.dtype.names or ()
    names = {"means": ("x", "y", "z"), "dc": ("f_dc_0", "f_dc_1", "f_dc_2"), "scales": ("scale_0", "scale_1", "scale_2"),
             "rotations": ("rot_0", "rot_1", "rot_2", "rot_3"), "opacities": ("opacity",),
             "rest": tuple(f"f_rest_{i}" for i in range(sum(n.startswith("f_rest_") for n in present)))}
    missing = sorted({n for group in names.values() for n in group} - set(present))
    if missing:
        raise ValueError(f"{path} holds no Gaussians: it lacks {', '.join(missing[:5])}")
    if len(names["rest"]) % 3:
        raise ValueError(f"{path}: {len(names['rest'])} coefficients of higher degrees are no multiple of 3")
    nothing = np.zeros((len(vertices), 0), np.float32)
    found = {k: np.stack([vertices[n].astype(np.float32) for n in group], 1) if group else nothing
             for k, group in names.items()}
    bad = sum(int((~np.isfinite(v)).any(1).sum()) for v in found.values())
    if bad:
        raise ValueError(f"{path}: {bad} values of Gaussians are not finite")
    rest = found["rest"].reshape(len(vertices), 3, -1).transpose(0, 2, 1)
    return GaussianCloud(found["means"], np.exp(found["scales"]), found["rotations"],
                         1 / (1 + np.exp(-found["opacities"][:, 0])), np.concatenate([found["dc"][:, None], rest], 1),
                         np.full(len(vertices), -1, np.int32), np.zeros((0, 0), np.int8))
