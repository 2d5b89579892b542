# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Objects over time: what is found in the map at one time is joined to what was known, so that numbers stay."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from lsm_ros.geometry import CameraIntrinsics, se3_inverse
from lsm_ros.semantics.objects.finding import Seen
from lsm_ros.semantics.objects.map_object import PERSON, Box, MapObject

FOUND, MISSED = 0.9 / 0.3, 0.1 / 0.7  # likelihood ratios, there against not there, of being found, or not, where looked at
MOST_SURE, LEAST_SURE = 0.99, 0.1
OTHER_CLASS = 0.4  # overlap from which a thing of another class is the same thing, called something else
OLD_SHARE = 0.8  # of what a thing was called before
FREE_WAY = 0.1  # metres
MOST_OBJECTS = 100_000
FARTHEST = 100_000.0  # metres from where the map began, and largest side, of what a person adds


@dataclass(frozen=True)
class View:
    """A keyframe's camera that came new into the map. T_map_cam (4, 4). depth (h, w) float32 metres, 0 = none: every step-th
    pixel in each direction."""

    stamp_ns: int
    keyframe: int
    T_map_cam: np.ndarray
    intrinsics: CameraIntrinsics
    depth: np.ndarray
    step: int = 1

    def looks_at(self, box: Box) -> bool:
        """True if it sees a third of the place of a box, or through it: nothing nearer is in the way."""
        grid = np.stack(np.meshgrid(*[(-0.4, 0.0, 0.4)] * 3, indexing="ij"), -1).reshape(-1, 3) * box.size
        c, s = np.cos(box.yaw), np.sin(box.yaw)
        points_map = grid @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]]) + box.centre
        T_cam_map = se3_inverse(self.T_map_cam)
        points = points_map @ T_cam_map[:3, :3].T + T_cam_map[:3, 3]
        z = points[:, 2]
        ahead = z > 0.1
        k, safe = self.intrinsics, np.where(ahead, z, 1.0)
        u = np.rint(k.fx * points[:, 0] / safe + k.cx)
        v = np.rint(k.fy * points[:, 1] / safe + k.cy)
        inside = ahead & (u >= 0) & (u < k.width) & (v >= 0) & (v < k.height)
        at = self.depth[np.where(inside, v, 0).astype(int) // self.step, np.where(inside, u, 0).astype(int) // self.step]
        return bool(np.count_nonzero(inside & (at > z - box.size.max() / 2 - FREE_WAY)) * 3 >= len(grid))


class ObjectKeeper:
    """The objects of one map. `objects`: by number, with those that a person deleted."""

    def __init__(self) -> None:
        self.objects: dict[int, MapObject] = {}
        self._next = 1
        self._poses: dict[int, np.ndarray] = {}  # of the keyframes, as the boxes of the objects have them

    def shown(self) -> list[MapObject]:
        """The objects that nobody deleted, in order of their numbers."""
        return [o for _, o in sorted(self.objects.items()) if not o.deleted]

    def follow(self, poses: Mapping[int, np.ndarray]) -> None:
        """Moves each object with its keyframe. poses: T_map_rig (4, 4) of all keyframes. One whose keyframe is gone stays where
        it is; what a person said of it is stale."""
        for i, known in self.objects.items():
            new, old = poses.get(known.keyframe), self._poses.get(known.keyframe)
            if new is None:
                self.objects[i] = replace(known, keyframe=nearest(poses, known.centroid),
                                          stale=known.stale or by_person(known))
            elif old is not None and not np.array_equal(new, old):
                T = new @ np.linalg.inv(old)
                self.objects[i] = replace(known, box=known.box.moved(T), centroid=T[:3, :3] @ known.centroid + T[:3, 3])
        self._poses = {i: T.copy() for i, T in poses.items()}

    def update(self, seen: Sequence[Seen], views: Sequence[View], poses: Mapping[int, np.ndarray]) -> None:
        """Joins what the map shows now to what is known. views: new ones since the last call; only what they look at is more or
        less sure to be there afterwards."""
        self.follow(poses)
        known = sorted(self.objects)
        pairs = _matched([self.objects[i] for i in known], seen)
        for place, i in enumerate(known):
            looking = [v for v in views if v.looks_at(self.objects[i].box)]
            there = pairs.get(place)
            if there is not None:
                self.objects[i] = _found(self.objects[i], seen[there], looking)
            elif looking and not self.objects[i].deleted:
                self._missed(i)
        taken = set(pairs.values())
        for number, new in enumerate(seen):
            if number not in taken and len(self.objects) < MOST_OBJECTS:
                self._add_seen(new, [v for v in views if v.looks_at(new.box)], poses)

    def _missed(self, i: int) -> None:
        known = self.objects[i]
        if known.locked or known.origin == PERSON:
            return
        existence = _odds(known.existence, MISSED)
        if existence < LEAST_SURE:
            del self.objects[i]
        else:
            self.objects[i] = replace(known, existence=existence)

    def _add_seen(self, new: Seen, looking: Sequence[View], poses: Mapping[int, np.ndarray]) -> None:
        keyframe = looking[0].keyframe if looking else nearest(poses, new.centroid)
        self._add(MapObject(0, new.label, new.box, new.centroid, len(new.members), {new.label: new.probability},
                            min(new.probability, MOST_SURE), max((v.stamp_ns for v in looking), default=0), keyframe))

    def _add(self, new: MapObject) -> MapObject:
        made = self.objects[self._next] = replace(new, id=self._next)
        self._next += 1
        return made

    def adopt(self, other: ObjectKeeper) -> None:
        """Takes over what a person said of another map, whose keyframes, which have other numbers, became part of this one.
        What the map shows is found anew."""
        self._poses = {**other._poses, **self._poses}
        for _, o in sorted(other.objects.items()):
            if by_person(o):
                self._add(o)

    def renumber(self, keyframes: int) -> None:
        """The keyframes have numbers higher by so much."""
        self._poses = {i + keyframes: T for i, T in self._poses.items()}
        self.objects = {i: replace(o, keyframe=o.keyframe + keyframes) for i, o in self.objects.items()}

    # by a person

    def find(self, number: int) -> MapObject:
        """The object with a number. ValueError where there is none."""
        if number not in self.objects or self.objects[number].deleted:
            raise ValueError(f"there is no object {number}; there are: {', '.join(str(o.id) for o in self.shown()) or 'none'}")
        return self.objects[number]

    def rename(self, number: int, name: str) -> MapObject:
        """Gives an object a name; an empty one takes it back. ValueError for another number or a name of no use."""
        _check_name(name)
        self.objects[number] = replace(self.find(number), name=name.strip(), stale=False)
        return self.objects[number]

    def lock(self, number: int, locked: bool = True) -> MapObject:
        """Keeps an object, and its box, whatever the map shows; or lets go of it."""
        self.objects[number] = replace(self.find(number), locked=locked, stale=False)
        return self.objects[number]

    def delete(self, number: int) -> None:
        """Takes an object away for good: what is found in its place is not shown."""
        if self.find(number).origin == PERSON:
            del self.objects[number]
        else:
            self.objects[number] = replace(self.objects[number], deleted=True)

    def add(self, label: str, box: Box) -> MapObject:
        """Adds an object that the map need not show. ValueError for a box without a size or out of reach, and for a class that
        is no name."""
        if not (np.isfinite([*box.centre, *box.size, box.yaw]).all() and (box.size > 0).all()) or not label.strip():
            raise ValueError(f"an object needs a class and a box with a size, got {label!r} and {box.size.tolist()} m at "
                             f"{box.centre.tolist()}")
        if max(np.abs(box.centre).max(), box.size.max()) > FARTHEST:
            raise ValueError(f"an object is at most {FARTHEST:g} m away and as large; got {box.size.tolist()} m at "
                             f"{box.centre.tolist()}")
        _check_name(label)
        return self._add(MapObject(0, label.strip(), box, box.centre, 0, {label.strip(): 1.0}, 1.0,
                                   keyframe=nearest(self._poses, box.centre), origin=PERSON, locked=True))

    # on disk

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"next": self._next, "objects": [o.to_dict() for _, o in sorted(self.objects.items())]}

    @classmethod
    def from_dict(cls, values: dict[str, Any], poses: Mapping[int, np.ndarray]) -> ObjectKeeper:
        """The objects that `to_dict` described, in a map whose keyframes have these poses. ValueError, KeyError or TypeError
        for anything else."""
        made = cls()
        objects = [MapObject.from_dict(o) for o in values["objects"]]
        made.objects, made._next = {o.id: o for o in objects}, int(values["next"])
        if len(made.objects) < len(objects) or any(not 0 < i < made._next for i in made.objects):
            raise ValueError(f"the numbers of objects come twice, or are not from 1 to {made._next - 1}")
        made._poses = {i: T.copy() for i, T in poses.items()}
        return made


