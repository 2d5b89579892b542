# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Run of `lsm sfm`: photographs through one of the roads to models, then the files of the result."""
from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

from lsm_ros.commands.mapping_run import check_out
from lsm_ros.commands.progress import progress_bar
from lsm_ros.commands.sfm_output import DENSE, RESULT, own_files, write_result
from lsm_ros.config import Config, from_dict
from lsm_ros.datasets.base import read_camera_file
from lsm_ros.datasets.photographs import Photograph, read_photographs
from lsm_ros.files import replacing_folder
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.pairs import make_pair_model
from lsm_ros.pairs.network import NetworkPairModel
from lsm_ros.sfm.features_road import reconstruct_from_features
from lsm_ros.sfm.focal_guess import USUAL
from lsm_ros.sfm.global_road import reconstruct_globally
from lsm_ros.sfm.model import SetImage, SfmResult
from lsm_ros.sfm.network_road import NetworkOptions, reconstruct_from_pairs
from lsm_ros.sfm.pair_graph import PairChoice
from lsm_ros.sfm.predictor import NetworkPredictor
from lsm_ros.sfm.views import DenseStore
from lsm_ros.threads import use_threads

PROPORTIONS = 0.01  # relative difference up to which an image is a resized one of the calibrated camera


class Bar:
    """A progress bar for each stage of a run, one after the other on the same line."""

    def __init__(self, quiet: bool) -> None:
        self._quiet, self._stage = quiet, ""
        self._bar = progress_bar(disable=True)

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Shows how far a stage is."""
        if self._stage != stage:
            self._stage = stage
            self._bar.close()
            self._bar = progress_bar(desc=stage, total=total, leave=False, disable=self._quiet)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Ends the line."""
        self._bar.close()


def reconstruct(args: argparse.Namespace) -> str:
    """Runs structure from motion with these arguments and returns a summary. The folder args.out is replaced only when
    everything is written. ValueError, FileNotFoundError and OSError for bad input."""
    out = check_out(args.out, args.folder, args.overwrite, RESULT, "lsm sfm")
    use_threads(Config().limits.threads)
    began, bar = time.perf_counter(), Bar(args.quiet)
    try:
        photographs, broken = read_photographs(args.folder, lambda done, total: bar("reading", done, total))
        if len(photographs) < 2:
            named = "; ".join(f"{n} {why}" for n, why in broken.items())
            raise ValueError(f"structure from motion needs at least two images, {args.folder} has {len(photographs)} that can "
                             f"be read{': ' + named if named else ''}")
        images, notes = make_set(photographs, args)
        with replacing_folder(out, own_files(out)) as fresh:
            result = run_road(images, args, fresh / DENSE, bar)
            if not result.models:
                reasons = "; ".join(f"{images[n].name} {why}" for n, why in list(result.left_out.items())[:5])
                raise ValueError(f"no two of {len(images)} images could be connected: {reasons}")
            lines = write_result(fresh, args, photographs, result, broken, notes, time.perf_counter() - began)
    finally:
        bar.close()
    return "\n".join([*lines, str(args.out) + os.sep])


def run_road(images: list[SetImage], args: argparse.Namespace, dense: Path, bar: Bar) -> SfmResult:
    """Models by the road that the pair model asks for; dense views of a network into `dense`. ValueError, too, for an option
    that this road does not use."""
    choice = PairChoice(sequential=args.sequential)
    if args.pairs == "two_view":
        for name in ("weights", "retrieval", "cache"):
            if getattr(args, name) is not None:
                raise ValueError(f"--{name} {getattr(args, name)}: pair model two_view has none; name a network with --pairs")
        if args.method == "global":
            raise ValueError("--method global aligns pointmaps, and pair model two_view has none; name a network with --pairs")
        return reconstruct_from_features(images, choice, bar)
    config = from_dict({"pairs.model": args.pairs, "pairs.weights": args.weights or "",
                        "pairs.retrieval": args.retrieval or ""})
    model = make_pair_model(config.pairs)
    if not isinstance(model, NetworkPairModel):
        raise ValueError(f"--pairs {args.pairs}: it needs the depth of a camera; photographs take two_view or a network")
    predictor = NetworkPredictor(model, images, lambda n: bar("encoding", n, len(images)))
    if args.method == "global":
        for name in ("retrieval", "cache", "sequential", "shared_intrinsics"):
            if getattr(args, name):
                raise ValueError(f"--{name.replace('_', '-')} has no effect with --method global, which compares each image "
                                 "with all others; --method sparse uses it")
        return reconstruct_globally(images, predictor, DenseStore(dense), progress=bar)
    options = NetworkOptions(choice, shared=args.shared_intrinsics)
    return reconstruct_from_pairs(images, predictor, cache_of(args), DenseStore(dense), options, bar)


def make_set(photographs: list[Photograph], args: argparse.Namespace) -> tuple[list[SetImage], list[str]]:
    """The images with their cameras: known from --calibration, else guessed from EXIF, else usual; and notes."""
    given = None if args.calibration is None else read_camera_file(args.calibration).intrinsics
    numbers: dict[object, int] = {}
    images, other, resized = [], 0, 0
    for p in photographs:
        known = given is not None and _is_resized(given, p.size)
        if known:
            resized += p.size != given.shape
            camera = given if p.size == given.shape else given.resize(p.size[1], p.size[0])
        else:
            other += given is not None
            height, width = p.size
            focal = USUAL * max(p.size) if p.focal_px is None else p.focal_px
            camera = CameraIntrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
        key = ("known", p.size) if known else (p.size,) if args.shared_intrinsics else p.camera
        images.append(SetImage(p.path.name, p.load, camera, known, numbers.setdefault(key, len(numbers))))
    notes = []
    if other:
        notes.append(f"{other} of {len(images)} images have other proportions than the camera of {args.calibration.name}; "
                     "their cameras are estimated")
    if resized:
        notes.append(f"{resized} of {len(images)} images have another size than the camera of {args.calibration.name}, and its "
                     "proportions: they were taken for resized ones")
    return images, notes


def _is_resized(camera: CameraIntrinsics, size: tuple[int, int]) -> bool:
    return bool(abs(np.log(camera.width / camera.height / (size[1] / size[0]))) < PROPORTIONS)


def cache_of(args: argparse.Namespace) -> Path:
    """Folder of a network's predictions."""
    return args.cache if args.cache is not None else args.out.resolve().with_name(args.out.resolve().name + ".cache")
