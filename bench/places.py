# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Places of the sparse trackers: recall at 5 and time of a query, against thumbnails and plain VLAD.

    python bench/places.py [--kitchen TUM_FOLDER] [--size WxH] [--quick] [--json FILE]

Keyframes are those of a robot's tour through held-out worlds (seeds from 20000 on; all worlds of a kind in one set), each 0.5 m
or 20 degrees from the last. Queries come from other passes: another tour (robot), the same with other lamps (light), a device
in the hand of a walking person (hand). Of the kitchen, every fifth frame of the first half is a keyframe, every third of the
second half a query. Found: one of the best five is a camera in the same room within 1.5 m and 35 degrees; queries that fit no
keyframe do not count. Thumbnail: dot product of images of 20x15. Plain VLAD: 64 words over RootSIFT, 8192 numbers in float32,
as Jegou et al. (CVPR 2010) have it; its words are k-means of a quarter of the keyframes, so it knows these images. Milliseconds
are the processor's, medians, without finding descriptors, which all but the thumbnail need; best six of N keyframes.
"""
from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lsm_ros.config import PairConfig
from lsm_ros.datasets import open_source
from lsm_ros.pairs.depth import DepthPairModel, DepthTokens
from lsm_ros.slam.graph.keyframes import motion, thumbnail
from lsm_ros.slam.places import Places
from lsm_sim.generator import build_world
from lsm_sim.paths import plan_path
from lsm_sim.renderer import Renderer
from lsm_sim.rig import build_rig
from lsm_sim.sensor import SensorConfig
from lsm_sim.world import World

KITCHEN = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "redkitchen"
WORLDS = {"quick": {"rooms": ((20000,), 24.0), "lookalike": ((20000,), 24.0)},
          "full": {"rooms": ((20000, 20001, 20002), 30.0), "lookalike": ((20000, 20001, 20002), 30.0)}}
BEST, ASKED, NEAR_M, NEAR_RAD = 5, 6, 1.5, math.radians(35.0)
KEYFRAME_STEP, QUERY_STEP = (0.5, 0.35), (0.8, 0.6)
SIZES, PLAIN_WORDS = (100, 1000, 10_000), 64
METHODS = ("places", "thumbnail", "plain VLAD")


@dataclass(frozen=True)
class View:
    """An image as the trackers keep it, its pose T_world_cam (4, 4) and its place: world and room."""

    tokens: DepthTokens
    T_world_cam: np.ndarray
    place: tuple[int, int]


def kept_view(gray: np.ndarray, T_world_cam: np.ndarray, place: tuple[int, int]) -> View:
    """A view without more than its grey image."""
    return View(DepthTokens("camera", 0, gray, None, None, PairConfig()), T_world_cam, place)


def thinned(poses: np.ndarray, step: tuple[float, float]) -> np.ndarray:
    """Those of poses (N, 4, 4) that are a step in metres or radians from the one kept before."""
    kept = [0]
    for i in range(1, len(poses)):
        distance, angle = motion(poses[kept[-1]], poses[i])
        if distance > step[0] or angle > step[1]:
            kept.append(i)
    return poses[kept]


def relit(world: World) -> World:
    """The world with lamps and daylight of other strengths."""
    rng = np.random.default_rng([world.seed, 8])
    lamps = tuple(replace(x, power=x.power * float(rng.choice([0.3, 0.6, 1.0, 1.5]))) for x in world.lamps)
    return replace(world, lamps=lamps, zones=tuple(replace(z, ambient=z.ambient * float(rng.uniform(0.6, 1.4)))
                                                   for z in world.zones))


def passes(kind: str, seeds: Sequence[int], length_m: float, width: int, height: int) -> Iterator[tuple[str, View]]:
    """Views of the keyframes' pass ('keyframes') and of the passes of queries, by name."""
    mast, held = build_rig("front", width, height), build_rig("front", width, height, handheld=True)
    camera = mast.intrinsics["front"]
    for seed in seeds:
        world = build_world(seed, kind)
        first, second, third = (
            plan_path(world, path, length_m=length_m, seed=n, rate_hz=20.0).T_world_base @ rig.T_rig_cam["front"]
            for n, path, rig in ((1, "robot", mast), (2, "robot", mast), (3, "hand", held)))
        for number, (name, way, shown) in enumerate((("keyframes", first, world), ("robot", second, world),
                                                     ("light", second, relit(world)), ("hand", third, world))):
            poses = thinned(way, KEYFRAME_STEP if name == "keyframes" else QUERY_STEP)
            renderer = Renderer(shown)
            for begin in range(0, len(poses), 8):
                some = poses[begin:begin + 8]
                images = renderer.render(some, camera, sensor=SensorConfig(),
                                         seeds=[10_000 * number + begin + k for k in range(len(some))]).numpy().image
                for T, image in zip(some, images, strict=True):
                    yield name, kept_view(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), T, (seed, world.zone_at(T[:3, 3])))