def _check_name(name: str) -> None:
    if len(name) > 200 or not name.isprintable():
        raise ValueError(f"a name has at most 200 characters, all of which can be printed; got {name[:40]!r}")


def by_person(known: MapObject) -> bool:
    """True if a person said something of the object."""
    return bool(known.name) or known.locked or known.deleted or known.origin == PERSON


def nearest(poses: Mapping[int, np.ndarray], point: np.ndarray) -> int:
    """The keyframe that is nearest to a point (3,); -1 without any."""
    return min(poses, key=lambda i: (float(np.linalg.norm(poses[i][:3, 3] - point)), i), default=-1)


def _matched(known: Sequence[MapObject], seen: Sequence[Seen]) -> dict[int, int]:
    """Place in `seen` by place in `known` of what is the same thing, so that the sum of their likeness is the greatest."""
    if not known or not seen:
        return {}
    likeness = np.zeros((len(known), len(seen)))
    centres = np.array([s.box.centre for s in seen])
    reach = np.array([np.linalg.norm(s.box.size) for s in seen])
    for a, old in enumerate(known):
        near = np.linalg.norm(centres - old.box.centre, axis=1) < (reach + np.linalg.norm(old.box.size)) / 2
        for b in np.flatnonzero(near):
            likeness[a, b] = _likeness(old, seen[b])
    rows, columns = linear_sum_assignment(-likeness)
    return {int(a): int(b) for a, b in zip(rows, columns, strict=True) if likeness[a, b] > 0}


