# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A sheet of pictures of many simulated worlds: `python -m lsm_sim.contact_sheet OUT.jpg`."""
from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np

from lsm_ros.files import replacing_file
from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.images.codecs import encode_jpeg
from lsm_sim.caster import RayCaster
from lsm_sim.generator import WORLD_KINDS, build_world
from lsm_sim.renderer import Renderer
from lsm_sim.sensor import SensorConfig
from lsm_sim.viewpoints import Viewpoints, camera_poses
from lsm_sim.world import World

_CANDIDATES = 40
_HEIGHTS = (1.2, 1.6)
_NEAR = 0.7


def good_view(world: World, camera: CameraIntrinsics, seed: int = 0) -> np.ndarray:
    """T_world_cam (4, 4) from the free floor, 1.2 to 1.6 m high, that shows many classes and has nothing close before it.

    ValueError if the world has no free floor.
    """
    rng = np.random.default_rng([world.seed, seed, 29])
    points = Viewpoints(world, seed).points
    right = points[(points[:, 2] >= _HEIGHTS[0]) & (points[:, 2] <= _HEIGHTS[1])]
    points = right if len(right) else points
    at = points[rng.integers(len(points), size=_CANDIDATES)]
    yaw, pitch = rng.uniform(-math.pi, math.pi, _CANDIDATES), rng.uniform(-0.28, -0.05, _CANDIDATES)
    T = camera_poses(at, yaw, pitch, np.zeros(_CANDIDATES))
    caster = RayCaster([world])
    hits = caster.cast([0] * len(T), T, camera.resize(56, round(56 * camera.height / camera.width)))
    depth = hits.depth.numpy().reshape(len(T), -1)
    labels = world.label[np.maximum(hits.part.numpy(), 0)].reshape(len(T), -1)
    variety = [(np.bincount(row, minlength=64) > 0.004 * row.size).sum() for row in labels]
    score = np.array(variety) - 25.0 * (depth < _NEAR).mean(1) + np.minimum(depth, 6.0).mean(1)
    return T[int(score.argmax())]


def contact_sheet(seeds: int = 48, columns: int = 6, width: int = 240, height: int = 172,
                  sensor: SensorConfig | None = None) -> np.ndarray:
    """(rows * height, columns * width, 3) uint8 RGB: one picture of the world of each seed, its kinds taken in turn.

    sensor: None for a camera without noise but with a little blur.
    """
    camera = CameraIntrinsics.from_fov(width, height, math.radians(78))
    sensor = sensor or SensorConfig(blur_px=0.35, exposure_s=0.0, exposure_ev=0.1, shot_noise=0.008, jpeg_quality=0)
    rows = math.ceil(seeds / columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for seed in range(seeds):
        world = build_world(seed, WORLD_KINDS[seed % len(WORLD_KINDS)])
        T = good_view(world, camera)
        image = Renderer(world).render(T, camera, sensor=sensor, seeds=seed, supersample=2).numpy().image
        y, x = divmod(seed, columns)
        sheet[y * height:(y + 1) * height, x * width:(x + 1) * width] = image
        print(f"\r{seed + 1}/{seeds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return sheet


def main(arguments: list[str] | None = None) -> int:
    """Writes the sheet to a JPEG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="JPEG to write")
    parser.add_argument("--seeds", type=int, default=48)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--width", type=int, default=240, help="pixels of each picture")
    parser.add_argument("--quality", type=int, default=82)
    given = parser.parse_args(arguments)
    if min(given.seeds, given.columns, given.width) < 1:
        parser.error("--seeds, --columns and --width must be at least 1")
    sheet = contact_sheet(given.seeds, given.columns, given.width, round(given.width * 0.7167))
    try:
        with replacing_file(given.out) as file:
            file.write(encode_jpeg(sheet, given.quality))
    except (OSError, ValueError) as error:
        print(f"cannot write {given.out}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
