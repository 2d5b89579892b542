# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Run of `lsm map --poses`: images at cameras that `lsm sfm` found, through dense depth into the voxel map."""
from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lsm_ros.commands.choosing import AUTO
from lsm_ros.commands.mapping_run import check_out, write_map
from lsm_ros.commands.mapping_run import own_files as map_files
from lsm_ros.commands.options import assignments, make_config
from lsm_ros.commands.progress import progress_bar
from lsm_ros.commands.sfm_output import DENSE
from lsm_ros.commands.sfm_output import RESULT as SFM_RESULT
from lsm_ros.config import from_dict
from lsm_ros.datasets.base import read_color
from lsm_ros.datasets.photographs import SECOND_NS
from lsm_ros.datasets.tum import write_tum
from lsm_ros.files import replacing_folder, write_text
from lsm_ros.fusion.files.ply import read_ply
from lsm_ros.geometry import CameraIntrinsics, Rectifier, se3_inverse, transform_points
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.pairs.dense import dense_inverse_depth
from lsm_ros.reading import reading
from lsm_ros.sfm.colmap_files import PosedImage, read_cameras
from lsm_ros.sfm.views import LEAST_CONFIDENCE, DenseStore
from lsm_ros.slam.trackers import FrameDepth
from lsm_ros.types import Frame, TrajectoryPose

RESULT = "posed.json"
METRIC_STD = 0.1  # of the metres of a network
WIDTH = 640  # pixels at which images are fused
PARTNERS = 4  # images from which the depth of one comes
KEPT = 16  # images in memory: those nearby are partners of each other
LEAST_SHARED = 15  # points that two images show
BASELINES = (0.02, 0.5)  # of partners, relative to the depth of what both show


@dataclass(frozen=True)
class PosedView:
    """An image at a pinhole camera and a pose T_world_cam (4, 4), rgb (H, W, 3) uint8."""

    name: str
    rgb: np.ndarray
    camera: CameraIntrinsics
    pose: np.ndarray


def own_files(out: Path) -> list[str]:
    """Names of the files below `out` that results may have; others there are not replaced."""
    return [RESULT, *map_files(out)]


