# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The voxel map against Open3D's VoxelBlockGrid: time, memory and accuracy from the same depth images.

    python bench/fusion.py [--quick] [--frames N] [--source TUM_FOLDER_OR_BAG] [--threads N] [--backend NAME]
                           [--peer NAME] [--json FILE]

--peer cpu compares with this package's own C backend instead, for a GPU on a machine without Open3D; accuracy is left out
then, since both make the same map.

Frames are those of a source with depth and poses (by default the real kitchen, if available) and of simulated rooms.
Milliseconds are medians per frame, alternating with the peer, with the processor's time in parentheses, which other
programs disturb less. Here a frame is added with all that a map needs: free space, and the observation itself, so that
it can move (its arrays are read-only, hence not copied). The peer's frame is activation (compute_unique_block_coordinates)
and integration of uint16 depth and uint8 colour, with the block size and the type of its sums that are quicker.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from lsm_ros.config import FusionConfig
from lsm_ros.datasets import open_source
from lsm_ros.fusion import VoxelMap
from lsm_ros.geometry import so3_exp
from lsm_ros.types import FrameSet, Observation
from lsm_sim.solids import signed_distance
from lsm_sim.source import SimSource
from lsm_sim.world import World

KITCHEN = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "redkitchen"
VOXELS = (0.02, 0.05, 0.10)
MAX_DEPTH, TRUNCATION, Z_STEP = 5.0, 3.0, 0.001
View = tuple[Observation, np.ndarray]


