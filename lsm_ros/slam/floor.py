# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Up in the map by the floor that the camera sees.

Depth alone does not tell walls from floors: in a room on its side each wall could be one. But who carries a camera turns it
about the vertical far more than about anything else, so the axis that keyframes are turned about is the vertical, and a wall is
parallel to it.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import hat, make_se3, so3_exp

MAX_TILT = 0.7  # radians between the floor's normal and the camera's own up
MIN_SHARE = 0.08  # of the points lie on the floor
HEIGHT = (0.15, 3.0)  # of the camera above the floor, metres
TOLERANCE = 0.025  # metres; grows with distance
COMMON_DISTANCE = 2.0  # metres that things are away in rooms
ANY_HEIGHT = (0.1, 6.0)  # of the camera above the floor, in a unit in which things are so far away
MOST_SPREAD = 0.2  # radians by which up in the rig varies around its mean, from keyframe to keyframe
TURNED = (1.2, 2.1)  # radians about the vertical that suffice for a camera that is upright, and for any other
MOST_OFF = 0.2  # radians between the vertical and the normal of what may be the floor
FEWEST = 3  # keyframes that show the same floor
SAME = (0.07, 0.1)  # radians and metres between floors that are the same
OF_ANOTHER = 1 / 5  # of the number of keyframes that show the floor must not show one above them, as a ceiling is
KEPT = 10  # newest keyframes whose points are kept until the camera has turned
POINTS = 4000  # of each
AT_ONCE = 2  # keyframes whose planes are looked for while a frame waits; each takes some 50 ms
MOST_SEEN = 200  # newest keyframes whose planes are remembered