def map_posed(args: argparse.Namespace) -> str:
    """Fuses the images of args.source at the cameras in args.poses and returns a summary. ValueError, FileNotFoundError and
    OSError for bad input."""
    if args.map is not None:
        raise ValueError(f"--map {args.map}: --poses makes a map of its own; then go on in it with `lsm map SOURCE --map "
                         f"{args.out}`")
    options = check_options(args)
    config = make_config(args.config, args.set, None if args.pairs == AUTO else args.pairs, args.seed, args.weights,
                         from_dict({"pairs.model": "two_view"}))
    if config.camera_masks:
        raise ValueError(f"camera_masks {config.camera_masks!r} has no effect with --poses")
    out = check_out(args.out, args.source, args.overwrite, RESULT, "lsm map --poses")
    images = read_cameras(args.poses if (args.poses / "cameras.bin").is_file() else args.poses / "sparse" / "0")
    images = images[::args.stride][:args.max_frames]
    cloud = args.poses / "map.ply"
    points = read_ply(cloud).points.astype(np.float64) if cloud.is_file() else np.zeros((0, 3))
    metric_std = metric_std_of(args.poses)
    with replacing_folder(out, own_files(out)) as fresh:
        pipeline = MappingPipeline(config)
        try:
            check_unit(pipeline, metric_std)
            source = PosedSource(args.source, DenseStore(args.poses / DENSE), points, options.get("camera", "camera"))
            without = fuse(pipeline, images, source, args.quiet)
            if not pipeline.map.observations:
                raise ValueError(f"none of {len(images)} images of {args.poses} gave depth: "
                                 f"{without[0] if without else 'there is none'}")
            if metric_std is not None:
                pipeline.take_for_metres("model", metric_std)
            snapshot = pipeline.snapshot()
            poses = [TrajectoryPose(n * SECOND_NS, image.pose) for n, image in enumerate(images)]
            write_tum(fresh / "trajectory.tum", poses, "given cameras: optical frame in the map; images: "
                      + " ".join(i.name for i in images))
            write_map(fresh, pipeline, snapshot, args)
            about = {"images": len(images), "fused": len(pipeline.map.observations), "without_depth": without,
                     "pair_model": pipeline.model.identity, "is_metric": metric_std is not None,
                     "config_hash": config.digest(), "voxels": len(snapshot.points_map), "voxel_size": snapshot.voxel_size}
            write_text(fresh / RESULT, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
            said = pipeline.warnings.get("settings")
        finally:
            pipeline.close()
    lines = [f"warning: {said}"] if said else []
    lines += [f"without depth: {line}" for line in without[:20]]
    return "\n".join([*lines, f"{about['fused']} of {about['images']} images fused, {about['voxels']} voxels of "
                      f"{about['voxel_size']:g}", str(args.out) + os.sep])


def check_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options of the source. ValueError for those of `lsm map` that have no effect where nothing is tracked."""
    for name, default in (("gt", None), ("gt_frame", "camera"), ("frame", "camera"), ("no_report", False)):
        if getattr(args, name) != default:
            raise ValueError(f"--{name.replace('_', '-')} has no effect with --poses, which neither tracks nor reports")
    options = assignments(args.source_option, "--source-option")
    for name in options.keys() - {"camera"}:
        raise ValueError(f"--source-option {name} has no effect with --poses; there is: camera")
    return options


def metric_std_of(folder: Path) -> float | None:
    """Relative standard deviation of the metres of a result of `lsm sfm`; None where its lengths are no metres."""
    path = folder / SFM_RESULT
    if not path.is_file():
        return None
    with reading(path):
        models = json.loads(path.read_text())["models"]
        return METRIC_STD if models[0]["is_metric"] else None


def check_unit(pipeline: MappingPipeline, metric_std: float | None) -> None:
    """ValueError for a pair model in metres with poses that have another unit."""
    if pipeline.model.is_metric and metric_std is None:
        raise ValueError(f"pair model {pipeline.model.name!r} takes lengths for metres, which those of these poses are not: "
                         "give --pairs two_view, dust3r or lsm, or poses from a metric network")


@dataclass(frozen=True)
class PosedSource:
    """Images in a folder; their dense views, where there are some; points (P, 3) of the model, for depth by flow where there
    are none. camera: name that the images have in the map."""

    folder: Path
    store: DenseStore
    points: np.ndarray
    camera: str


def fuse(pipeline: MappingPipeline, images: list[PosedImage], source: PosedSource, quiet: bool) -> list[str]:
    """Gives the images to a map; returns which of them gave nothing and why."""
    without, points, config = [], source.points, pipeline.config
    loaded = lru_cache(KEPT)(lambda k: load_view(images[k], source.folder))
    seen = [visible(i, points) for i in images]
    for n, image in enumerate(progress_bar(images, desc="fusing", unit="image", disable=quiet)):
        dense = source.store.read(image.name)
        if dense is not None:
            view = PosedView(image.name, dense.rgb, dense.camera, image.pose)
            depth, confidence = dense.depth, np.where(dense.confidence > LEAST_CONFIDENCE, 1 - 1 / dense.confidence.clip(1), 0)
        else:
            partners = choose_partners(n, images, seen, points)
            if not partners:
                without.append(f"{image.name}: no other image shows enough of the same from beside it")
                continue
            view = loaded(n)
            depth, confidence = depth_by_flow(view, [loaded(k) for k in partners], points[seen[n]])
            confidence = np.where(confidence >= config.two_view.min_confidence, confidence, 0)
        depth = np.where(confidence > 0, depth, 0).astype(np.float32)
        if not depth.any():
            without.append(f"{image.name}: no pixel has a depth that is sure enough")
            continue
        frame = Frame(n * SECOND_NS, source.camera, view.rgb, view.camera)
        pipeline.place(FrameDepth(frame, view.camera, depth, confidence.astype(np.float32), False), image.pose)
    return without


def visible(image: PosedImage, points: np.ndarray) -> np.ndarray:
    """(V,) rows of the points (P, 3) that lie in an image's view."""
    if not len(points):
        return np.zeros(0, np.int64)
    pixels, front = image.camera.project(transform_points(se3_inverse(image.pose), points))
    size = (image.camera.width - 1, image.camera.height - 1)
    return np.flatnonzero(front & (pixels >= 0).all(1) & (pixels <= size).all(1))


def choose_partners(n: int, images: list[PosedImage], seen: list[np.ndarray], points: np.ndarray) -> list[int]:
    """Images that show the same as image n from a little beside it, the best first."""
    scored = []
    place = images[n].pose[:3, 3]
    for k, other in enumerate(images):
        both = np.intersect1d(seen[n], seen[k], assume_unique=True)
        if k == n or len(both) < LEAST_SHARED:
            continue
        depth = float(np.median((points[both] - place) @ images[n].pose[:3, 2]))
        baseline = float(np.linalg.norm(other.pose[:3, 3] - place)) / depth
        if BASELINES[0] < baseline < BASELINES[1]:
            turn = images[n].pose[:3, 2] @ other.pose[:3, 2]
            scored.append((len(both) * turn * min(baseline / 0.1, 1.0), k))
    return [k for _, k in sorted(scored, reverse=True)[:PARTNERS]]


def load_view(image: PosedImage, folder: Path) -> PosedView:
    """The image, without its lens's distortion, at most WIDTH wide. FileNotFoundError and ValueError name a file that is
    missing, or of another size than its camera."""
    rgb = read_color(folder / image.name)
    if rgb.shape[:2] != image.camera.shape:
        raise ValueError(f"{folder / image.name} is {rgb.shape[1]}x{rgb.shape[0]}, its camera {image.camera.width}x"
                         f"{image.camera.height}; give the folder that the poses were made of")
    camera = image.camera
    if camera.has_distortion:
        rectifier = Rectifier(camera)
        rgb, camera = rectifier.image(rgb), rectifier.target
    if camera.width > WIDTH:
        camera = camera.resize(WIDTH, round(camera.height * WIDTH / camera.width))
        rgb = cv2.resize(rgb, camera.shape[::-1], interpolation=cv2.INTER_AREA)
    return PosedView(image.name, rgb, camera, image.pose)


def depth_by_flow(view: PosedView, partners: list[PosedView], points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth and confidence (H, W) of a view from partners; points (V, 3): that it shows, for where the search begins."""
    z = transform_points(se3_inverse(view.pose), points)[:, 2]
    others = [(cv2.cvtColor(p.rgb, cv2.COLOR_RGB2GRAY), p.camera, se3_inverse(p.pose) @ view.pose) for p in partners]
    found = dense_inverse_depth(cv2.cvtColor(view.rgb, cv2.COLOR_RGB2GRAY), view.camera, others, 1 / float(np.median(z)))
    w = found.inverse_depth
    return np.where(w > 0, 1 / np.where(w > 0, w, 1), 0), found.confidence
