# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Brings the depth of keyframes into the voxel map, and keeps it where the keyframe graph says."""
from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from lsm_ros.config import Config
from lsm_ros.fusion.voxel_map import MapFullError, VoxelMap
from lsm_ros.mapping.frames import FrameRectifier
from lsm_ros.mapping.observations import check_labels, late_labels, observation_of, rescaled
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.semantics.layer import SemanticLayer
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph
from lsm_ros.slam.trackers import KeyframeDepth, Tracker
from lsm_ros.types import Observation

MOST_EARLY_LABELS = 64


class Fuser:
    """The voxel map of one session. backlog: observations that are still fused with an older pose, or not yet.
    next_observation: number of the next one; numbers of different maps are never the same."""

    def __init__(self, config: Config, layer: SemanticLayer, warnings: Warnings, next_observation: int = 0) -> None:
        self._config, self._layer, self._warnings = config, layer, warnings
        self.map = VoxelMap(config.fusion)
        self.map.set_names(layer.names)
        self.next_observation = next_observation
        self._coming: list[Observation] = []  # of another map, in the order in which they will be fused
        self._early_labels: dict[tuple[int, str], tuple[np.ndarray, FrameRectifier]] = {}  # by stamp and camera
        self._given: set[tuple[int, str]] = set()  # stamps and cameras of which the depth has come
        self.backlog = 0
        self._followed = -1  # version of the graph that the map has followed

    def apply(self, config: Config) -> None:
        """Takes over parameters that may change at run time."""
        self._config = config
        self.map.config = config.fusion

    def add(self, depths: Iterable[KeyframeDepth], graph: KeyframeGraph) -> list[int]:
        """Adds what keyframes give to the map; returns the numbers of the observations."""
        added = []
        if len(self._given) > 2 * sum(len(k.views) for k in graph.keyframes.values()) + MOST_EARLY_LABELS:
            self._given &= {(k.stamp_ns, c) for k in graph.keyframes.values() for c in k.views}  # others left the graph
        for given in depths:
            given = replace(given, view=replace(given.view, frame=self._layer.labelled(given.view.frame)))
            features = self._layer.describe(given.view.frame) if given.features is None else given.features
            self._given.add((given.view.frame.stamp_ns, given.view.frame.camera))
            added += self._observe(observation_of(given, self.next_observation, self._config, features), graph)
        return added

    def _observe(self, new: Observation, graph: KeyframeGraph) -> list[int]:
        """The observation's number, or nothing when the map is full."""
        try:
            self.map.add(new, graph.keyframes[new.keyframe].T_map_rig)
        except MapFullError as error:
            self._warnings.say("full", str(error))
            return []
        self.next_observation = max(self.next_observation, new.id + 1)
        early = self._early_labels.pop((new.stamp_ns, new.camera), None)
        if early is not None:
            self.map.add_labels(new.id, late_labels(new, *early))
        return [new.id]

    def add_labels(self, keyframe: Keyframe, camera: str, labels: np.ndarray, rectify: FrameRectifier) -> bool:
        """Labels (H, W) of a keyframe's camera; where its depth is not final yet they wait for it. False if the map has
        dropped what the keyframe gave. ValueError for a wrong size."""
        for number, seen in self.map.observations.items():
            if seen.stamp_ns == keyframe.stamp_ns and seen.camera == camera:
                self.map.add_labels(number, late_labels(seen, labels, rectify))
                return True
        if (keyframe.stamp_ns, camera) in self._given:
            return False
        check_labels(labels, keyframe.views[camera].intrinsics, camera, keyframe.stamp_ns)
        self._early_labels[keyframe.stamp_ns, camera] = labels, rectify
        while len(self._early_labels) > MOST_EARLY_LABELS:
            self._early_labels.pop(next(iter(self._early_labels)))
            self._warnings.say("early labels", f"labels of more than {MOST_EARLY_LABELS} keyframes wait for their depth; "
                                               "the oldest were dropped")
        return True

    # two maps

    def renumber(self, observations: int, keyframes: int) -> None:
        """Gives all observations, and the keyframes that they are of, numbers higher by so much. The map is empty until
        `take_in`, or until another map adopts them. ValueError if a part of the map can no longer be moved."""
        if self.map.has_frozen:
            raise ValueError("a part of the map outlived its keyframes (keyframes.max_keyframes, "
                             "limits.keyframe_megabytes) and can no longer be moved")
        seen = [o for _, o in sorted(self.map.observations.items(), reverse=True)]
        self._coming = [replace(o, id=o.id + observations, keyframe=o.keyframe + keyframes) for o in seen]
        self._given = {(o.stamp_ns, o.camera) for o in seen}
        self.next_observation += observations
        self.map = VoxelMap(self._config.fusion)

    def adopt(self, other: Fuser, keyframes: Iterable[int], units: float = 1.0) -> None:
        """Takes over from another map what keyframes gave to it; `take_in` brings it into this one. units: of this map for each
        unit of the other."""
        moved = set(keyframes)
        coming = [o for o in other._coming if o.keyframe in moved]
        other._coming = [o for o in other._coming if o.keyframe not in moved]
        for number, seen in other.map.observations.items():
            if seen.keyframe in moved:
                other.map.remove(number)
                coming.append(seen)
        self._coming += [replace(o, z_step=o.z_step * units) for o in sorted(coming, key=lambda o: o.id, reverse=True)]
        stamps = {(o.stamp_ns, o.camera) for o in coming}
        self._given |= stamps
        other._given -= stamps
        self._early_labels |= other._early_labels
        self.next_observation = max(self.next_observation, other.next_observation)
        self.map.set_names(self._layer.names)

    def take_in(self, graph: KeyframeGraph, budget_ms: float = float("inf")) -> list[int]:
        """Brings what was taken over from another map into this one, the newest first, at least one of it within the budget;
        returns the numbers of the observations."""
        added: list[int] = []
        start = time.perf_counter()
        while self._coming and (not added or (time.perf_counter() - start) * 1e3 < budget_ms):
            seen = self._coming.pop(0)
            if seen.keyframe in graph.keyframes:
                added += self._observe(seen, graph)
        return added

    def remove_stale(self) -> tuple[int, ...]:
        """Takes out observations that newer ones of the same view replace; returns their numbers."""
        removed = self.map.stale_observations()
        for number in removed:
            self.map.remove(number)
        return removed

    def rescale(self, tracker: Tracker) -> None:
        """Replaces observations whose keyframes have another scale or focal length by now than when they were made."""
        for number, seen in list(self.map.observations.items()):
            keyframe = tracker.graph.keyframes.get(seen.keyframe)
            changed = None if keyframe is None else rescaled(seen, keyframe, tracker, self.next_observation)
            if changed is not None:
                self.map.remove(number)
                self._observe(changed, tracker.graph)

    def follow(self, graph: KeyframeGraph) -> tuple[int, ...]:
        """Moves what is fused with an outdated pose, within the time budget; returns the numbers of what moved."""
        if graph.version == self._followed and not self.backlog:
            return ()
        moved, waiting = self.map.follow(poses_of(graph), self._config.fusion.budget_ms)
        self.backlog, self._followed = waiting + len(self._coming), graph.version
        return moved

    def settle(self, graph: KeyframeGraph) -> None:
        """Moves all of it."""
        self.take_in(graph)
        self.map.settle(poses_of(graph))
        self.backlog = 0


def poses_of(graph: KeyframeGraph) -> dict[int, np.ndarray]:
    """T_map_rig (4, 4) by keyframe."""
    return {i: k.T_map_rig for i, k in graph.keyframes.items()}
