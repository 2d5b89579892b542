# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The small network on pairs that it was never trained on, beside `two_view` and a constant depth.

    python bench/small_lsm.py [--weights DIR] [--kitchen TUM_FOLDER] [--quick] [--threads N] [--json FILE]

Pairs: 200 of held-out worlds (seeds from 10000 on, all kinds) and 200 of a real sequence, 5 to 40 frames apart, drawn by a
fixed seed from those with overlapping images according to the truth. The network gets 256x192, `two_view` the same pair at
512x384 (rooms) or as recorded, and the true intrinsics; the guess is a constant depth and no motion. Of each pair, image a:
mean |z - true z| / true z after the median scale, and without it where the model says metres; a model without an answer at a
pixel is judged where it has one (coverage). Rotations within 5 degrees; translation directions within 10 degrees where the
baseline is at least 15 cm; of the network by PnP on the points of image b, of `two_view` as it gives them. No pose is a wrong
pose. Classes: share of cells of 8x8 pixels whose nearest class text is the true one. Predictions a second: both images
encoded, and with one of them cached.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from lsm_ros.config import PairConfig
from lsm_ros.datasets import open_source
from lsm_ros.geometry import CameraIntrinsics, se3_inverse, transform_points
from lsm_ros.models import load
from lsm_ros.models.known import LANGUAGE_FILE
from lsm_ros.pairs.two_view import TwoViewPairModel
from lsm_ros.semantics.codec import read_codec
from lsm_ros.training.config import HELD_OUT_SEED
from lsm_ros.training.data import network_images
from lsm_ros.training.language import ClassTargets
from lsm_ros.training.validation import BASELINE_M, ROTATION_DEG, TRANSLATION_DEG, angle_deg, figures
from lsm_ros.types import UNLABELLED, Frame
from lsm_sim.sampler import PairBatch, PairSampler

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "lsm_ros" / "weights" / "lsm_small"
KITCHEN = ROOT.parent / "shared" / "data" / "redkitchen"
WIDTH, HEIGHT = 256, 192
WORLDS, EACH, SEED = 25, 8, 4
FIGURES = ("depth_relative", "depth_metric", "rotation", "translation", "classes")
Row = dict[str, float]


@dataclass(frozen=True)
class Pair:
    """images: both (H, W, 3) uint8 as two_view gets them, with their intrinsics; batch: one pair at the network's size."""

    images: tuple[np.ndarray, np.ndarray]
    intrinsics: CameraIntrinsics
    batch: PairBatch