def views_of(source: object, count: int) -> list[View]:
    """Observations and their true T_map_rig, spread evenly over the frames of a source that have depth and a pose."""
    poses = {p.stamp_ns: p.T_map_rig for p in source.ground_truth}
    found = [fs for fs in source if any(f.depth is not None for f in fs.frames) and fs.stamp_ns in poses]
    return [view_of(fs, i, poses[fs.stamp_ns]) for i, fs in enumerate(found[::max(1, len(found) // count)][:count])]


def view_of(frames: FrameSet, number: int, T_map_rig: np.ndarray) -> View:
    """The first camera's frame as an observation, all of it good."""
    f = frames.frames[0]
    depth = np.nan_to_num(f.depth, nan=0.0, posinf=0.0, neginf=0.0)
    z = np.where(depth < MAX_DEPTH, np.rint(depth / Z_STEP), 0).astype(np.uint16)
    o = Observation(number, number, f.stamp_ns, f.camera, frames.T_rig_cam[f.camera], z, Z_STEP,
                    np.where(z > 0, 255, 0).astype(np.uint8), np.ascontiguousarray(f.image), f.intrinsics, f.labels)
    return read_only(o), T_map_rig


def read_only(o: Observation) -> Observation:
    """The observation with read-only arrays."""
    for a in (o.z, o.confidence, o.rgb, o.labels, o.features):
        if a is not None and a.flags.owndata:
            a.setflags(write=False)
    return o


class Open3D:
    """Open3D's map of blocks. resolution: voxels along the edge of a block; kind: "float32" or "uint16" sums."""

    def __init__(self, voxel: float, resolution: int, kind: str) -> None:
        import open3d as o3d

        self.o3d, self.core = o3d, o3d.core
        types = self.core.float32, getattr(self.core, kind), getattr(self.core, kind)
        self.grid = o3d.t.geometry.VoxelBlockGrid(("tsdf", "weight", "color"), types, ((1), (1), (3)), voxel, resolution,
                                                  10000, self.core.Device("CPU:0"))
        self.bytes_per_block = resolution**3 * (4 + 4 * (4 if kind == "float32" else 2))

    def add(self, o: Observation, T: np.ndarray) -> None:
        """Activates and integrates one frame."""
        k = o.intrinsics
        K = self.core.Tensor(np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1.0]]))
        E = self.core.Tensor(np.linalg.inv(T @ o.T_rig_cam))
        image = self.o3d.t.geometry.Image
        depth, color = image(o.z), image(o.rgb)
        blocks = self.grid.compute_unique_block_coordinates(depth, K, E, 1 / Z_STEP, MAX_DEPTH, TRUNCATION)
        self.grid.integrate(blocks, depth, color, K, E, 1 / Z_STEP, MAX_DEPTH, TRUNCATION)

    @property
    def nbytes(self) -> int:
        return self.grid.hashmap().size() * self.bytes_per_block

    def points(self) -> np.ndarray:
        """Points of its surface (N, 3)."""
        return self.grid.extract_point_cloud(1.0).point.positions.numpy()


def peers_for(name: str, config: FusionConfig) -> dict[str, VoxelMap | Open3D]:
    """Empty maps of the peer with the voxels of a configuration: those of Open3D in all its ways, or one of the C backend."""
    if name == "cpu":
        return {"peer cpu": VoxelMap(replace(config, backend="cpu"))}
    ways = product((8, 16), ("float32", "uint16"))
    return {f"peer {r} {kind}": Open3D(config.voxel_size, r, kind) for r, kind in ways}


def clocked(function: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of a call, on the wall and of the processor, until a GPU has done what was queued."""
    cupy = sys.modules.get("cupy")
    start, busy = time.perf_counter(), time.process_time()
    function()
    if cupy is not None:
        cupy.cuda.get_current_stream().synchronize()
    return (time.perf_counter() - start) * 1e3, (time.process_time() - busy) * 1e3


def timed(adders: dict[str, Callable[[Observation, np.ndarray], object]], views: Sequence[View]) -> dict[str, list[float]]:
    """Median wall and processor milliseconds a frame of each adder, taking turns; the first frames warm up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in adders}
    for o, T in views:
        for name, add in adders.items():
            times[name].append(clocked(lambda add=add, o=o, T=T: add(o, T)))
    return {name: np.median(t[min(3, len(t) - 1):], axis=0).tolist() for name, t in times.items()}


def with_content(views: Sequence[View], labels: bool, features: bool) -> list[View]:
    """The views without labels, or with their own (or some, if they have none), and with 64 numbers of features."""
    rng, out = np.random.default_rng(0), []
    for o, T in views:
        rows, columns = o.z.shape[0] // 16, o.z.shape[1] // 16
        some = (np.add.outer(np.arange(o.z.shape[0]) // 40, np.arange(o.z.shape[1]) // 40) % 20).astype(np.uint16)
        vectors = rng.integers(-40, 41, (rows, columns, 64)).astype(np.int8)
        shown = some if o.labels is None else o.labels
        out.append((read_only(replace(o, labels=shown if labels else None, features=vectors if features else None)), T))
    return out


def speed(views: Sequence[View], voxel: float, base: FusionConfig, peer: str) -> dict[str, float]:
    """Milliseconds a frame and bytes per surface voxel: with colour, with labels too, with features too; and the peer's."""
    config = replace(base, voxel_size=voxel, truncation_voxels=TRUNCATION, max_depth=MAX_DEPTH, max_blocks=1_000_000)
    maps = {name: VoxelMap(config) for name in ("color", "labels", "features")}
    content = {"color": with_content(views, False, False), "labels": with_content(views, True, False),
               "features": with_content(views, True, True)}
    peers = peers_for(peer, config)
    every = {**maps, **peers}
    numbered = {name: iter(content.get(name, content["color"])) for name in every}
    result = timed({name: lambda o, T, name=name: every[name].add(*next(numbered[name])) for name in every}, views)
    best = min(peers, key=lambda name: result[name][0])
    out = {"peer": best, "peer_ms": result[best][0], "peer_cpu_ms": result[best][1]}
    surface = len(maps["color"].surface().voxel)
    out["surface_voxels"], out["peer_bytes"] = surface, min(p.nbytes for p in peers.values()) / max(surface, 1)
    for name, m in maps.items():
        out[f"{name}_ms"], out[f"{name}_cpu_ms"] = result[name]
        out[f"{name}_bytes"] = m.nbytes / max(surface, 1)
    return out


def flatness(views: Sequence[View], count: int, base: FusionConfig) -> dict[str, float]:
    """Milliseconds a keyframe at the start and at the end of a long run over new ground, and of asking what changed."""
    m = VoxelMap(replace(base, voxel_size=0.05, max_depth=MAX_DEPTH, max_blocks=1_000_000))
    add, ask = [], []
    for i in range(count):
        o, T = views[i % len(views)]
        T = T.copy()
        T[0, 3] += 8.0 * (i // len(views))
        before = m.seq
        add.append(clocked(lambda o=o, T=T, i=i: m.add(replace(o, id=i, keyframe=i, labels=None), T)))
        ask.append(clocked(lambda before=before: m.changed_blocks(before)))
        m.freeze(i)  # lets go of the images
    part = max(count // 10, 5)
    mean = {"first": slice(3, part + 3), "last": slice(-part, None)}
    out = {f"{name}_{what}": float(np.median(np.array(times)[s, 1])) for name, s in mean.items()
           for what, times in (("add_cpu_ms", add), ("changed_cpu_ms", ask))}
    return {**out, "keyframes": count, "blocks": m.block_count}


def loop_closure(views: Sequence[View], count: int, base: FusionConfig) -> dict[str, float]:
    """Milliseconds to move `count` keyframes, each by a drift that grows to 0.5 m and 3 degrees, and per keyframe."""
    m = VoxelMap(replace(base, voxel_size=0.05, max_depth=MAX_DEPTH, max_blocks=1_000_000))
    truth, drift = {}, {}
    for i in range(count):
        o, T = views[i % len(views)]
        error = np.eye(4)
        error[:3, :3], error[:3, 3] = so3_exp(np.radians(3) * np.array([0, 0, i / count])), (0.5 * i / count, 0, 0)
        truth[i], drift[i] = T, error @ T
        m.add(replace(o, id=i, keyframe=i, labels=None), drift[i])
    wall, busy = clocked(lambda: m.settle(truth))
    return {"keyframes": count, "settle_ms": wall, "settle_cpu_ms": busy, "per_keyframe_cpu_ms": busy / count}


def accuracy(world: World, views: Sequence[View], voxel: float, base: FusionConfig) -> dict[str, float]:
    """Millimetres from surface points to the exact geometry, and from the points of the depth images to the nearest point."""
    m = VoxelMap(replace(base, voxel_size=voxel, truncation_voxels=TRUNCATION, max_depth=MAX_DEPTH, max_blocks=1_000_000))
    peer, seen = Open3D(voxel, 16, "float32"), []
    for o, T in views:
        m.add(o, T)
        peer.add(o, T)
        rays = o.intrinsics.rays(unit=False)[4::16, 4::16].reshape(-1, 3)
        z = o.depth[4::16, 4::16].reshape(-1, 1)
        M = T @ o.T_rig_cam
        seen.append(((rays * z) @ M[:3, :3].T + M[:3, 3])[z[:, 0] > 0])
    out = {}
    for name, points in (("here", m.snapshot().points_map), ("peer", peer.points())):
        some = points[np.random.default_rng(0).permutation(len(points))[:20000]]
        off = np.abs(signed_distance(world, some)) * 1e3
        gap = cKDTree(points).query(np.concatenate(seen))[0] * 1e3
        out.update({f"{name}_mean_mm": float(off.mean()), f"{name}_median_mm": float(np.median(off)),
                    f"{name}_95_mm": float(np.percentile(off, 95)), f"{name}_gap_mean_mm": float(gap.mean()),
                    f"{name}_gap_95_mm": float(np.percentile(gap, 95)), f"{name}_points": len(points)})
    return out


def report_speed(title: str, r: dict[str, float]) -> None:
    """Lines of the table for one voxel size."""
    for name in ("color", "labels", "features"):
        here, peer = r[f"{name}_ms"], r["peer_ms"]
        print(f"{title + ', ' + name:40} {here:7.2f} ({r[name + '_cpu_ms']:6.2f}) {peer:7.2f} ({r['peer_cpu_ms']:6.2f}) "
              f"{here / peer:6.2f}   {r[name + '_bytes']:6.0f} {r['peer_bytes']:6.0f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer frames")
    parser.add_argument("--frames", type=int, help="of each scene, instead of 80, or 15 with --quick")
    parser.add_argument("--source", type=Path, help="with depth and poses; default: the kitchen, if available")
    parser.add_argument("--threads", type=int, default=0, help="of the map (0: as many as cores)")
    parser.add_argument("--backend", default="auto", help="auto, cpu, cuda or numpy")
    parser.add_argument("--peer", default="open3d", choices=("open3d", "cpu"), help="open3d, or this package's C backend")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    base = FusionConfig(backend=args.backend, threads=args.threads)
    frames, rooms = (15, 1) if args.quick else (80, 3)
    frames = args.frames or frames
    path = args.source or (KITCHEN if KITCHEN.is_dir() else None)
    real = views_of(open_source(path), 2 * frames) if path else []
    sources = [SimSource(seed, frames=frames, noise=False, rate_hz=2.0) for seed in range(rooms)]
    simulated = [views_of(s, frames) for s in sources]
    scenes = {path.name: real[:frames]} if path else {}
    scenes["room"] = simulated[0]
    result: dict = {"backend": VoxelMap(base).backend.name, "peer": args.peer, "load": os.getloadavg()}
    print(f"backend {result['backend']}, load {os.getloadavg()[0]:.1f}")
    print(f"{'ms a frame (of processor time)':40} {'here':>16} {args.peer:>16} {'ratio':>6}   bytes per surface voxel")
    for (scene, views), voxel in product(scenes.items(), VOXELS):
        result[f"{scene}/{voxel}"] = r = speed(views, voxel, base, args.peer)
        report_speed(f"{scene}, {100 * voxel:.0f} cm", r)
    result["flat"] = r = flatness(real or simulated[0], 300 if args.quick else 2000, base)
    print(f"keyframe 1 to {r['keyframes']} ({r['blocks']} blocks), processor time: add {r['first_add_cpu_ms']:.2f} -> "
          f"{r['last_add_cpu_ms']:.2f} ms, changed blocks {r['first_changed_cpu_ms']:.2f} -> "
          f"{r['last_changed_cpu_ms']:.2f} ms")
    result["loop"] = r = loop_closure(real or simulated[0], 100 if args.quick else 500, base)
    print(f"moving {r['keyframes']} keyframes: {r['settle_ms']:.0f} ms ({r['per_keyframe_cpu_ms']:.2f} of processor time each)")
    accurate = list(product(range(rooms), VOXELS)) if args.peer == "open3d" else []
    if accurate:
        print(f"{'mm to the exact surface':40} {'mean':>13} {'median':>13} {'95 %':>13}   depth to surface: mean, 95 %")
    for seed, voxel in accurate:
        result[f"accuracy/{seed}/{voxel}"] = r = accuracy(sources[seed].world, simulated[seed], voxel, base)
        pairs = " ".join(f"{r['here_' + k]:6.2f}/{r['peer_' + k]:6.2f}" for k in ("mean_mm", "median_mm", "95_mm",
                                                                                 "gap_mean_mm", "gap_95_mm"))
        print(f"{f'room {seed}, {100 * voxel:.0f} cm (here/Open3D)':40} {pairs}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f"bench/fusion.py: {error}")
