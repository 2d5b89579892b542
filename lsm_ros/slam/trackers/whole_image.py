# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Evidence of the whole image for a pose: its agreement with the keyframes around it, not only of the matched points."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lsm_ros.geometry import CameraIntrinsics, se3_inverse
from lsm_ros.pairs.agreement import Agreement
from lsm_ros.pairs.base import SparsePairModel
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, spread
from lsm_ros.slam.trackers.base import Contradiction, TrackedFrame, part_of

# In the real kitchen, of views up to 1 m and 0.6 rad apart, 98 % have 0.72 of their depths and 90 % have 0.49 of their patches
# agree; of wrong places 98 % have less than 0.39 and 0.26.
LEAST_MEASURED, LEAST_PATCHES = 100, 30  # points and patches below which nothing is concluded
AGREE, ALIKE = 0.65, 0.4
REFUTE_AGREE, REFUTE_ALIKE = 0.58, 0.35  # below that a place that was believed is wrong; a tenth less than not to believe it
WITNESSES = 3  # keyframes that a view is compared with
MOST_PLACED = 60  # keyframes of a map that are compared before it is joined with another
MIN_AGAINST, MOST_AGAINST = 2, 0.25  # keyframes of a map that does not fit where it is placed, and their share
MIN_FOR = 5  # keyframes that fit as they are: then walls may hide from others what the map says


def agreement(model: SparsePairModel, new: TrackedFrame | Keyframe, T_map_rig: np.ndarray, keyframes: Iterable[Keyframe]
              ) -> Agreement:
    """Agreement of a frame set, or of another keyframe, at T_map_rig (4, 4) with what keyframes say that it should see."""
    return sum((model.agreement(tokens, view.tokens, T_a_b)
                for tokens, _, view, T_a_b in same_cameras(new, T_map_rig, keyframes)), Agreement())


def same_cameras(new: TrackedFrame | Keyframe, T_map_rig: np.ndarray, keyframes: Iterable[Keyframe]
                 ) -> Iterator[tuple[Any, CameraIntrinsics, Any, np.ndarray]]:
    """Tokens and intrinsics of each camera of a frame set, or of a keyframe, at T_map_rig (4, 4), with the view that each of
    other keyframes has of that camera, and T_a_b (4, 4) from there into it."""
    if isinstance(new, Keyframe):
        seen = {c: (v.tokens, v.intrinsics, v.T_rig_cam) for c, v in new.views.items()}
    else:
        seen = {c: (t, new.intrinsics[c], new.T_rig_cam[c]) for c, t in new.tokens.items()}
    for keyframe in keyframes:
        for camera, view in keyframe.views.items():
            if camera in seen:
                tokens, intrinsics, T_rig_cam = seen[camera]
                yield tokens, intrinsics, view, se3_inverse(T_map_rig @ T_rig_cam) @ keyframe.T_map_rig @ view.T_rig_cam


def without_hidden(model: SparsePairModel, keyframe: Keyframe, T_map_rig: np.ndarray, witnesses: Sequence[Keyframe],
                   there: Agreement) -> Agreement:
    """The agreement `there` of a keyframe at T_map_rig (4, 4) with others, without what is hidden from one of the two.

    Something nearer than a keyframe says contradicts it only where that one looks through it. A wall between the two, which
    each sees from its own side, says nothing.
    """
    moved = replace(keyframe, T_map_rig=T_map_rig)
    back = sum((agreement(model, w, w.T_map_rig, [moved]) for w in witnesses), Agreement())
    through = there.through + back.through
    return Agreement(there.seen, there.agree + through, there.agree, through, there.patches - there.hidden,
                     there.alike - there.hidden_alike)


def placed_in(graph: KeyframeGraph, T_older_here: np.ndarray, units: float) -> list[tuple[Keyframe, np.ndarray]]:
    """Up to MOST_PLACED keyframes of a map, and their poses (4, 4) in an older one, which has `units` for each unit of it."""
    keyframes, placed = list(graph.keyframes.values()), []
    for n in spread(len(keyframes), MOST_PLACED):
        T = keyframes[n].T_map_rig.copy()
        T[:3, 3] *= units
        placed.append((keyframes[n], T_older_here @ T))
    return placed


def misfit(model: SparsePairModel, placed: Sequence[tuple[Keyframe, np.ndarray]], graph: KeyframeGraph, bounds: Sequence[int]
           ) -> Contradiction | None:
    """Evidence against keyframes of another map being placed at these T_map_rig (4, 4) in a graph: one of its parts, which
    begin at `bounds`, if only that is against it and others are for it; else the place, with `first` -1. None if nothing is.

    Once some keyframes fit, what a wall may hide from the others is not held against the place.
    """
    views: list[tuple[Keyframe, np.ndarray, int, list[Keyframe], Agreement]] = []
    for keyframe, T in placed:
        parts: dict[int, list[Keyframe]] = {}
        for i in graph.candidates(T, keyframe.cameras, WITNESSES):
            parts.setdefault(part_of(i, bounds), []).append(graph.keyframes[i])
        views += [(keyframe, T, part, seen, agreement(model, keyframe, T, seen)) for part, seen in parts.items()]
    is_known = sum(f.seen > 0 and confirms(f) for *_, f in views) >= MIN_FOR
    compared: dict[int, int] = {}
    against: dict[int, list[Agreement]] = {}
    for keyframe, T, part, seen, found in views:
        if is_known and refutation(found):
            found = without_hidden(model, keyframe, T, seen, found)
        if found.measured >= LEAST_MEASURED or found.patches >= LEAST_PATCHES:
            compared[part] = compared.get(part, 0) + 1
            if refutation(found):
                against.setdefault(part, []).append(found)
    bad = [p for p, found in against.items() if len(found) >= MIN_AGAINST and len(found) > MOST_AGAINST * compared[p]]
    if not bad:
        return None
    reason = refutation(sum((a for p in bad for a in against[p]), Agreement()))
    others = sum(n for p, n in compared.items() if p not in bad)
    if len(bad) == 1 and bad[0] in bounds and others >= MIN_AGAINST:
        after = [i for i in bounds if i > bad[0]]
        return Contradiction(bad[0], after[0] if after else max(graph.keyframes) + 1, reason)
    return Contradiction(-1, None, reason)


def refutation(found: Agreement) -> str:
    """Why the image refutes a place that was believed, or ''. That takes more than not to believe a place that was found."""
    return contradiction(found, REFUTE_AGREE, REFUTE_ALIKE)


def contradiction(found: Agreement, agree: float = AGREE, alike: float = ALIKE) -> str:
    """Why the image contradicts the map, or ''. Too little to compare contradicts nothing. agree, alike: shares of depths and
    of patches that are enough."""
    if found.measured >= LEAST_MEASURED and found.agree < agree * found.measured:
        return f"only {found.agree / found.measured:.0%} of the image is as far away as the map says"
    if found.patches >= LEAST_PATCHES and found.alike < alike * found.patches:
        return f"only {found.alike / found.patches:.0%} of the image looks as the map says"
    return ""


def confirms(found: Agreement) -> bool:
    """True if enough was compared, and nothing contradicts; or if the keyframes have no depth yet to be compared by."""
    enough = found.measured >= LEAST_MEASURED or found.patches >= LEAST_PATCHES
    return not found.seen or (enough and not contradiction(found))
