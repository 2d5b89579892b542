# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth priors that are distorted in known ways, fitted to the landmarks of pair model two_view in simulated rooms.

    python bench/depth_prior_rooms.py [--rooms N] [--first SEED] [--frames N] [--quick] [--json FILE]

Colour alone maps each room. The prior of a keyframe is its true depth with an error of 4 % that no fit can undo, and
distorted: by a factor (1.7), a shift (+ 0.8 m), a tilt (30 % across, 20 % down), a smooth field (15 %), edges that lie 2.5 % of
the width beside those of the image and are blurred. It is fitted to what two_view knows of the keyframe, as mapping does it.
Two fits know the truth: `undone` takes the distortion back as it was made (edges stay), `by truth` is the same fit given the
true depth at 300 places of the whole image, which undoes a part of the 4 % as well. Errors are medians of the relative error
after one factor for each view, over all pixels and over those of which geometry knows nothing (`blank`, whose share is in the
last column); ratios are by `undone`. The second table is of confidence, over all pixels and distortions: share of the errors
within the stated deviation, where 68 % are right. Rooms by hand and on a robot take turns.
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lsm_ros.config import from_dict
from lsm_ros.pairs import make_pair_model
from lsm_ros.pairs.dense import DenseDepth
from lsm_ros.pairs.depth_priors import DISPARITY, METRES, DepthPrior, PriorDepth
from lsm_ros.pairs.depth_priors.fitting import Anchors, fit_prior
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.slam.trackers import prior_depth
from lsm_ros.types import Frame
from lsm_sim.source import SimSource

