# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Dense depth of keyframes from others whose poses are known, and from a depth prior; in a thread of its own while tracking
goes on."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import se3_inverse
from lsm_ros.pairs.base import DensePairModel
from lsm_ros.pairs.dense import DenseDepth
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, motion
from lsm_ros.slam.trackers.base import KeyframeDepth, TrackedFrame
from lsm_ros.slam.trackers.dense import dense_view
from lsm_ros.slam.trackers.prior_depth import KeyframePriors, known_landmarks

BASELINE = 0.1  # best distance to a partner, relative to the median depth
MAX_TURN = 0.6  # radians between partners
SURE = 0.15  # relative deviation of inverse depth below which a landmark starts
PARTNERS = 2  # of a keyframe
PRIOR_PARTNERS = 4  # with a depth prior, which is fitted to all that they see
PRIOR_CONFIDENCE = 0.4  # of `two_view.min_confidence` is enough there
Partner = tuple[TrackedFrame | Keyframe, np.ndarray]  # and its T_map_rig (4, 4)
Found = dict[str, tuple[DenseDepth | None, DenseDepth | None]]  # by camera: from the best partners, and from all of them


@dataclass(frozen=True)
class Running:
    """Work on a keyframe. size: that of the keyframe when it began."""

    keyframe: int
    size: float
    found: Future[Found]


class KeyframeDense:
    """Keyframes of `graph` that wait for their dense depth."""

    def __init__(self, model: DensePairModel, graph: KeyframeGraph) -> None:
        self._model, self._graph = model, graph
        self._priors = KeyframePriors(model.depth_prior)
        self._waiting: dict[int, TrackedFrame] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._running: Running | None = None

    @property
    def frame_sets(self) -> list[TrackedFrame]:
        """Frame sets of the keyframes that wait."""
        return list(self._waiting.values())

    @property
    def note(self) -> str:
        """Note on the depth prior, see `Tracker.prior_note`."""
        return self._priors.note

    def add(self, keyframe: Keyframe, new: TrackedFrame, background: bool) -> None:
        """A keyframe, made of a frame set, waits from now on."""
        self._waiting[keyframe.id] = new
        self._priors.ask(keyframe.id, new.frames.values(), background)

    def forget_running(self) -> None:
        """Lets go of depth that is being found and no longer holds, as after another focal length: it is found anew."""
        self._running = None

    def take(self, config: Config, until: int, typical: float, background: bool, everything: bool = False
             ) -> list[KeyframeDepth]:
        """Dense depth of keyframes up to the id `until`, or of all. typical: inverse depth of much of what is seen.

        background: what has been found since; one keyframe after the other is worked on in a thread, whose errors are raised
        here."""
        for i in [i for i in self._waiting if i not in self._graph.keyframes]:
            del self._waiting[i]
            self._priors.forget(i)
        if not background or everything:
            self._running = None
            return [d for i in self._ready(everything, until) for d in self._finished(config, i, self._work(i, typical)())]
        out, running = [], self._running
        if running is not None and running.found.done():
            self._running, found = None, running.found.result()
            if running.keyframe in self._waiting:
                growth = self._graph.keyframes[running.keyframe].size / running.size
                out = self._finished(config, running.keyframe, _resized(found, growth))
        for i in self._ready(False, until)[:1] if self._running is None else ():
            self._thread = self._thread or ThreadPoolExecutor(1, "dense depth")
            self._running = Running(i, self._graph.keyframes[i].size, self._thread.submit(self._work(i, typical)))
        return out

    def _ready(self, everything: bool, until: int) -> list[int]:
        return [i for i in self._waiting if everything or (i <= until and self._priors.is_ready(i))]

    def _work(self, i: int, typical: float) -> Callable[[], Found]:
        """Finds the dense depth of a keyframe with the poses of now, whenever it is called."""
        new, T = self._waiting[i], self._graph.keyframes[i].T_map_rig
        jobs = {}
        for camera in new.tokens:
            known = [(k, k.T_map_rig) for k in self._graph.keyframes.values() if camera in k.views]
            count = PRIOR_PARTNERS if self._priors.is_used else PARTNERS
            best = partners(known, new.stamp_ns, T, BASELINE, 1.0 / typical, count)
            jobs[camera] = new.tokens[camera], seen_from(new, camera, T, best)

        def find() -> Found:
            found: Found = {}
            for camera, (tokens, pairs) in jobs.items():
                first, others = pairs[:PARTNERS], pairs[PARTNERS:]
                dense = self._model.dense(tokens, first, typical) if first else None
                more = dense.filled(self._model.dense(tokens, others, typical)) if dense is not None and others else dense
                found[camera] = dense, more
            return found

        return find

    def _finished(self, config: Config, i: int, found: Found) -> list[KeyframeDepth]:
        new, out = self._waiting.pop(i), []
        for camera, (dense, more) in found.items():
            depth = self._depth_of(config, i, new, camera, dense, more)
            if depth is not None:
                out.append(depth)
        self._priors.forget(i)
        return out

    def _depth_of(self, config: Config, i: int, new: TrackedFrame, camera: str, dense: DenseDepth | None,
                  more: DenseDepth | None) -> KeyframeDepth | None:
        """The depth that the map takes, and what landmarks learn from it."""
        least, scale = config.two_view.min_confidence, None
        if dense is not None:
            new.tokens[camera].adopt(dense, SURE)
            view = self._graph.keyframes[i].views[camera]
            unknown = np.isnan(view.inverse_depth)
            view.inverse_depth[unknown] = new.tokens[camera].inverse_depth[unknown]
        if self._priors.is_used:
            anchors = known_landmarks(self._graph, i, camera, config.two_view.sigma_px)
            fitted = self._priors.complete(i, camera, more, anchors)
            if fitted is not None:
                dense, least, scale = fitted.dense, PRIOR_CONFIDENCE * least, fitted.scale
        if dense is None:
            return None
        depth = dense_view(new.frames[camera], new.intrinsics[camera], dense, least)
        return KeyframeDepth(i, new.T_rig_cam[camera], depth, prior_scale=scale)


