# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""3D Gaussians of a map: those that the pair model predicts for its keyframes, if it does, else those of their depth."""
from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from lsm_ros.fusion.read.gaussians import GaussianCloud, gaussians_of
from lsm_ros.fusion.voxel_map import VoxelMap
from lsm_ros.geometry.lie import split_sim3, transform_points
from lsm_ros.geometry.rotation import matrix_to_quat, quat_to_matrix
from lsm_ros.models.preprocess import Crop
from lsm_ros.pairs.base import GaussianPairModel, PairModel, predicts_gaussians
from lsm_ros.slam.graph.keyframes import KeyframeGraph
from lsm_ros.types import Observation

FEWEST = 50  # pixels whose depth is known twice, to bring a prediction to the unit of the map


def gaussians_of_keyframes(voxels: VoxelMap, graph: KeyframeGraph, model: PairModel, stride: int
                           ) -> Iterator[tuple[Observation, GaussianCloud]]:
    """Gaussians of each fused observation at its pose, without those where voxels are free.

    A keyframe is predicted together with the one before, the first with the one after. stride: one Gaussian for each stride x
    stride pixels where they are made of depth.
    """
    for number, T_map_rig in sorted(voxels.fused_poses().items()):
        observation = voxels.observations[number]
        cloud = _predicted(observation, T_map_rig, graph, model) if predicts_gaussians(model) else None
        if cloud is None:
            cloud = gaussians_of(observation, T_map_rig, stride)
        yield observation, cloud.take(~voxels.is_free(cloud.means))


def _predicted(observation: Observation, T_map_rig: np.ndarray, graph: KeyframeGraph, model: GaussianPairModel
               ) -> GaussianCloud | None:
    """None for a keyframe that has left the graph or is alone in it, or whose prediction shares no depth with the map."""
    camera = observation.camera
    known = [i for i in sorted(graph.keyframes) if camera in graph.keyframes[i].views]
    if observation.keyframe not in known or len(known) < 2:
        return None
    place = known.index(observation.keyframe)
    own, other = (graph.keyframes[known[n]].views[camera].tokens for n in (place, place - 1 if place else 1))
    found = model.gaussians([(own, other)])[0]
    return placed(found, observation, T_map_rig, own.crop)


def placed(found: Mapping[str, np.ndarray], observation: Observation, T_map_rig: np.ndarray, crop: Crop
           ) -> GaussianCloud | None:
    """Predicted Gaussians of an image (`GaussianPairModel`) at the depth and pose that the map has for it, where it has some.

    crop: of the image that the network saw. Their unit follows from the median ratio of both depths; None for too few.
    """
    height, width = found["opacities"].shape
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2)
    x, y = (np.clip(np.rint(v), 0, n - 1).astype(np.int64)
            for v, n in zip(crop.to_image(pixels).T, observation.z.shape[::-1], strict=True))
    depth = observation.depth[y, x]
    means = found["means"].reshape(-1, 3).astype(np.float64)
    known = (depth > 0) & (observation.confidence[y, x] > 0) & (means[:, 2] > 0)
    if np.count_nonzero(known) < FEWEST:
        return None
    unit = float(np.median(depth[known] / means[known, 2]))
    T_map_cam = T_map_rig @ observation.T_rig_cam
    factor, R, _ = split_sim3(T_map_cam)
    axes = quat_to_matrix(found["rotations"].reshape(-1, 4)[known][:, [1, 2, 3, 0]])
    cell, features = np.full(int(known.sum()), -1, np.int32), np.zeros((0, 0), np.int8)
    if observation.features is not None:
        rows, columns, dim = observation.features.shape
        row, column = y[known] * rows // observation.z.shape[0], x[known] * columns // observation.z.shape[1]
        cell, features = (row * columns + column).astype(np.int32), observation.features.reshape(-1, dim)
    return GaussianCloud(
        transform_points(T_map_cam, unit * means[known]).astype(np.float32),
        (float(factor) * unit * found["scales"].reshape(-1, 3)[known]).astype(np.float32),
        matrix_to_quat(R @ axes)[:, [3, 0, 1, 2]].astype(np.float32), found["opacities"].reshape(-1)[known].astype(np.float32),
        found["colours"].reshape(-1, 1, 3)[known].astype(np.float32), cell, features)
