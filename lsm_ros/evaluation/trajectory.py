# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Errors of a trajectory against ground truth: ATE by evo after an alignment, RPE per metre and per second."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lsm_ros.geometry.align import DegenerateGeometryError, umeyama
from lsm_ros.geometry.lie import matrix_to_quat, quat_to_matrix, se3_inverse, split_sim3
from lsm_ros.geometry.rotation import so3_log
from lsm_ros.types import TrajectoryPose

ALIGNMENTS = ("sim3", "se3", "none", "origin")
"""sim3, se3: least squares over all matched poses with and without scale; none: as given; origin: by the first pose."""

LARGE_TURN = 0.1  # radians a second, or a step, that rotations may be off before their order is doubted
MISSING_EVO = "trajectory errors need evo (GPL-3, hence optional): pip install lsm_ros[eval]"


@dataclass(frozen=True)
class ErrorStatistics:
    """Statistics of a set of errors, all in the unit of the errors; count: their number."""

    rmse: float
    mean: float
    median: float
    max: float
    count: int


@dataclass(frozen=True)
class TrajectoryErrors:
    """Result of `evaluate`.

    poses, matched: poses in the estimate, and the number of them with a ground truth within max_dt. ate_m: by alignment,
    metres. rpe_translation_m, rpe_rotation_rad: over 1 'metre' of path and 1 'second', None if the path is too short.
    scale: factor that makes the estimate as large as the truth (Umeyama), None if not determined. path_m: length of
    the matched ground truth. T_truth_estimate: (4, 4) rigid alignment; with scale T_truth_estimate_sim3.
    time_offset_ns: subtracted from the estimate's stamps.
    """

    poses: int
    matched: int
    ate_m: dict[str, ErrorStatistics]
    rpe_translation_m: dict[str, ErrorStatistics | None]
    rpe_rotation_rad: dict[str, ErrorStatistics | None]
    scale: float | None
    path_m: float
    T_truth_estimate: np.ndarray
    T_truth_estimate_sim3: np.ndarray | None
    time_offset_ns: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the transforms."""
        out = asdict(self)
        del out["T_truth_estimate"], out["T_truth_estimate_sim3"]
        return out


def associate(estimate: Sequence[TrajectoryPose], truth: Sequence[TrajectoryPose], max_dt_ns: int = 20_000_000,
              time_offset_ns: int = 0) -> list[tuple[int, int]]:
    """Pairs (index in estimate, index in truth) whose stamps differ by at most max_dt_ns, each pose in one at most.

    time_offset_ns is subtracted from the estimate's stamps first. Nearer pairs go first; the result is in order of time.
    """
    if not estimate or not truth:
        return []
    a = np.array([p.stamp_ns for p in estimate], np.int64) - time_offset_ns
    b = np.array([p.stamp_ns for p in truth], np.int64)
    order = np.argsort(b, kind="stable")
    right = np.searchsorted(b[order], a)
    candidates = []
    for side in (right - 1, right):
        inside = (side >= 0) & (side < len(b))
        i = np.flatnonzero(inside)
        j = order[side[inside]]
        gap = np.abs(a[i] - b[j])
        near = gap <= max_dt_ns
        candidates += zip(gap[near].tolist(), i[near].tolist(), j[near].tolist(), strict=True)
    used_i: set[int] = set()
    used_j: set[int] = set()
    pairs = []
    for _, i, j in sorted(candidates):
        if i not in used_i and j not in used_j:
            used_i.add(i)
            used_j.add(j)
            pairs.append((i, j))
    return sorted(pairs, key=lambda p: a[p[0]])


def choose_time_offset(estimate: Sequence[TrajectoryPose], truth: Sequence[TrajectoryPose], recorded_ns: int,
                       max_dt_ns: int = 20_000_000) -> int:
    """0 or `recorded_ns` (the offset added to the stamps of a recorded bag): the one that matches more poses."""
    matched = {offset: len(associate(estimate, truth, max_dt_ns, offset)) for offset in (0, recorded_ns)}
    return recorded_ns if matched[recorded_ns] > matched[0] else 0


def evaluate(estimate: Sequence[TrajectoryPose], truth: Sequence[TrajectoryPose], *, max_dt_ns: int = 20_000_000,
             time_offset_ns: int = 0, alignments: Sequence[str] = ALIGNMENTS) -> TrajectoryErrors:
    """Errors of `estimate` against `truth`, poses of the same body in worlds of their own, metres.

    ValueError for an unknown alignment, for fewer than three matched poses (with the stamps that did not match), and
    without evo. On a path along one line the alignments that are not determined are left out of ate_m.
    """
    for name in alignments:
        if name not in ALIGNMENTS:
            raise ValueError(f"alignment {name!r} is none of {', '.join(ALIGNMENTS)}")
    pairs = associate(estimate, truth, max_dt_ns, time_offset_ns)
    if len(pairs) < 3:
        raise ValueError(_no_match(estimate, truth, len(pairs), max_dt_ns, time_offset_ns))
    T_estimate = np.stack([estimate[i].T_map_rig for i, _ in pairs])
    T_truth = np.stack([truth[j].T_map_rig for _, j in pairs])
    stamps = np.array([truth[j].stamp_ns for _, j in pairs], np.int64)
    transforms = _alignments(T_estimate, T_truth)
    ate = {name: _ate(T_estimate, T_truth, transforms[name]) for name in alignments if transforms[name] is not None}
    _check_quaternions(T_estimate, T_truth, stamps)
    steps = {"metre": pairs_per_metre(T_truth[:, :3, 3]), "second": pairs_per_second(stamps)}
    errors = {name: relative_errors(T_estimate, T_truth, step) for name, step in steps.items()}
    sim3 = transforms["sim3"]
    rigid = transforms["se3"] if transforms["se3"] is not None else transforms["origin"]
    return TrajectoryErrors(
        len(estimate), len(pairs), ate, {n: _statistics(e[0]) for n, e in errors.items()},
        {n: _statistics(e[1]) for n, e in errors.items()}, None if sim3 is None else float(split_sim3(sim3)[0]),
        float(np.linalg.norm(np.diff(T_truth[:, :3, 3], axis=0), axis=1).sum()), rigid, sim3, time_offset_ns)


def _check_quaternions(T_estimate: np.ndarray, T_truth: np.ndarray, stamps: np.ndarray) -> None:
    """ValueError if the rotations of the truth fit the estimate's only when its quaternions are read with w first."""
    pairs = pairs_per_second(stamps)
    if not len(pairs):
        pairs = np.column_stack([np.arange(len(stamps) - 1), np.arange(1, len(stamps))])
    reordered = T_truth.copy()
    reordered[:, :3, :3] = [quat_to_matrix(np.roll(matrix_to_quat(R), -1)) for R in T_truth[:, :3, :3]]
    given, other = (float(np.median(relative_errors(T_estimate, T, pairs)[1])) for T in (T_truth, reordered))
    if given > LARGE_TURN and other < given / 5:
        raise ValueError(f"the rotations of the ground truth are off by {np.degrees(given):.0f} degrees, and by "
                         f"{np.degrees(other):.2g} if its quaternions have w first: put w last, or name the columns in a first "
                         "line (# stamp tx ty tz qw qx qy qz)")


