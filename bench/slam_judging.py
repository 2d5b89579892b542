# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Judges published poses by the truth, for bench/slam.py: wrong ones, what a kidnapping cost, and views that contradict.

Poses are comparable within one map only. Each map, which is a session and an epoch, is laid over the world once: with measured
depth by its first pose, without by the similarity that its first poses without a kidnapping between give, refined on all poses
that it puts in their places. A session that comes back in another epoch (its map moved, or was joined with another) is laid
by the keyframes that it had before: so a map that was joined in the wrong place does not fit the world, which is the aim.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from slam_drives import Key, Recorded, Run

from lsm_ros.geometry import (
    CameraIntrinsics,
    DegenerateGeometryError,
    make_sim3,
    se3_inverse,
    so3_log,
    split_sim3,
    transform_points,
    umeyama,
)
from lsm_ros.types import TrackingState, TrajectoryPose
from lsm_sim.caster import RayCaster
from lsm_sim.world import NO_PART, World

RIGHT_M, RIGHT_RAD = 0.10, math.radians(5)
WRONG_M, WRONG_RAD = 0.30, math.radians(15)
IN_TIME_S = 10.0
KNOWN_SHARE = 0.5  # of an image's points that one earlier image shows, from which on its view counts as known
SAME_SIDE, SAME_SIZE = math.cos(math.radians(45)), 1.6  # of what counts as seen: angle between rays, ratio of distances
CONTRADICTING_SHARE = 0.2  # of an image's rays that meet something else than at the believed pose
BELIEVED = (TrackingState.TRACKING, TrackingState.RELOCALIZED)
_SMALL = CameraIntrinsics.from_fov(40, 30, math.radians(75.0))


@dataclass(frozen=True)
class Judged:
    """Errors of a run, one entry a frame: off_m, off_rad (N,), NaN without a pose; T_world_rig (N, 4, 4) as believed, NaN
    without. wrong, right (N,) bool."""

    off_m: np.ndarray
    off_rad: np.ndarray
    T_world_rig: np.ndarray
    wrong: np.ndarray
    right: np.ndarray

    @property
    def published(self) -> np.ndarray:
        """(N,) bool: frames with a pose."""
        return np.isfinite(self.off_m)


def judge(run: Run, drive: Recorded, metric: bool) -> Judged:
    """Errors of all published poses of one lap. metric: maps are laid rigidly, else by similarities."""
    count = len(run)
    truth = drive.T_world_rig[:count]
    believed = np.full((count, 4, 4), np.nan)
    rows_of: dict[Key, list[int]] = {}
    for i, (key, pose) in enumerate(zip(run.keys, run.poses, strict=True)):
        if pose is not None:
            rows_of.setdefault(key, []).append(i)
    jumps = jump_frames(drive)
    row_at = {int(s): i for i, s in enumerate(drive.stamps)}
    for key, rows in rows_of.items():
        poses = np.array([run.poses[i] for i in rows])
        anchor = _keyframes_of_before(run, key, row_at)
        if anchor is not None:
            T_world_map = _laid(*anchor, drive.T_world_rig, metric, ())
        else:
            T_world_map = _laid(np.array(rows), poses, drive.T_world_rig, metric, jumps)
        scale, R, t = split_sim3(T_world_map)
        believed[rows] = np.eye(4)
        believed[rows, :3, :3] = R @ poses[:, :3, :3]
        believed[rows, :3, 3] = scale * poses[:, :3, 3] @ R.T + t
    off = np.linalg.norm(believed[:, :3, 3] - truth[:, :3, 3], axis=1)
    turned = np.full(count, np.nan)
    has = np.isfinite(off)
    turned[has] = np.linalg.norm(so3_log(np.swapaxes(truth[has, :3, :3], 1, 2) @ believed[has, :3, :3]), axis=1)
    sure = np.array([s in BELIEVED for s in run.states])
    wrong = sure & ((off > WRONG_M) | (turned > WRONG_RAD))
    return Judged(off, turned, believed, wrong, (off <= RIGHT_M) & (turned <= RIGHT_RAD))


def _keyframes_of_before(run: Run, key: Key, row_at: dict[int, int]) -> tuple[np.ndarray, np.ndarray] | None:
    """Frames (K,) and poses (K, 4, 4) of the keyframes that a session's map had before it came back in this epoch, the oldest
    first; None for a session that is new, or whose keyframes are gone."""
    before = {s for s, k in zip(run.stamps, run.keys, strict=True) if k[0] == key[0] and k[1] < key[1]}
    kept: list[TrajectoryPose] = [p for p in run.maps[key] if p.stamp_ns in before and p.stamp_ns in row_at]
    if not kept:
        return None
    return np.array([row_at[p.stamp_ns] for p in kept]), np.array([p.T_map_rig for p in kept])