def halves(folder: Path, quick: bool) -> Iterator[tuple[str, View]]:
    """Views of a sequence: keyframes of its first half, queries of its second. ValueError without ground truth."""
    source = open_source(folder)
    if not source.ground_truth:
        raise ValueError(f"{folder} has no ground truth")
    truth = {p.stamp_ns: p.T_map_rig for p in source.ground_truth}
    stamps = np.array(sorted(truth))
    middle = len(source) // 2
    for i, frame_set in enumerate(source):
        if i % 5 == 0 if i < middle else (i - middle) % (6 if quick else 3) == 0:
            pose = truth[int(stamps[np.argmin(np.abs(stamps - frame_set.stamp_ns))])]
            gray = cv2.cvtColor(frame_set.frames[0].image, cv2.COLOR_RGB2GRAY)
            yield "keyframes" if i < middle else "second half", kept_view(gray, pose, (0, 0))


class Thumbnails:
    """The peer: the dot product of small images over all keyframes."""

    def __init__(self, views: Sequence[View]) -> None:
        self.kept = [thumbnail([v.tokens.gray]) for v in views]

    def best(self, view: View, count: int) -> list[int]:
        """Numbers of the views that look most like one."""
        here = thumbnail([view.tokens.gray])
        return [i for _, i in sorted(((float(k @ here), i) for i, k in enumerate(self.kept)), reverse=True)[:count]]


class PlainVlad:
    """The peer: residuals of RootSIFT to words, signed roots, in float32."""

    def __init__(self, views: Sequence[View]) -> None:
        some = np.concatenate([v.tokens.features()[1] for v in views[::4]]).astype(np.float32)
        cv2.setRNGSeed(1)
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 12, 1e-3)
        self.words = cv2.kmeans(some, PLAIN_WORDS, None, stop, 1, cv2.KMEANS_PP_CENTERS)[2]
        self.matrix = np.stack([self.vector(v) for v in views])

    def vector(self, view: View) -> np.ndarray:
        """(8192,) float32 of unit length."""
        x, sums = view.tokens.features()[1].astype(np.float32), np.zeros_like(self.words)
        nearest = np.argmin((self.words ** 2).sum(1) - 2 * x @ self.words.T, axis=1)
        np.add.at(sums, nearest, x - self.words[nearest])
        flat = (np.sign(sums) * np.sqrt(np.abs(sums))).ravel()
        return flat / max(float(np.linalg.norm(flat)), 1e-9)

    def best(self, view: View, count: int) -> list[int]:
        """Numbers of the views that look most like one."""
        return np.argsort(-(self.matrix @ self.vector(view)), kind="stable")[:count].tolist()


class Ours:
    """`Places` with the pair model of a depth camera; that of plain images has the same signatures."""

    def __init__(self, views: Sequence[View]) -> None:
        model = DepthPairModel(PairConfig())
        self.places = Places(model)
        for i, view in enumerate(views):
            self.places.add(i, model.signature([view.tokens]))

    def best(self, view: View, count: int) -> list[int]:
        """Numbers of the views that look most like one."""
        return [i for i, _ in self.places.candidates([view.tokens], count)]


MAKERS: dict[str, Callable[[Sequence[View]], Any]] = dict(zip(METHODS, (Ours, Thumbnails, PlainVlad), strict=True))