def room_pairs(count: int) -> Iterator[Pair]:
    """Pairs of held-out worlds, eight of each."""
    worlds = -(-count // EACH)
    sampler = PairSampler(range(HELD_OUT_SEED, HELD_OUT_SEED + worlds), 1, 2 * WIDTH, 2 * HEIGHT, worlds=1, batches_each=EACH,
                          seed=SEED)
    for n in range(count):
        b = sampler.sample(n)
        shown = tuple((i[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8) for i in (b.image1, b.image2))
        K = b.K[0].double().numpy()
        camera = CameraIntrinsics(2 * WIDTH, 2 * HEIGHT, K[0, 0], K[1, 1], K[0, 2], K[1, 2])
        yield Pair((shown[0], shown[1]), camera, at_network_size(
            shown, camera, (b.points1[0].numpy(), b.points2[0].numpy()), (b.valid1[0].numpy(), b.valid2[0].numpy()),
            (b.labels1[0].numpy(), b.labels2[0].numpy()), b.T_1_2[0].double().numpy()))


def sequence_pairs(folder: Path, count: int) -> Iterator[Pair]:
    """Pairs of a real sequence with depth and poses, 5 to 40 frames apart, that see a third of each other or more."""
    source = open_source(folder)
    poses = {p.stamp_ns: p.T_map_rig for p in source.ground_truth}
    frames = [fs for fs in source if fs.stamp_ns in poses and fs.frames[0].depth is not None]
    rng, found = np.random.default_rng(SEED), 0
    for _ in range(100 * count):
        if found == count:
            return
        i = int(rng.integers(len(frames)))
        j = i + int(rng.integers(5, 41)) * (1 if rng.random() < 0.5 else -1)
        if not 0 <= j < len(frames):
            continue
        a, b = frames[i].frames[0], frames[j].frames[0]
        T_rig_cam = frames[i].T_rig_cam.get(a.camera, np.eye(4))
        T_a_b = se3_inverse(poses[frames[i].stamp_ns] @ T_rig_cam) @ poses[frames[j].stamp_ns] @ T_rig_cam
        points = tuple(a.intrinsics.rays(unit=False, dtype=np.float64) * np.nan_to_num(f.depth)[..., None] for f in (a, b))
        valid = tuple(np.nan_to_num(f.depth) > 0.1 for f in (a, b))
        unlabelled = np.full(a.depth.shape, UNLABELLED, np.int32)
        pair = Pair((a.image, b.image), a.intrinsics, at_network_size(
            (a.image, b.image), a.intrinsics, (points[0], transform_points(T_a_b, points[1])), valid,
            (unlabelled, unlabelled), T_a_b))
        if overlap(pair.batch) >= 1 / 3:
            found += 1
            yield pair
    raise ValueError(f"{folder}: only {found} of {count} pairs 5 to 40 frames apart see the same")


def at_network_size(images: Sequence[np.ndarray], camera: CameraIntrinsics, points: Sequence[np.ndarray],
                    valid: Sequence[np.ndarray], labels: Sequence[np.ndarray], T_a_b: np.ndarray) -> PairBatch:
    """A batch of one: images averaged, the truth taken at the nearest pixel."""
    small = camera.resize(WIDTH, HEIGHT)
    rows = ((np.arange(HEIGHT) + 0.5) * camera.height / HEIGHT).astype(int)[:, None]
    columns = ((np.arange(WIDTH) + 0.5) * camera.width / WIDTH).astype(int)[None]

    def tensor(x: np.ndarray, kind: type) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(x.astype(kind)))[None]

    shown = [tensor(cv2.resize(i, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).transpose(2, 0, 1) / 255, np.float32)
             for i in images]
    true = [tensor(p[rows, columns], np.float32) for p in points]
    known, classes = ([tensor(x[rows, columns], kind) for x in both] for both, kind in ((valid, bool), (labels, np.int32)))
    K = np.array([[small.fx, 0, small.cx], [0, small.fy, small.cy], [0, 0, 1]])
    return PairBatch(*shown, *true, *known, *classes, tensor(T_a_b, np.float32), tensor(K, np.float32), torch.zeros(1),
                     torch.zeros(1, dtype=torch.int64))


def overlap(batch: PairBatch) -> float:
    """Share of the known pixels of image 2 whose points lie in image 1 and are not hidden there by more than a tenth."""
    points, K = batch.points2[0][batch.valid2[0]].numpy(), batch.K[0].numpy()
    points = points[points[:, 2] > 0.1]
    if not len(points):
        return 0.0
    u, v = (points[:, :2] / points[:, 2:] * (K[0, 0], K[1, 1]) + K[:2, 2]).round().astype(int).T
    inside = (u >= 0) & (v >= 0) & (u < WIDTH) & (v < HEIGHT)
    there = batch.points1[0, v[inside], u[inside], 2].numpy()
    return float(np.sum((there > 0) & (points[inside, 2] < 1.1 * there)) / batch.valid2.numel())


def network_row(model: torch.nn.Module, targets: ClassTargets | None, pair: Pair) -> Row:
    """Figures of the network for one pair."""
    with torch.inference_mode():
        views = model(*network_images(pair.batch))
    return {**figures(views, pair.batch, targets), "coverage": 1.0}


def two_view_row(pair: Pair) -> Row:
    """Figures of `two_view` for one pair; without an answer there is no depth, and the pose is wrong."""
    model = TwoViewPairModel(PairConfig(model="two_view"))
    a, b = model.encode([Frame(i, "bench", image, pair.intrinsics) for i, image in enumerate(pair.images)])
    true = pair.batch.T_1_2[0].double().numpy()
    far = np.linalg.norm(true[:3, 3]) >= BASELINE_M
    try:
        prediction = model.predict([(a, b)])[0]
    except ValueError:
        return {"coverage": 0.0, "rotation": 0.0, **({"translation": 0.0} if far else {})}
    found = prediction.T_a_b
    out = {"rotation": float(angle_deg(found[:3, :3].T @ true[:3, :3]) <= ROTATION_DEG)}
    if far:
        cosine = found[:3, 3] @ true[:3, 3] / max(np.linalg.norm(found[:3, 3]) * np.linalg.norm(true[:3, 3]), 1e-9)
        out["translation"] = float(cosine >= np.cos(np.radians(TRANSLATION_DEG)))
    z = cv2.resize(prediction.points_a[..., 2].numpy(), (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    true_z, known = pair.batch.points1[0, ..., 2].numpy(), pair.batch.valid1[0].numpy()
    judged = known & np.isfinite(z) & (z > 0)
    out["coverage"] = float(judged.sum() / max(1, known.sum()))
    if judged.any():
        z, true_z = z[judged], true_z[judged]
        out["depth_relative"] = float(np.mean(np.abs(z * np.median(true_z) / np.median(z) - true_z) / true_z))
    return out


def means(rows: Sequence[Row]) -> Row:
    """Means over the rows that have a figure; `pairs`: how many rows there are, `far_pairs` those with a translation."""
    names = dict.fromkeys(k for row in rows for k in row)
    found = {k: [row[k] for row in rows if not np.isnan(row.get(k, np.nan))] for k in names}
    return {"pairs": len(rows), "far_pairs": len(found.get("translation", ())),
            **{k: float(np.mean(v)) for k, v in found.items() if v}}


def judged(pairs: Iterator[Pair], model: torch.nn.Module, targets: ClassTargets | None) -> dict[str, Row]:
    """Rows of the table for some pairs."""
    network, other, still = [], [], []
    for pair in pairs:
        network.append(network_row(model, targets, pair))
        other.append(two_view_row(pair))
        still.append({"rotation": float(angle_deg(pair.batch.T_1_2[0, :3, :3].double().numpy()) <= ROTATION_DEG)})
    small = means(network)
    guess = {**means(still), "depth_relative": small.pop("depth_guess")}
    return {"lsm_small": small, "two_view": means(other), "guess": guess}


def rate(call: Callable[[], object], seconds: float = 3.0) -> float:
    """Calls a second, after two to warm up."""
    call()
    call()
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        call()
        count += 1
    return count / (time.perf_counter() - began)


def speed(model: torch.nn.Module) -> Row:
    """Predictions a second at 256x192."""
    image = torch.rand(1, 3, HEIGHT, WIDTH) * 2 - 1
    size = (HEIGHT, WIDTH)
    with torch.inference_mode():
        cached = model.encode(image)
        return {"pair_per_s": rate(lambda: model(image, image)),
                "new_frame_per_s": rate(lambda: model.predict(*model.encode(image), size, *cached, size))}


def show(tables: dict[str, dict[str, Row]], rates: Row) -> None:
    """One table."""
    print(f"{'':26s}" + "".join(f"{n.replace('_', ' '):>16s}" for n in (*FIGURES, "coverage")))
    for place, rows in tables.items():
        for name, row in rows.items():
            cells = (f"{row[n]:16.3f}" if n in row else f"{'-':>16s}" for n in (*FIGURES, "coverage"))
            print(f"{place + ' ' + name:26s}" + "".join(cells))
        small, guess = rows["lsm_small"], rows["guess"]
        print(f"{place}: {small['pairs']} pairs, {small['far_pairs']} with a baseline of 15 cm; depth error of lsm_small / "
              f"constant depth {small['depth_relative'] / guess['depth_relative']:.2f}")
    print(f"predictions a second with {torch.get_num_threads()} threads: {rates['pair_per_s']:.1f} whole pairs, "
          f"{rates['new_frame_per_s']:.1f} new frames against a cached one; load {os.getloadavg()[0]:.1f}")


def main() -> int:
    """Prints the table; exit status 2 and one line on bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder as `lsm train` exports it")
    parser.add_argument("--kitchen", type=Path, default=KITCHEN, help="TUM RGB-D folder with ground truth")
    parser.add_argument("--quick", action="store_true", help="40 pairs each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    torch.set_num_threads(max(1, options.threads))
    count = 40 if options.quick else WORLDS * EACH
    try:
        model = load(options.weights).eval()
        codec = options.weights / LANGUAGE_FILE
        targets = ClassTargets(read_codec(codec), torch.device("cpu")) if codec.is_file() else None
        tables = {"rooms": judged(room_pairs(count), model, targets)}
        if options.kitchen.is_dir() or options.kitchen != KITCHEN:
            tables["kitchen"] = judged(sequence_pairs(options.kitchen, count), model, None)
        else:
            print(f"{options.kitchen} is not available: no real pairs", file=sys.stderr)
    except (ValueError, FileNotFoundError) as error:
        print(f"bench/small_lsm.py: {error}", file=sys.stderr)
        return 2
    rates = speed(model)
    show(tables, rates)
    if options.json:
        options.json.write_text(json.dumps({"threads": options.threads, "tables": tables, "speed": rates}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
