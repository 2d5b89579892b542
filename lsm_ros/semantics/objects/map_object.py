# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Objects of a map and their boxes."""
from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

MAP, PERSON = "map", "person"


@dataclass(frozen=True)
class Box:
    """An upright box in the map frame: centre (3,) and size (3,) in metres along its own axes, yaw in radians about z."""

    centre: np.ndarray
    size: np.ndarray
    yaw: float

    @classmethod
    def around(cls, points: np.ndarray) -> Box:
        """The upright box of least area around points (N, 3)."""
        (x, y), (a, b), degrees = cv2.minAreaRect(points[:, :2].astype(np.float32))
        low, high = float(points[:, 2].min()), float(points[:, 2].max())
        yaw = math.radians(degrees)
        if a < b:
            a, b, yaw = b, a, yaw + math.pi / 2
        yaw = (yaw + math.pi / 2) % math.pi - math.pi / 2
        return cls(np.array([x, y, (low + high) / 2]), np.array([a, b, high - low]), yaw)

    def grown(self, margin: float) -> Box:
        """The box with a margin on each side, metres."""
        return Box(self.centre, self.size + 2 * margin, self.yaw)

    @property
    def corners(self) -> np.ndarray:
        """(4, 2) corners of its footprint, counter-clockwise."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        half = self.size[:2] / 2 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        return half @ np.array([[c, s], [-s, c]]) + self.centre[:2]

    @property
    def T_map_box(self) -> np.ndarray:
        """(4, 4) pose of the box."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return np.array([[c, -s, 0, self.centre[0]], [s, c, 0, self.centre[1]], [0, 0, 1, self.centre[2]], [0, 0, 0, 1.0]])

    def overlap(self, other: Box) -> float:
        """Intersection over union of two boxes, 0 to 1."""
        low = max(self.centre[2] - self.size[2] / 2, other.centre[2] - other.size[2] / 2)
        high = min(self.centre[2] + self.size[2] / 2, other.centre[2] + other.size[2] / 2)
        if high <= low:
            return 0.0
        area, _ = cv2.intersectConvexConvex(self.corners.astype(np.float32), other.corners.astype(np.float32))
        both = area * (high - low)
        return float(both / max(np.prod(self.size) + np.prod(other.size) - both, 1e-12))

    def moved(self, T: np.ndarray) -> Box:
        """The box in another frame that is level too: T (4, 4), which may be scaled."""
        scale = float(np.cbrt(np.linalg.det(T[:3, :3])))
        return Box(T[:3, :3] @ self.centre + T[:3, 3], self.size * scale, self.yaw + math.atan2(T[1, 0], T[0, 0]))


@dataclass(frozen=True)
class MapObject:
    """A thing in the map.

    id: number that it keeps. label: class, under its common name. box: see `Box`; centroid (3,): mean of its voxels, map frame,
    metres. voxels: of its surface. classes: share by name of what it was called. existence: probability that it is there.
    last_seen_ns: stamp of the newest keyframe that showed its place. keyframe: the one near it that it moves with.
    name: given by a person, or empty. origin: `map` or `person`. locked: stays, and keeps its box, whatever the map shows.
    deleted: a person said that it is none; it is kept so that it does not come again. stale: the map under what a person said
    was rebuilt since.
    """

    id: int
    label: str
    box: Box
    centroid: np.ndarray
    voxels: int
    classes: dict[str, float] = field(default_factory=dict)
    existence: float = 0.5
    last_seen_ns: int = 0
    keyframe: int = -1
    name: str = ""
    origin: str = MAP
    locked: bool = False
    deleted: bool = False
    stale: bool = False

    @property
    def shown_name(self) -> str:
        """The name of a person, else the class."""
        return self.name or self.label

    def to_dict(self) -> dict[str, Any]:
        """Plain values; lengths in metres with four digits."""
        return {"id": self.id, "label": self.label, "name": self.name, "centre": _rounded(self.box.centre),
                "size": _rounded(self.box.size), "yaw": round(self.box.yaw, 4), "centroid": _rounded(self.centroid),
                "voxels": self.voxels, "classes": {n: round(p, 4) for n, p in self.classes.items()},
                "existence": round(self.existence, 4), "last_seen_ns": self.last_seen_ns, "keyframe": self.keyframe,
                "origin": self.origin, "locked": self.locked, "deleted": self.deleted, "stale": self.stale}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> MapObject:
        """The object that `to_dict` described. ValueError, KeyError or TypeError for anything else."""
        box = Box(_three(values, "centre"), _three(values, "size"), float(values["yaw"]))
        if not (box.size >= 0).all() or not math.isfinite(box.yaw):
            raise ValueError(f"object {values['id']!r} has a box of {box.size} m, turned by {box.yaw}")
        flags: dict[str, Any] = {k: values[k] for k in ("locked", "deleted", "stale")}
        texts: dict[str, Any] = {k: values[k] for k in ("label", "name", "origin")}
        if not all(isinstance(v, bool) for v in flags.values()) or not all(isinstance(v, str) for v in texts.values()):
            raise ValueError(f"object {values['id']!r} has {flags} and {texts}")
        existence, classes = float(values["existence"]), {str(n): float(p) for n, p in values["classes"].items()}
        if not 0 <= existence <= 1 or texts["origin"] not in (MAP, PERSON):
            raise ValueError(f"object {values['id']!r} has existence {existence} and origin {texts['origin']!r}")
        numbers: dict[str, Any] = {k: int(values[k]) for k in ("id", "voxels", "last_seen_ns", "keyframe")}
        return cls(box=box, centroid=_three(values, "centroid"), classes=classes, existence=existence, **numbers, **texts,
                   **flags)


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(v), 4) for v in values]


def _three(values: dict[str, Any], key: str) -> np.ndarray:
    found = np.array(values[key], np.float64)
    if found.shape != (3,) or not np.isfinite(found).all():
        raise ValueError(f"{key} of object {values['id']!r} must be three numbers, got {values[key]}")
    return found
