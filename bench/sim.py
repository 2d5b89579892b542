# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Simulated rooms: images per second, and of each stage, against a plain loop over the parts of a world.

    python bench/sim.py [--quick] [--only DEVICE/SCENE/SIZE] [--threads N] [--json FILE]

Furnished rooms and a ring of corridor with rooms, seen from places in the air. At 224x160 and 640x480, on the CPU and on
a GPU if there is one. The peer meets all rays of an image with one part after another, in PyTorch too, and its depth and
parts are compared with those of the ray-caster in the same run; light and sensor are those of the renderer for both.
"""
from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch

from lsm_ros.geometry.camera import T_BODY_OPTICAL, CameraIntrinsics
from lsm_sim.caster import NEAR, Hits
from lsm_sim.generator import build_world
from lsm_sim.renderer import Renderer
from lsm_sim.sensor import SensorConfig, apply_sensor
from lsm_sim.solids import signed_distance
from lsm_sim.world import NO_PART, Shape, World

SIZES = {"224x160": CameraIntrinsics.from_fov(224, 160, math.radians(70)),
         "640x480": CameraIntrinsics.from_fov(640, 480, math.radians(70))}
BATCH = {"cpu": {"224x160": 16, "640x480": 4}, "cuda": {"224x160": 512, "640x480": 64}}
AIMS = {("cpu", "224x160"): 60.0, ("cpu", "640x480"): 6.0, ("cuda", "224x160"): 20000.0}


def viewpoints(world: World, count: int, rng: np.random.Generator) -> np.ndarray:
    """T_world_cam (count, 4, 4) in the air of a world, at least 0.3 m from all things, level within 0.3 rad."""
    low, high = world.bounds
    points = np.zeros((0, 3))
    while len(points) < count:
        some = np.c_[rng.uniform(low[:2] + 0.3, high[:2] - 0.3, (500, 2)), rng.uniform(0.4, 1.7, 500)]
        some = some[[world.zone_at(p) >= 0 for p in some]]
        points = np.concatenate([points, some[signed_distance(world, some) > 0.3]])
    poses = np.tile(np.eye(4), (count, 1, 1))
    for T, point in zip(poses, points, strict=False):
        yaw, pitch = rng.uniform(-np.pi, np.pi), rng.uniform(-0.1, 0.3)
        cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
        T[:3, :3] = [[cy * cp, -sy, cy * sp], [sy * cp, cy, sy * sp], [-sp, 0, cp]]
        T[:3, 3] = point
    return poses @ T_BODY_OPTICAL


def plain_loop(world: World, T_world_cam: np.ndarray, camera: CameraIntrinsics, device: str) -> Hits:
    """View of one camera, (1, H, W): every part with every ray, one part after another."""
    d = torch.tensor(camera.rays(unit=False).reshape(-1, 3) @ T_world_cam[:3, :3].T, dtype=torch.float32, device=device)
    depth, part = torch.full_like(d[:, 0], torch.inf), torch.full(d.shape[:1], NO_PART, dtype=torch.int32, device=device)
    face = torch.zeros_like(part, dtype=torch.uint8)
    R, center = world.poses()
    for i in range(len(world)):
        unit = R[i].T / world.half[i][:, None]
        o, A = (torch.tensor(v, dtype=torch.float32, device=device) for v in (unit @ (T_world_cam[:3, 3] - center[i]), unit))
        t, side = _one_part(int(world.shape[i]), o, d @ A.T, float(world.taper[i]))
        nearer = (t >= NEAR) & (t < depth)
        depth = torch.where(nearer, t, depth)
        part = torch.where(nearer, i, part)
        face = torch.where(nearer, side, face)
    size = (1, *camera.shape)
    return Hits(depth.view(size), part.view(size).int(), face.view(size).to(torch.uint8))


def _one_part(shape: int, o: torch.Tensor, m: torch.Tensor, taper: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Entry t (N,) and face (N,) of rays o + t m, m (N, 3), into one unit solid, by the textbook."""
    if shape == Shape.BOX:
        first, second = (-1 - o) / m, (1 - o) / m
        enter, axis = torch.minimum(first, second).max(1)
        leave = torch.maximum(first, second).amin(1)
        side = 2 * axis + (m.gather(1, axis[:, None])[:, 0] < 0)
        return torch.where(enter <= leave, enter, torch.inf), side
    k = 0.0 if shape == Shape.ELLIPSOID else (taper - 1) / 2
    radius = 1.0 if shape == Shape.ELLIPSOID else (taper + 1) / 2 + k * o[2]
    axes = 3 if shape == Shape.ELLIPSOID else 2
    a = (m[:, :axes] ** 2).sum(1) - (k * m[:, 2]) ** 2
    b = (m[:, :axes] * o[:axes]).sum(1) - radius * k * m[:, 2]
    c = (o[:axes] ** 2).sum() - radius**2
    t = (-b - (b * b - a * c).sqrt()) / a
    side = torch.zeros_like(t, dtype=torch.long)
    if shape == Shape.ELLIPSOID:
        return torch.where(t.isnan(), torch.inf, t), side
    t = torch.where((o[2] + t * m[:, 2]).abs() <= 1, t, torch.inf)
    end = -m[:, 2].sign()
    s = (end - o[2]) / m[:, 2]
    inside = (o[:2] + s[:, None] * m[:, :2]).norm(dim=1) <= torch.where(end > 0, taper, 1.0)
    return torch.where(inside & (s < t), s, t), torch.where(inside & (s < t), torch.where(end > 0, 2, 1), side)