def _laid(rows: np.ndarray, poses: np.ndarray, truth: np.ndarray, metric: bool, jumps: Sequence[int]) -> np.ndarray:
    """T_world_map (4, 4), rigid or a similarity, from poses (K, 4, 4) of frames (K,) in their order."""
    first = truth[rows[0]] @ se3_inverse(poses[0])
    if metric:
        return first
    at, true = poses[:, :3, 3], truth[rows, :3, 3]
    start = [k for k, r in enumerate(rows) if not any(rows[0] < j <= r for j in jumps)]
    chosen = np.zeros(len(rows), bool)
    chosen[start] = True
    T = None
    for _ in range(10):
        try:
            T = umeyama(at[chosen], true[chosen])
        except DegenerateGeometryError:
            break
        fits = np.linalg.norm(transform_points(T, at) - true, axis=1) < WRONG_M
        if fits.sum() < 3 or (fits == chosen).all():
            break
        chosen = fits
    if T is not None:
        return T
    moved, really = (float(np.linalg.norm(np.diff(p[start], axis=0), axis=1).sum()) for p in (at, true))
    scale = really / moved if moved > 1e-9 else 1.0
    R = first[:3, :3]
    return make_sim3(scale, R, true[0] - scale * R @ at[0])


def jump_frames(drive: Recorded) -> list[int]:
    """The first frame after each kidnapping."""
    starts = [e.start_s for e in drive.events if e.kind == "kidnap"]
    return [int(np.searchsorted(drive.seconds, s - 1e-6)) for s in starts if s <= drive.seconds[-1]]


