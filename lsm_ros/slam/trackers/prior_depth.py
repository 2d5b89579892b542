# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth priors of keyframes: asked when a keyframe is made, fitted when its dense depth is."""
from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from lsm_ros.geometry import se3_inverse, triangulate_inverse_depth
from lsm_ros.pairs.dense import DenseDepth
from lsm_ros.pairs.depth_priors import DepthPrior, PriorDepth
from lsm_ros.pairs.depth_priors.fitting import Anchors, Fitted, fit_prior
from lsm_ros.slam.graph.keyframes import KeyframeGraph
from lsm_ros.types import Frame

MOST_WAITING = 4  # images for the prior's thread; those that come then go without it
FEWEST_SEEN = 2  # keyframes that see a landmark whose depth counts
SURE = 0.15  # standard deviation of the logarithm of such a depth


class KeyframePriors:
    """Answers of a prior about keyframes. With None nothing is asked, and everything is ready."""

    def __init__(self, prior: DepthPrior | None) -> None:
        self._prior = prior
        self._thread: ThreadPoolExecutor | None = None
        self._asked: dict[tuple[int, str], Frame | Future[PriorDepth]] = {}
        self._used = self._left_out = 0
        self._reason = ""

    @property
    def is_used(self) -> bool:
        """True if there is a prior."""
        return self._prior is not None

    @property
    def note(self) -> str:
        """Number of the images that the prior was left out of, and why the last one; '' for none."""
        if not self._left_out:
            return ""
        total = self._left_out + self._used
        return f"the depth prior was left out of {self._left_out} of {total} images; the last: {self._reason}"

    def ask(self, keyframe: int, frames: Iterable[Frame], background: bool) -> None:
        """Asks the prior about the images of a keyframe, in a thread of its own; without `background` when they are used."""
        if self._prior is None:
            return
        for frame in frames:
            if not background:
                self._asked[keyframe, frame.camera] = frame
            elif self._waiting() >= MOST_WAITING:
                self._leave_out("it is slower than keyframes come")
            else:
                self._thread = self._thread or ThreadPoolExecutor(1, "depth prior")
                self._asked[keyframe, frame.camera] = self._thread.submit(self._prior.depth, frame)

    def _waiting(self) -> int:
        return sum(isinstance(a, Future) and not a.done() for a in self._asked.values())

    def is_ready(self, keyframe: int) -> bool:
        """True if nobody has to wait for what the prior says of a keyframe."""
        return all(not isinstance(a, Future) or a.done() for (i, _), a in self._asked.items() if i == keyframe)

    def forget(self, keyframe: int) -> None:
        """The keyframe is gone."""
        self._asked = {key: a for key, a in self._asked.items() if key[0] != keyframe}

    def complete(self, keyframe: int, camera: str, geometry: DenseDepth | None, landmarks: Anchors) -> Fitted | None:
        """The prior of an image, fitted to what geometry knows of it; None where it was not asked, or is left out."""
        asked = self._asked.pop((keyframe, camera), None)
        if asked is None or self._prior is None:
            return None
        try:
            prior = asked.result() if isinstance(asked, Future) else self._prior.depth(asked)
            found = fit_prior(prior, geometry, landmarks)
        except ValueError as error:  # of this image alone: mapping goes on
            self._leave_out(str(error))
            return None
        self._used += 1
        return found

    def _leave_out(self, reason: str) -> None:
        self._left_out, self._reason = self._left_out + 1, reason


def known_landmarks(graph: KeyframeGraph, keyframe: int, camera: str, sigma_px: float) -> Anchors:
    """The landmarks of a keyframe whose depth other keyframes fix: their deviations are those of matches (sigma_px) by
    parallax."""
    view = graph.keyframes[keyframe].views[camera]
    T_map_cam = graph.keyframes[keyframe].T_map_rig @ view.T_rig_cam
    information, seen = np.zeros(len(view.corners)), np.zeros(len(view.corners), np.int64)
    for link in graph.links_of(keyframe):
        if link.anchor != keyframe or link.anchor_camera != camera or link.observer not in graph.keyframes:
            continue
        other, index = graph.keyframes[link.observer], link.matches.index_b
        seer = other.views[link.observer_camera]
        T_other_cam = se3_inverse(other.T_map_rig @ seer.T_rig_cam) @ T_map_cam
        rays = seer.intrinsics.unproject(link.matches.pixels_a)[:, :2]
        _, slope, _ = triangulate_inverse_depth(view.rays[index], rays, T_other_cam)
        information[index] += (slope * seer.intrinsics.fx / sigma_px)**2
        seen[index] += 1
    known = np.isfinite(view.inverse_depth) & (view.inverse_depth > 0) & (seen >= FEWEST_SEEN) & (information > 0)
    sigma = information[known]**-0.5 / view.inverse_depth[known]
    sure = sigma < SURE
    return Anchors(view.corners[known][sure], view.inverse_depth[known][sure], sigma[sure])
