# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Surface voxels with their language features in one file, so that a result can be asked without the whole map."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm_ros.files import replacing_file
from lsm_ros.reading import open_arrays

FILE = "features.npz"
_CHUNK = 65536


@dataclass(frozen=True)
class FeatureCloud:
    """voxel (N, 3) int32; points_map (N, 3) float32 metres; cell (N,) int32: which row of features a voxel has, -1 without;
    features (M, D) int8 unit vectors times 127."""

    voxel: np.ndarray
    points_map: np.ndarray
    cell: np.ndarray
    features: np.ndarray
    voxel_size: float

    def similarity(self, vector: np.ndarray) -> np.ndarray:
        """Cosine (N,) float32 of each voxel's feature with a vector (D,), NaN without. ValueError for another length, zero, or
        what is not finite."""
        wanted = np.asarray(vector, np.float64)
        if wanted.shape != self.features.shape[1:] or not np.isfinite(wanted).all() or not wanted.any():
            raise ValueError(f"the vector has shape {wanted.shape}, the features have {self.features.shape[1]} numbers; it "
                             "must be finite and not zero")
        wanted = wanted / np.linalg.norm(wanted)
        found = np.full(len(self.features) + 1, np.nan, np.float32)  # the last for cell -1
        for first in range(0, len(self.features), _CHUNK):
            some = self.features[first:first + _CHUNK].astype(np.float64)
            found[first:first + len(some)] = some @ wanted / np.maximum(np.linalg.norm(some, axis=1), 1e-12)
        return found[self.cell]


def write_features(path: Path, cloud: FeatureCloud) -> None:
    """Writes a cloud; the file appears, or is replaced, only when all is written. OSError if that fails."""
    with replacing_file(path) as file:
        np.savez_compressed(file, voxel=cloud.voxel, points_map=cloud.points_map, cell=cloud.cell, features=cloud.features,
                            voxel_size=np.float64(cloud.voxel_size))


def read_features(path: Path) -> FeatureCloud:
    """Reads what `write_features` wrote. FileNotFoundError; ValueError, naming the file, when it is damaged or another."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    wanted = {"voxel": (np.int32, 2), "points_map": (np.float32, 2), "cell": (np.int32, 1), "features": (np.int8, 2)}
    with open_arrays(path) as arrays:
        found = {name: arrays[name] for name in wanted}
        size = float(arrays["voxel_size"])
    for name, (kind, dims) in wanted.items():
        if found[name].dtype != kind or found[name].ndim != dims:
            raise ValueError(f"{path}: {name} is {found[name].shape} {found[name].dtype}")
    n = len(found["voxel"])
    if found["voxel"].shape != (n, 3) or found["points_map"].shape != (n, 3) or found["cell"].shape != (n,) or not size > 0 or (
            n and not -1 <= found["cell"].min() <= found["cell"].max() < len(found["features"])):
        raise ValueError(f"{path}: its arrays do not fit each other")
    return FeatureCloud(**found, voxel_size=size)