def recalls(views: Sequence[tuple[str, View]]) -> dict[str, dict[str, float]]:
    """Recall at 5 of each method for each pass of queries, and the number of queries that count."""
    keyframes = [v for name, v in views if name == "keyframes"]
    methods = {name: make(keyframes) for name, make in MAKERS.items()}
    out: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(n for n, _ in views if n != "keyframes"):
        found: list[list[bool]] = []
        for query in (v for n, v in views if n == name):
            right = {i for i, k in enumerate(keyframes) if same(k, query)}
            if right:
                found.append([bool(right & set(m.best(query, BEST))) for m in methods.values()])
        if found:
            out[name] = {**dict(zip(METHODS, np.mean(found, axis=0).tolist(), strict=True)), "queries": len(found),
                         "keyframes": len(keyframes)}
    return out


def same(keyframe: View, query: View) -> bool:
    """True if both show much the same by their poses."""
    if keyframe.place != query.place:
        return False
    distance, angle = motion(keyframe.T_world_cam, query.T_world_cam)
    return distance < NEAR_M and angle < NEAR_RAD


def milliseconds(views: Sequence[View], repeat: int) -> dict[int, dict[str, float]]:
    """Processor's time of a query at each number of keyframes, which repeat those given."""
    out: dict[int, dict[str, float]] = {}
    for size in SIZES:
        out[size] = {}
        for name, make in MAKERS.items():
            method = make(views)
            fill(method, size)
            method.best(views[0], ASKED)
            times = []
            for i in range(repeat):
                start = time.process_time()
                method.best(views[i % len(views)], ASKED)
                times.append(time.process_time() - start)
            out[size][name] = 1e3 * float(np.median(times))
    return out


def fill(method: Any, size: int) -> None:
    """Repeats what a method keeps until it keeps `size`."""
    if isinstance(method, Ours):
        known = [method.places.signature(i) for i in range(len(method.places))]
        for i in range(len(known), size):
            method.places.add(i, known[i % len(known)])
        for i in range(size, len(known)):
            method.places.remove(i)
    elif isinstance(method, Thumbnails):
        method.kept = [method.kept[i % len(method.kept)] for i in range(size)]
    else:
        method.matrix = np.take(method.matrix, np.arange(size) % len(method.matrix), axis=0)


def show(tables: dict[str, dict[str, dict[str, float]]], times: dict[int, dict[str, float]]) -> None:
    """One table; the ratios are ours by theirs."""
    print(f"{'':34s}{METHODS[0]:>10s}{METHODS[1]:>12s}{METHODS[2]:>12s}{'ratio':>9s}{'ratio':>9s}")
    lines = [(f"recall at {BEST}, {kind}, {name} ({row['queries']:.0f})", row) for kind, rows in tables.items()
             for name, row in rows.items()]
    lines += [(f"ms a query, {size} keyframes", row) for size, row in times.items()]
    for title, row in lines:
        ours, *theirs = (row[m] for m in METHODS)
        print(f"{title:34s}{ours:10.3f}{theirs[0]:12.3f}{theirs[1]:12.3f}"
              + "".join(f"{ours / max(t, 1e-9):9.2f}" for t in theirs))


def main() -> int:
    """Prints the table; exit status 2 and one line on bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kitchen", type=Path, default=KITCHEN, help="TUM RGB-D folder with ground truth")
    parser.add_argument("--size", default="320x240", help="of the rendered images")
    parser.add_argument("--quick", action="store_true", help="one world of each kind, shorter ways (at most 3 minutes)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        width, height = (int(n) for n in options.size.split("x"))
        sets = {kind: list(passes(kind, seeds, length, width, height))
                for kind, (seeds, length) in WORLDS["quick" if options.quick else "full"].items()}
        if options.kitchen.is_dir() or options.kitchen != KITCHEN:
            sets["kitchen"] = list(halves(options.kitchen, options.quick))
        else:
            print(f"{options.kitchen} is not available: no real images", file=sys.stderr)
    except (ValueError, FileNotFoundError) as error:
        print(f"bench/places.py: {error}", file=sys.stderr)
        return 2
    tables = {kind: recalls(views) for kind, views in sets.items()}
    times = milliseconds([v for n, v in sets["rooms"] if n == "keyframes"][:100], 5 if options.quick else 15)
    show(tables, times)
    if options.json:
        options.json.write_text(json.dumps({"size": options.size, "recall": tables, "milliseconds": times}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
