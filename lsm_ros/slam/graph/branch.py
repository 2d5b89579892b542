# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A copy of a keyframe graph that is worked on while tracking goes on in the graph itself, and how the two become one again."""
from __future__ import annotations

import numpy as np

from lsm_ros.geometry import make_sim3, rigid, se3_inverse
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph


class Branch:
    """graph: the copy. Until `merge`, keyframes may be added to the original and linked, and leave it, and landmarks may get a
    depth; nothing else there may change."""

    def __init__(self, original: KeyframeGraph) -> None:
        self.graph = original.copied()
        self._links = dict(original.links)
        self._newest = Newest(original)

    def merge(self, original: KeyframeGraph) -> np.ndarray:
        """Gives the original what the branch has found. Keyframes that came meanwhile move as the newest one before them did.
        Returns that correction of the map (4, 4), a similarity where surroundings have grown."""
        correction = self._newest.correction(self.graph)
        for i, keyframe in original.keyframes.items():
            if i in self.graph.keyframes:
                _take(keyframe, self.graph.keyframes[i])
            else:
                keyframe.T_map_rig = rigid(correction @ keyframe.T_map_rig)
                if self._newest.growth(self.graph) != 1.0:
                    keyframe.resize(self._newest.growth(self.graph))
        for i, there in self.graph.keyframes.items():
            if i in original.keyframes and original.keyframes[i].thumbnail is None and there.thumbnail is not None:
                original.sign(i, there.thumbnail)
        for key in self._links.keys() - self.graph.links.keys() & original.links.keys():
            original.disconnect(key)
        for key, link in self.graph.links.items():
            if self._links.get(key) is not link and {link.anchor, link.observer} <= original.keyframes.keys():
                original.connect(link)
        original.adjusted_at = self.graph.adjusted_at
        original.version += 1
        return correction


class Newest:
    """Place of the newest keyframe of a graph, and the size of its surroundings."""

    def __init__(self, graph: KeyframeGraph) -> None:
        newest = graph.keyframes[max(graph.keyframes)]
        self.keyframe, self._T_map_rig, self._size = newest.id, newest.T_map_rig, newest.size

    def growth(self, graph: KeyframeGraph) -> float:
        """By how much its surroundings have grown since, in a graph that has it."""
        return graph.keyframes[self.keyframe].size / self._size

    def correction(self, graph: KeyframeGraph) -> np.ndarray:
        """The similarity (4, 4) of the map that has taken it to where it is now."""
        T = graph.keyframes[self.keyframe].T_map_rig
        return make_sim3(self.growth(graph), T[:3, :3], T[:3, 3]) @ se3_inverse(self._T_map_rig)


def _take(keyframe: Keyframe, branch: Keyframe) -> None:
    """Pose, size and depths of the same keyframe in a branch. Landmarks without a depth there keep what they have got."""
    keyframe.T_map_rig, keyframe.size = branch.T_map_rig, branch.size
    for camera, view in keyframe.views.items():
        there = branch.views[camera]
        view.measured = there.measured
        if view.inverse_depth is not there.inverse_depth:
            view.inverse_depth = np.where(np.isnan(there.inverse_depth), view.inverse_depth, there.inverse_depth)
