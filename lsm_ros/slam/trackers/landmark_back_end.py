# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The back end of landmark tracking: links new keyframes with older ones and optimises the graph around them, at once or while
tracking goes on."""
from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from lsm_ros.config import Config
from lsm_ros.pairs.base import SparsePairModel
from lsm_ros.slam.graph.branch import Branch, Newest
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph
from lsm_ros.slam.trackers.base import TrackedFrame
from lsm_ros.slam.trackers.landmark_links import join_all
from lsm_ros.slam.trackers.landmark_loops import LOOKED_AT, LandmarkLoops, LoopHold
from lsm_ros.slam.trackers.landmark_pose import LandmarkPose
from lsm_ros.slam.trackers.progress import Progress
from lsm_ros.types import TrackingState

LINK_ROUNDS = 3  # in the end
MOST_WAITING = 3  # new keyframes, before tracking has to wait
Neighbours = Callable[[KeyframeGraph, Keyframe, TrackedFrame], list[int]]
New = Sequence[tuple[int, TrackedFrame]]
Work = Callable[[KeyframeGraph], Callable[[], None] | None]


@dataclass(frozen=True)
class Tidied:
    """Result of work on a graph. loops: old keyframes that new ones were joined with. correction (4, 4): of the map at the
    newest keyframe that was known then, a similarity where surroundings have grown."""

    loops: tuple[int, ...] = ()
    correction: np.ndarray | None = None

    def then(self, later: Tidied) -> Tidied:
        """Both, one after the other."""
        both = [c for c in (later.correction, self.correction) if c is not None]
        return Tidied((*self.loops, *later.loops), both[0] @ both[1] if len(both) == 2 else both[0] if both else None)


@dataclass(frozen=True)
class Outcome:
    """Result of work on a graph that may be a copy: loops, and what is to be done in the original after the merge."""

    loops: tuple[int, ...]
    last: list[Callable[[], None]]

    def tidied(self, correction: np.ndarray) -> Tidied:
        """Does what is left, in a graph that has taken the rest over; correction (4, 4): that of the map."""
        for each in self.last:
            each()
        return Tidied(self.loops, correction)


class LandmarkBackEnd:
    """Works on new keyframes of `graph`: when `take` waits, at once, else in a thread, on a copy of the graph; a later `take`
    then brings the two together.

    neighbours(graph, keyframe, new): older keyframes that a new one, made of frame set `new`, is linked with. free_scale:
    surroundings of keyframes may grow.
    """

    def __init__(self, config: Config, model: SparsePairModel, graph: KeyframeGraph, neighbours: Neighbours, free_scale: bool
                 ) -> None:
        self.config, self._model, self._graph = config, model, graph
        self._neighbours, self._free_scale = neighbours, free_scale
        self._hold = LoopHold()
        self._waiting: list[tuple[int, TrackedFrame]] = []
        self._asked: list[Work] = []
        self._running: tuple[Branch, Future[Outcome]] | None = None
        self._linked_up_to = 0

    def add(self, keyframe: Keyframe, new: TrackedFrame) -> None:
        """A new keyframe of the graph, made of a frame set. Where many wait already, the next `take` waits for the thread."""
        self._waiting.append((keyframe.id, new))

    def ask(self, work: Work) -> None:
        """Work on the graph, to be done after what waits. It is given the graph or a copy, moves what is there, and may return
        what is to be done once `take` has brought the two together."""
        self._asked.append(work)

    def take(self, wait: bool) -> Tidied:
        """Gives the graph what was found since, and goes on with what waits. wait: until all is done; else, where many
        keyframes wait, until the thread can go on with them. An error of the thread is raised here."""
        done = Tidied()
        if self._running is not None and (wait or len(self._waiting) > MOST_WAITING or self._running[1].done()):
            (branch, future), self._running = self._running, None
            outcome = future.result()
            done = outcome.tidied(branch.merge(self._graph))
        if (self._waiting or self._asked) and self._running is None:
            new, self._waiting = self._waiting, []
            asked, self._asked = self._asked, []
            if wait:
                newest = Newest(self._graph)
                outcome = self._work(self._graph, new, asked)
                return done.then(outcome.tidied(newest.correction(self._graph)))
            self._start(new, asked)
        return done

    def link_all(self) -> None:
        """Links the keyframes that came since this was done last with all that see much of the same, and adjusts all
        keyframes, after which more are seen to. `take` has waited before."""
        graph, least = self._graph, self.config.tracking.min_inliers
        new = [i for i in graph.keyframes if i >= self._linked_up_to]
        for _ in range(LINK_ROUNDS):
            if not join_all(graph, self._model, self.config.keyframes.all_neighbours, least, new):
                break
            graph.adjust_all()
        self._linked_up_to = graph.next_id

    def _start(self, new: New, asked: Sequence[Work]) -> None:
        branch, future = Branch(self._graph), Future[Outcome]()

        def run() -> None:  # the edge of the thread: what comes up is raised where the result is taken
            try:
                future.set_result(self._work(branch.graph, new, asked))
            except Exception as error:
                future.set_exception(error)

        self._running = branch, future
        threading.Thread(target=run, name="back end").start()

    def _work(self, graph: KeyframeGraph, new: New, asked: Sequence[Work]) -> Outcome:
        loops = self._tidy(graph, new)
        return Outcome(loops, [last for last in [work(graph) for work in asked] if last is not None])

    def _tidy(self, graph: KeyframeGraph, new: New) -> tuple[int, ...]:
        """Links new keyframes with others and optimises around them. Returns the old ones among these (loops)."""
        pose = LandmarkPose(self.config, self._model, graph, Progress(TrackingState.LOST))
        finder = LandmarkLoops(self.config, self._model, graph, pose, self._free_scale, self._hold)
        closed: list[int] = []
        for i, frame in new:
            if i not in graph.keyframes:
                continue
            keyframe = graph.keyframes[i]
            older = sorted(k for k in graph.keyframes if k < i)
            recent = set(older[-self.config.keyframes.window:])
            signature = self._model.signature(frame.in_order)
            loops = finder.close(keyframe, self._neighbours(graph, keyframe, frame), recent)
            if not loops:
                alike = self._graph.alike(signature, LOOKED_AT, graph.linked(i) | recent)
                loops = finder.close_far(keyframe, frame, [k for k in alike if k in graph.keyframes], recent)
            graph.sign(i, signature)
            closed += loops
        return tuple(closed)
