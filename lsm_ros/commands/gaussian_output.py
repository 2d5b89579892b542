# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Gaussians of a map that `lsm map` has made: their files, and pictures of them for the report."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lsm_ros.commands.rendering import draw
from lsm_ros.fusion.files import gaussian_ply
from lsm_ros.fusion.files.gaussian_ply import write_gaussian_features, write_gaussians
from lsm_ros.fusion.read.gaussians import GaussianCloud, together
from lsm_ros.geometry.lie import interpolate_se3
from lsm_ros.mapping.gaussians import gaussians_of_keyframes
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.types import TrajectoryPose

EACH = "gaussians"
PLACES = (0.25, 0.5, 0.75)  # of the way along the keyframes
WIDEST = 480  # pixels of a picture


def write_all_gaussians(folder: Path, pipeline: MappingPipeline, stride: int, each: bool) -> GaussianCloud:
    """Writes the map's Gaussians with their features, and with `each` those of every keyframe; returns all. ValueError if there
    are none."""
    clouds = []
    for observation, cloud in gaussians_of_keyframes(pipeline.map, pipeline.tracker.graph, pipeline.model, stride):
        clouds.append(cloud)
        if each:
            (folder / EACH).mkdir(exist_ok=True)
            write_gaussians(folder / EACH / f"{observation.stamp_ns}_{observation.camera}.ply", cloud)
    whole = together(clouds)
    write_gaussians(folder / gaussian_ply.FILE, whole)
    if len(whole.features):
        write_gaussian_features(folder / gaussian_ply.FEATURES_FILE, whole, pipeline.map.layout.voxel_size)
    return whole


def novel_views(cloud: GaussianCloud, pipeline: MappingPipeline, keyframes: Sequence[TrajectoryPose]
                ) -> list[tuple[str, np.ndarray]]:
    """Captions and pictures (h, w, 3) uint8 from where no keyframe was: half way between two. keyframes: poses of the
    camera."""
    camera = next(iter(pipeline.map.observations.values())).intrinsics
    if camera.width > WIDEST:
        camera = camera.resize(WIDEST, round(camera.height * WIDEST / camera.width))
    pairs = sorted({int(p * (len(keyframes) - 1)) for p in PLACES}) if len(keyframes) > 1 else []
    return [(f"between keyframes {n} and {n + 1}",
             draw(cloud, interpolate_se3(keyframes[n].T_map_rig, keyframes[n + 1].T_map_rig, 0.5), camera)) for n in pairs]
