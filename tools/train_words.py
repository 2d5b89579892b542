# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Visual words that places are recognised by, from rendered images alone: `python tools/train_words.py`.

Worlds with the seeds 1000 and up, seen from places in the air; the same seeds, packages and processor give the same file.
"""
from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from lsm_ros.files import replacing_file
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.pairs.corners import root_sift
from lsm_ros.pairs.vlad import WORDS_FILE, Vocabulary, nearest_word
from lsm_sim.generator import build_world
from lsm_sim.renderer import Renderer
from lsm_sim.sensor import SensorConfig
from lsm_sim.viewpoints import Viewpoints

FIRST_SEED, WORLDS = 1000, 48
KINDS = ("room", "rooms", "corridor", "loop", "room", "rooms")
SIZES = ((320, 240, 7), (320, 240, 7), (640, 480, 4))  # width, height and images of each world, in turn
FOV, FEATURES = math.radians(75.0), 800
WORD_COUNT, DIM = 240, 64
SAMPLE, ROUNDS = 60_000, 15


def views(worlds: int) -> Iterator[list[np.ndarray]]:
    """Grey images (H, W) uint8 of each world."""
    for k in range(worlds):
        width, height, count = SIZES[k % len(SIZES)]
        world = build_world(FIRST_SEED + k, KINDS[k % len(KINDS)])
        poses, _ = Viewpoints(world, k).pairs(count, np.random.default_rng([k, 91]))
        camera = CameraIntrinsics.from_fov(width, height, FOV)
        seen = Renderer(world).render(poses, camera, sensor=SensorConfig(), seeds=list(range(count))).numpy()
        yield [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in seen.image]


def train(descriptors: np.ndarray, count: int = WORD_COUNT, dim: int = DIM, seed: int = 0) -> Vocabulary:
    """A vocabulary from descriptors (N, 128) uint8: principal axes, and k-means along them. ValueError for fewer descriptors
    than words."""
    if len(descriptors) < count:
        raise ValueError(f"{len(descriptors)} descriptors are too few for {count} words")
    rng = np.random.default_rng(seed)
    sample = descriptors[rng.permutation(len(descriptors))[:SAMPLE]].astype(np.float64)
    mean = sample.mean(0)
    _, axes = np.linalg.eigh(np.cov((sample - mean).T))
    axes = axes[:, ::-1][:, :dim]
    axes = axes * np.sign(axes.sum(0))
    return Vocabulary(*(_stored(a) for a in (mean, axes, k_means(((sample - mean) @ axes).astype(np.float32), count, rng))))


def k_means(x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, D) float32 centres of x (N, D) float32; one that lost all of its points starts again at a random one."""
    centres = x[rng.permutation(len(x))[:count]].copy()
    for _ in range(ROUNDS):
        nearest = nearest_word(x, centres)
        number = np.bincount(nearest, minlength=count)
        sums = np.stack([np.bincount(nearest, weights=column, minlength=count) for column in x.T], axis=1)
        centres = (sums / np.maximum(number, 1)[:, None]).astype(np.float32)
        centres[number == 0] = x[rng.integers(len(x), size=int((number == 0).sum()))]
    return centres


def _stored(array: np.ndarray) -> np.ndarray:
    """float32 with the values of half precision, in which the file has them."""
    return array.astype(np.float16).astype(np.float32)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=WORDS_FILE, help="file to write (.npz)")
    parser.add_argument("--worlds", type=int, default=WORLDS, help=f"number of worlds ({WORLDS})")
    options = parser.parse_args()
    images = [root_sift(gray, FEATURES)[1] for grays in tqdm(views(options.worlds), total=options.worlds) for gray in grays]
    made = train(np.concatenate(images))
    with replacing_file(options.out) as file:
        np.savez(file, **{name: getattr(made, name).astype(np.float16) for name in ("mean", "axes", "words")})
    print(f"{options.out}: {len(made.words)} words from {sum(map(len, images))} descriptors of {len(images)} images, "
          f"{options.out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
