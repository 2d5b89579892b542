# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Index of keyframes by where they are and where they look: those that may see the same, without a walk over all."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

IN_VIEW = np.cos(np.deg2rad(75.0))  # of the point that a keyframe looks at, for images overlap beside it
SAME_SIDE = np.cos(np.deg2rad(70.0))  # between the two directions to that point
FARTHER = 3.0  # times farther from that point, or nearer


class Placed(Protocol):
    """A keyframe, as far as the index knows it."""

    T_map_rig: np.ndarray
    views: Any
    size: float

    @property
    def median_depth(self) -> float:
        """Median depth of its landmarks."""
        ...


class ViewIndex:
    """Positions and view directions of the cameras of all keyframes, as arrays. A keyframe's camera looks at the point on its
    axis at the median depth of its landmarks."""

    def __init__(self) -> None:
        self._version = -1
        self._depth: dict[int, tuple[float, float]] = {}  # size and median depth by keyframe
        self._keyframes: np.ndarray = np.zeros(0, np.int64)
        self._cameras: np.ndarray = np.zeros(0, np.int64)
        self._names: list[str] = []
        self._centre: np.ndarray = np.zeros((0, 3))
        self._target: np.ndarray = np.zeros((0, 3))

    def refresh(self, keyframes: Mapping[int, Placed], version: int) -> None:
        """Takes over the poses of a graph whose `version` has changed."""
        if version == self._version:
            return
        self._version = version
        self._depth = {i: d for i, d in self._depth.items() if i in keyframes}
        for i, k in keyframes.items():
            if i not in self._depth or self._depth[i][0] != k.size:
                self._depth[i] = k.size, k.median_depth
        rows = [(i, v.camera, k.T_map_rig, v.T_rig_cam) for i, k in keyframes.items() for v in k.views.values()]
        self._names = sorted({r[1] for r in rows})
        number = {name: n for n, name in enumerate(self._names)}
        self._keyframes = np.array([r[0] for r in rows], np.int64)
        self._cameras = np.array([number[r[1]] for r in rows], np.int64)
        T = np.stack([r[2] for r in rows]) @ np.stack([r[3] for r in rows]) if rows else np.zeros((0, 4, 4))
        depth = np.array([self._depth[r[0]][1] for r in rows])
        self._centre = T[:, :3, 3]
        self._target = self._centre + T[:, :3, 2] * depth[:, None]

    def near(self, T_map_cam: Mapping[str, np.ndarray], most: int, before: int | None = None) -> list[int]:
        """At most `most` keyframes that may see the same as cameras at T_map_cam (4, 4) by name, likeliest first: those that
        look at something in view from the same side, ordered by how far they stand and look apart. before: only older ones."""
        best: dict[int, float] = {}
        for name, T in T_map_cam.items():
            if name not in self._names:
                continue
            rows = np.flatnonzero((self._cameras == self._names.index(name))
                                  & (before is None or self._keyframes < before))
            centre, target = self._centre[rows], self._target[rows]
            here, there = target - T[:3, 3], target - centre
            far_here, far_there = (np.maximum(np.linalg.norm(v, axis=1), 1e-9) for v in (here, there))
            ratio = far_here / far_there
            good = (here @ T[:3, 2] > IN_VIEW * far_here) & (np.sum(here * there, 1) > SAME_SIDE * far_here * far_there)
            good &= (ratio < FARTHER) & (ratio > 1 / FARTHER)
            apart = np.linalg.norm(centre - T[:3, 3], axis=1) / far_there  # of the cameras, and of what they look at
            apart += np.linalg.norm(target - T[:3, 3] - T[:3, 2] * far_there[:, None], axis=1) / far_there
            for n in np.flatnonzero(good):
                i = int(self._keyframes[rows[n]])
                best[i] = min(best.get(i, np.inf), float(apart[n]))
        return sorted(best, key=lambda i: (best[i], -i))[:most]

    def aimed_near(self, keyframe: Placed, reach: float, before: int) -> list[int]:
        """Keyframes older than `before` whose cameras look at points near those that the cameras of `keyframe` look at,
        from whatever side, nearest first. reach: median depths between these points."""
        rows, depth = np.flatnonzero(self._keyframes < before), keyframe.median_depth
        best: dict[int, float] = {}
        for view in keyframe.views.values():
            T = keyframe.T_map_rig @ view.T_rig_cam
            apart = np.linalg.norm(self._target[rows] - T[:3, 3] - T[:3, 2] * depth, axis=1)
            for n in np.flatnonzero(apart < reach * depth):
                i = int(self._keyframes[rows[n]])
                best[i] = min(best.get(i, np.inf), float(apart[n]))
        return sorted(best, key=lambda i: (best[i], -i))
