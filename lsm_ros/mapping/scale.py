# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Scale of the map: asks its sources after each keyframe, and lets the map grow to metres when they are sure."""
from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import se3_inverse
from lsm_ros.mapping.levelling import points_from
from lsm_ros.mapping.odometry import OdometryWatch
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.pairs.base import PairModel, finds_points
from lsm_ros.slam import scale_sources as sources
from lsm_ros.slam.floor import floor_height
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph
from lsm_ros.slam.scale import ScaleEstimate, ScaleLock, combine
from lsm_ros.slam.trackers import KeyframeDepth, Tracker
from lsm_ros.types import EXACT_SCALE, FrameSet

MOST_SAMPLES = 400  # of odometry at frames that may still become keyframes
MOST_BASELINES = 40  # keyframes whose cameras are compared
KNOWN_AT_ALL = 0.2  # relative deviation of a scale that is better than an arbitrary one
ALONG = 0.5  # cosine between the axes of two cameras that may see the same
SIGMA_PX = 0.7  # of a point found in two cameras
SETTLED = 1e-3  # relative change of the size that is not worth moving a map for


@dataclass(frozen=True)
class ScaleStatus:
    """is_metric: lengths may be taken for metres, as exactly as std says. source: those it is from, joined by +, or none.
    std: standard deviation of ln(scale), nan if nothing is known."""

    is_metric: bool
    source: str
    std: float


UNKNOWN = ScaleStatus(False, "none", math.nan)


