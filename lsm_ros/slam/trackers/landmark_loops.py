# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Loops of landmark tracking: new keyframes that show what old ones show, although the way between has drifted."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import make_sim3, se3_inverse
from lsm_ros.pairs.base import SparsePairModel
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, motion
from lsm_ros.slam.graph.loops import LoopEdge, spread_loops
from lsm_ros.slam.trackers.base import TrackedFrame
from lsm_ros.slam.trackers.landmark_depth import depth_ratio
from lsm_ros.slam.trackers.landmark_links import join, tie
from lsm_ros.slam.trackers.landmark_pose import LandmarkPose, blank

LOOKED_AT = 2  # keyframes that look most like a new one
HELD_FINDS = 2  # new keyframes that must be found with the same drift
PATIENT_KEYFRAMES = 4  # between two such finds
DRIFTED = 0.005  # median depths and radians by which a loop must move a keyframe for others to be moved
SAME_PLACE, SAME_TURN, SAME_WAY = 0.1, 0.05, 0.05  # median depths, radians, of the way between: finds that agree


@dataclass(frozen=True)
class LoopFind:
    """Keyframe `new`, tracked at T_map_new (4, 4), was found at T_found (4, 4) by what old keyframe `old` shows; units: of the
    map there for each unit of the map here."""

    old: int
    new: int
    T_map_new: np.ndarray
    T_found: np.ndarray
    units: float

    def edge(self, graph: KeyframeGraph) -> LoopEdge:
        """The relative pose of the two keyframes."""
        T = se3_inverse(graph.keyframes[self.old].T_map_rig) @ self.T_found
        return LoopEdge(self.old, self.new, make_sim3(self.units, T[:3, :3], T[:3, 3]))


class LoopHold:
    """The finds so far that agree with each other."""

    def __init__(self) -> None:
        self._finds: list[LoopFind] = []

    def add(self, found: LoopFind, median_depth: float) -> Sequence[LoopFind]:
        """Takes a find; returns all that agree once there are enough, else nothing. Old ones, or others, are forgotten."""
        last = self._finds[-1] if self._finds else None
        if last is None or found.new - last.new > PATIENT_KEYFRAMES or not agree(last, found, median_depth):
            self._finds = []
        self._finds.append(found)
        if len(self._finds) < HELD_FINDS:
            return ()
        finds, self._finds = self._finds, []
        return finds


def agree(a: LoopFind, b: LoopFind, median_depth: float) -> bool:
    """True for two finds of the same drift: the way between them is the same, tracked and found."""
    tracked, found = se3_inverse(a.T_map_new) @ b.T_map_new, se3_inverse(a.T_found) @ b.T_found
    tracked[:3, 3] *= a.units
    distance, angle = motion(tracked, found)
    return (distance < SAME_PLACE * median_depth + SAME_WAY * float(np.linalg.norm(tracked[:3, 3])) and angle < SAME_TURN
            and abs(np.log(a.units / b.units)) < SAME_WAY)


class LandmarkLoops:
    """Links new keyframes of `graph` with old ones. free_scale: surroundings of keyframes may grow. hold: finds so far."""

    def __init__(self, config: Config, model: SparsePairModel, graph: KeyframeGraph, pose: LandmarkPose, free_scale: bool,
                 hold: LoopHold) -> None:
        self._config, self._model, self._graph, self._pose, self._free_scale = config, model, graph, pose, free_scale
        self._hold = hold

    def close(self, keyframe: Keyframe, neighbours: Iterable[int], recent: set[int]) -> tuple[int, ...]:
        """Links a new keyframe with those that should see the same, and adjusts it with the recent ones. Returns those of them
        that are old; what they correct is spread over all keyframes since then, unless that cannot be."""
        graph, least = self._graph, self._config.tracking.min_inliers
        joined = {i for i in neighbours if join(graph, self._model, keyframe, graph.keyframes[i], least)}
        loops = joined - recent
        if not loops and recent:
            tie(graph, self._model, keyframe, min(recent))
        before = {i: k.T_map_rig for i, k in graph.keyframes.items()} if loops else {}
        graph.optimize(recent | {keyframe.id})
        if not loops or not _has_moved(before[keyframe.id], keyframe):
            return tuple(sorted(loops))
        edges = [LoopEdge(i, keyframe.id, se3_inverse(graph.keyframes[i].T_map_rig) @ keyframe.T_map_rig) for i in loops]
        if not self._spread(edges, before):
            for i, T in before.items():
                graph.keyframes[i].T_map_rig = T
            for link in graph.links_of(keyframe.id):
                if loops & {link.anchor, link.observer}:
                    graph.disconnect((link.anchor, link.anchor_camera, link.observer, link.observer_camera))
            return ()
        graph.optimize(recent | {keyframe.id} | loops)
        return tuple(sorted(loops))

    def close_far(self, keyframe: Keyframe, new: TrackedFrame, alike: Sequence[int], recent: set[int]) -> tuple[int, ...]:
        """Looks for a new keyframe, made of frame set `new`, in old keyframes `alike`, wherever they are, the likeliest first.
        Once several were found with the same drift, that is spread over all. Returns the old ones."""
        graph = self._graph
        for i in alike[:LOOKED_AT]:
            here = blank(new)
            if self._pose.anywhere(here, i) or here.pose is None:
                continue
            ratio = depth_ratio(graph, here, graph, new) if self._free_scale else 1.0
            if not np.isfinite(ratio) or not _is_drift(keyframe, here.pose.T_map_rig, ratio):
                continue
            found = LoopFind(i, keyframe.id, keyframe.T_map_rig, here.pose.T_map_rig, ratio)
            held = self._hold.add(found, keyframe.median_depth)
            if not held or not self._spread([f.edge(graph) for f in held]):
                return ()
            self.close(keyframe, graph.candidates(keyframe.T_map_rig, keyframe.cameras, self._config.keyframes.neighbours,
                                                  before=min(recent)), recent)
            return tuple(sorted({f.old for f in held}))
        return ()

    def _spread(self, loops: Sequence[LoopEdge], before: dict[int, np.ndarray] | None = None) -> bool:
        return spread_loops(self._graph, loops, before, self._free_scale) is not None


def _is_drift(keyframe: Keyframe, T_found: np.ndarray, units: float) -> bool:
    """True for a find that is not where the keyframe is already: what is there is linked by its pose alone."""
    distance, angle = motion(keyframe.T_map_rig, T_found)
    return distance > SAME_PLACE * keyframe.median_depth or angle > SAME_TURN or abs(np.log(units)) > SAME_WAY


def _has_moved(before: np.ndarray, keyframe: Keyframe) -> bool:
    distance, angle = motion(before, keyframe.T_map_rig)
    return distance > DRIFTED * keyframe.median_depth or angle > DRIFTED