def _likeness(old: MapObject, new: Seen) -> float:
    """0 (another thing) to 2: overlap of the boxes, and how near their centres are by their size. A thing may be seen in part,
    so boxes of one class need not overlap by much."""
    overlap = old.box.overlap(new.box)
    if old.label != new.label and overlap < OTHER_CLASS:
        return 0.0
    size = max(float(min(old.box.size.max(), new.box.size.max())), 0.1)
    near = max(1.0 - float(np.linalg.norm(old.box.centre - new.box.centre)) / size, 0.0)
    return overlap + near if overlap > 0 or near > 0.5 else 0.0


def _found(known: MapObject, seen: Seen, looking: Sequence[View]) -> MapObject:
    classes = {n: p * OLD_SHARE for n, p in known.classes.items()}
    classes[seen.label] = classes.get(seen.label, 0.0) + (1 - OLD_SHARE) * seen.probability
    existence = min(_odds(known.existence, FOUND), MOST_SURE) if looking else known.existence
    stamp = max((v.stamp_ns for v in looking), default=known.last_seen_ns)
    kept = replace(known, classes=classes, existence=existence, last_seen_ns=max(stamp, known.last_seen_ns), stale=False)
    if known.locked or known.deleted:
        return kept
    best = max(classes, key=lambda n: (classes[n], n))
    return replace(kept, label=best, box=seen.box, centroid=seen.centroid, voxels=len(seen.members))


def _odds(probability: float, factor: float) -> float:
    odds = probability / max(1 - probability, 1e-9) * factor
    return odds / (1 + odds)
