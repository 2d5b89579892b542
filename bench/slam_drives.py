# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Drives through simulated worlds for bench/slam.py: rendered once into a cache, played into the pipeline, with the truth."""
from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil
from tqdm import tqdm

from lsm_ros.config import Config
from lsm_ros.datasets.tum import TumSource
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.types import FrameSet, MappingUpdate, TrackingState, TrajectoryPose
from lsm_sim.events import Event
from lsm_sim.export import FACTS, export
from lsm_sim.generator import build_world
from lsm_sim.source import SimSource
from lsm_sim.world import World

EVENT = re.compile(r"(?P<kind>\w+)@(?P<start>[\d.]+)(\+(?P<duration>[\d.]+))?")

Key = tuple[int, int]
"""Session and epoch of an update: poses of one key are in the coordinates of one map."""


@dataclass(frozen=True)
class Drive:
    """One simulated drive, by the arguments of `lsm sim`: what is rendered depends on these values alone."""

    world: str
    seed: int
    size: tuple[int, int] = (320, 240)
    rate_hz: float = 10.0
    duration_s: float | None = None
    length_m: float | None = None
    rounds: int | None = None
    world_size: tuple[float, ...] | None = None
    path: str = "robot"
    events: str = ""
    frames: int | None = None
    change: int = 0

    @property
    def name(self) -> str:
        """Folder in the cache: kind, seed, and the first digits of a hash of all arguments that are not the usual ones."""
        text = json.dumps({f.name: v for f in fields(self) if (v := getattr(self, f.name)) != f.default}, sort_keys=True)
        return f"{self.world}-{self.seed}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @property
    def command(self) -> str:
        """Arguments of `lsm sim` that render the same."""
        width, height = self.size
        out = f"--world {self.world} --seed {self.seed} --size {width}x{height} --rate {self.rate_hz:g} --no-labels"
        for option, value in (("--duration", self.duration_s), ("--length", self.length_m), ("--rounds", self.rounds),
                              ("--frames", self.frames)):
            out += "" if value is None else f" {option} {value:g}"
        out += "" if self.world_size is None else f" --world-size {'x'.join(f'{v:g}' for v in self.world_size)}"
        out += "" if self.path == "robot" else f" --path {self.path}"
        out += f" --change {self.change}" if self.change else ""
        return out + (f" --events {self.events}" if self.events else "")

    def truth(self) -> World:
        """The world that it goes through."""
        return self.source().world if self.change else build_world(self.seed, self.world, size=self.world_size)

    def source(self) -> SimSource:
        """Source that renders it."""
        return SimSource(self.seed, self.world, self.path, frames=self.frames, length_m=self.length_m,
                         duration_s=self.duration_s, rounds=self.rounds, width=self.size[0], height=self.size[1],
                         rate_hz=self.rate_hz, labels=False, size=self.world_size, events=events_of(self.events),
                         change=self.change)


def events_of(text: str) -> list[Event]:
    """Events written as for `lsm sim --events`; ValueError for another form."""
    out = []
    for part in (p for p in text.split(",") if p):
        match = EVENT.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"--events {part!r}: expected KIND@START[+SECONDS], such as kidnap@10+2")
        duration = {} if match["duration"] is None else {"duration_s": float(match["duration"])}
        out.append(Event(match["kind"], float(match["start"]), **duration))
    return out


