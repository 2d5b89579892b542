# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Simulated worlds as sources of frame sets: cameras on a robot, or in a hand, go through them."""
from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lsm_ros.datasets.imu import ImuData
from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.lie import so3_log
from lsm_ros.types import UNLABELLED, Frame, FrameSet, TrajectoryPose
from lsm_sim.depth_noise import noisy_depth, noisy_labels
from lsm_sim.events import Event
from lsm_sim.generator import build_world
from lsm_sim.imu import ImuNoise, imu_along
from lsm_sim.keep_clear import KeepClear
from lsm_sim.odometry import drifting_odometry
from lsm_sim.paths import Path, check_free, plan_path
from lsm_sim.rig import build_rig
from lsm_sim.sensor import SensorConfig
from lsm_sim.solids import surface_points
from lsm_sim.world import World, label_id

BATCH = 8
"""Frames that are rendered together."""

SENSOR = SensorConfig()
_COVERED = 5.0  # grey level of an image behind a covered lens
_IMU_RATE_HZ = 200.0
_PATHS_TRIED, _OPEN_VIEW = 4, 1.1  # of a RoomSource; metres of view in the worst quarter that are enough


class SimSource:
    """Frame sets of a simulated world, and the truth about it.

    seed: of world, path and noise; the same arguments give the same bytes, independent of earlier calls. world: a kind of
    `build_world`, with size, clutter and movers; or a World. path: a kind of `plan_path`; its length is length_m,
    duration_s or rounds, and at most `frames` are taken of it; frames alone sets the duration. Images of width x height
    pixels span fov_deg through a lens `distortion`, rate_hz a second, from the cameras of `rig` (see `build_rig`). noise:
    True for that of real sensors, False for the pure truth, or a SensorConfig for the colours. odometry: by default on a
    robot. events: see `Event`. classes: only these are labelled. device: where torch renders. change: 0, or the number of
    another day: the path and its events are those of day 0, but furniture has moved (never onto the path), gone and come, the
    light is another (see `build_world`), and so is the noise; what is true is what is true on that day.

    The rig is the base on the floor, or the device in the hand; `ground_truth` is T_world_rig at each stamp. `world` and
    `path` are the truth behind them, `facts` the same in plain values. ValueError for what is out of range, unknown, or
    does not fit into the world.
    """

    ground_truth_frame = "rig"

    def __init__(self, seed: int = 0, world: str | World = "room", path: str = "robot", *, frames: int | None = None,
                 length_m: float | None = None, duration_s: float | None = None, rounds: int | None = None,
                 width: int = 640, height: int = 480, fov_deg: float = 75.0, distortion: str = "none",
                 rate_hz: float = 10.0, depth: bool = True, labels: bool = True, odometry: bool | None = None,
                 imu: bool = False, noise: bool | SensorConfig = True, rig: str = "front", movers: int = 0,
                 clutter: float = 0.5, size: tuple[float, ...] | None = None, events: Sequence[Event] = (),
                 classes: Sequence[str] | None = None, device: str = "cpu", change: int = 0) -> None:
        _check(seed, frames, width, height, fov_deg, rate_hz)
        if change and isinstance(world, World):
            raise ValueError(f"change {change} needs a kind of world that is built here, not a finished World")
        handheld = path == "hand"
        if odometry and handheld:
            raise ValueError("a device in the hand has no wheels, hence no odometry; take another path, or odometry=False")
        self.seed, self.rate_hz, self.noise, self.device = int(seed), float(rate_hz), noise, check_device(device)
        self.with_depth, self.with_labels = depth, labels
        self._rig = build_rig(rig, width, height, math.radians(fov_deg), distortion, handheld)
        self.cameras = self._rig.cameras
        for event in events:
            if event.camera is not None and event.camera not in self.cameras:
                raise ValueError(f"event {event.kind} is about camera {event.camera!r}, but the rig {rig!r} has "
                                 f"{', '.join(self.cameras)}")
        self.world = world if isinstance(world, World) else build_world(seed, world, movers=movers, clutter=clutter,
                                                                        size=size)
        self.change = _checked_change(change)
        self._noise_seed = seed_of(self.seed, 6, self.change) if self.change else self.seed
        self._kept = None if classes is None else _kept_labels(self.world, classes)
        self.name = f"{self.world.kind}_{self.seed}" + (f"_{self.change}" if self.change else "")
        if frames is not None and length_m is None and duration_s is None and rounds is None:
            duration_s = max((frames - 1) / rate_hz, 0.5)
        self.path = self._plan(path, length_m, duration_s, rounds, events)
        if self.change:
            self.world = build_world(seed, world, movers=movers, clutter=clutter, size=size, change=self.change,
                                     clear=KeepClear.of_path(self.path))
            gap = float(check_free(self.world, self.path).min())
            if gap <= 0:
                raise ValueError(f"change {self.change} of world {self.seed} ({self.world.kind!r}) puts something {-gap:.3f} m "
                                 f"into the way of the path")
        count = int(self.path.duration_s * rate_hz + 1e-6) + 1
        self._times = np.arange(count if frames is None else min(frames, count)) / rate_hz
        self._stamps = [round(t * 1e9) for t in self._times]
        self._poses = self.path.at(self._times)
        self.ground_truth = [TrajectoryPose(s, T) for s, T in zip(self._stamps, self._poses, strict=True)]
        self._odometry = self._drifting() if odometry or (odometry is None and not handheld) else None
        self.imu = self._inertial() if imu else None
        self.rig_is_base = not handheld
        self._renderer: Any = None
        self._batch: tuple[int, list[FrameSet]] = (-1, [])

    @property
    def warnings(self) -> list[str]:
        """Always empty: nothing is skipped."""
        return []

    @property
    def T_rig_cam(self) -> dict[str, np.ndarray]:
        """Pose (4, 4) of each camera in the rig."""
        return self._rig.T_rig_cam

    @property
    def intrinsics(self) -> CameraIntrinsics:
        """The cameras, which are all alike."""
        return self._rig.intrinsics[self.cameras[0]]

    @property
    def facts(self) -> dict[str, Any]:
        """Description of world and path in plain values, for a file beside the images."""
        low, high = self.world.bounds
        day = {"change": self.change} if self.change else {}
        return {"seed": self.seed, **day, "world": self.world.kind, "low": low.tolist(), "high": high.tolist(),
                "zones": [z.kind for z in self.world.zones], "parts": len(self.world), "movers": len(self.world.movers),
                "things": {n: self.world.things.count(n) for n in sorted(set(self.world.things))},
                "path": self.path.kind, "length_m": self.path.length_m, "duration_s": float(self._times[-1]),
                "events": [{"kind": e.kind, "start_s": e.start_s, "duration_s": e.duration_s, "camera": e.camera}
                           for e in self.path.events],
                "frames": len(self), "rate_hz": self.rate_hz, "cameras": self.cameras, "noise": bool(self.noise)}

    def __len__(self) -> int:
        return len(self._stamps)

    def __iter__(self) -> Iterator[FrameSet]:
        for i in range(len(self)):
            if not self._batch[0] <= i < self._batch[0] + len(self._batch[1]):
                self._batch = (i, self._frame_sets(range(i, min(i + BATCH, len(self)))))
            yield self._batch[1][i - self._batch[0]]

    def close(self) -> None:
        """Forgets what was rendered and what renders; it is made again when needed."""
        self._renderer, self._batch = None, (-1, [])

    def frame_set(self, index: int) -> FrameSet:
        """The frame set of one instant; it does not depend on earlier calls. IndexError beyond the end."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} frame sets, none of number {index}")
        index %= len(self)
        start, known = self._batch
        return known[index - start] if start <= index < start + len(known) else self._frame_sets(range(index, index + 1))[0]

    def render(self, index: int, camera: str | None = None) -> Any:
        """View of a camera (the first by default) at one instant, without noise: image, depth, labels, instances."""
        pose = self._poses[index] @ self.T_rig_cam[camera or self.cameras[0]]
        return self._ready().render(pose, self.intrinsics, time_s=float(self._times[index]),
                                    sensor=SensorConfig.clean()).numpy()

    def surface_points(self, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """n true points of open surfaces: (n, 3) float64 in the world, and (n,) uint16 labels."""
        points, labels, _ = surface_points(self.world, n, seed)
        return points, self._labelled(labels)

    def describe(self) -> str:
        """World, path and cameras in one line."""
        low, high = self.world.bounds
        size = " x ".join(f"{v:.1f}" for v in high - low)
        events = "".join(f", {e.kind} at {e.start_s:.1f} s" for e in self.path.events)
        day = f", change {self.change}" if self.change else ""
        return (f"world {self.world.kind} {self.world.seed}{day}: {len(self.world.zones)} zones, {size} m, "
                f"{len(self.world)} parts; "
                f"path {self.path.kind}: {self.path.length_m:.1f} m in {self._times[-1]:.1f} s{events}; "
                f"cameras {', '.join(self.cameras)}")

    # Planning

    def _plan(self, kind: str, length_m: float | None, duration_s: float | None, rounds: int | None,
              events: Sequence[Event]) -> Path:
        return plan_path(self.world, kind, length_m=length_m, duration_s=duration_s, rounds=rounds, seed=self.seed,
                         events=events)

    def _drifting(self) -> np.ndarray:
        """T_odom_base of each frame; of the whole path, so that the first frames do not depend on how many are wanted."""
        times = np.arange(int(self.path.duration_s * self.rate_hz + 1e-6) + 1) / self.rate_hz
        jumps = np.searchsorted(times, self.path.times[list(self.path.jumps)] - 1e-9)
        drifting = drifting_odometry(self.path.at(times), np.random.default_rng([self._noise_seed, 3]),
                                     jumps=sorted({int(j) for j in jumps if 0 < j < len(times)}))
        return drifting[:len(self)]

    def _inertial(self) -> ImuData:
        readings = imu_along(self.path, _IMU_RATE_HZ, ImuNoise() if self.noise else None, self._noise_seed)
        rows = readings.times <= self._times[-1] + 1e-9
        return ImuData(np.rint(readings.times[rows] * 1e9).astype(np.int64), readings.angular_velocity[rows],
                       readings.specific_force[rows])

    # Rendering

    def _ready(self) -> Any:
        if self._renderer is None:
            from lsm_sim.renderer import Renderer

            self._renderer = Renderer(self.world, self.device)
        return self._renderer

    def _frame_sets(self, rows: range) -> list[FrameSet]:
        """Frame sets of some instants, rendered together."""
        k = len(self.cameras)
        mounts = np.array([self.T_rig_cam[c] for c in self.cameras])
        poses = (self._poses[list(rows)][:, None] @ mounts).reshape(-1, 4, 4)
        times = np.repeat(self._times[list(rows)], k)
        seeds = [seed_of(self._noise_seed, 5, i, c) for i in rows for c in range(k)]
        sensor = self.noise if isinstance(self.noise, SensorConfig) else SENSOR if self.noise else SensorConfig.clean()
        seen = self._ready().render(poses, self.intrinsics, time_s=times, sensor=sensor, seeds=seeds,
                                    angular_rate=self._rates(times, mounts, rows)).numpy()
        out = []
        for n, i in enumerate(rows):
            frames = tuple(self._frame(i, c, seen.image[n * k + c], seen.depth[n * k + c], seen.labels[n * k + c])
                           for c in range(k))
            before = self._stamps[i - 1] if i else None
            imu = () if self.imu is None else self.imu.between(before, self._stamps[i])
            out.append(FrameSet(self._stamps[i], frames, dict(self.T_rig_cam),
                                None if self._odometry is None else self._odometry[i], self.rig_is_base, imu,
                                None if self.imu is None else self.imu.T_rig_imu))
        return out

    def _rates(self, times: np.ndarray, mounts: np.ndarray, rows: range) -> np.ndarray:
        """Angular velocity (C, 3) of each camera in its own frame, rad/s; none over a jump."""
        step = 0.5 / self.rate_hz * 0.2
        now = self._times[list(rows)]
        before, after = self.path.at(now - step), self.path.at(now + step)
        R = np.swapaxes(before[:, :3, :3], -1, -2) @ after[:, :3, :3]
        rate = so3_log(R) / (2 * step)
        jumps = self.path.times[list(self.path.jumps)]
        leaps = (np.abs(now[:, None] - jumps[None]) <= step + 1e-9).any(1)
        rate[leaps] = 0
        return np.einsum("cij,ni->ncj", mounts[:, :3, :3], rate).reshape(-1, 3)

    def _frame(self, index: int, camera: int, image: np.ndarray, depth: np.ndarray, labels: np.ndarray) -> Frame:
        name = self.cameras[camera]
        rng = np.random.default_rng([self._noise_seed, 4, index, camera])
        labels = self._labelled(labels.astype(np.uint16))
        if self.noise:
            depth, labels = noisy_depth(depth, rng), noisy_labels(labels, rng)
        if self._covered(self._times[index], name):
            dark = rng.normal(_COVERED, 1.5 if self.noise else 0.0, image.shape)
            image, depth = np.clip(dark, 0, 255).astype(np.uint8), np.zeros_like(depth)
            labels = np.full_like(labels, UNLABELLED)
        return Frame(self._stamps[index], name, np.ascontiguousarray(image), self.intrinsics,
                     np.ascontiguousarray(depth, np.float32) if self.with_depth else None,
                     labels if self.with_labels else None, self.world.label_space if self.with_labels else None,
                     f"{name}_optical")

    def _covered(self, time_s: float, camera: str) -> bool:
        return any(e.kind == "covered_lens" and e.camera in (None, camera)
                   and -1e-9 <= time_s - e.start_s < e.duration_s - 1e-9 for e in self.path.events)

    def _labelled(self, labels: np.ndarray) -> np.ndarray:
        return labels if self._kept is None else np.where(np.isin(labels, self._kept), labels, UNLABELLED).astype(np.uint16)


class RoomSource(SimSource):
    """A single room of 5 x 4 m with a robot in it: quick to make, for tests and the demo.

    frames: number of frame sets, rate_hz of them a second; the robot's path lasts at least ROUND_S, and fewer frames
    are its first part. Paths on which the robot stands close before walls for long are left out, if others are found.
    cameras: 1 ('front') or 2 (and 'rear'). The rest as in SimSource.
    """

    ROUND_S = 14.9

    def __init__(self, seed: int = 0, frames: int = 150, width: int = 320, height: int = 240, odometry: bool = True,
                 labels: bool = True, cameras: int = 1, rate_hz: float = 10.0, depth: bool = True,
                 noise: bool = True) -> None:
        if cameras not in (1, 2):
            raise ValueError(f"cameras must be 1 or 2, got {cameras}")
        _check(seed, frames, width, height, 75.0, rate_hz)
        super().__init__(seed, "room", "robot", frames=frames, duration_s=max(self.ROUND_S, (frames - 1) / rate_hz),
                         width=width, height=height, rate_hz=rate_hz, depth=depth, labels=labels, odometry=odometry,
                         noise=noise, rig="front" if cameras == 1 else "front_rear", size=(5.0, 4.0, 2.6), clutter=0.3)

    def _plan(self, kind: str, length_m: float | None, duration_s: float | None, rounds: int | None,
              events: Sequence[Event]) -> Path:
        best: tuple[float, Path | None] = (-1.0, None)
        for k in range(_PATHS_TRIED):
            path = plan_path(self.world, kind, duration_s=duration_s, seed=self.seed + k)
            views = np.sort(views_ahead(self.world, path.at(np.arange(0, self.ROUND_S, 0.5)) @ self.T_rig_cam["front"]))
            worst = float(views[:len(views) // 4].mean())
            best = max(best, (worst, path), key=lambda b: b[0])
            if worst > _OPEN_VIEW:
                break
        assert best[1] is not None
        return best[1]


def views_ahead(world: World, T_world_cam: np.ndarray) -> np.ndarray:
    """Median depth (N,) in metres that cameras at poses (N, 4, 4) have before them, at most 3 m."""
    from lsm_sim.caster import RayCaster

    camera = CameraIntrinsics.from_fov(24, 18, math.radians(75.0))
    depth = RayCaster([world]).cast([0] * len(T_world_cam), T_world_cam, camera).depth
    return np.minimum(np.median(depth.flatten(1).numpy(), axis=1), 3.0)


def seed_of(*numbers_: int) -> int:
    """One seed below 2^63 from several whole numbers."""
    return int(np.random.SeedSequence(numbers_).generate_state(1, np.uint64)[0]) >> 1  # NumPy 1 shifts no uint64 by an int


def check_device(device: str) -> str:
    """An available device of torch; else ValueError."""
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} cannot be used: {' '.join(str(error).split())[:120]}") from error
    return device


def _checked_change(change: Any) -> int:
    if isinstance(change, bool) or not isinstance(change, numbers.Integral) or change < 0:
        raise ValueError(f"change must be a whole number of at least 0, got {change!r}")
    return int(change)


def _kept_labels(world: World, classes: Sequence[str]) -> np.ndarray:
    return np.array(sorted({label_id(world.label_space, c.strip()) for c in classes}), np.uint16)


def _check(seed: Any, frames: Any, width: Any, height: Any, fov_deg: float, rate_hz: float) -> None:
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(f"a seed is a whole number of at least 0, got {seed!r}")
    if frames is not None and (isinstance(frames, bool) or not isinstance(frames, numbers.Integral) or frames < 1):
        raise ValueError(f"frames must be a whole number of at least 1, got {frames!r}")
    for name, value in (("width", width), ("height", height)):
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not 8 <= value <= 8192:
            raise ValueError(f"{name} must be 8 to 8192 pixels, got {value!r}")
    if not 5 <= fov_deg <= 170:
        raise ValueError(f"fov_deg must be 5 to 170 degrees, got {fov_deg}")
    if not 1.0 <= rate_hz <= 1000.0:
        raise ValueError(f"rate_hz must be 1 to 1000, got {rate_hz}")
