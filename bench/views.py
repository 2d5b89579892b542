# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tracking with multi-view networks, in windows of keyframes and in pairs, on predictions made from the truth of rooms.

    python bench/views.py [--rooms N] [--frames N] [--size N] [--only KIND,...] [--quick] [--json FILE]

Official weights cannot be had here, so a network is stood for by the true depth, poses and intrinsics of what it is shown, in
a unit of its own for each run (30 %), and disturbed as the first column says. `noise`: rays by 0.001 rad, the depth of each
view by 2 % and by a smooth field of 2 %, its pose by 0.25 degrees and 1 % of the median depth; `strong noise` is twice that.
The others are in each seventh run: the new view, or a keyframe, at a place 8.6 degrees and 5 cm off as a whole; points of the
last view that are noise; or those of one keyframe 1.4 times too far. `poses`: share of the frames; errors: of positions after
the best similarity, mean over rooms and worst of all; `views`: images for each frame, keyframes' own runs included. Ratios are
by pairs. Rooms have seeds from 60 on.
"""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lsm_ros.config import PairConfig, from_dict
from lsm_ros.geometry import CameraIntrinsics, make_se3, so3_exp, transform_points, umeyama
from lsm_ros.pairs.views.base import View, ViewModel, ViewPrediction
from lsm_ros.pairs.views.pair import ViewPairModel, ViewTokens
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.types import Frame, FrameSet
from lsm_sim.source import SimSource

SEED, UNIT, EVERY = 60, 0.3, 7
OFF = make_se3(so3_exp([0.0, 0.15, 0.0]), [0.05, 0.0, 0.0])
TRACKERS = {"pairs": {"tracking.tracker": "pointmap"}, "windows of 2": {"pointmap.window": 2}, "windows of 4": {},
            "windows of 6": {"pointmap.window": 6}}
COLUMNS = ("poses", "rmse m", "worst m", "keyframes", "views", "ms", "ATE ratio")
Predictions = list[ViewPrediction]


def misplaced(number: int) -> Callable[[Predictions, Any], Predictions]:
    """A disturbance by which a view has a wrong place as a whole."""
    def disturb(found: Predictions, _rng: Any) -> Predictions:
        return [replace(p, T_first_cam=p.T_first_cam @ OFF) if k == number else p for k, p in enumerate(found)]

    return disturb


def garbled(found: Predictions, rng: Any) -> Predictions:
    """Points of the last view are noise."""
    noise = np.abs(rng.standard_normal(found[-1].points_cam.shape)) + 0.1
    return [*found[:-1], replace(found[-1], points_cam=noise)]


def stretched(found: Predictions, _rng: Any) -> Predictions:
    """Points of a keyframe are too far for where it is."""
    return [replace(p, points_cam=1.4 * p.points_cam) if k == 1 else p for k, p in enumerate(found)]


def noisy(found: Predictions, rng: Any, size: float = 1.0) -> Predictions:
    """All views as a good network has them; size: of the noise."""
    out = []
    for p in found:
        field = cv2.resize(rng.standard_normal((4, 5)), p.confidence.shape[::-1], interpolation=cv2.INTER_CUBIC)
        points = p.points_cam * np.exp(0.02 * size * (rng.standard_normal() + field))[..., None]
        far = np.linalg.norm(points, axis=2, keepdims=True)
        step = 0.01 * size * np.nanmedian(far) * rng.standard_normal(3)
        T = make_se3(so3_exp(np.radians(0.25 * size) * rng.standard_normal(3)), step)
        out.append(replace(p, points_cam=points + 0.001 * size * far * rng.standard_normal(points.shape),
                           T_first_cam=p.T_first_cam @ T))
    return out


KINDS: dict[str, tuple[int, Callable[[Predictions, Any], Predictions]]] = {
    "exact": (0, noisy), "noise": (1, noisy), "strong noise": (1, partial(noisy, size=2.0)),
    "frame misplaced": (EVERY, misplaced(0)), "keyframe misplaced": (EVERY, misplaced(1)),
    "other misplaced": (EVERY, misplaced(2)), "garbled": (EVERY, garbled), "stretched": (EVERY, stretched)}
"""Disturbances by name, and in each so many-th run."""


@dataclass(frozen=True)
class Truth:
    """T_world_cam (4, 4), depth (h, w) and the camera of an image of the network's."""

    T_world_cam: np.ndarray
    depth: np.ndarray
    camera: CameraIntrinsics


class TrueViews(ViewModel):
    """Stands for a network: the truth about images that it was given, disturbed."""

    name, patch = "true", 14

    def __init__(self, every: int, disturb: Callable[[Predictions, Any], Predictions], size: int) -> None:
        self.every, self.disturb, self.size = every, disturb, size
        self.known: dict[bytes, Truth] = {}
        self.runs: list[int] = []

    def _predict(self, views: Sequence[View]) -> Predictions:
        self.runs.append(len(views))
        rng = np.random.default_rng(len(self.runs))
        unit, found = float(np.exp(UNIT * rng.standard_normal())), []
        for view in views:
            t = self.known[view.image.tobytes()]
            depth = unit * np.where(t.depth > 0, t.depth, np.nan)
            T = t.T_world_cam.copy()
            T[:3, 3] *= unit
            points = t.camera.rays(unit=False, dtype=np.float64) * depth[..., None]
            found.append(ViewPrediction(points, np.full(depth.shape, 5.0), T, t.camera, False))
        return self.disturb(found, rng) if self.every and len(self.runs) % self.every == 0 else found


