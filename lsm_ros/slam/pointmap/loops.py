# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Links of a new keyframe with others that show the same: retrieved by tokens, verified by prediction of the pair both ways."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import rotation_angle, se3_inverse
from lsm_ros.pairs.base import PointmapPairModel
from lsm_ros.slam.graph.keyframes import Link
from lsm_ros.slam.pointmap.graph import LinkKey, PointmapGraph
from lsm_ros.slam.pointmap.pose import PairPose, predict_for, rig_of, solve_pair
from lsm_ros.slam.pointmap.ray_bundle import NARROWEST
from lsm_ros.slam.pointmap.view import PointmapKeyframe

RECENT = 8  # keyframes; being joined with an older one is a loop
AS_ALIKE = 0.5  # a candidate is at least so much as like the new keyframe as the one that it was tracked against
SAME_TURN, SAME_PLACE = 0.1, 0.15  # radians, and median depths: the two directions of a pair say the same


@dataclass
class LoopCloser:
    """Joins keyframes of `graph`. Not thread-safe."""

    config: Config
    model: PointmapPairModel
    graph: PointmapGraph

    def ranked(self, tokens: Sequence[Any], exclude: Sequence[int] = ()) -> list[tuple[float, int]]:
        """(similarity, id) of the keyframes, the most alike first, for tokens of a frame set's cameras in order of names."""
        kept = {i: k.thumbnail for i, k in sorted(self.graph.keyframes.items())
                if i not in exclude and k.thumbnail is not None}
        scores = self.model.alike(tokens, list(kept.values())) if kept else np.zeros(0)
        return sorted(((float(s), i) for s, i in zip(scores, kept, strict=True) if np.isfinite(s)), reverse=True)

    def join(self, new: PointmapKeyframe, reference: int | None) -> tuple[int, ...]:
        """Links a new keyframe, which is in the graph and was tracked against `reference`, with others; adjusts the poses.
        Returns the ids of those older than its neighbours that it was joined with."""
        likely = self._candidates(new, reference)
        near = [] if reference is None or reference not in self.graph.keyframes else [reference]
        asked = [(rig_of(self.graph.keyframes[i]), new) for i in (*near, *likely)]
        asked += [(rig_of(new), self.graph.keyframes[i]) for i in likely]
        found = predict_for(self.model, asked)
        back, ahead = found[:len(near) + len(likely)], found[len(near) + len(likely):]
        for i, predictions in zip(near, back, strict=False):
            self._link_back(new, self.graph.keyframes[i], predictions)
        recent = sorted(self.graph.keyframes)[-RECENT - 1:]
        free = set(recent)
        doubted: dict[LinkKey, int] = {}
        for i, there, here in zip(likely, back[len(near):], ahead, strict=True):
            doubted |= dict.fromkeys(self._verified(new, self.graph.keyframes[i], here, there), i)
        if doubted:
            drifted = self.graph.errors(doubted.keys()).max() > NARROWEST
            older = set(doubted.values()) - free
            held = self.graph.close(doubted.keys(), set(self.graph.keyframes) if drifted and older else free | older)
            if held:
                return tuple(sorted({doubted[k] for k in held} & older))
        self.graph.optimize(free)
        return ()

    def _candidates(self, new: PointmapKeyframe, reference: int | None) -> list[int]:
        """Keyframes that may show the same: one of the recent ones, and of the older ones those that look alike and the one
        that should see most of the same if there is no drift."""
        count = self.config.pointmap.loop_candidates
        if not count:
            return []
        ranked = self.ranked([v.tokens for _, v in sorted(new.views.items())], [new.id])
        alike = {i: s for s, i in ranked}
        least = 0.0 if reference is None else AS_ALIKE * max(alike.get(reference, 0.0), 0.0)
        recent = set(sorted(self.graph.keyframes)[-RECENT - 1:])
        likely = [i for s, i in ranked if s > 0 and s >= least and i != reference]
        seen = self.graph.candidates(new.T_map_rig, new.cameras, 1, exclude=recent)
        older = list(dict.fromkeys([*[i for i in likely if i not in recent][:1], *seen,
                                    *[i for i in likely if i not in recent]]))
        nearer = [i for i in likely if i in recent]
        return [*older[:count - bool(nearer)], *nearer[:1]] if count > 1 else (older or nearer)[:1]

    def _solve(self, asked: PointmapKeyframe, keyframe: PointmapKeyframe, predictions: dict[str, Any]) -> PairPose | str:
        return solve_pair(rig_of(asked), keyframe, predictions, self.config, self.graph.free_scale)

    def _link_back(self, new: PointmapKeyframe, old: PointmapKeyframe, predictions: dict[str, Any]) -> None:
        """Links the new keyframe's points with the one that it was tracked against, if both directions agree."""
        solved = self._solve(old, new, predictions)
        expected = se3_inverse(old.T_map_rig) @ new.T_map_rig
        if not isinstance(solved, str) and self._same(solved.alignment.T_new_kf, expected, new):
            self._connect(solved, old)

    def _verified(self, new: PointmapKeyframe, old: PointmapKeyframe, here: dict[str, Any], there: dict[str, Any]
                  ) -> list[LinkKey]:
        """Links two keyframes if enough of each is found in the other, and both directions say the same; else no links."""
        least = self.config.pointmap.loop_match_fraction
        forth, back = self._solve(new, old, here), self._solve(old, new, there)
        if isinstance(forth, str) or isinstance(back, str) or min(forth.fraction, back.fraction) < least:
            return []
        if not self._same(forth.alignment.T_new_kf, se3_inverse(back.alignment.T_new_kf), new) or self._refuted(new, forth):
            return []
        return [*self._connect(forth, new), *self._connect(back, old)]

    def _refuted(self, _new: PointmapKeyframe, _solved: PairPose) -> bool:
        """True if something beside the predictions speaks against a pose of a new keyframe that both directions agree on."""
        return False

    def _same(self, T: np.ndarray, T_other: np.ndarray, scale_of: PointmapKeyframe) -> bool:
        """True if two motions are the same; where units are free, lengths may differ as much as the pointmaps' units do."""
        between = se3_inverse(T_other) @ T
        apart = float(np.linalg.norm(between[:3, 3]))
        if self.graph.free_scale:  # each direction is in the unit of its own keyframe, which may have drifted
            lengths = [float(np.linalg.norm(m[:3, 3])) for m in (T, T_other)]
            apart = min(apart, float(np.linalg.norm(T[:3, 3] / max(lengths[0], 1e-9) - T_other[:3, 3] / max(lengths[1], 1e-9)))
                        * min(lengths))
        return rotation_angle(between[:3, :3]) < SAME_TURN and apart < SAME_PLACE * scale_of.median_depth

    def _connect(self, solved: PairPose, observer: PointmapKeyframe) -> list[LinkKey]:
        keys = []
        for camera, matches in solved.matches.items():
            if len(matches) >= self.config.tracking.min_inliers:
                link = Link(solved.keyframe.id, camera, observer.id, camera, matches)
                self.graph.connect(link)
                keys.append((link.anchor, camera, link.observer, camera))
        return keys
