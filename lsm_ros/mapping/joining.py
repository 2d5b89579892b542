# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Joins maps: frames of the map that is built are looked for in the others; where several agree, the two become one."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import make_se3, make_sim3, sim3_inverse, split_sim3
from lsm_ros.mapping.session import MapSession
from lsm_ros.slam.graph.keyframes import motion, spread
from lsm_ros.slam.trackers import TrackedFrame
from lsm_ros.slam.trackers.base import Contradiction

HELD_FINDS = 3  # frames that must agree, while the camera moves
MOVED, TURNED = 0.1, 0.15  # median depths and radians from the first to the last of them
SAME_PLACE, SAME_TURN = 0.08, 0.06  # median depths and radians by which they may differ
MOST_MISSES = 3  # frames in a row that are not found again
EVERY_NS = 300_000_000  # between two searches without a prior
MOST_PROBES = 80  # keyframes of a map that are looked for in others
MORE_KEYFRAMES = 3  # after which a map that did not fit is looked at again: its newest poses may have been wrong
REFUSED = 4.0  # times as far apart are two joints that count as the same, when one of them was refuted
FEWEST_KEYFRAMES = 1  # of a map that is kept, and that others are joined with


@dataclass(frozen=True)
class Find:
    """One frame set in two maps: T_there_rig and T_here_rig (4, 4), and units of the one for each unit of the other."""

    T_there_rig: np.ndarray
    T_here_rig: np.ndarray
    units: float


@dataclass(frozen=True)
class Joint:
    """Place of one map in another one: S_there_here (4, 4) is the similarity that takes its points there. units: of the other
    map for each unit of this one, which is the scale of that, exactly 1 where both are measured."""

    there: MapSession
    S_there_here: np.ndarray
    units: float

    @property
    def T_there_here(self) -> np.ndarray:
        """The rigid part (4, 4), for a map that was resized by `units`."""
        _, R, t = split_sim3(self.S_there_here)
        return make_se3(R, t)

    def moved(self, T_here_rig: np.ndarray) -> np.ndarray:
        """The pose (4, 4) of a rig in the other map."""
        _, R, t = split_sim3(self.S_there_here @ T_here_rig)
        return make_se3(R, t)


@dataclass(frozen=True)
class Refusal:
    """A joint that was refuted, of the map `here`. until: that map has so many keyframes, and may be another one by then; None:
    for good."""

    here: MapSession
    joint: Joint
    until: int | None = None

    @property
    def holds(self) -> bool:
        """True if it still counts."""
        return self.until is None or self.here.keyframes < self.until

    def merged(self, gone: MapSession, into: Joint) -> Refusal:
        """The same, when the map `gone` has become a part of another one."""
        here, there, S = self.here, self.joint.there, self.joint.S_there_here
        if here is gone:
            here, S = into.there, S @ sim3_inverse(into.S_there_here)
        if there is gone:
            there, S = into.there, into.S_there_here @ S
        return Refusal(here, Joint(there, S, float(split_sim3(S)[0])), self.until)