class TrueViewModel(ViewPairModel):
    """The pair model of it. frames: by stamp, with the depth, and T_world_cam (4, 4)."""

    views: TrueViews

    def __init__(self, views: TrueViews, truth: dict[int, tuple[Frame, np.ndarray]]) -> None:
        super().__init__(PairConfig(), views)
        self._truth = truth

    def encode(self, frames: Sequence[Frame]) -> list[ViewTokens]:
        tokens = super().encode(frames)
        for t in tokens:
            frame, T = self._truth[t.stamp_ns]
            assert frame.depth is not None and frame.intrinsics is not None
            rows, columns = np.mgrid[:t.crop.height, :t.crop.width]
            at = t.crop.to_image(np.stack([columns, rows], -1).reshape(-1, 2).astype(np.float64))
            x, y = np.rint(at).astype(np.int64).T
            depth = frame.depth[y.clip(0, frame.depth.shape[0] - 1), x.clip(0, frame.depth.shape[1] - 1)]
            self.views.known[t.image.tobytes()] = Truth(T, depth.reshape(rows.shape), t.crop.intrinsics(frame.intrinsics))
        return tokens


def room(seed: int, frames: int) -> tuple[list[FrameSet], dict[int, tuple[Frame, np.ndarray]]]:
    """Frame sets without depth of a device in the hand, and the truth by stamp."""
    source = SimSource(seed, "room", "hand", frames=frames, width=320, height=240, rate_hz=10.0, noise=False, labels=False)
    poses = {p.stamp_ns: p.T_map_rig for p in source.ground_truth}
    sets, truth = [], {}
    for frame_set in source:
        frame = frame_set.frames[0]
        truth[frame_set.stamp_ns] = frame, poses[frame_set.stamp_ns] @ frame_set.T_rig_cam[frame.camera]
        sets.append(replace(frame_set, frames=(replace(frame, depth=None),), T_odom_base=None))
    return sets, truth


def tracked(sets: list[FrameSet], truth: dict[int, tuple[Frame, np.ndarray]], kind: str, tracker: str, size: int
            ) -> tuple[np.ndarray, dict[str, float]]:
    """Errors (N,) of positions, metres, and figures of the run."""
    model = TrueViewModel(TrueViews(*KINDS[kind], size), truth)
    pipeline = MappingPipeline(from_dict({"fusion.voxel_size": 0.1, **TRACKERS[tracker]}), model)
    began = time.process_time()
    for frame_set in sets:
        pipeline.process(frame_set)
    pipeline.settle()
    ms = 1e3 * (time.process_time() - began) / len(sets)
    poses = pipeline.trajectory()
    ours = np.array([(p.T_map_rig @ next(iter(sets[0].T_rig_cam.values())))[:3, 3] for p in poses])
    true = np.array([truth[p.stamp_ns][1][:3, 3] for p in poses])
    if len(poses) < 3:
        return np.full(3, np.nan), {"poses": len(poses) / len(sets), "views": float("nan"), "ms": ms, "keyframes": float("nan")}
    errors = np.linalg.norm(transform_points(umeyama(ours, true), ours) - true, axis=1)
    return errors, {"poses": len(poses) / len(sets), "views": sum(model.views.runs) / len(sets), "ms": ms,
                    "keyframes": len(pipeline.tracker.graph.keyframes)}


def main() -> int:
    """Prints the table; exit status 2 and one line on bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", type=int, default=3, help="number of rooms")
    parser.add_argument("--frames", type=int, default=150, help="frames in each, 10 a second")
    parser.add_argument("--size", type=int, default=224, help="longer side of the network's images, pixels")
    parser.add_argument("--only", default=",".join(KINDS), help=f"some of {', '.join(KINDS)}")
    parser.add_argument("--quick", action="store_true", help="one room, 60 frames (at most 3 minutes)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    if options.rooms < 1 or options.frames < 10 or options.size < 56:
        print("bench/views.py: it needs --rooms of at least 1, --frames of 10 and --size of 56", file=sys.stderr)
        return 2
    unknown = [k for k in options.only.split(",") if k not in KINDS]
    if unknown:
        print(f"bench/views.py: --only {', '.join(unknown)} is none of {', '.join(KINDS)}", file=sys.stderr)
        return 2
    count, frames = (1, 60) if options.quick else (options.rooms, options.frames)
    rooms = [room(SEED + k, frames) for k in range(count)]
    rows: dict[str, dict[str, float]] = {}
    print(f"{'':20s}{'':14s}" + "".join(f"{c:>11s}" for c in COLUMNS))
    for kind in options.only.split(","):
        for tracker in TRACKERS:
            runs = [tracked(*r, kind, tracker, options.size) for r in rooms]
            row = {name: float(np.mean([f[name] for _, f in runs])) for name in runs[0][1]}
            row |= {"rmse m": float(np.mean([np.sqrt(np.mean(e**2)) for e, _ in runs])),
                    "worst m": float(max(e.max() for e, _ in runs))}
            rows[f"{kind}, {tracker}"] = row
            row["ATE ratio"] = row["rmse m"] / rows[f"{kind}, pairs"]["rmse m"]
            print(f"{kind:20s}{tracker:14s}" + "".join(f"{row[c]:11.3f}" for c in COLUMNS), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"rooms": count, "frames": frames, "rows": rows}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