class Frames(Protocol):
    """Frame sets in order, as often as they are asked for."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[FrameSet]: ...


@dataclass(frozen=True)
class Recorded:
    """A rendered drive. stamps (N,) int64 nanoseconds; T_world_rig (N, 4, 4) the truth at them; T_rig_cam (4, 4) of the
    camera. events: as they happened, in seconds of the drive."""

    drive: Drive
    source: Frames
    stamps: np.ndarray
    T_world_rig: np.ndarray
    T_rig_cam: np.ndarray
    events: tuple[Event, ...]
    facts: dict[str, Any]

    @property
    def seconds(self) -> np.ndarray:
        """(N,) seconds since the first frame."""
        return (self.stamps - self.stamps[0]) * 1e-9

    @property
    def length_m(self) -> float:
        """Metres driven, kidnappings not counted."""
        return float(self.facts["length_m"])


def recorded(drive: Drive, cache: Path) -> Recorded:
    """A drive from the cache, rendered first if it is not there yet."""
    folder = cache / drive.name
    if not (folder / FACTS).is_file():
        source = drive.source()
        with tqdm(total=len(source), desc=f"rendering {drive.name}", unit="frame", disable=None, file=sys.stderr) as bar:
            export(source, folder, progress=lambda done, _: bar.update(done - bar.n))
        source.close()
    facts = json.loads((folder / FACTS).read_text())
    source = TumSource(folder)
    poses = source.ground_truth or []
    events = tuple(Event(e["kind"], e["start_s"], e["duration_s"]) for e in facts["events"])
    if len(poses) != len(source):
        raise ValueError(f"{folder}: {len(poses)} true poses for {len(source)} frames; remove the folder to render it again")
    return Recorded(drive, source, np.array([p.stamp_ns for p in poses], np.int64), np.array([p.T_map_rig for p in poses]),
                    source.T_rig_cam[source.cameras[0]], events, facts)


class Chained:
    """The frame sets of one source after those of another, stamped `later` nanoseconds later."""

    def __init__(self, first: Frames, second: Frames, later: int) -> None:
        self._first, self._second, self._later = first, second, later

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __iter__(self) -> Iterator[FrameSet]:
        yield from self._first
        for frame_set in self._second:
            yield shifted(frame_set, self._later)


def shifted(frame_set: FrameSet, later: int) -> FrameSet:
    """A frame set stamped some nanoseconds later."""
    frames = tuple(replace(f, stamp_ns=f.stamp_ns + later) for f in frame_set.frames)
    readings = tuple(replace(r, stamp_ns=r.stamp_ns + later) for r in frame_set.imu)
    return replace(frame_set, stamp_ns=frame_set.stamp_ns + later, frames=frames, imu=readings)


def followed(first: Recorded, second: Recorded) -> Recorded:
    """A drive and another one in the same world after it, perhaps on another day. The first frame of the second is where a
    robot is that was carried there and switched on: an event of kind kidnap."""
    later = int(first.stamps[-1] - second.stamps[0]) + round(1e9 / first.drive.rate_hz)
    start = (later + int(second.stamps[0]) - int(first.stamps[0])) * 1e-9
    events = (*first.events, Event("kidnap", start, 0.5), *(replace(e, start_s=e.start_s + start) for e in second.events))
    return Recorded(second.drive, Chained(first.source, second.source, later), np.r_[first.stamps, second.stamps + later],
                    np.concatenate([first.T_world_rig, second.T_world_rig]), second.T_rig_cam, events, second.facts)


@dataclass
class Run:
    """Answers of the pipeline, one entry a frame. maps: by key, the keyframes of the map when the key appeared (stamp and
    pose), by which a map that comes back in other coordinates is recognized. final, online: trajectories at the end."""

    stamps: list[int] = field(default_factory=list)
    poses: list[np.ndarray | None] = field(default_factory=list)
    states: list[TrackingState] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    stage_ms: list[dict[str, float]] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    maps: dict[Key, list[TrajectoryPose]] = field(default_factory=dict)
    laps: list[dict[str, float]] = field(default_factory=list)
    final: list[TrajectoryPose] = field(default_factory=list)
    online: list[TrajectoryPose] = field(default_factory=list)
    settle_s: float = 0.0
    keyframes: int = 0

    def __len__(self) -> int:
        return len(self.stamps)

    def add(self, update: MappingUpdate, pipeline: MappingPipeline) -> None:
        """One frame's update."""
        key = (update.session, update.map_epoch)
        if key not in self.maps:
            self.maps[key] = pipeline.keyframe_trajectory()
        self.stamps.append(update.stamp_ns)
        self.poses.append(update.tracking.T_map_rig)
        self.states.append(update.tracking.state)
        self.keys.append(key)
        self.reasons.append(update.tracking.reason)
        self.stage_ms.append(update.milliseconds)

    def stages(self) -> dict[str, tuple[float, float, float]]:
        """Milliseconds p50, p95 and mean of each stage over the frames in which it ran; `cpu` and `wall` of whole frames."""
        names = dict.fromkeys(name for row in self.stage_ms for name in row)
        columns = {n: [row[n] for row in self.stage_ms if n in row] for n in names}
        columns |= {"whole frame": self.wall_ms, "processor": self.cpu_ms}
        return {n: (*np.percentile(v, [50, 95]).tolist(), float(np.mean(v))) for n, v in columns.items() if len(v)}


