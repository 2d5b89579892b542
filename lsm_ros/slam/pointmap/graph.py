# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The keyframe graph of trackers with pointmaps: links are dense matches, and poses are adjusted on rays."""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np

from lsm_ros.slam.graph.keyframes import KeyframeGraph, Link, spread
from lsm_ros.slam.pointmap.ray_bundle import NARROWEST, RayNoise, RayProblem, RayResult, adjust_rays
from lsm_ros.slam.pointmap.view import PointmapView

LinkKey = tuple[int, str, int, str]
TRUSTED = 0.25  # least weight of a loop that stays: half of its matches agree to NARROWEST standard deviations
MOST_MATCHES, FEWEST_MATCHES = 300_000, 60  # in an adjustment of all, together and of each link
BENT = 2.0  # times as wrong as before may no link between neighbours become by a loop


@dataclass
class PointmapGraph(KeyframeGraph[PointmapView]):
    """Keyframes with pointmaps. `matches.index_b` of a link counts the pixels of the anchor's image, as the network saw it, by
    rows; `pixels_a` are of the observer's image of that kind. free_scale: pointmaps have units of their own.
    """

    noise: RayNoise = field(default_factory=RayNoise)
    free_scale: bool = True

    def optimize(self, free: set[int], iterations: int = 10, focal_std: float | None = None,
                 max_matches: int | None = None) -> None:
        """Adjusts the poses of the keyframes `free` and, where units are free, multiplies their pointmaps. The very first
        keyframe stays, and so do those that are not free. focal_std is of no use here."""
        self._take(self._adjusted(free, (), iterations, max_matches))

    def adjust_all(self) -> None:
        """Adjusts all keyframes."""
        self._take(self._adjusted(set(self.keyframes), (), 10, self._most_matches()))
        self.adjusted_at = self.next_id

    def _most_matches(self) -> int:
        """Of each link, so that all together stay within seconds and 100 MB."""
        return max(FEWEST_MATCHES, MOST_MATCHES // max(len(self.links), 1))

    def errors(self, links: Collection[LinkKey]) -> np.ndarray:
        """(L,) median of each link's ray residuals, in standard deviations, as the keyframes are."""
        chosen = {k: self.links[k] for k in links}
        ids = sorted({i for x in chosen.values() for i in (x.anchor, x.observer)})
        return adjust_rays(self._rays(ids, set(), chosen, (), None), self.noise, 0).errors if chosen else np.zeros(0)

    def close(self, loops: Collection[LinkKey], free: set[int]) -> set[LinkKey]:
        """Adjusts the keyframes `free` with the links `loops`, which are doubted. Those that contradict the rest are taken out;
        returns the others. Nothing moves when none is left, or when the loops would bend the chain of the others."""
        patient = replace(self.noise, huber=NARROWEST)  # with absolute values it would not matter whether many links give way
        while loops:
            result = self._adjusted(free, loops, 10, self._most_matches(), patient)
            if result is None:
                return set()
            keys, found = result[2], result[1]
            held = {k: w >= TRUSTED for k, w in zip(keys, found.weights, strict=True) if k in loops}
            bent = [k for k, after, before in zip(keys, found.errors, found.errors_before, strict=True)
                    if k not in loops and after > max(NARROWEST, BENT * before)]
            wrong = set(loops) if bent else {k for k, good in held.items() if not good} | (set(loops) - set(held))
            if not wrong:
                self._take(result)
                return set(loops)
            for key in wrong:
                self.disconnect(key)
            loops = set(loops) - wrong
        return set()

    def _adjusted(self, free: set[int], doubted: Collection[LinkKey], iterations: int, max_matches: int | None,
                  noise: RayNoise | None = None) -> tuple[list[int], RayResult, list[LinkKey]] | None:
        """Ids of the keyframes, the result for them, and the links that it is of. Nothing is changed."""
        free = {i for i in free if i in self.keyframes} - {min(self.keyframes)}
        links = {k: x for k, x in self.links.items() if (x.anchor in free or x.observer in free) and len(x.matches)}
        if not free or not links:
            return None
        ids = sorted({i for x in links.values() for i in (x.anchor, x.observer)})
        if not set(ids) - free:  # what is linked is apart from all that stays
            free -= {ids[0]}
            if not free & set(ids):
                return None
        result = adjust_rays(self._rays(ids, free, links, doubted, max_matches), noise or self.noise, iterations)
        return ids, result, list(links)

    def _rays(self, ids: list[int], free: set[int], links: dict[LinkKey, Link], doubted: Collection[LinkKey],
              max_matches: int | None) -> RayProblem:
        row = {i: n for n, i in enumerate(ids)}
        kept = [x if max_matches is None else replace(x, matches=x.matches.where(spread(len(x.matches), max_matches)))
                for x in links.values()]
        ends = [
            (self.keyframes[x.anchor].views[x.anchor_camera], self.keyframes[x.observer].views[x.observer_camera])
            for x in kept]
        seen = [b.rays_at(x.matches.pixels_a) for x, (_, b) in zip(kept, ends, strict=True)]
        return RayProblem(
            T_map_rig=np.stack([self.keyframes[i].T_map_rig for i in ids]),
            fixed=np.array([i not in free for i in ids]),
            anchor=np.array([row[x.anchor] for x in kept]),
            observer=np.array([row[x.observer] for x in kept]),
            T_rig_anchor=np.stack([a.T_rig_cam for a, _ in ends]),
            T_rig_observer=np.stack([b.T_rig_cam for _, b in ends]),
            doubted=np.array([k in doubted for k in links]),
            bounds=np.cumsum([0, *(len(x.matches) for x in kept)]),
            points=np.concatenate([a.points_at(x.matches.index_b) for x, (a, _) in zip(kept, ends, strict=True)]),
            rays=np.concatenate([r for r, _ in seen]),
            distances=np.concatenate([d for _, d in seen]),
            free_scale=self.free_scale)

    def _take(self, found: tuple[list[int], RayResult, list[LinkKey]] | None) -> None:
        """Takes over poses and units; a keyframe's `size` says by how much its surroundings have grown."""
        if found is None:
            return
        ids, result, _ = found
        for i, T, factor in zip(ids, result.T_map_rig, result.factors, strict=True):
            keyframe = self.keyframes[i]
            keyframe.T_map_rig = T
            if factor != 1.0:
                keyframe.size *= float(factor)
                for view in keyframe.views.values():
                    view.resize(float(factor))
        self.version += 1