class Joiner:
    """Finds so far, by the number of the other session. wrong: a part of another map that the last joint has shown not to
    belong there."""

    def __init__(self) -> None:
        self._finds: dict[int, list[Find]] = {}
        self._misses: dict[int, int] = {}
        self._searched_ns: dict[int, int] = {}
        self._refused: list[Refusal] = []
        self.wrong: tuple[MapSession, Contradiction] | None = None

    def forget(self) -> None:
        """The map that is built is another one, or lies elsewhere."""
        self._finds.clear()

    def refuse(self, here: MapSession, joint: Joint, until: int | None = None) -> None:
        """The map `here` does not lie so in the other one: that it seems to is not believed again, or not until it has so many
        keyframes."""
        self._refused = [*(r for r in self._refused if r.holds), Refusal(here, joint, until)]

    def merged(self, gone: MapSession, into: Joint) -> None:
        """A map has become a part of another one."""
        self._refused = [r for r in (r.merged(gone, into) for r in self._refused) if r.here is not r.joint.there]

    def _was_refused(self, here: MapSession, joint: Joint) -> bool:
        somewhere = next(iter(here.tracker.graph.keyframes.values()))
        depth = somewhere.median_depth * joint.units * REFUSED
        return any(agrees(r.joint.moved(somewhere.T_map_rig), joint.moved(somewhere.T_map_rig), depth)
                   for r in self._refused if r.holds and r.here is here and r.joint.there is joint.there)

    def look(self, here: MapSession, others: Sequence[MapSession], new: TrackedFrame, is_keyframe: bool) -> Joint | None:
        """Looks for a frame set, which has a pose in `here`, in the other maps; how one of these lies, once that is clear.
        Where two of them show what the frame set shows, nothing is."""
        self.wrong = None
        for there in others:
            joint = self._look(here, there, new, is_keyframe) if there.keyframes >= FEWEST_KEYFRAMES else None
            if joint is None:
                continue
            if self.fits(here, [o for o in others if o is not there], new):
                self._finds[there.number] = []  # to be looked at again from elsewhere
                return None
            self.forget()
            return joint
        return None

    def search(self, here: MapSession, others: Sequence[MapSession]) -> Joint | None:
        """Looks for the keyframes of a map in the other ones, when no more frames come. Two that agree make it clear."""
        self.wrong = None
        keyframes = list(here.tracker.graph.keyframes.values())
        probes = [here.tracker.frame_of(keyframes[n]) for n in spread(len(keyframes), MOST_PROBES)]
        for there in others:
            finds: list[Find] = []
            for probe in probes:
                found = there.tracker.locate(probe)
                units = float("nan") if found is None else there.tracker.unit_ratio(found, probe, here.tracker)
                if found is None or found.pose is None or probe.pose is None or not np.isfinite(units):
                    continue
                new = Find(found.pose.T_map_rig, probe.pose.T_map_rig, units)
                depth = here.tracker.graph.median_depth * units
                for old in finds:
                    joint = joint_of(there, [old, new])
                    if agrees(joint_of(there, [old]).moved(new.T_here_rig), new.T_there_rig, depth) \
                            and not self._is_refuted(here, joint):
                        return joint
                finds.append(new)
        return None

    def fits(self, here: MapSession, others: Sequence[MapSession], new: TrackedFrame) -> bool:
        """True if one of other maps shows what a frame set with a pose in `here` shows, and nothing refutes that."""
        for there in others:
            found = there.tracker.locate(new) if there.keyframes >= FEWEST_KEYFRAMES else None
            if found is None or found.pose is None or new.pose is None:
                continue
            units = there.tracker.unit_ratio(found, new, here.tracker)
            if not np.isfinite(units):
                continue
            joint = joint_of(there, [Find(found.pose.T_map_rig, new.pose.T_map_rig, units)])
            if not self._is_refuted(here, joint):
                return True
        return False

    def _look(self, here: MapSession, there: MapSession, new: TrackedFrame, is_keyframe: bool) -> Joint | None:
        assert new.pose is not None
        finds = self._finds.setdefault(there.number, [])
        if finds:
            expected = joint_of(there, finds)
            found = there.tracker.confirm(new, expected.moved(new.pose.T_map_rig))
        elif is_keyframe or not 0 <= new.stamp_ns - self._searched_ns.get(there.number, -EVERY_NS) < EVERY_NS:
            self._searched_ns[there.number] = new.stamp_ns
            found = there.tracker.locate(new)
        else:
            return None
        units = float("nan") if found is None else there.tracker.unit_ratio(found, new, here.tracker)
        if found is None or found.pose is None or not np.isfinite(units):
            self._miss(there.number)
            return None
        depth = there.tracker.graph.keyframes[found.reference].median_depth if found.reference is not None else 1.0
        if finds and not agrees(expected.moved(new.pose.T_map_rig), found.pose.T_map_rig, depth):
            self._miss(there.number)
            return None
        self._misses[there.number] = 0
        finds.append(Find(found.pose.T_map_rig, new.pose.T_map_rig, units))
        joint = joint_of(there, finds) if is_held(finds, depth) else None
        return None if joint is None or self._is_refuted(here, joint) else joint

    def _is_refuted(self, here: MapSession, joint: Joint) -> bool:
        """True if a map does not lie so in another one, by what was refuted before, or by what its keyframes show."""
        if self._was_refused(here, joint):
            return True
        wrong = here.tracker.misfit(joint.there.tracker, joint.T_there_here, joint.units)
        if wrong is None:
            return False
        if wrong.first >= 0:  # it is a part of the other map that does not belong there
            self.wrong = joint.there, wrong
            return False
        self.refuse(here, joint, here.keyframes + MORE_KEYFRAMES)
        return True

    def _miss(self, number: int) -> None:
        self._misses[number] = self._misses.get(number, 0) + 1
        if self._misses[number] >= MOST_MISSES:
            self._finds[number] = []


def joint_of(there: MapSession, finds: Sequence[Find]) -> Joint:
    """Place of a map in another one by the newest find; the units are the median of all."""
    units, last = float(np.median([f.units for f in finds])), finds[-1]
    R = last.T_there_rig[:3, :3] @ last.T_here_rig[:3, :3].T
    return Joint(there, make_sim3(units, R, last.T_there_rig[:3, 3] - units * R @ last.T_here_rig[:3, 3]),
                 units)


def is_held(finds: Sequence[Find], median_depth: float) -> bool:
    """True for finds of enough frames between which the camera moved."""
    if len(finds) < HELD_FINDS:
        return False
    distance, angle = motion(finds[0].T_there_rig, finds[-1].T_there_rig)
    return distance > MOVED * median_depth or angle > TURNED


def agrees(T_a: np.ndarray, T_b: np.ndarray, median_depth: float) -> bool:
    """True for two poses (4, 4) of about the same place."""
    distance, angle = motion(T_a, T_b)
    return distance < SAME_PLACE * median_depth and angle < SAME_TURN
