# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Transforms between frames, as in tf2: a tree of fixed and of moving edges, interpolated, never extrapolated."""
from __future__ import annotations

import bisect

import numpy as np

from lsm_ros.geometry.lie import interpolate_se3, make_se3, quat_to_matrix, se3_inverse


class TransformError(LookupError):
    """There is no transform between two frames at a time; the text says why."""


class TransformTree:
    """Poses of children in their parents, `keep_ns` long for those that move."""

    def __init__(self, keep_ns: int = 10_000_000_000) -> None:
        self._keep_ns = keep_ns
        self._static: dict[str, tuple[str, np.ndarray]] = {}
        self._moving: dict[str, tuple[str, list[int], list[np.ndarray]]] = {}

    @property
    def frames(self) -> set[str]:
        """All frames that were named."""
        parents = {p for p, _ in self._static.values()} | {m[0] for m in self._moving.values()}
        return parents | set(self._static) | set(self._moving)

    def set_static(self, parent: str, child: str, T_parent_child: np.ndarray) -> None:
        """Fixes the pose of a child (4, 4) for all times."""
        self._static[child] = (parent, T_parent_child)

    def add(self, parent: str, child: str, stamp_ns: int, T_parent_child: np.ndarray) -> None:
        """Adds a pose of a moving child; a second one of the same stamp takes the place of the first."""
        known = self._moving.get(child)
        if known is None or known[0] != parent:
            known = self._moving[child] = (parent, [], [])
        _, stamps, poses = known
        i = bisect.bisect_left(stamps, stamp_ns)
        if i < len(stamps) and stamps[i] == stamp_ns:
            poses[i] = T_parent_child
            return
        stamps.insert(i, stamp_ns)
        poses.insert(i, T_parent_child)
        old = bisect.bisect_left(stamps, stamps[-1] - self._keep_ns)
        if old > 64:  # in one go, so that adding stays cheap
            del stamps[:old], poses[:old]

    def is_static(self, target: str, source: str) -> bool:
        """True if no moving edge lies between two connected frames."""
        up, down = self._paths(target, source)
        return all(f in self._static for f in up + down)

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> np.ndarray:
        """T_target_source (4, 4) at a time; None: the latest of each edge. TransformError if there is none."""
        up, down = self._paths(target, source)
        T_top_source, T_top_target = np.eye(4), np.eye(4)
        for frame in down:
            T_top_source = self._edge(frame, stamp_ns) @ T_top_source
        for frame in up:
            T_top_target = self._edge(frame, stamp_ns) @ T_top_target
        return se3_inverse(T_top_target) @ T_top_source

    def _paths(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """The edges (named by their children) from target, and from source, up to where they meet."""
        a, b = self._ancestors(target), self._ancestors(source)
        common = next((f for f in a if f in b), None)
        if common is None:
            raise TransformError(f"frames {target!r} and {source!r} are not connected; known frames: "
                                 f"{', '.join(sorted(self.frames)) or 'none'}")
        return a[:a.index(common)], b[:b.index(common)]

    def _ancestors(self, frame: str) -> list[str]:
        out = [frame]
        while True:
            edge = self._static.get(out[-1]) or self._moving.get(out[-1])
            if edge is None:
                return out
            if edge[0] in out:
                raise TransformError(f"frames go in a circle: {' -> '.join([*out, edge[0]])}")
            out.append(edge[0])

    def _edge(self, child: str, stamp_ns: int | None) -> np.ndarray:
        if child in self._static:
            return self._static[child][1]
        parent, stamps, poses = self._moving[child]
        if stamp_ns is None:
            return poses[-1]
        if not stamps[0] <= stamp_ns <= stamps[-1]:
            raise TransformError(f"{parent} -> {child} is known from {stamps[0]} to {stamps[-1]} ns, not at {stamp_ns}")
        i = bisect.bisect_left(stamps, stamp_ns)
        if stamps[i] == stamp_ns:
            return poses[i]
        alpha = (stamp_ns - stamps[i - 1]) / (stamps[i] - stamps[i - 1])
        return interpolate_se3(poses[i - 1], poses[i], alpha)


def pose_matrix(translation: object, rotation: object) -> np.ndarray:
    """(4, 4) of a message's translation (x, y, z) and quaternion; ValueError if the quaternion has no length."""
    q = np.array([rotation.x, rotation.y, rotation.z, rotation.w], dtype=float)  # type: ignore[attr-defined]
    t = np.array([translation.x, translation.y, translation.z], dtype=float)  # type: ignore[attr-defined]
    length = np.linalg.norm(q)
    if not np.isfinite(t).all() or not np.isfinite(length) or length < 1e-3:
        raise ValueError(f"no rigid transform: translation {t.tolist()}, quaternion {q.tolist()}")
    return make_se3(quat_to_matrix(q / length), t)