class ScaleKeeper:
    """Sources of the scale of one map, and their estimate. The pipeline calls `check` before tracking, `note` after it,
    `add_depths` with the depth of keyframes, and `update` after a new keyframe."""

    def __init__(self, config: Config, model: PairModel, warnings: Warnings) -> None:
        self._config, self._model, self._warnings = config.scale, model, warnings
        self._seed = config.seed
        self.check = OdometryWatch(config.tracking, warnings)
        self._lock = ScaleLock()
        self.estimate: ScaleEstimate | None = None
        self._odometry: dict[int, tuple[int, np.ndarray]] = {}  # by stamp: segment and T_odom_base
        self._heights: dict[tuple[int, str], tuple[float, float]] = {}  # over the floor, and the keyframe's size
        self._baselines: dict[int, tuple[np.ndarray, np.ndarray, float]] = {}  # ratios, deviations, size
        self._priors: dict[tuple[int, str], tuple[float, float, float]] = {}  # ln(metres per unit), error, size
        self._camera_heights: dict[str, float] = {}  # metres, as far as they are known
        self._on_wheels = False
        self._drift = 0.0
        self._loaded: ScaleStatus | None = None

    def status(self, has_map: bool) -> ScaleStatus:
        """The scale as it is published. Where the model is metric, which no
        map of it can grow from, what it is off by is a part of the deviation."""
        if not has_map:
            return UNKNOWN
        if self._loaded is not None:
            return self._loaded
        estimate, own = self.estimate, self._model
        if estimate is None:
            return ScaleStatus(True, own.scale_source, own.scale_std) if own.is_metric else UNKNOWN
        std, locked = estimate.std, self._lock.locked
        if own.is_metric:
            return ScaleStatus(True, "+".join(estimate.sources), math.hypot(std, estimate.log_scale))
        if self._drift:
            std = math.hypot(std, self._drift)
        elif locked is not None and not estimate.contradiction:  # what was sure to lock still is, for the map keeps its size
            std = min(std, locked.std)
        return ScaleStatus(locked is not None and std < EXACT_SCALE, "+".join(estimate.sources), std)

    # what is seen

    def note(self, frame_set: FrameSet, T_map_rig: np.ndarray | None, tracker: Tracker) -> None:
        """Takes a frame set as `check` gave it, and the pose that was found (4, 4)."""
        self._on_wheels = frame_set.rig_is_base and len(frame_set.frames) == 1
        if frame_set.rig_is_base and self._config.base_on_floor:
            self._camera_heights.update({c: float(T[2, 3]) for c, T in frame_set.T_rig_cam.items()})
        if self._config.camera_height > 0:
            self._camera_heights[frame_set.frames[0].camera] = self._config.camera_height
        if frame_set.T_odom_base is not None:
            self._odometry[frame_set.stamp_ns] = (self.check.segment, frame_set.T_odom_base)
        if T_map_rig is not None and tracker.reference in tracker.graph.keyframes:
            unit = 1.0 if self.status(True).is_metric else tracker.graph.keyframes[tracker.reference].median_depth
            self.check.note(frame_set.stamp_ns, T_map_rig, unit)

    def add_depths(self, depths: Iterable[KeyframeDepth], graph: KeyframeGraph) -> None:
        """Takes what a depth prior says, and looks for the floor under cameras whose height is known."""
        for given in depths:
            camera = given.view.frame.camera
            if given.prior_scale is not None and given.keyframe in graph.keyframes:
                self._priors[given.keyframe, camera] = *given.prior_scale, graph.keyframes[given.keyframe].size
            if self._camera_heights.get(camera, 0.0) > 0 and given.keyframe in graph.keyframes:
                T_upright = given.T_rig_cam.copy()
                T_upright[:3, 3] = 0.0  # the camera is the origin: where it sits on the rig is in metres, which these are not
                height = floor_height(points_from(given.view, T_upright), self._seed)
                if height is not None:
                    self._heights[given.keyframe, camera] = height, graph.keyframes[given.keyframe].size

    # the estimate

    def update(self, tracker: Tracker) -> bool:
        """Estimates anew after a keyframe. True if the map has another size from now on."""
        self._estimate(tracker)
        if not tracker.resizes:
            return False
        factor = self._lock.update(self.estimate) if not self._drift else None
        return factor is not None and self._grow(tracker, factor)

    def settle(self, tracker: Tracker) -> bool:
        """Gives the map the size that is known best, at the end, when the graph is final. True if it has another."""
        self._estimate(tracker)
        estimate = self.estimate
        if not tracker.resizes or estimate is None or estimate.std > KNOWN_AT_ALL:
            return False
        self._lock.update(estimate)
        return abs(estimate.log_scale) > SETTLED and self._grow(tracker, math.exp(estimate.log_scale))

    def _grow(self, tracker: Tracker, factor: float) -> bool:
        tracker.resize(factor)
        self.check.map_moved()
        assert self.estimate is not None  # the factor is its
        self.estimate = replace(self.estimate, log_scale=0.0)
        return True

    def _estimate(self, tracker: Tracker) -> None:
        graph = tracker.graph
        if self._loaded is not None or not graph.keyframes:
            return
        self._compare_cameras(graph)
        reports = {"model": sources.from_model(self._model.scale_source, self._model.scale_std) if self._model.is_metric
                   else sources.NOTHING,
                   **self._by_motion(graph), "camera_height": self._by_height(graph), "baseline": self._by_baseline(graph),
                   "depth_prior": self._by_prior(graph)}
        for name, report in reports.items():
            self._tell(f"scale {name}", report.reason)
        self._drift = reports["odometry"].drift
        self.estimate = combine([r.measurement for r in reports.values() if r.measurement is not None])
        self._tell("scale sources", "" if self.estimate is None else self.estimate.contradiction)
        self._prune(graph)

    def _tell(self, name: str, text: str) -> None:
        if text:
            self._warnings.say(name, text)
        else:
            self._warnings.over(name)

    def _by_motion(self, graph: KeyframeGraph) -> dict[str, sources.SourceReport]:
        """Odometry and the lever, by the ways of the first camera between keyframes."""
        keyframes = [k for _, k in sorted(graph.keyframes.items()) if k.views]
        camera = next(iter(keyframes[0].views)) if keyframes else ""
        keyframes = [k for k in keyframes if camera in k.views]
        known = [k for k in keyframes if k.stamp_ns in self._odometry]
        out = {"odometry": sources.NOTHING, "lever": sources.NOTHING}
        if len(known) > 1 and self._config.odometry_std > 0:
            T_rig_cam = np.stack([k.views[camera].T_rig_cam for k in known])
            T_odom_base = np.stack([self._odometry[k.stamp_ns][1] for k in known])
            segment = np.array([self._odometry[k.stamp_ns][0] for k in known])
            T_map_rig = np.stack([k.T_map_rig for k in known])
            out["odometry"] = sources.from_odometry(T_map_rig @ T_rig_cam, T_odom_base @ T_rig_cam, segment,
                                                    self._config.odometry_std)
        if self._config.lever and self._on_wheels and not self._model.is_metric and len(keyframes) > 1:
            T_rig_cam = keyframes[0].views[camera].T_rig_cam
            if all(np.allclose(k.views[camera].T_rig_cam, T_rig_cam) for k in keyframes):
                out["lever"] = sources.from_lever(np.stack([k.T_map_rig for k in keyframes]), T_rig_cam)
        return out

    def _by_height(self, graph: KeyframeGraph) -> sources.SourceReport:
        """The camera whose height is known, and which saw the floor most often."""
        cameras = {c for _, c in self._heights}
        if not cameras:
            return sources.NOTHING
        camera = max(sorted(cameras), key=lambda c: sum(seen == c for _, seen in self._heights))
        heights = np.array([h * graph.keyframes[i].size / size for (i, c), (h, size) in sorted(self._heights.items())
                            if c == camera and i in graph.keyframes])
        return sources.from_heights(heights, self._camera_heights[camera], self._config.camera_height_std)

    # cameras that see the same

    def _compare_cameras(self, graph: KeyframeGraph) -> None:
        """Looks in new keyframes for points that two cameras see at once, whose distance in metres the baseline gives."""
        if self._model.is_metric or not finds_points(self._model):
            return
        for i, keyframe in graph.keyframes.items():
            if i not in self._baselines and len(keyframe.views) > 1 and len(self._baselines) < MOST_BASELINES:
                ratios, stds = (np.concatenate(parts) for parts in zip(*self._ratios(keyframe), strict=True))
                self._baselines[i] = ratios, stds, keyframe.size

    def _ratios(self, keyframe: Keyframe) -> list[tuple[np.ndarray, np.ndarray]]:
        assert finds_points(self._model)
        names, out = sorted(keyframe.views), [(np.zeros(0), np.zeros(0))]
        for a, b in ((a, b) for n, a in enumerate(names) for b in names[n + 1:]):
            view_a, view_b = keyframe.views[a], keyframe.views[b]
            T_a_b = se3_inverse(view_a.T_rig_cam) @ view_b.T_rig_cam
            if T_a_b[2, 2] < ALONG:
                continue
            both = self._model.correspond(view_a.tokens, view_b.tokens)
            rays_a, rays_b = view_a.intrinsics.unproject(both.pixels_a), view_b.intrinsics.unproject(both.pixels_b)
            out.append(sources.baseline_ratios(rays_a, rays_b, np.nan_to_num(both.depth_a), T_a_b,
                                               SIGMA_PX / view_a.intrinsics.fx))
        return out

    def _by_baseline(self, graph: KeyframeGraph) -> sources.SourceReport:
        known = [(ratios - math.log(graph.keyframes[i].size / size), stds)
                 for i, (ratios, stds, size) in sorted(self._baselines.items()) if i in graph.keyframes]
        if not known:
            return sources.NOTHING
        return sources.from_baseline(np.concatenate([r for r, _ in known]), np.concatenate([s for _, s in known]))

    def _by_prior(self, graph: KeyframeGraph) -> sources.SourceReport:
        known = np.array([(log_scale - math.log(graph.keyframes[i].size / size), error)
                          for (i, _), (log_scale, error, size) in sorted(self._priors.items()) if i in graph.keyframes])
        return sources.from_prior(known[:, 0], known[:, 1]) if len(known) else sources.NOTHING

    def _prune(self, graph: KeyframeGraph) -> None:
        """Forgets what belongs to frames and keyframes that are gone."""
        kept = {k.stamp_ns for k in graph.keyframes.values()}
        newest = list(self._odometry)[-MOST_SAMPLES:]
        self._odometry = {s: v for s, v in self._odometry.items() if s in kept or s in newest}
        self._heights = {key: v for key, v in self._heights.items() if key[0] in graph.keyframes}
        self._baselines = {i: v for i, v in self._baselines.items() if i in graph.keyframes}
        self._priors = {key: v for key, v in self._priors.items() if key[0] in graph.keyframes}

    # on disk

    def to_dict(self) -> dict[str, Any]:
        """The status in plain values, for a saved map."""
        status = self.status(True)
        return {"is_metric": status.is_metric, "source": status.source, "std": None if math.isnan(status.std) else status.std}

    def recall(self, known: dict[str, Any] | None) -> None:
        """Takes over what `to_dict` gave: the size of a loaded map is what it was."""
        if known is not None:
            std = known["std"]
            self._loaded = ScaleStatus(bool(known["is_metric"]), str(known["source"]), math.nan if std is None else float(std))
