# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Labels by the package's own weights of a room that they were never trained on, in single frames and in the map."""
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from lsm_ros.config import PairConfig, from_dict
from lsm_ros.fusion.voxel_map import VoxelMap
from lsm_ros.geometry import transform_points
from lsm_ros.mapping.frames import reliable_depth
from lsm_ros.mapping.observations import observation_of
from lsm_ros.models.known import OWN, OWN_WEIGHTS
from lsm_ros.pairs.network import NetworkPairModel
from lsm_ros.semantics.describing import Describer
from lsm_ros.semantics.language import language_of
from lsm_ros.slam.trackers import FrameDepth, KeyframeDepth
from lsm_ros.slam.trackers.depth import measured_confidence
from lsm_sim.source import RoomSource

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (OWN_WEIGHTS / "config.json").is_file(),
                                                   reason="the package has no weights of its own yet")]
CONFIG = from_dict({"fusion.voxel_size": 0.05})
STEP, FRAMES = 6, 40


def single_frame(model, names, frame, pixels):
    """Labels (N,) of pixels (N, 2), from the network's own features of one frame."""
    tokens = model.encode([frame])[0]
    features = model.predict([(tokens, tokens)])[0].features_a.cpu().numpy()
    rows, columns = features.shape[:2]
    x, y = ((tokens.crop.to_input(pixels) + 0.5) * (columns, rows) / (tokens.crop.width, tokens.crop.height)).T
    x, y = np.clip(x.astype(int), 0, columns - 1), np.clip(y.astype(int), 0, rows - 1)
    labels = names.nearest(features.reshape(-1, features.shape[-1]))[0].reshape(rows, columns)
    return labels[y, x]


@pytest.mark.parametrize("seed", [10001, 10007])
def test_labels_of_the_map_are_better_than_those_of_single_frames(seed):
    source = RoomSource(seed=seed, frames=STEP * FRAMES)
    model = NetworkPairModel(PairConfig(model=OWN, precision="float32"))
    language, describer = language_of(model), Describer(model)
    names = language.names(language.trained_space, -1.0)
    truth = {p.stamp_ns: p.T_map_rig for p in source.ground_truth}
    voxels = VoxelMap(CONFIG.fusion)
    voxels.set_names(names)
    rows = []
    for n in range(FRAMES):
        frame_set = source.frame_set(n * STEP)
        frame = frame_set.frames[0]
        T_rig_cam, T_world_rig = frame_set.T_rig_cam[frame.camera], truth[frame_set.stamp_ns]
        depth = reliable_depth(frame.depth, CONFIG)
        view = FrameDepth(replace(frame, labels=None), frame.intrinsics, depth, measured_confidence(depth), measured=True)
        seen = observation_of(KeyframeDepth(n, T_rig_cam, view), n, CONFIG, describer.describe(frame))
        voxels.add(seen, T_world_rig)
        y, x = (a.ravel()[::7] for a in np.mgrid[2:frame.image.shape[0]:4, 2:frame.image.shape[1]:4])
        known = (depth[y, x] > 0) & np.isin(frame.labels[y, x], names.ids)
        pixels = np.stack([x, y], 1)[known].astype(np.float64)
        points = frame.intrinsics.unproject(pixels) * depth[y, x][known].astype(np.float64)[:, None]
        rows.append((transform_points(T_world_rig @ T_rig_cam, points), frame.labels[y, x][known],
                     single_frame(model, names, frame, pixels)))
    points, labels, single = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    surface = voxels.surface()
    distance, index = cKDTree(surface.points_map).query(points)
    near = distance < 2 * CONFIG.fusion.voxel_size
    assert near.mean() > 0.9
    of_map, of_frames = np.mean(surface.labels[index[near]] == labels[near]), np.mean(single[near] == labels[near])
    print(f"seed {seed}: classes right in single frames {of_frames:.3f}, in the map {of_map:.3f}, of {near.sum()} pixels")
    assert of_map > of_frames
