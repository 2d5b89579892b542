# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Uncertainty of keyframes: how far each may be from where the map has it, seen from the first one.

A keyframe is tied to the first by many chains of links. The surest of them alone is counted: what it says is at most twice the
variance of two like it together, and it needs no matrix that grows with the map. A loop makes chains short, and what they say
small.
"""
from __future__ import annotations

import heapq

import numpy as np

from lsm_ros.config import TrackingConfig
from lsm_ros.geometry import hat, transform_points
from lsm_ros.slam.graph.keyframes import KeyframeGraph, LinkKey
from lsm_ros.slam.pose import View, covariance_at

SHARED = 5.0  # links of a keyframe share its landmarks, and what is wrong with their depth; by errors in simulated rooms
UNTIED_M, UNTIED_RAD = 0.5, 0.1  # standard deviation of a part of the map that only odometry ties to the rest


def carried(covariance: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Covariance (6, 6) of a body (translation, then rotation, in the axes of the map) for a point of it that lies `step` (3,),
    metres in the axes of the map, from where it was given."""
    J = np.eye(6)
    J[:3, 3:] = -hat(step)
    return J @ covariance @ J.T


class Uncertainty:
    """Covariances (6, 6) of the keyframes of a graph: translation of the rig in metres, then rotation in radians, both in the
    axes of the map. What is asked again costs nothing; a new keyframe costs its links, a loop a walk over all links."""

    def __init__(self, graph: KeyframeGraph, noise: TrackingConfig) -> None:
        self._graph, self._noise = graph, noise
        self._links: dict[LinkKey, np.ndarray] = {}  # covariance of the observer, where the anchor is known
        self.forget()

    def forget(self) -> None:
        """The graph has other links or lies elsewhere, as after a loop."""
        self._known: dict[int, np.ndarray] = {}
        self._length: dict[int, float] = {}  # of the chain
        self._towards: dict[int, LinkKey] = {}  # the last link of the chain
        self._root: dict[int, int] = {}  # its first keyframe
        self._walked_at = -1  # version of the graph

    def renumbered(self) -> None:
        """The keyframes have other numbers, another size, or lie in another map frame."""
        self._links.clear()
        self.forget()

    def of(self, keyframe: int) -> np.ndarray:
        """Covariance of one keyframe of the graph."""
        if keyframe not in self._length and not self._attach(keyframe):
            self._find_all()
        if self._root[keyframe] != min(self._graph.keyframes) and self._walked_at != self._graph.version:
            self._find_all()  # it was tied to nothing; it may be by now
        chain = [keyframe]
        while chain[-1] not in self._known:
            key = self._towards.get(chain[-1])
            if key is None:
                self._known[chain[-1]] = self._start(chain[-1])
            elif key in self._graph.links:
                chain.append(_other(key, chain[-1]))
            else:  # it was given up
                self._find_all()
                chain = [keyframe]
        for i in reversed(chain):
            if i not in self._known:
                self._known[i] = self._along(self._towards[i], i)
        return self._known[keyframe]

    def at(self, keyframe: int, T_map_rig: np.ndarray) -> np.ndarray:
        """Covariance that a rig at T_map_rig (4, 4) takes from the keyframe in which it was found."""
        return carried(self.of(keyframe), T_map_rig[:3, 3] - self._position(keyframe))

    def _start(self, keyframe: int) -> np.ndarray:
        if keyframe == min(self._graph.keyframes):
            return np.zeros((6, 6))
        return np.diag([UNTIED_M**2] * 3 + [UNTIED_RAD**2] * 3)

    def _attach(self, keyframe: int) -> bool:
        """Ties a new keyframe to those that are tied. False where it is linked with none of them."""
        ways = [(self._length[_other(key, keyframe)] + self._weight(key), key) for key in self._keys_of(keyframe)
                if _other(key, keyframe) in self._length]
        if ways:
            self._length[keyframe], self._towards[keyframe] = min(ways)
            self._root[keyframe] = self._root[_other(self._towards[keyframe], keyframe)]
        return bool(ways)

    def _find_all(self) -> None:
        """The surest chain to each keyframe (Dijkstra); in a part that nothing ties to the first, from its own oldest one."""
        self.forget()
        self._walked_at = self._graph.version
        for oldest in sorted(self._graph.keyframes):
            waiting: list[tuple[float, int, LinkKey | None]] = [] if oldest in self._length else [(0.0, oldest, None)]
            while waiting:
                length, i, key = heapq.heappop(waiting)
                if i in self._length:
                    continue
                self._length[i], self._root[i] = length, oldest
                if key is not None:
                    self._towards[i] = key
                for x in self._keys_of(i):
                    if _other(x, i) not in self._length:
                        heapq.heappush(waiting, (length + self._weight(x), _other(x, i), x))

    def _keys_of(self, keyframe: int) -> list[LinkKey]:
        return [(x.anchor, x.anchor_camera, x.observer, x.observer_camera) for x in self._graph.links_of(keyframe)
                if len(x.matches) and x.anchor != x.observer]

    def _weight(self, key: LinkKey) -> float:
        return float(np.trace(self._of_link(key)))

    def _along(self, key: LinkKey, to: int) -> np.ndarray:
        """Covariance of the keyframe at one end of a link, by that of the other end."""
        start = _other(key, to)
        step = self._position(to) - self._position(start)
        of_link = self._of_link(key)
        return carried(self._known[start], step) + (carried(of_link, step) if to == key[0] else of_link)

    def _of_link(self, key: LinkKey) -> np.ndarray:
        if key not in self._links:
            link = self._graph.links[key]
            anchor, observer = self._graph.keyframes[link.anchor], self._graph.keyframes[link.observer]
            there, here = anchor.views[link.anchor_camera], observer.views[link.observer_camera]
            points = transform_points(anchor.T_map_rig, there.points_rig()[link.matches.index_b])
            found = np.isfinite(points).all(axis=1)
            view = View(here.intrinsics, here.T_rig_cam, points[found], link.matches.pixels_a[found],
                        link.matches.depth_a[found])
            t = self._noise
            sigma_px = self._graph.match_sigma_px
            self._links[key] = SHARED * covariance_at([view], observer.T_map_rig, sigma_px, t.depth_sigma, t.huber)
        return self._links[key]

    def _position(self, keyframe: int) -> np.ndarray:
        return self._graph.keyframes[keyframe].T_map_rig[:3, 3]


def _other(key: LinkKey, keyframe: int) -> int:
    return key[2] if key[0] == keyframe else key[0]
