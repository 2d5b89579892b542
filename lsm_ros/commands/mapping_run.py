# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Run of `lsm map`: source through pipeline, then the files of the result."""
from __future__ import annotations

import argparse
import itertools
import os
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lsm_ros.commands.choosing import AUTO, choose, has_depth, this_machine
from lsm_ros.commands.gaussian_output import EACH, novel_views, write_all_gaussians
from lsm_ros.commands.options import assignments, make_config
from lsm_ros.commands.progress import progress_bar
from lsm_ros.commands.querying import cloud_of
from lsm_ros.config import Config, from_dict
from lsm_ros.datasets import open_source
from lsm_ros.datasets.bag_storage import is_bag
from lsm_ros.datasets.base import T_BODY_OPTICAL, Source, WarningLog
from lsm_ros.datasets.imu import every_nth
from lsm_ros.datasets.tum import read_tum, write_tum
from lsm_ros.evaluation import metrics, trajectory
from lsm_ros.evaluation.cost import StageTimes
from lsm_ros.evaluation.report import RunRecord, write_report
from lsm_ros.evaluation.samples import SampleKeeper
from lsm_ros.files import replacing_folder
from lsm_ros.fusion.files import feature_file, gaussian_ply
from lsm_ros.fusion.files.feature_file import write_features
from lsm_ros.fusion.files.mesh_ply import write_mesh
from lsm_ros.fusion.files.ply import write_ply
from lsm_ros.fusion.read.gaussians import GaussianCloud
from lsm_ros.geometry.lie import se3_inverse
from lsm_ros.mapping import store
from lsm_ros.mapping.camera_masks import check_cameras
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.models.known import LANGUAGE_FILE
from lsm_ros.types import FrameSet, MapSnapshot, TrackingState, TrajectoryPose

_CLOSE_NS = 20_000_000


@dataclass
class Progress:
    """Data collected while frames go through the pipeline."""

    stages: StageTimes = field(default_factory=StageTimes)
    samples: SampleKeeper = field(default_factory=SampleKeeper)
    frames: int = 0
    expected: int = 0  # frames of the source, less those that are not wanted
    failures: WarningLog = field(default_factory=WarningLog)
    failed_ns: set[int] = field(default_factory=set)  # stamps of these
    first_ns: int = 0
    last_ns: int = 0
    loops: int = 0
    apart: int = 0  # maps that could not be joined
    found_later: int = 0  # frames that got their pose once the map was finished
    T_rig_camera: np.ndarray | None = None
    wall_s: float = 0.0


@dataclass(frozen=True)
class Truth:
    """Ground truth: poses of the first camera in a world of their own, and their source."""

    poses: list[TrajectoryPose]
    name: str


def map_source(args: argparse.Namespace) -> str:
    """Runs the mapping with these arguments and returns a summary of a few lines. The folder args.out is replaced
    only when everything is written. ValueError, FileNotFoundError and OSError for bad input."""
    config = make_config(args.config, args.set, None if args.pairs == AUTO else args.pairs, args.seed, args.weights)
    given_truth = None if args.gt is None else read_tum(args.gt)
    out = check_out(args.out, args.source, args.overwrite)
    options = assignments(args.source_option, "--source-option")
    if config.node.imu:
        options.setdefault("imu", config.node.imu)
    if is_bag(args.source):
        options.setdefault("sync_slop_ms", config.node.sync_slop_ms)
    source = open_source(args.source, **options)
    try:
        with replacing_folder(out, own_files(out)) as fresh:
            chosen = choose(this_machine(), has_depth(args.source, **options)) if args.pairs == AUTO else None
            if chosen is not None:
                config = make_config(args.config, args.set, chosen.settings["pairs.model"], args.seed, args.weights,
                                     from_dict(chosen.settings))
            for line in (*getattr(source, "taken", ()), *(chosen.reasons if chosen is not None else ())):
                print(line, flush=True)
            check_cameras(config.camera_masks, source.cameras)
            pipeline = MappingPipeline(config)
            try:
                if args.map is not None:
                    pipeline.load(store.saved_map(args.map))
                progress = feed(pipeline, source, args.stride, args.max_frames, args.quiet)
                check_result(pipeline, source, progress)
                if pipeline.counts.without_pose:
                    look_again(pipeline, options, progress, args)
                truth = find_truth(given_truth, args, source, progress)
                record = collect(pipeline, source, progress, truth, config, args)
                write_files(fresh, pipeline, record, args)
            finally:
                pipeline.close()
    finally:
        source.close()
    return summary(record.metrics, args.out)