OWN_ERROR, SEED = 0.04, 80
BOUNDS = (0.75, 0.6, 0.45, 0.3, 0.15, 0.03)
Way = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def clouds(rng: np.random.Generator, shape: tuple[int, ...], cells: int, size: float) -> np.ndarray:
    """(H, W) smooth noise with a standard deviation of `size`."""
    noise = cv2.resize(rng.standard_normal((cells, cells)), shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(size * noise / noise.std())


def tilted(depth: np.ndarray, _rng: Any) -> np.ndarray:
    """Depth that grows to the right, and shrinks downwards."""
    x, y = np.meshgrid(np.linspace(-1, 1, depth.shape[1]), np.linspace(-1, 1, depth.shape[0]))
    return np.asarray(depth * np.exp(0.3 * x - 0.2 * y))


def moved_edges(depth: np.ndarray, _rng: Any) -> np.ndarray:
    """Depth whose steps lie beside those of the image."""
    return np.asarray(cv2.blur(np.roll(depth, depth.shape[1] // 40, 1), (5, 5)))


WAYS: dict[str, Way] = {
    "none": lambda d, _: d, "scale": lambda d, _: 1.7 * d, "shift": lambda d, _: d + 0.8, "tilt": tilted,
    "field": lambda d, rng: d * np.exp(clouds(rng, d.shape, 4, 0.15)), "edges": moved_edges}


@dataclass(frozen=True)
class Known:
    """A keyframe: its true depth (H, W), 0 = none, and what two_view knows of it."""

    depth: np.ndarray
    geometry: DenseDepth | None
    landmarks: Anchors


class TruePrior(DepthPrior):
    """The true depth of a frame."""

    name, kind = "truth", METRES

    def __init__(self, depths: dict[int, np.ndarray]) -> None:
        self._depths = depths

    def predict(self, image: np.ndarray) -> np.ndarray:
        raise NotImplementedError("the truth is known of frames, not of images")

    def depth(self, frame: Frame) -> PriorDepth:
        return PriorDepth(filled(self._depths[frame.stamp_ns]), METRES)


def filled(depth: np.ndarray) -> np.ndarray:
    """Depth with its median where there is none."""
    return np.where(depth > 0, depth, np.median(depth[depth > 0])).astype(np.float32)


def mapped(seed: int, frames: int) -> list[Known]:
    """Keyframes of a room with what is known of them when the prior is fitted."""
    sets = list(room(seed, frames, noise=True))
    depths = {s.stamp_ns: np.asarray(s.frames[0].depth) for s in room(seed, frames, noise=False)}
    config = from_dict({"pairs.model": "two_view"})
    model, known = make_pair_model(config.pairs), []
    model.depth_prior = TruePrior(depths)
    fit = prior_depth.fit_prior

    def noted(prior: PriorDepth, geometry: DenseDepth | None, landmarks: Anchors) -> Any:
        known.append(Known(prior.values, geometry, landmarks))
        return fit(prior, geometry, landmarks)

    prior_depth.fit_prior = noted
    try:
        pipeline = MappingPipeline(config, model)
        for s in sets:
            pipeline.process(replace(s, frames=tuple(replace(f, depth=None) for f in s.frames), T_odom_base=None))
        pipeline.settle()
    finally:
        prior_depth.fit_prior = fit
    return known


def room(seed: int, frames: int, noise: bool) -> SimSource:
    """A camera's way through a room, by hand or on a robot."""
    return SimSource(seed, "room", "hand" if seed % 2 else "robot", frames=frames, width=480, height=360, rate_hz=15.0,
                     labels=False, noise=noise)


def truth_anchors(depth: np.ndarray) -> Anchors:
    """The true depth at 20 x 15 places."""
    height, width = depth.shape
    y, x = (a.ravel() for a in np.mgrid[height / 30:height:height / 15, width / 40:width:width / 20])
    at = depth[y.astype(int), x.astype(int)].astype(np.float64)
    return Anchors(np.stack([x.astype(int), y.astype(int)], 1).astype(np.float64), 1 / at, np.full(len(at), 0.01))


def off(dense: DenseDepth, true: np.ndarray) -> np.ndarray:
    """(H, W) error of ln(depth) after one factor for the view, nan where there is none."""
    there = dense.inverse_depth > 0
    error = np.where(there, -np.log(np.where(there, dense.inverse_depth, 1.0)) - np.log(true), np.nan)
    return np.asarray(error - np.nanmedian(error))


def undone(way: str, depth: np.ndarray, good: np.ndarray, rng: np.random.Generator) -> DenseDepth:
    """The prior when the distortion is known and taken back; edges cannot be."""
    prior = WAYS[way](good, rng) if way == "edges" else good
    return DenseDepth((1 / prior).astype(np.float32), np.full(depth.shape, OWN_ERROR, np.float32))


def judged(known: list[Known], way: str, kind: str) -> dict[str, Any]:
    """Errors of all keyframes with one distortion; kind: METRES, or DISPARITY up to a factor and a shift."""
    names = ("fitted", "undone", "by truth")
    rows: dict[str, list[np.ndarray]] = {n: [] for n in (*names, *(f"{n}, blank" for n in names), "sigma", "conf")}
    refused = 0
    for number, k in enumerate(known):
        rng = np.random.default_rng(number)
        good = k.depth * np.exp(clouds(rng, k.depth.shape, 40, OWN_ERROR))
        prior = WAYS[way](good, rng)
        values = PriorDepth((300 / prior + 20 if kind == DISPARITY else prior).astype(np.float32), kind)
        try:
            ours = fit_prior(values, k.geometry, k.landmarks).dense
            knowing = fit_prior(values, None, truth_anchors(k.depth)).dense
        except ValueError:
            refused += 1
            continue
        errors = [np.abs(off(d, k.depth)) for d in (ours, undone(way, k.depth, good, rng), knowing)]
        there = np.isfinite(errors).all(0)
        blank = there & (k.geometry.inverse_depth == 0) if k.geometry is not None else there
        for name, error in zip(names, errors, strict=True):
            rows[name].append(error[there])
            rows[f"{name}, blank"].append(error[blank])
        rows["sigma"].append(ours.relative_sigma[there])
        rows["conf"].append(ours.confidence[there])
    joined = {n: np.concatenate(r) for n, r in rows.items()}
    out: dict[str, Any] = {n: float(np.median(r)) for n, r in joined.items()}
    within = float(np.mean(joined["fitted"] < joined["sigma"]))
    return {**out, "ratio": out["fitted"] / out["undone"], "within": within, "left out": refused / len(known),
            "ratio, blank": out["fitted, blank"] / out["undone, blank"],
            "blank": len(joined["fitted, blank"]) / len(joined["fitted"]),
            "pixels": {"error": joined["fitted"], "sigma": joined["sigma"], "conf": joined["conf"]}}


def main() -> int:
    """Prints two tables; exit status 2 and one line on bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", type=int, default=4, help="number of rooms")
    parser.add_argument("--first", type=int, default=SEED, help="seed of the first one")
    parser.add_argument("--frames", type=int, default=150, help="frames in each, 15 a second")
    parser.add_argument("--quick", action="store_true", help="one room, 90 frames (at most 3 minutes)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    if options.rooms < 1 or options.frames < 60 or options.first < 0:
        print("bench/depth_prior_rooms.py: it needs --rooms of at least 1, --frames of 60 and --first of 0", file=sys.stderr)
        return 2
    count, frames = (1, 90) if options.quick else (options.rooms, options.frames)
    known = [k for seed in range(options.first, options.first + count) for k in mapped(seed, frames)]
    columns = ("fitted", "undone", "by truth", "ratio", "within", "fitted, blank", "by truth, blank", "ratio, blank", "blank",
               "left out")
    print(f"{len(known)} keyframes\n{'':22s}" + "".join(f"{c:>16s}" for c in columns))
    rows, pixels = {}, []
    for kind in (METRES, DISPARITY):
        for way in WAYS:
            row = judged(known, way, kind)
            pixels.append(row.pop("pixels"))
            rows[f"{way}, {kind}"] = row
            print(f"{way:10s}{kind:12s}" + "".join(f"{row[c]:16.3f}" for c in columns), flush=True)
    table = calibration({n: np.concatenate([p[n] for p in pixels]) for n in ("error", "sigma", "conf")})
    print(f"\n{'confidence':16s}{'deviation':>16s}{'pixels':>9s}{'median':>9s}{'68 %':>9s}{'within':>9s}")
    for name, r in table.items():
        deviation = f"{r['least']:.3f} to {r['most']:.3f}"
        print(f"{name:16s}{deviation:>16s}{r['share']:9.3f}{r['median']:9.3f}{r['p68']:9.3f}{r['within']:9.3f}")
    if options.json:
        options.json.write_text(json.dumps({"keyframes": len(known), "rows": rows, "confidence": table}, indent=2))
    return 0


def calibration(pixels: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Errors by ranges of confidence, as in docs/two_view.md."""
    out, above = {}, 1.01
    for low in BOUNDS:
        here = (pixels["conf"] >= low) & (pixels["conf"] < above)
        if here.any():
            error, sigma = pixels["error"][here], pixels["sigma"][here]
            out[f"{low:g} to {min(above, 1):g}"] = {
                "least": float(sigma.min()), "most": float(sigma.max()), "share": float(here.mean()),
                "median": float(np.median(error)), "p68": float(np.quantile(error, 0.68)),
                "within": float(np.mean(error < sigma))}
        above = low
    return out


if __name__ == "__main__":
    raise SystemExit(main())
