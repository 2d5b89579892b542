# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Point features by which images are known again: share of the relative rotations that come out right, and milliseconds.

    python bench/matching.py [--kitchen TUM_FOLDER] [--features NAME,...] [--quick] [--json FILE]

Pairs: frames of the kitchen so many frames apart; in simulated rooms on two days (`lsm sim --change`: things moved, gone or
come, other light), an image of each. A rotation is right within 3 degrees of the truth. The kitchen's
own poses turn by 10 % more than images say, so that pairs that turn much cannot be right: `images` judges the same pairs by a
map of all its frames by pair model two_view, which matches by other means, and pairs of its keyframes, which are farther from
each other. Points and their match as `two_view.features` has
them, pose as `_solved` in lsm_ros/pairs/two_view.py finds it. Milliseconds are the processor's, medians, with one thread;
ratios are by the first features (sift). Features whose weights are not here are left out, and said.
"""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from lsm_ros.config import from_dict
from lsm_ros.datasets import open_source
from lsm_ros.datasets.base import T_BODY_OPTICAL, Source
from lsm_ros.geometry import CameraIntrinsics, relative_pose, se3_inverse
from lsm_ros.pairs.point_features import Keypoints, PointFeatures, make_point_features, registry
from lsm_ros.pairs.two_view import TOLERANCE_PX
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.slam.graph.keyframes import motion
from lsm_sim.source import SimSource

KITCHEN = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "redkitchen"
RIGHT_DEG = 3.0
APART, FAILED = (15, 25, 40, 60, 90), 180.0
KEYFRAMES_APART = (6, 15, 25)
EVERY = {False: 10, True: 30}  # frames between two pairs of the kitchen
ROOMS = range(41, 47)  # seeds
BANDS = (("near", 10.0, 0.4), ("middle", 25.0, 0.8), ("far", 45.0, 1.2))  # degrees and metres up to which a pair belongs
MOST_PAIRS = 30  # of a band in a room


@dataclass(frozen=True, eq=False)
class View:
    """An image (H, W), its camera and its pose T_world_cam (4, 4)."""

    gray: np.ndarray
    camera: CameraIntrinsics
    T_world_cam: np.ndarray


Pair = tuple[View, View]


def views_of(source: Source, poses: dict[int, np.ndarray] | None = None, camera: CameraIntrinsics | None = None) -> list[View]:
    """The images of a source with ground truth, or other poses T_world_rig by stamp, and their own camera or another."""
    in_rig = poses is not None or source.ground_truth_frame == "rig"
    poses = {p.stamp_ns: p.T_map_rig for p in source.ground_truth or ()} if poses is None else poses
    stamps, out = np.array(sorted(poses)), []
    for frame_set in source:
        frame = frame_set.frames[0]
        T_rig_cam = (frame_set.T_rig_cam or {}).get(frame.camera, T_BODY_OPTICAL) if in_rig else np.eye(4)
        nearest = int(stamps[np.argmin(np.abs(stamps - frame_set.stamp_ns))])
        out.append(View(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY), camera or frame.intrinsics, poses[nearest] @ T_rig_cam))
    return out


def by_images(folder: Path) -> tuple[list[View], list[View]]:
    """Views of a sequence with the poses and the focal length of a map of all its frames; and those of its keyframes."""
    pipeline = MappingPipeline(from_dict({"pairs.model": "two_view"}))
    try:
        for frame_set in open_source(folder):
            pipeline.process(frame_set)
        pipeline.settle()
        poses = {p.stamp_ns: p.T_map_rig for p in pipeline.trajectory()}
        kept = {k.stamp_ns for k in pipeline.tracker.graph.keyframes.values()}
        focal = next(iter(pipeline.status().focal_px.values()))
    finally:
        pipeline.close()
    camera = next(iter(open_source(folder))).frames[0].intrinsics
    views = views_of(open_source(folder), poses, replace(camera, fx=focal, fy=focal * camera.fy / camera.fx))
    return views, [v for v, frame_set in zip(views, open_source(folder), strict=True) if frame_set.stamp_ns in kept]


def apart(views: Sequence[View], frames: int, every: int) -> list[Pair]:
    """Pairs of views so many frames apart."""
    return [(views[i], views[i + frames]) for i in range(0, len(views) - frames, every)]


def changed(seed: int) -> dict[str, list[Pair]]:
    """Pairs of a room on two days, by how far the camera moved and turned between."""
    first, second = (views_of(SimSource(seed, "room", width=480, height=360, rate_hz=2.0, frames=30, depth=False, labels=False,
                                        change=day)) for day in (0, 1))
    out: dict[str, list[Pair]] = {name: [] for name, _, _ in BANDS}
    for a in first:
        for b in second:
            distance, angle = motion(a.T_world_cam, b.T_world_cam)
            band = next((n for n, degrees, metres in BANDS if np.degrees(angle) < degrees and distance < metres), None)
            if band is not None and distance > 0.05:
                out[band].append((a, b))
    rng = np.random.default_rng(seed)
    return {n: [pairs[i] for i in rng.permutation(len(pairs))[:MOST_PAIRS]] for n, pairs in out.items()}


class Judged:
    """Matches views by one kind of features, and keeps the milliseconds that it took."""

    def __init__(self, features: PointFeatures) -> None:
        self.features = features
        self.detect_ms: list[float] = []
        self.match_ms: list[float] = []
        self._known: dict[int, tuple[np.ndarray, Keypoints]] = {}

    def share(self, pairs: Sequence[Pair]) -> float:
        """Share of the pairs whose rotation is right."""
        return float(np.mean([self._error_deg(*pair) < RIGHT_DEG for pair in pairs])) if pairs else float("nan")

    def _error_deg(self, a: View, b: View) -> float:
        of_a, of_b = self._keypoints(a.gray), self._keypoints(b.gray)
        start = time.process_time()
        index_a, index_b = self.features.match(of_a, of_b)
        self.match_ms.append(1e3 * (time.process_time() - start))
        pose = relative_pose(b.camera.unproject(of_b.pixels[index_b]), a.camera.unproject(of_a.pixels[index_a]),
                             TOLERANCE_PX / a.camera.fx)
        if pose is None:
            return FAILED
        return float(np.degrees(motion(se3_inverse(a.T_world_cam) @ b.T_world_cam, pose.T_a_b)[1]))

    def _keypoints(self, gray: np.ndarray) -> Keypoints:
        if id(gray) not in self._known:
            start = time.process_time()
            self._known[id(gray)] = gray, self.features.detect(gray)
            self.detect_ms.append(1e3 * (time.process_time() - start))
        return self._known[id(gray)][1]


def pair_sets(kitchen: Path | None, quick: bool) -> dict[str, list[Pair]]:
    """All pairs, by the name of their line."""
    sets: dict[str, list[Pair]] = {}
    if kitchen is not None:
        judges, keyframes = {"kitchen": views_of(open_source(kitchen))}, []
        if not quick:
            judges["images"], keyframes = by_images(kitchen)
        sets = {f"{judge}, {n} frames apart": apart(views, n, EVERY[quick]) for judge, views in judges.items() for n in APART}
        sets |= {f"images, {n} keyframes apart": apart(keyframes, n, 1) for n in KEYFRAMES_APART if keyframes}
    for seed in ROOMS[:1] if quick else ROOMS:
        for name, pairs in changed(seed).items():
            sets.setdefault(f"changed rooms, {name}", []).extend(pairs)
    return sets


def make_all(names: Sequence[str]) -> list[PointFeatures]:
    """The features whose weights are here."""
    out = []
    for name in names:
        try:
            out.append(make_point_features(name))
        except FileNotFoundError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return out


def show(rows: dict[str, dict[str, float]]) -> None:
    """One table; ratios are by the first features."""
    names = list(next(iter(rows.values())))
    print(f"{'':32s}" + "".join(f"{n:>17s}" for n in names) + "".join(f"{'ratio':>8s}" for _ in names[1:]))
    for title, row in rows.items():
        print(f"{title:32s}" + "".join(f"{row[n]:17.2f}" for n in names)
              + "".join(f"{row[n] / max(row[names[0]], 1e-9):8.2f}" for n in names[1:]))


def main() -> int:
    """Prints the table; exit status 2 and one line on bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kitchen", type=Path, default=KITCHEN, help="TUM RGB-D folder with ground truth")
    parser.add_argument("--features", default=",".join(registry), help="names as of two_view.features")
    parser.add_argument("--quick", action="store_true", help="one room, less of the kitchen (at most 3 minutes)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    kitchen = options.kitchen if options.kitchen.is_dir() or options.kitchen != KITCHEN else None
    if kitchen is None:
        print(f"{KITCHEN} is not available: no real images", file=sys.stderr)
    try:
        judged = [Judged(features) for features in make_all(options.features.split(","))]
        sets = pair_sets(kitchen, options.quick)
    except (ValueError, FileNotFoundError) as error:
        print(f"bench/matching.py: {error}", file=sys.stderr)
        return 2
    rows = {f"{title} ({len(pairs)})": {j.features.name: j.share(pairs) for j in judged} for title, pairs in sets.items()}
    rows["ms to find points"] = {j.features.name: float(np.median(j.detect_ms)) for j in judged}
    rows["ms to match them"] = {j.features.name: float(np.median(j.match_ms)) for j in judged}
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