RESULT_FILES = ("trajectory.tum", "keyframes.tum", "online.tum", "map.ply", "mesh.ply", feature_file.FILE, LANGUAGE_FILE,
                metrics.FILE, "report.html", gaussian_ply.FILE, gaussian_ply.FEATURES_FILE,
                *(f"{store.SAVED}/{name}" for name in store.OWN))


def own_files(out: Path) -> list[str]:
    """Names of the files below `out` that results may have; others there are not replaced."""
    return [*RESULT_FILES, *(str(p.relative_to(out)) for p in (out / EACH).glob("[0-9]*_*.ply"))]


def check_out(out: Path, source: Path, overwrite: bool, result: str = metrics.FILE, command: str = "lsm map") -> Path:
    """The folder to write, resolved. result: a file by which results of `command` are known. ValueError or
    FileExistsError if that would destroy something else."""
    resolved = out.resolve()
    if resolved.is_dir() and any(resolved.iterdir()):
        if not overwrite:
            raise FileExistsError(f"{out} exists already; give another --out, or --overwrite")
        if not (resolved / result).is_file():
            raise FileExistsError(f"{out} holds no result of {command} and is not overwritten; give another --out")
        if source.exists() and source.resolve().is_relative_to(resolved):
            raise ValueError(f"the source {source} lies inside --out {out}, which would be replaced")
    elif resolved.exists() and not resolved.is_dir():
        raise FileExistsError(f"{out} is a file; give a folder for --out")
    return resolved


