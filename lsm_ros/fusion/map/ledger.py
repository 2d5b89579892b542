# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Ledger of the observations: the pose it is fused with, the blocks it touches, how far it should move."""
from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lsm_ros.fusion.backends.layout import FEATURE_STRIDES, CameraPose, check_pose, feature_grid, feature_stride
from lsm_ros.types import Observation, frozen_copy

MAX_FEATURE_DIM = 128
_VIEW_ANGLE = math.radians(30.0)


def median_depth(o: Observation) -> float:
    """Median of the known depths in the camera's units, of every fourth pixel if these know any; 0 if there is none."""
    few = o.z[::4, ::4]
    known = few[few > 0]
    return float(np.median(known)) * o.z_step if known.size else o.median_depth


@dataclass
class Entry:
    """One observation. T_map_rig (4, 4) float64: the pose it is fused with, or, while not `fused`, would be fused with.
    keys: blocks that it touches."""

    observation: Observation
    T_map_rig: np.ndarray
    fused: bool
    keys: np.ndarray
    known_depth: float | None = None

    @property
    def median_depth(self) -> float:
        """See `median_depth`; computed when it is first asked for, since most observations never move."""
        if self.known_depth is None:
            self.known_depth = median_depth(self.observation)
        return self.known_depth

    @property
    def nbytes(self) -> int:
        """Bytes of the observation's arrays."""
        o = self.observation
        return sum(a.nbytes for a in (o.z, o.confidence, o.rgb, o.labels, o.features) if a is not None)


def checked_observation(o: Observation) -> Observation:
    """A copy with read-only arrays: those given, where they are so and own their memory.

    ValueError, naming the value, if something does not fit.
    """
    name = f"observation {o.id!r}"
    for field in ("id", "keyframe"):
        value = getattr(o, field)
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 0 <= value < 2**63:
            raise ValueError(f"{field} of {name} must be a whole number >= 0, got {value!r}")
    if o.intrinsics.has_distortion:
        raise ValueError(f"{name} has distortion {o.intrinsics.distortion_model!r}; rectify it first")
    shape = o.intrinsics.shape
    wanted = {"z": (shape, np.uint16), "confidence": (shape, np.uint8), "rgb": ((*shape, 3), np.uint8)}
    for field, (size, kind) in wanted.items():
        a = getattr(o, field)
        if not isinstance(a, np.ndarray) or a.shape != size or a.dtype != kind:
            raise ValueError(f"{field} of {name} must be {size} {np.dtype(kind)}, got {_describe(a)}")
    if not (math.isfinite(o.z_step) and o.z_step > 0):
        raise ValueError(f"z_step of {name} must be positive and finite, got {o.z_step!r}")
    T = check_pose(o.T_rig_cam, f"T_rig_cam of {name}", may_scale=False)
    T.setflags(write=False)
    labels = None if o.labels is None else checked_labels(o.labels, o)
    return replace(o, id=int(o.id), keyframe=int(o.keyframe), z_step=float(o.z_step), T_rig_cam=T, z=_kept(o.z),
                   confidence=_kept(o.confidence), rgb=_kept(o.rgb), labels=labels,
                   features=_checked_features(o))


def _checked_features(o: Observation) -> np.ndarray | None:
    """A read-only copy of features (H/16, W/16, D) or (H/8, W/8, D) int8, D up to 128. ValueError for others."""
    f = o.features
    if f is None:
        return None
    if not isinstance(f, np.ndarray) or f.ndim != 3 or f.dtype != np.int8 or not 1 <= f.shape[2] <= MAX_FEATURE_DIM or (
            feature_stride(o.intrinsics.shape, f.shape[:2]) is None):
        sizes = " or ".join(str(feature_grid(o.intrinsics.shape, s)) for s in FEATURE_STRIDES)
        raise ValueError(f"features of observation {o.id} must be {sizes} vectors of 1 to {MAX_FEATURE_DIM} int8, got "
                         f"{_describe(f)}")
    return _kept(f)


def checked_labels(labels: np.ndarray, o: Observation) -> np.ndarray:
    """A read-only copy of labels (H, W) uint16 for an observation. ValueError for another size or type."""
    if not isinstance(labels, np.ndarray) or labels.shape != o.intrinsics.shape or labels.dtype != np.uint16:
        raise ValueError(f"labels of observation {o.id} must be {o.intrinsics.shape} uint16, got {_describe(labels)}")
    return _kept(labels)


def displacement(entry: Entry, T_map_rig: np.ndarray) -> float:
    """Distance in metres by which a new pose moves the camera's centre or the point at median depth on its axis, whichever is
    more."""
    old = CameraPose.of(entry.T_map_rig, entry.observation.T_rig_cam)
    new = CameraPose.of(T_map_rig, entry.observation.T_rig_cam)
    centre = new.t - old.t
    axis = entry.median_depth * (new.scale * new.R[:, 2] - old.scale * old.R[:, 2])
    return float(max(np.linalg.norm(centre), np.linalg.norm(centre + axis)))


def view_cell(entry: Entry, size: float) -> tuple[int, ...]:
    """View cell of an observation: cell of its camera's centre (`size` metres), 30 degrees of direction."""
    pose = CameraPose.of(entry.T_map_rig, entry.observation.T_rig_cam)
    x, y, z = pose.R[:, 2].tolist()
    azimuth, elevation = math.atan2(y, x), math.asin(min(max(z, -1.0), 1.0))
    place = (math.floor(v / size) for v in pose.t.tolist())
    return *place, math.floor(azimuth / _VIEW_ANGLE), math.floor(elevation / _VIEW_ANGLE)


def ranks(entries: Iterable[Entry], size: float) -> dict[int, int]:
    """For each observation id, how many newer keyframes look from its view cell."""
    cells: dict[tuple[int, ...], list[Entry]] = {}
    for entry in entries:
        cells.setdefault(view_cell(entry, size), []).append(entry)
    out = {}
    for members in cells.values():
        newest_first = sorted({e.observation.keyframe for e in members}, reverse=True)
        rank = {k: n for n, k in enumerate(newest_first)}
        out.update({e.observation.id: rank[e.observation.keyframe] for e in members})
    return out


def nearest_first(moves: Iterable[tuple[Entry, np.ndarray]],
                  poses: Mapping[int, np.ndarray]) -> list[tuple[Entry, np.ndarray]]:
    """Entries and their new T_map_rig in the order of its distance from the newest keyframe of `poses`."""
    centre = np.asarray(poses[max(poses)])[:3, 3] if poses else np.zeros(3)
    return sorted(moves, key=lambda m: (float(np.linalg.norm(m[1][:3, 3] - centre)), m[0].observation.id))


def _kept(a: np.ndarray) -> np.ndarray:
    """An array that nobody writes to: itself if it is read-only and owns its memory, else a copy."""
    return a if a.flags.owndata and not a.flags.writeable else frozen_copy(a)


def _describe(a: object) -> str:
    return f"{a.shape} {a.dtype}" if isinstance(a, np.ndarray) else repr(a)