def pairs_per_metre(positions: np.ndarray, length: float = 1.0) -> np.ndarray:
    """(N, 2) indices of each pose and the first one that is `length` metres of path after it; positions (M, 3)."""
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(positions, axis=0), axis=1))])
    return _steps(travelled, length)


def pairs_per_second(stamps_ns: np.ndarray, seconds: float = 1.0) -> np.ndarray:
    """(N, 2) indices of each pose and the first one that is `seconds` after it."""
    return _steps((stamps_ns - stamps_ns[0]) * 1e-9, seconds)


def relative_errors(T_estimate: np.ndarray, T_truth: np.ndarray, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relative pose errors over pairs (N, 2): translations (N,) in metres, rotations (N,) in radians.

    E = (Q_i^-1 Q_j)^-1 (P_i^-1 P_j), Sturm et al., IROS 2012, with truth Q and estimate P as (M, 4, 4) rigid poses.
    """
    i, j = pairs[:, 0], pairs[:, 1]
    moved = se3_inverse(T_estimate[i]) @ T_estimate[j]
    wanted = se3_inverse(T_truth[i]) @ T_truth[j]
    E = se3_inverse(wanted) @ moved
    return np.linalg.norm(E[:, :3, 3], axis=1), np.linalg.norm(so3_log(E[:, :3, :3]), axis=1)


def _steps(along: np.ndarray, step: float) -> np.ndarray:
    """Pairs (i, j) with the smallest j so that along[j] - along[i] >= step; `along` grows. Pairs across a hole in the
    data, which are more than a tenth too long, are left out."""
    j = np.searchsorted(along, along + step * (1 - 1e-6))  # stamps are rounded
    i = np.flatnonzero(j < len(along))
    i = i[along[j[i]] - along[i] <= 1.1 * step]
    return np.column_stack([i, j[i]])


def _alignments(T_estimate: np.ndarray, T_truth: np.ndarray) -> dict[str, np.ndarray | None]:
    """T_truth_estimate by name; None where the poses do not determine it."""
    out: dict[str, np.ndarray | None] = {"none": np.eye(4), "origin": T_truth[0] @ se3_inverse(T_estimate[0])}
    for name in ("sim3", "se3"):
        try:
            out[name] = umeyama(T_estimate[:, :3, 3], T_truth[:, :3, 3], with_scale=name == "sim3")
        except DegenerateGeometryError:
            out[name] = None
    return out


def _ate(T_estimate: np.ndarray, T_truth: np.ndarray, T_truth_estimate: np.ndarray) -> ErrorStatistics:
    """Absolute trajectory error by evo after a given alignment."""
    try:
        from evo.core.metrics import APE, PoseRelation
        from evo.core.trajectory import PosePath3D
    except ImportError as error:
        raise ValueError(MISSING_EVO) from error
    scale, R, t = split_sim3(T_truth_estimate)
    moved = T_estimate.copy()
    moved[:, :3, 3] = scale * T_estimate[:, :3, 3] @ R.T + t
    moved[:, :3, :3] = R @ T_estimate[:, :3, :3]
    metric = APE(PoseRelation.translation_part)
    metric.process_data((PosePath3D(poses_se3=list(T_truth)), PosePath3D(poses_se3=list(moved))))
    found = metric.get_all_statistics()
    return ErrorStatistics(found["rmse"], found["mean"], found["median"], found["max"], len(metric.error))


def _statistics(errors: np.ndarray) -> ErrorStatistics | None:
    if not errors.size:
        return None
    return ErrorStatistics(float(np.sqrt(np.mean(errors**2))), float(errors.mean()), float(np.median(errors)),
                           float(errors.max()), int(errors.size))


def _no_match(estimate: Sequence[TrajectoryPose], truth: Sequence[TrajectoryPose], matched: int, max_dt_ns: int,
              offset_ns: int) -> str:
    def span(poses: Sequence[TrajectoryPose], off: int) -> str:
        if not poses:
            return "no poses"
        stamps = [p.stamp_ns - off for p in poses]
        return f"{len(poses)} poses from {min(stamps) / 1e9:.3f} s to {max(stamps) / 1e9:.3f} s"

    return (f"only {matched} poses match the ground truth within {max_dt_ns / 1e9:g} s: the trajectory has "
            f"{span(estimate, offset_ns)}, the ground truth {span(truth, 0)}; see --time-offset and --max-dt")
