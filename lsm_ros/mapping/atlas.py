# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""All maps of a run: the one that is built, those that were left when the camera was lost, and how they become one again."""
from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from lsm_ros.geometry import se3_inverse
from lsm_ros.mapping.joining import FEWEST_KEYFRAMES, Joiner, Joint
from lsm_ros.mapping.session import MapSession, SessionCount
from lsm_ros.mapping.walls import Walls
from lsm_ros.slam.trackers import FrameDepth, TrackedFrame
from lsm_ros.slam.trackers.base import Contradiction

Make = Callable[[int, int, int], MapSession]


class Atlas:
    """here: the map that is built. others: those that it may be joined with. make(number, next_keyframe, next_observation)
    gives an empty one. Keyframes and observations of all maps have different numbers."""

    def __init__(self, make: Make) -> None:
        self._make, self.count, self._joiner = make, SessionCount(), Joiner()
        self.others: list[MapSession] = []
        self._walls: dict[tuple[int, int], Walls] = {}  # by the first keyframe that was tied to them, and the epoch
        self.here = make(0, 0, 0)

    def restart(self) -> None:
        """Forgets all maps; an empty one begins."""
        self.others.clear()
        self._joiner.forget()
        self.here = self._make(self.count.begin(), 0, 0)

    def begin(self, keep: bool) -> None:
        """An empty map begins; the present one is kept to be joined, if there is something in it, or all are forgotten."""
        before = self.here
        self.here = self._make(self.count.begin(), before.tracker.graph.next_id, before.fuser.next_observation)
        self.here.tracker.cameras.recall(before.tracker.cameras.to_dict())
        self._joiner.forget()
        if not keep:
            self.others.clear()
        elif before.keyframes >= FEWEST_KEYFRAMES:
            self.others.append(before)

    def go_on(self, stamp_ns: int) -> None:
        """The present map goes on where odometry says; what comes from now on is tied to it by that alone."""
        self.here.number = self.count.go_on()
        self.here.tracker.attach(self.here.tracker.graph.next_id, stamp_ns)

    def adopt(self, session: MapSession) -> None:
        """A map from disk takes the place of all."""
        self.others.clear()
        self._joiner.forget()
        session.number = self.count.begin()
        self.here = session

    def add(self, session: MapSession) -> None:
        """Another map, from disk, is built on; the present one is kept to be joined."""
        before = self.here
        keyframes, observations = before.tracker.graph.next_id, before.fuser.next_observation
        session.tracker.graph.renumber(keyframes)
        session.tracker.attached = {i + keyframes: t for i, t in session.tracker.attached.items()}
        session.tracker.progress.reference = max(session.tracker.graph.keyframes, default=None)
        session.fuser.renumber(observations, keyframes)
        session.objects.keeper.renumber(keyframes)
        session.number = self.count.begin()
        self.here = session
        self.others.append(before)

    def look(self, new: TrackedFrame, is_keyframe: bool) -> Joint | None:
        """Looks for a frame set, which has a pose in `here`, in the other maps."""
        if not self.others or new.pose is None:
            return None
        return self._joiner.look(self.here, sorted(self.others, key=lambda s: s.number), new, is_keyframe)

    def is_ambiguous(self, new: TrackedFrame) -> bool:
        """True if another map shows what a frame set shows, although it was found in this one."""
        return bool(self.others) and self._joiner.fits(self.here, self.others, new)

    def join(self, joint: Joint) -> None:
        """Makes one map of two. It has the coordinates and the number of the other one; the tracking of this one goes on. A
        part of the other one that alone speaks against that is taken out of it first."""
        here, there, wrong = self.here, joint.there, self._joiner.wrong
        if wrong is not None and wrong[0] is there:
            self._take_out(*wrong)
        here.tracker.catch_up()
        ours = list(here.tracker.graph.keyframes)
        anchor = here.tracker.graph.keyframes[max(ours)]  # what is near it was found last
        there_now = joint.moved(anchor.T_map_rig)
        if joint.units != 1.0:
            here.tracker.resize(joint.units)
        here.tracker.move_map(there_now @ se3_inverse(anchor.T_map_rig))
        here.tracker.absorb(there.tracker)
        there.fuser.adopt(here.fuser, ours, joint.units)
        there.history.take(here.history, ours)
        there.objects.keeper.adopt(here.objects.keeper)
        there.tracker = here.tracker
        self._joiner.merged(here, joint)
        self.others.remove(there)
        self.here = there
        self.count.map_moved()

    def watch(self, stamp_ns: int, T_map_rig: np.ndarray, depths: Mapping[str, FrameDepth], T_rig_cam: Mapping[str, np.ndarray]
              ) -> Contradiction | None:
        """Takes the depth of a frame set with a pose (4, 4). The newest keyframes do not belong where they are if the camera
        looks through what was there before them."""
        if not self.here.tracker.attached:
            return None
        of = max(self.here.tracker.attached), self.count.epoch
        if of not in self._walls:
            self._walls = {of: Walls(self.here.fuser.map.surface().points_map)}
        reason = self._walls[of].looked_through(stamp_ns, T_map_rig, depths, T_rig_cam)
        return Contradiction(of[0], None, reason) if reason else None

    def join_all(self) -> int:
        """Joins all maps that show the same, when no more frames come, and goes on in the one with the most poses. Returns
        the number of maps that stay apart."""
        waiting = sorted([self.here, *self.others], key=lambda s: s.number)
        done: list[MapSession] = []
        while waiting:
            self.here, self.others = waiting.pop(), [*done, *waiting]
            joint = self._joiner.search(self.here, self.others)
            if joint is None:
                done.append(self.here)
                continue
            self.join(joint)
            done = [s for s in done if s in self.others]
            waiting = [*(s for s in self.others if s not in done), self.here]  # with what was taken out
        self.here = max(done, key=lambda s: (len(s.history), s.keyframes, -s.number))
        self.others = [s for s in done if s is not self.here]
        return len(self.others)

    def split(self, wrong: Contradiction) -> int:
        """Takes keyframes out of the present map that do not belong where they are. The newest ones go on being built; others
        are kept aside. Where there are none, only poses are taken back. Returns the number of poses that are forgotten."""
        here, tracker = self.here, self.here.tracker
        if wrong.end is not None:
            self._take_out(here, wrong)
            return 0
        ids = [i for i in tracker.graph.keyframes if i >= wrong.first]
        forgotten = here.history.detach(tracker.graph, tracker.attached[wrong.first], ids)
        if ids:
            self._take_out(here, wrong)
            self.here = self.others.pop()
            self.others.append(here)
        else:
            del tracker.attached[wrong.first]
            self.count.map_moved()
        return forgotten

    def _take_out(self, session: MapSession, wrong: Contradiction) -> None:
        """Makes keyframes of a map, with their observations and poses, a map of their own, the last one of `others`. Where they
        are the newest (`end` None), the tracking goes on in that one."""
        tracker = session.tracker
        ids = [i for i in tracker.graph.keyframes if wrong.first <= i and (wrong.end is None or i < wrong.end)]
        apart = self._make(self.count.begin(), self.here.tracker.graph.next_id, self.here.fuser.next_observation)
        apart.fuser.adopt(session.fuser, ids)
        apart.history.take(session.history, ids)
        apart.levelling.source = session.levelling.source
        apart.scale.recall(session.scale.to_dict())
        other = tracker.split(wrong.first, wrong.end)
        apart.tracker, session.tracker = (tracker, other) if wrong.end is None else (other, tracker)
        self.others.append(apart)
        self._joiner.forget()
        self._joiner.refuse(apart, Joint(session, np.eye(4), 1.0))