def longest_stretch_s(mask: np.ndarray, rate_hz: float) -> float:
    """Seconds of the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.r_[0, mask.astype(np.int8), 0]))
    return float((edges[1::2] - edges[::2]).max() / rate_hz) if len(edges) else 0.0


def sessions(run: Run) -> tuple[int, int]:
    """Number of sessions, and how many of them were joined: went over into one that had been there before."""
    seen: list[int] = []
    joined = set()
    for before, (now, _) in zip([None, *(k[0] for k in run.keys[:-1])], run.keys, strict=True):
        if now not in seen:
            seen.append(now)
        elif before is not None and before != now:
            joined.add(before)
    return len(seen), len(joined)


# what the truth shows


class Views:
    """The world as a small camera sees it from the drive's poses. later: the world from frame `since` on."""

    def __init__(self, world: World, drive: Recorded, later: World | None = None, since: int = 0) -> None:
        worlds = [world] if later is None else [world, later]
        self._caster, self._drive = RayCaster(worlds), drive
        self._material = np.concatenate([w.material for w in worlds])
        self._which = (np.arange(len(drive.stamps)) >= since) * (len(worlds) - 1)
        self._depth: dict[int, np.ndarray] = {}
        self._rays = _SMALL.unproject(np.stack(np.meshgrid(np.arange(40.0), np.arange(30.0)), -1).reshape(-1, 2))

    def depths(self, rows: Sequence[int]) -> np.ndarray:
        """(M, 30, 40) true depth of frames, inf where nothing is."""
        new = [r for r in rows if r not in self._depth]
        if new:
            T = self._drive.T_world_rig[new] @ self._drive.T_rig_cam
            seen = self._caster.cast(self._which[new], T, _SMALL).depth.numpy()
            self._depth.update(zip(new, seen, strict=True))
        return np.array([self._depth[r] for r in rows])

    def known_share(self, row: int, before: Sequence[int]) -> float:
        """Largest share of a frame's points that one of the frames before shows too: from the same side, and about as near."""
        depth = self.depths([row])[0].ravel()
        good = np.isfinite(depth) & (depth > 0.1)
        if not len(before) or good.sum() < 0.5 * len(depth):
            return 0.0
        T_here = self._drive.T_world_rig[row] @ self._drive.T_rig_cam
        points = transform_points(T_here, self._rays[good] * depth[good, None])
        T = self._drive.T_world_rig[list(before)] @ self._drive.T_rig_cam
        seen = self.depths(before)
        toward = points - T_here[:3, 3]
        shares = []
        for T_there, image in zip(T, seen, strict=True):
            in_cam = transform_points(se3_inverse(T_there), points)
            pixels, ok = _SMALL.project(in_cam)
            ok &= _SMALL.contains(np.where(ok[:, None], pixels, -9.0))
            x, y = np.rint(np.where(ok[:, None], pixels, 0)).astype(int).T
            ok &= np.abs(image[y, x] - in_cam[:, 2]) < 0.05 + 0.05 * in_cam[:, 2]
            there = points - T_there[:3, 3]
            lengths = np.linalg.norm(toward, axis=1), np.linalg.norm(there, axis=1)
            ok &= (toward * there).sum(1) > SAME_SIDE * lengths[0] * lengths[1]
            ok &= np.abs(np.log(lengths[0] / np.maximum(lengths[1], 1e-6))) < math.log(SAME_SIZE)
            shares.append(ok.mean())
        return float(max(shares))

    def contradicted_share(self, rows: Sequence[int], T_world_rig: np.ndarray) -> np.ndarray:
        """(M,) share of the rays of frames that would meet something of another look, or at another distance, at the poses
        (M, 4, 4) where the rig is believed to be."""
        if not len(rows):
            return np.zeros(0)
        rows = list(rows)
        depth, look = zip(*(self._seen(rows, T) for T in (self._drive.T_world_rig[rows], _rigid(T_world_rig))), strict=True)
        near, far = np.minimum(*depth), np.maximum(*depth)
        off = np.isinf(far) | (np.where(np.isinf(far), 0, far) - near > 0.15 + 0.05 * near)
        return (off | (look[0] != look[1])).mean((1, 2))

    def _seen(self, rows: list[int], T_world_rig: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hits = self._caster.cast(self._which[rows], T_world_rig @ self._drive.T_rig_cam, _SMALL)
        part, face = hits.part.numpy(), hits.face.numpy()
        return hits.depth.numpy(), np.where(part == NO_PART, -1, self._material[part, np.minimum(face, 5)])


def _rigid(T: np.ndarray) -> np.ndarray:
    """Poses (M, 4, 4) whose rotations are exact again."""
    U, _, Vt = np.linalg.svd(T[:, :3, :3])
    out = T.copy()
    out[:, :3, :3] = U @ Vt
    return out


@dataclass(frozen=True)
class Kidnapping:
    """Consequences of one: at_s in the drive. known: the view right after it had been seen before. view_s: seconds after it
    when a view known before came (None: never). any_s: seconds after it until a pose that is not wrong. right_s: seconds after
    the known view until a right pose in the map of an earlier session; None: not before the next kidnapping."""

    at_s: float
    known: bool
    view_s: float | None
    any_s: float | None
    right_s: float | None

    @property
    def success(self) -> bool:
        """True if it was found again in time."""
        return self.right_s is not None and self.right_s <= IN_TIME_S


def kidnappings(run: Run, drive: Recorded, judged: Judged, views: Views) -> list[Kidnapping]:
    """All kidnappings of a drive with their consequences. A place is known when half of what a camera shows there had been
    shown by one image before; the view counts from the first such frame after the jump that no hand covers."""
    out = []
    jumps = [j for j in jump_frames(drive) if j < len(run)]
    stays = [e.duration_s for e in drive.events if e.kind == "kidnap"]
    covered = np.zeros(len(drive.stamps), bool)
    for e in drive.events:
        if e.kind == "covered_lens":
            covered |= (drive.seconds >= e.start_s) & (drive.seconds < e.start_s + e.duration_s)
    step = max(1, round(drive.drive.rate_hz / 5))
    for n, (jump, stay) in enumerate(zip(jumps, stays, strict=False)):
        end = jumps[n + 1] if n + 1 < len(jumps) else len(run)
        before = [i for i in range(0, jump, step) if not covered[i]]
        earlier = {run.keys[i][0] for i in range(jump) if run.poses[i] is not None}
        view = next((i for i in range(jump, end, step) if not covered[i] and views.known_share(i, before) >= KNOWN_SHARE), None)
        found = [i for i in range(jump, end) if judged.published[i] and not judged.wrong[i]]
        home = [] if view is None else [i for i in range(view, end) if judged.right[i] and run.keys[i][0] in earlier]
        since = drive.seconds
        out.append(Kidnapping(
            float(since[jump]), view is not None and since[view] - since[jump] < max(stay, 0.5),
            None if view is None else float(since[view] - since[jump]), float(since[found[0]] - since[jump]) if found else None,
            float(since[home[0]] - since[view]) if home and view is not None else None))
    return out


def seconds_after_contradiction(drive: Recorded, judged: Judged, views: Views) -> tuple[float, float]:
    """Seconds of wrong poses after the first view that contradicts, of the worst stretch of wrong poses and of all. A stretch
    ends with a pose that is not wrong; frames without a pose in it do not count as seconds, and do not end it."""
    worst = total = 0.0
    stretch: list[int] = []
    for i in range(len(judged.wrong) + 1):
        if i < len(judged.wrong) and judged.wrong[i]:
            stretch.append(i)
        elif stretch and (i == len(judged.wrong) or judged.published[i]):
            share = views.contradicted_share(stretch, judged.T_world_rig[stretch])
            against = np.flatnonzero(share >= CONTRADICTING_SHARE)
            seconds = (len(stretch) - 1 - int(against[0])) / drive.drive.rate_hz if len(against) else 0.0
            worst, total, stretch = max(worst, seconds), total + seconds, []
    return worst, total