def frames_of(drive: Recorded, lap: int, *, depth: bool, odometry: bool) -> Iterator[FrameSet]:
    """The frame sets of a lap, stamped after those of the laps before; without depth or odometry where these are false."""
    period = int(round(1e9 / drive.drive.rate_hz))
    later = lap * (int(drive.stamps[-1] - drive.stamps[0]) + period)
    for frame_set in drive.source:
        frames = frame_set.frames if depth else tuple(replace(f, depth=None) for f in frame_set.frames)
        yield shifted(replace(frame_set, frames=frames, T_odom_base=frame_set.T_odom_base if odometry else None), later)


def play(drive: Recorded, config: Config, *, depth: bool = True, odometry: bool = False, laps: int = 1,
         after_lap: Callable[[MappingPipeline, Run], dict[str, float]] | None = None, settle: bool = True,
         most: int | None = None) -> Run:
    """Sends the frames of a drive through the pipeline, as often as there are laps, and settles. most: of the frames of each
    lap, only so many. after_lap: figures of the pipeline after each lap, for `Run.laps`."""
    run, pipeline = Run(), MappingPipeline(config)
    expected = min(len(drive.source), most or len(drive.source))
    try:
        for lap in range(laps):
            frames = frames_of(drive, lap, depth=depth, odometry=odometry)
            about = f"{drive.drive.name} lap {lap + 1}"
            with tqdm(total=expected, desc=about, unit="frame", disable=None, file=sys.stderr) as bar:
                for _, frame_set in zip(range(expected), frames, strict=False):
                    wall, busy = time.perf_counter(), time.process_time()
                    update = pipeline.process(frame_set)
                    run.cpu_ms.append((time.process_time() - busy) * 1e3)
                    run.wall_ms.append((time.perf_counter() - wall) * 1e3)
                    run.add(update, pipeline)
                    bar.update()
            if after_lap is not None:
                run.laps.append(after_lap(pipeline, run))
        start = time.perf_counter()
        if settle:
            pipeline.settle()
        run.settle_s = time.perf_counter() - start
        run.final, run.online = pipeline.trajectory(), pipeline.online_trajectory()
        run.keyframes = pipeline.status().keyframes
    finally:
        pipeline.close()
    return run


def resident_mb() -> float:
    """Resident memory of this process in MB."""
    return psutil.Process().memory_info().rss / 1e6


def repeated_truth(drive: Recorded, laps: int) -> list[TrajectoryPose]:
    """True poses of the rig over all laps."""
    period = int(round(1e9 / drive.drive.rate_hz))
    step = int(drive.stamps[-1] - drive.stamps[0]) + period
    return [TrajectoryPose(int(s) + lap * step, T) for lap in range(laps)
            for s, T in zip(drive.stamps, drive.T_world_rig, strict=True)]


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """p50 and p95, NaN without values."""
    return tuple(np.percentile(values, [50, 95]).tolist()) if len(values) else (float("nan"), float("nan"))