def partners(known: Iterable[Partner], stamp_ns: int, T_map_rig: np.ndarray, baseline: float, depth: float, count: int
             ) -> list[Partner]:
    """Frames or keyframes, of those known, from which the depth of a rig at T_map_rig is seen best: near the wished baseline,
    relative to the median depth, and turned little."""
    scored = []
    for other, T in known:
        distance, angle = motion(T, T_map_rig)
        share = distance / depth
        if other.stamp_ns != stamp_ns and 0.4 * baseline < share < 5 * baseline and angle < MAX_TURN:
            scored.append((abs(np.log(share / baseline)) + angle, other.stamp_ns, other, T))
    scored.sort(key=lambda s: s[:2])
    return [(other, T) for _, _, other, T in scored[:count]]


def seen_from(new: TrackedFrame, camera: str, T_map_rig: np.ndarray, others: Sequence[Partner]) -> list[tuple]:
    """Tokens of each partner, and T_partner_image (4, 4) for a frame set at T_map_rig."""
    T_map_cam, pairs = T_map_rig @ new.T_rig_cam[camera], []
    for other, T in others:
        if isinstance(other, Keyframe):
            tokens, T_rig_cam = other.views[camera].tokens, other.views[camera].T_rig_cam
        else:
            tokens, T_rig_cam = other.tokens[camera], other.T_rig_cam[camera]
        pairs.append((tokens, se3_inverse(T @ T_rig_cam) @ T_map_cam))
    return pairs


def _resized(found: Found, factor: float) -> Found:
    """The same depth in a map that has become larger by a factor since."""
    def resized(dense: DenseDepth | None) -> DenseDepth | None:
        return None if dense is None else replace(dense, inverse_depth=dense.inverse_depth / np.float32(factor))

    return found if factor == 1.0 else {c: (resized(a), resized(b)) for c, (a, b) in found.items()}