def find_floor(points_rig: np.ndarray, seed: int = 0, iterations: int = 1000,
               heights: tuple[float, float] = HEIGHT) -> np.ndarray | None:
    """Pose of the rig above the floor that it sees, T_floor_rig (4, 4): z up, floor at z = 0, heading kept.

    points_rig: (N, 3) in a frame whose z points roughly up, metres. heights: least and most of its origin above the floor,
    metres. None when no large plane lies below with a normal within 40 degrees of z. RANSAC on three points, then least
    squares; the lowest well-supported plane wins, so that a table is not taken for the floor.
    """
    points = points_rig[np.isfinite(points_rig).all(1)]
    if len(points) < 200:
        return None
    rng = np.random.default_rng(seed)
    if len(points) > 4000:
        points = points[rng.choice(len(points), 4000, replace=False)]
    tolerance = TOLERANCE * np.maximum(1.0, np.linalg.norm(points, axis=1) / 2.0)
    low = points[points[:, 2] < -heights[0]]  # what the floor could be part of, even for a camera that looks up
    low = low if len(low) >= 100 else points
    corners = low[rng.integers(0, len(low), (iterations, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1)
    normals = normals[length > 1e-6] / length[length > 1e-6, None]
    corners = corners[length > 1e-6]
    normals *= np.where(normals[:, 2:] < 0, -1.0, 1.0)
    above = -np.einsum("ij,ij->i", normals, corners[:, 0])  # of the rig's origin over each plane
    plausible = (normals[:, 2] > np.cos(MAX_TILT)) & (above > heights[0]) & (above < heights[1])
    best, best_score = None, 0.0
    for n, h in zip(normals[plausible], above[plausible], strict=True):
        distance = points @ n + h
        share = np.mean(np.abs(distance) < tolerance)
        below = np.mean(distance < -3 * tolerance)
        if share >= MIN_SHARE and below < 0.03 and share > best_score:
            best, best_score = np.abs(distance) < tolerance, share
    if best is None:
        return None
    on = points[best]
    centre = on.mean(0)
    n = np.linalg.svd(on - centre, full_matrices=False)[2][2]
    n = n if n[2] > 0 else -n
    return make_se3(upright(n), np.array([0.0, 0.0, float(-n @ centre)]))


def floor_height(points_rig: np.ndarray, seed: int = 0) -> float | None:
    """Height of the origin of points (N, 3) over the floor that they show, in their own unit, not metres for certain; z points
    roughly up. None as of `find_floor`, which is given points at distances as common as rooms have."""
    distance = np.linalg.norm(points_rig[np.isfinite(points_rig).all(1)], axis=1)
    if not len(distance) or not np.median(distance) > 0:
        return None
    unit = COMMON_DISTANCE / float(np.median(distance))
    T_floor_rig = find_floor(points_rig * unit, seed, heights=ANY_HEIGHT)
    return None if T_floor_rig is None else float(T_floor_rig[2, 3]) / unit


def upright(up: np.ndarray) -> np.ndarray:
    """The smallest rotation (3, 3) that turns a unit vector (3,) to z."""
    z = np.array([0.0, 0.0, 1.0])
    axis = hat(up) @ z
    sine, cosine = float(np.linalg.norm(axis)), float(up @ z)
    if sine < 1e-9:
        return np.eye(3) if cosine > 0 else np.diag([1.0, -1.0, -1.0])
    return so3_exp(axis / sine * np.arctan2(sine, cosine))


@dataclass(frozen=True)
class Turning:
    """Vertical as turning says it: axis (3,) in the map and axis_rig (3,) in the rig, of unit length; which end is up it does
    not say, the largest number of axis_rig is positive; spread: of axis_rig, radians; turned: radians about it between the
    keyframes farthest apart."""

    axis: np.ndarray
    axis_rig: np.ndarray
    spread: float
    turned: float

    @staticmethod
    def of(rotations: np.ndarray) -> Turning:
        """The axis about which rigs with rotations (N, 3, 3) to the map are turned: the direction of the map that is most
        constant in them."""
        mean = rotations.transpose(0, 2, 1).mean(0)
        _, length, directions = np.linalg.svd(mean)
        axis_rig = mean @ directions[0] / max(float(length[0]), 1e-9)
        sign = np.sign(axis_rig[np.argmax(np.abs(axis_rig))])
        axis, axis_rig = sign * directions[0], sign * axis_rig
        across = np.cross(axis_rig, np.eye(3)[np.argmin(np.abs(axis_rig))])
        level = rotations @ (across / np.linalg.norm(across))
        east = np.cross(np.eye(3)[np.argmin(np.abs(axis))], axis)
        angle = np.sort(np.arctan2(level @ np.cross(axis, east), level @ east))
        gaps = np.diff(angle, append=angle[0] + 2 * np.pi)
        return Turning(axis, axis_rig, float(np.sqrt(max(2 - 2 * length[0], 0.0))), float(2 * np.pi - gaps.max()))

    @property
    def is_vertical(self) -> bool:
        """True for an axis that is the vertical and nothing else."""
        enough = TURNED[0] if abs(self.axis_rig[2]) > np.cos(MAX_TILT) else TURNED[1]  # nobody nods so far
        return self.spread < MOST_SPREAD and self.turned > enough


@dataclass(frozen=True)
class Seen:
    """Planes that a keyframe shows if up in its rig is axis_rig (3,), and if it is the opposite: poses T_floor_rig (4, 4)."""

    axis_rig: np.ndarray
    floors: tuple[np.ndarray | None, np.ndarray | None]


Floor = tuple[np.ndarray, np.ndarray]
"""Normal (3,) of a floor, and the point (3,) of it below a rig, in the map."""


class FloorByTurning:
    """The floor of a map, once the camera has turned enough. reason: why there is none yet, in words."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._points: deque[tuple[int, np.ndarray]] = deque(maxlen=KEPT)
        self._seen: dict[int, Seen] = {}
        self.reason = ""

    def add(self, keyframe: int, points_rig: np.ndarray) -> None:
        """Points (N, 3) that a keyframe shows, in the frame of its rig, metres."""
        points = points_rig[np.isfinite(points_rig).all(1)]
        if len(points) > POINTS:
            points = points[np.random.default_rng(self._seed).choice(len(points), POINTS, replace=False)]
        self._points.append((keyframe, points.astype(np.float32)))

    def find(self, poses: Mapping[int, np.ndarray]) -> np.ndarray | None:
        """T_floor_map (4, 4) of a map with keyframes at poses T_map_rig (4, 4), by their numbers: z up, floor at z = 0. None as
        long as it is not sure."""
        turning = Turning.of(np.stack([T[:3, :3] for T in poses.values()]))
        if not turning.is_vertical:
            least = [round(float(np.degrees(angle))) for angle in TURNED]
            self.reason = ("which way is up is not known: without base_frame or an IMU it shows once the camera has turned "
                           f"around, by {least[0]} degrees if it is upright and {least[1]} if it is not")
            return None
        self._look(turning.axis_rig)
        found = [list(self._floors(poses, turning.axis, side)) for side in (0, 1)]
        above, below = sorted(found, key=lambda floors: len(_same(floors)))
        floor = _same(below)
        if len(floor) < FEWEST or len(above) >= OF_ANOTHER * len(floor):
            why = "few keyframes show a floor" if len(floor) < FEWEST else "what may be the floor may be the ceiling"
            self.reason = (f"which way is up is not known: {why}; give base_frame, imu, or scale.gravity=floor for an upright "
                           "camera")
            return None
        normal = np.mean([n for n, _ in floor], axis=0)
        normal /= np.linalg.norm(normal)
        height = float(np.median([normal @ foot for _, foot in floor]))
        return make_se3(upright(normal), np.array([0.0, 0.0, -height]))

    def _look(self, axis_rig: np.ndarray) -> None:
        """Finds the planes of some keyframes that were not looked at, or with another vertical; the newest first."""
        looked_at = 0
        for keyframe, points in reversed(self._points):
            before = self._seen.get(keyframe)
            if before is None or before.axis_rig @ axis_rig < np.cos(MOST_OFF / 2):
                self._seen[keyframe] = Seen(axis_rig, (self._plane(points, axis_rig), self._plane(points, -axis_rig)))
                looked_at += 1
                if looked_at == AT_ONCE:
                    break
        for keyframe in sorted(self._seen)[:-MOST_SEEN]:
            del self._seen[keyframe]

    def _plane(self, points: np.ndarray, up_rig: np.ndarray) -> np.ndarray | None:
        R_up_rig = upright(up_rig)
        T_floor_up = find_floor(points @ R_up_rig.T, self._seed)
        return None if T_floor_up is None else T_floor_up @ make_se3(R_up_rig, np.zeros(3))

    def _floors(self, poses: Mapping[int, np.ndarray], axis: np.ndarray, side: int) -> Iterator[Floor]:
        """Floors below keyframes, if up is this axis (3,) of the map (side 0), or its opposite (1)."""
        up = -axis if side else axis
        for keyframe, seen in self._seen.items():
            T_floor_rig = seen.floors[side]
            if T_floor_rig is None or keyframe not in poses:
                continue
            normal = poses[keyframe][:3, :3] @ T_floor_rig[2, :3]
            if normal @ up > np.cos(MOST_OFF):
                yield normal, poses[keyframe][:3, 3] - T_floor_rig[2, 3] * normal


def _same(floors: list[Floor]) -> list[Floor]:
    """The largest group of floors that are the same as one of them."""
    groups = [[(n, at) for n, at in floors if n @ normal > np.cos(SAME[0]) and abs(normal @ (at - foot)) < SAME[1]]
              for normal, foot in floors]
    return max(groups, key=len, default=[])
