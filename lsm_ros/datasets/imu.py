# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Readings of an inertial sensor, and their file, imu.csv."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lsm_ros.datasets.base import list_text
from lsm_ros.files import write_text
from lsm_ros.geometry.lie import is_se3
from lsm_ros.types import FrameSet, ImuSample

IMU_COLUMNS = "stamp [ns],wx [rad/s],wy,wz,ax [m/s^2],ay,az"
"""Columns of imu.csv."""


@dataclass(frozen=True)
class ImuData:
    """Readings of an inertial sensor in its own frame.

    stamps_ns: (N,) int64, ascending. angular_velocity: (N, 3) rad/s. specific_force: (N, 3) m/s^2, so that at rest it
    points up with 9.81. T_rig_imu: (4, 4) pose of the sensor in the rig.
    """

    stamps_ns: np.ndarray
    angular_velocity: np.ndarray
    specific_force: np.ndarray
    T_rig_imu: np.ndarray = field(default_factory=lambda: np.eye(4))

    def __post_init__(self) -> None:
        n = len(self.stamps_ns)
        if self.angular_velocity.shape != (n, 3) or self.specific_force.shape != (n, 3):
            raise ValueError(f"{n} stamps of an IMU need arrays ({n}, 3), got {self.angular_velocity.shape} and "
                             f"{self.specific_force.shape}")

    def between(self, after_ns: int | None, until_ns: int) -> tuple[ImuSample, ...]:
        """The readings after one stamp (None: from the first) up to another."""
        first = 0 if after_ns is None else int(np.searchsorted(self.stamps_ns, after_ns, side="right"))
        last = int(np.searchsorted(self.stamps_ns, until_ns, side="right"))
        return tuple(ImuSample(int(self.stamps_ns[k]), self.angular_velocity[k], self.specific_force[k])
                     for k in range(first, last))


def every_nth(frame_sets: Iterable[FrameSet], n: int) -> Iterator[FrameSet]:
    """Each n-th frame set, with the readings of the IMU that came with those left out."""
    kept: tuple[ImuSample, ...] = ()
    for i, frame_set in enumerate(frame_sets):
        kept += frame_set.imu
        if i % n == 0:
            yield frame_set if len(kept) == len(frame_set.imu) else replace(frame_set, imu=kept)
            kept = ()


def read_imu(path: str | Path) -> ImuData:
    """Lines `stamp_ns,wx,wy,wz,ax,ay,az` of an imu.csv (rad/s, m/s^2); a comment `# T_rig_imu: 16 numbers` is its pose
    in the rig. FileNotFoundError; ValueError names a bad line."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    T_rig_imu, stamps, rows = np.eye(4), [], []
    for number, line in enumerate(list_text(path).splitlines(), 1):
        try:
            if line.startswith("# T_rig_imu:"):
                T_rig_imu = np.array([float(v) for v in line.split(":", 1)[1].split()]).reshape(4, 4)
                if not is_se3(T_rig_imu, 1e-5):
                    raise ValueError("T_rig_imu is no rotation and translation")
            elif line.strip() and not line.startswith("#"):
                fields = line.split(",")
                stamps.append(int(fields[0]))
                rows.append([float(v) for v in fields[1:]])
                if len(fields) != 7 or not np.isfinite(rows[-1]).all() or abs(stamps[-1]) >= 2**63:
                    raise ValueError("expected 7 finite numbers")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: expected {IMU_COLUMNS}, got {line!r}") from error
    values = np.array(rows, dtype=np.float64).reshape(-1, 6)
    order = np.argsort(stamps, kind="stable")
    return ImuData(np.array(stamps, dtype=np.int64)[order], values[order, :3], values[order, 3:], T_rig_imu)


def write_imu(path: str | Path, imu: ImuData) -> None:
    """Writes a file for `read_imu`."""
    pose = " ".join(f"{v:.9g}" for v in imu.T_rig_imu.ravel())
    lines = [f"# T_rig_imu: {pose}", f"# {IMU_COLUMNS}"]
    for stamp_ns, w, a in zip(imu.stamps_ns, imu.angular_velocity, imu.specific_force, strict=True):
        lines.append(",".join([str(int(stamp_ns)), *(f"{v:.9g}" for v in (*w, *a))]))
    write_text(path, "\n".join(lines) + "\n")
