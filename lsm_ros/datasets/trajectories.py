# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Trajectories in TUM's format (stamp tx ty tz qx qy qz qw), and in others whose header names their columns."""
from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm_ros.datasets.base import list_text, stamp_from_text, stamp_to_text
from lsm_ros.files import write_text
from lsm_ros.geometry.lie import make_se3, matrix_to_quat, quat_to_matrix
from lsm_ros.reading import no_file
from lsm_ros.types import TrajectoryPose

_STAMP = re.compile(r"(time|stamp|timestamps?|time_?stamp|t)$")
_COLUMNS = [re.compile(rf"((t|p|pos|position)[^a-z]*([a-z]+_)*)?{axis}$") for axis in "xyz"] + \
    [re.compile(rf"(q|quat|ori|orientation|rot|rotation).*{axis}$") for axis in "xyzw"]
_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000}  # of stamps, in nanoseconds; seconds are what there is without


@dataclass(frozen=True)
class _Header:
    """Columns of a file: where behind the stamp tx ty tz qx qy qz qw are; unit: of the stamps, in ns, or None for seconds."""

    order: list[int]
    unit: int | None


def read_tum(path: str | Path) -> list[TrajectoryPose]:
    """Poses of a trajectory file in order of stamps, in the frames of the file.

    Columns are those of TUM unless a header names others, as EuRoC's does (`#timestamp [ns], p_RS_R_x [m], ..., q_RS_w []`);
    stamps are in seconds, or in nanoseconds where they can be nothing else. ValueError names a bad line.
    """
    path = Path(path)
    if not path.is_file():
        raise no_file(path, "trajectory")
    poses: list[TrajectoryPose] = []
    header: _Header | None = None
    for number, line in enumerate(list_text(path).splitlines(), 1):
        named = None if poses else _header(line)
        if named is not None:
            header = named
            continue
        fields = line.split("#", 1)[0].replace(",", " ").split()
        if not fields:
            continue
        try:
            poses.append(_pose(fields, header))
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{path}, line {number}: expected stamp tx ty tz qx qy qz qw, got {line!r}: {error}") from error
    poses.sort(key=lambda p: p.stamp_ns)
    for a, b in itertools.pairwise(poses):
        if a.stamp_ns == b.stamp_ns and not np.array_equal(a.T_map_rig, b.T_map_rig):
            raise ValueError(f"{path}: two different poses have the stamp {stamp_to_text(a.stamp_ns)}")
    return poses


def _pose(fields: list[str], header: _Header | None) -> TrajectoryPose:
    unit = None if header is None else header.unit
    stamp_ns = stamp_from_text(fields[0]) if unit is None else int(fields[0].split(".")[0]) * unit
    if abs(stamp_ns) >= 2**63:
        raise ValueError(f"stamp {fields[0]} is out of range")
    values = np.array([float(v) for v in fields[1:]])
    if header is not None and len(values) > max(header.order):
        values = values[header.order]
    if values.shape != (7,) or not np.isfinite(values).all() or np.linalg.norm(values[3:]) < 1e-6:
        raise ValueError("it is no pose")
    quat = values[3:] / np.linalg.norm(values[3:])
    return TrajectoryPose(stamp_ns, make_se3(quat_to_matrix(quat), values[:3]))


def _header(line: str) -> _Header | None:
    """The columns that a line names; None if it does not."""
    parts = line.lower().lstrip("# \t").split("," if "," in line else None)
    parts = [p.strip() for p in parts if not p.startswith("[")]
    names = [re.sub(r"\s*\[.*", "", p) for p in parts]
    first = next((i for i, name in enumerate(names) if _STAMP.match(name)), None)
    if first is None:
        return None
    found = [next((i for i, name in enumerate(names[first + 1:]) if column.match(name)), None) for column in _COLUMNS]
    if any(i is None for i in found):
        return None
    unit = re.search(r"\[(\w+)\]", line.lower().split(",")[0])
    return _Header([i for i in found if i is not None], _UNITS.get(unit[1]) if unit else None)


def write_tum(path: str | Path, poses: Iterable[TrajectoryPose], comment: str = "") -> None:
    """Writes poses as lines `stamp tx ty tz qx qy qz qw`: seconds to the nanosecond, metres to the micrometre."""
    lines = [f"# {comment}"] if comment else []
    for pose in poses:
        t, q = pose.T_map_rig[:3, 3], matrix_to_quat(pose.T_map_rig[:3, :3])
        lines.append(" ".join([stamp_to_text(pose.stamp_ns), *(f"{v:.6f}" for v in t), *(f"{v:.8f}" for v in q)]))
    write_text(path, "\n".join(lines) + ("\n" if lines else ""))