def feed(pipeline: MappingPipeline, source: Source, stride: int, most: int | None, quiet: bool) -> Progress:
    """Sends the frames of a source through the pipeline, then brings the map up to date with the final poses. A frame that
    fails costs itself."""
    progress = Progress()
    expected = len(source)
    total = progress.expected = min(-(-expected // stride), most or expected)
    start = time.perf_counter()
    chosen = itertools.islice(every_nth(source, stride), most)
    with progress_bar(chosen, total=total, desc="mapping", unit="frame", disable=quiet) as bar:
        for frame_set in bar:
            note(progress, source, frame_set)
            try:
                update = pipeline.process(frame_set)
            except (ValueError, cv2.error) as error:  # the pipeline counts it as a frame without a pose
                progress.failures.add("frames failed, and have no pose", " ".join(str(error).split()))
                progress.failed_ns.add(frame_set.stamp_ns)
                continue
            progress.stages.add(update.milliseconds)
            progress.loops += len(update.tracking.closed_loops)
            if update.tracking.new_keyframe is not None or update.tracking.state == TrackingState.LOST:
                bar.set_postfix(state=update.tracking.state.name.lower(), keyframe=update.tracking.new_keyframe,
                                refresh=False)
    if progress.frames:
        progress.apart = pipeline.join_maps()
        pipeline.settle()
    progress.wall_s = time.perf_counter() - start
    return progress


def look_again(pipeline: MappingPipeline, options: dict[str, Any], progress: Progress, args: argparse.Namespace) -> None:
    """Looks in the finished map for the frames that got no pose, but for those that failed. A source that cannot be read a
    second time costs these alone."""
    start = time.perf_counter()
    try:
        with closing(open_source(args.source, **options)) as source:  # anew, so that nothing is reported twice
            chosen = itertools.islice(every_nth(source, args.stride), args.max_frames)
            with progress_bar(chosen, total=progress.frames, desc="looking again", unit="frame", disable=args.quiet) as bar:
                progress.found_later = pipeline.look_again(f for f in bar if f.stamp_ns not in progress.failed_ns)
    except (OSError, ValueError) as error:
        progress.failures.once("frames without a pose were not looked for in the finished map", " ".join(str(error).split()))
    progress.wall_s += time.perf_counter() - start


def note(progress: Progress, source: Source, frame_set: FrameSet) -> None:
    """Keeps count of one frame set."""
    if progress.frames == 0:
        progress.first_ns = frame_set.stamp_ns
    if progress.T_rig_camera is None:
        camera = source.cameras[0]
        if frame_set.T_rig_cam:
            progress.T_rig_camera = frame_set.T_rig_cam.get(camera, np.eye(4))
        else:  # the rig of a single camera is its body frame
            progress.T_rig_camera = T_BODY_OPTICAL if len(frame_set.frames) == 1 else np.eye(4)
    progress.last_ns = frame_set.stamp_ns
    progress.frames += 1
    progress.samples.add(frame_set)


def check_result(pipeline: MappingPipeline, source: Source, progress: Progress) -> None:
    """ValueError if there is nothing to write."""
    if progress.frames == 0:
        raise ValueError("; ".join([f"source {source.name} gave no frames", *source.warnings]))
    if not pipeline.trajectory():
        status = pipeline.status()
        found = [status.state_reason, *progress.failures.lines(), *status.warnings, *source.warnings]
        reasons = [r for r in dict.fromkeys(found) if r]
        raise ValueError(f"none of {progress.frames} frames of {source.name} got a pose: "
                         f"{'; '.join(reasons) or 'tracking did not start'}")


def find_truth(given: list[TrajectoryPose] | None, args: argparse.Namespace, source: Source,
               progress: Progress) -> Truth | None:
    """The ground truth as poses of the first camera: the file that was given, else the source's own, else None."""
    T_rig_camera = progress.T_rig_camera
    assert T_rig_camera is not None  # there was a frame
    if given is not None:
        is_rig, poses, name = args.gt_frame == "rig", given, args.gt.name
    elif source.ground_truth:
        is_rig, poses, name = source.ground_truth_frame == "rig", source.ground_truth, "ground truth of the source"
    else:
        return None
    return Truth(camera_poses(poses, T_rig_camera) if is_rig else list(poses), name)


def collect(pipeline: MappingPipeline, source: Source, progress: Progress, truth: Truth | None, config: Config,
            args: argparse.Namespace) -> RunRecord:
    """Metrics, map and trajectories of a run that has ended."""
    poses = camera_poses(pipeline.trajectory(), progress.T_rig_camera)
    status, snapshot = pipeline.status(), pipeline.snapshot()
    stamp_offset_ns = int(getattr(source, "stamp_offset_ns", 0))
    notes = [*source.warnings, *progress.failures.lines(), *status.warnings, *about_sessions(progress, len(poses), args.map)]
    errors = None
    if truth is not None:
        try:
            offset_ns = trajectory.choose_time_offset(poses, truth.poses, stamp_offset_ns, _CLOSE_NS)
            errors = trajectory.evaluate(poses, truth.poses, max_dt_ns=_CLOSE_NS, time_offset_ns=offset_ns)
        except ValueError as error:  # the map is worth keeping also when it cannot be evaluated
            notes.append(f"no trajectory errors: {error}")
    about = {"path": str(args.source), "name": source.name, "kind": type(source).__name__,
             "cameras": list(source.cameras), "duration_s": (progress.last_ns - progress.first_ns) * 1e-9,
             "taken": list(getattr(source, "taken", ())),
             "left_out": [*getattr(source, "left_out", ()), *progress.failures.counts()],
             "first_stamp_ns": progress.first_ns, "stamp_offset_ns": stamp_offset_ns}
    found = metrics.build(about, config, snapshot, status, progress.stages, T_rig_camera=progress.T_rig_camera,
                          trajectory_frame=args.frame, frames=progress.frames,
                          frames_expected=progress.expected, frames_with_pose=len(poses), found_later=progress.found_later,
                          loops=progress.loops, wall_s=progress.wall_s, warnings=notes,
                          label_space=pipeline.label_space, errors=errors,
                          truth_name="" if truth is None else truth.name,
                          objects=[o.to_dict() for o in pipeline.objects()])
    aligned = None
    if truth is not None and errors is not None:
        T_map_world = se3_inverse(errors.T_truth_estimate)
        aligned = [TrajectoryPose(p.stamp_ns, T_map_world @ p.T_map_rig)
                   for p in within(truth.poses, progress, errors.time_offset_ns)]
    return RunRecord(metrics.plain(found), snapshot, pipeline.label_space, poses,
                     camera_poses(pipeline.keyframe_trajectory(), progress.T_rig_camera), progress.stages,
                     progress.samples.samples(), aligned, 0 if errors is None else errors.time_offset_ns)


def about_sessions(progress: Progress, posed: int, before: Path | None) -> list[str]:
    """Warnings about maps that could not be joined."""
    if not progress.apart:
        return []
    if before is not None and progress.apart == 1:
        return [f"the map in {before} could not be joined: the frames show no part of it; these results are of them alone"]
    return [f"{progress.apart} other maps, begun when the camera was lost, could not be joined: these results are of the one "
            f"with the most frames ({posed})"]


def within(poses: list[TrajectoryPose], progress: Progress, offset_ns: int) -> list[TrajectoryPose]:
    """The poses from the time that was mapped."""
    first, last = progress.first_ns - offset_ns - _CLOSE_NS, progress.last_ns - offset_ns + _CLOSE_NS
    return [p for p in poses if first <= p.stamp_ns <= last]


def camera_poses(poses: list[TrajectoryPose], T_rig_camera: np.ndarray | None) -> list[TrajectoryPose]:
    """Poses of the rig as poses of the camera's optical frame."""
    return [TrajectoryPose(p.stamp_ns, p.T_map_rig @ T_rig_camera) for p in poses]


def write_files(folder: Path, pipeline: MappingPipeline, record: RunRecord, args: argparse.Namespace) -> None:
    """All files of the result."""
    T_rig_camera = np.array(record.metrics["T_rig_camera"])
    of = "first camera's optical frame" if args.frame == "camera" else "rig"
    for name, poses, what in (("trajectory", pipeline.trajectory(), "final poses of all frames"),
                              ("keyframes", pipeline.keyframe_trajectory(), "final poses of the keyframes"),
                              ("online", pipeline.online_trajectory(), "poses as they were first published")):
        chosen = camera_poses(poses, T_rig_camera) if args.frame == "camera" else poses
        write_tum(folder / f"{name}.tum", chosen, f"{what}: {of} in the map; stamp tx ty tz qx qy qz qw")
    cloud = write_map(folder, pipeline, record.snapshot, args)
    if cloud is not None:
        record = replace(record, novel_views=novel_views(cloud, pipeline, record.keyframes))
    metrics.write(folder / metrics.FILE, record.metrics)
    if not args.no_report:
        write_report(folder / "report.html", record)


def write_map(folder: Path, pipeline: MappingPipeline, snapshot: MapSnapshot, args: argparse.Namespace) -> GaussianCloud | None:
    """The map as cloud, mesh, features, and where they are asked for Gaussians, which are returned; and to be gone on with."""
    write_ply(folder / "map.ply", snapshot)
    write_mesh(folder / "mesh.ply", pipeline.map.mesh())
    if pipeline.map.has_features and pipeline.semantics.language is not None:
        write_features(folder / feature_file.FILE, cloud_of(pipeline.map))
        pipeline.semantics.language.write(folder / LANGUAGE_FILE)
    cloud = write_all_gaussians(folder, pipeline, args.gaussians, args.keyframe_gaussians) if args.gaussians else None
    if not args.no_map:
        pipeline.save(folder / store.SAVED)
    return cloud


def summary(found: dict[str, Any], out: Path) -> str:
    """A few lines for the terminal."""
    lines = [f"warning: {w}" for w in found["warnings"]]
    lost = found["frames_expected"] - found["frames"]
    if lost:
        lines.append(f"warning: {lost} of {found['frames_expected']} frames of the source could not be handed on")
    later = f", {found['found_later']} found in the finished map" if found["found_later"] else ""
    lines.append(f"{found['frames_with_pose']} of {found['frames_expected']} frames have a pose "
                 f"({100 * found['coverage']:.1f} %{later}), {found['keyframes']} keyframes, {found['map']['voxels']} voxels, "
                 f"{found['frames_per_s']:.1f} frames/s")
    truth = found["ground_truth"]
    if truth:
        ate = ", ".join(f"{name} {s['rmse']:.4f} m" for name, s in truth["ate_m"].items() if name in ("sim3", "se3"))
        lines.append(f"ATE RMSE: {ate}")
    return "\n".join([*lines, str(out) + os.sep])