def seconds(function: Callable[[], object], repeat: int, device: str) -> tuple[float, float]:
    """Median time of a call, after one to warm up, and of the processor (exact with one thread, on a busy machine too)."""
    times = []
    for _ in range(repeat + 1):
        start, busy = time.perf_counter(), time.process_time()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start, time.process_time() - busy))
    return tuple(np.median(times[1:], axis=0).tolist())


def measure(worlds: Sequence[World], name: str, device: str, repeat: int, peers: int) -> dict[str, float]:
    """Milliseconds an image of each stage, images per second, and the peer's, with how much the pictures differ."""
    rng, camera, batch = np.random.default_rng(1), SIZES[name], BATCH[device][name]
    renderer = Renderer(worlds, device)
    which = np.arange(batch) % len(worlds)
    poses = [viewpoints(w, -(-batch // len(worlds)), rng) for w in worlds]
    T = np.array([poses[w][i // len(worlds)] for i, w in enumerate(which)])
    index, T_dev = torch.tensor(which, device=device), torch.tensor(T, device=device)
    sensor, seeds = SensorConfig(), np.arange(batch)
    hits = renderer.caster.cast(index, T_dev, camera)
    color = renderer.shader.shade(hits, index, T_dev, camera).permute(1, 2, 3, 0)
    stages = {"cast": lambda: renderer.caster.cast(index, T_dev, camera),
              "shade": lambda: renderer.shader.shade(hits, index, T_dev, camera),
              "sensor": lambda: apply_sensor(color, sensor, seeds, None, camera),
              "whole": lambda: renderer.render(T_dev, camera, which, sensor=sensor, seeds=seeds)}
    out = {}
    for key, function in stages.items():
        wall, busy = seconds(function, repeat, device)
        out[f"{key}_ms"], out[f"{key}_cpu_ms"] = wall / batch * 1e3, busy / batch * 1e3
    start = time.perf_counter()
    plain = [plain_loop(worlds[which[i]], T[i], camera, device) for i in range(peers)]
    if device == "cuda":
        torch.cuda.synchronize()
    out["peer_cast_ms"] = (time.perf_counter() - start) / peers * 1e3
    first = renderer.caster.packed.offsets[index[:peers]]
    part = torch.cat([torch.where(p.part >= 0, p.part + int(f), NO_PART) for p, f in zip(plain, first, strict=True)])
    same = part == hits.part[:peers]
    out["pixels_of_other_parts"] = 1 - same.float().mean().item()
    off = (torch.cat([p.depth for p in plain]) - hits.depth[:peers]).abs()[same & (part >= 0)]
    out["depth_off_m"] = torch.quantile(off[:: max(1, len(off) // 100_000)].double(), 0.99).item()
    peer = out["peer_cast_ms"] + out["whole_ms"] - out["cast_ms"]
    return {**out, "images_per_s": 1e3 / out["whole_ms"], "peer_images_per_s": 1e3 / peer}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer worlds and repetitions")
    parser.add_argument("--only", default="", help="what begins so: cuda, or cpu/rooms/224x160 (scenes: rooms, ring)")
    parser.add_argument("--threads", type=int, help="threads of PyTorch on the CPU")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    seeds = range(2 if args.quick else 6)
    scenes = {"rooms": [build_world(s) for s in seeds], "ring": [build_world(1, "loop")]}
    devices = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    measured = [m for m in product(devices, scenes, SIZES) if "/".join(m).startswith(args.only)]
    if not measured:
        raise ValueError(f"--only {args.only} fits none of {', '.join('/'.join(m) for m in product(devices, scenes, SIZES))}")
    result: dict = {"threads": torch.get_num_threads()}
    print(f"{'':44} {'here':>10} {'peer':>10} {'ratio':>7}")
    for device, scene, name in measured:
        parts = sum(len(w) for w in scenes[scene]) / len(scenes[scene])
        r = measure(scenes[scene], name, device, 3 if args.quick else 9, 1 if args.quick else 3)
        result[f"{device}/{scene}/{name}"] = r
        title = f"{device}, {scene} ({parts:.0f} parts), {name}"
        for what, here, peer in (("images/s", r["images_per_s"], r["peer_images_per_s"]),
                                 ("cast, images/s", 1e3 / r["cast_ms"], 1e3 / r["peer_cast_ms"])):
            print(f"{title + ': ' + what:50} {here:8.1f} {peer:10.2f} {here / peer:7.1f}", flush=True)
        stages = ", ".join(f"{k} {r[k + '_ms']:.2f} ({r[k + '_cpu_ms']:.2f})" for k in ("cast", "shade", "sensor"))
        print(f"    ms an image (of processor time): {stages}; other parts than the peer in "
              f"{100 * r['pixels_of_other_parts']:.3f} % of pixels, depth within {1e3 * r['depth_off_m']:.3f} mm (99 %)"
              + (f"; aim {AIMS[device, name]:.0f} images/s" if (device, name) in AIMS else ""), flush=True)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:
        sys.exit(f"bench/sim.py: {error}")
