# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Gaussians of a map: from depth, as a pair model predicts them, and not where voxels are free."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.golden_cases import TINY_LSM

from lsm_ros import models
from lsm_ros.config import PairConfig, from_dict
from lsm_ros.fusion.read.gaussians import gaussians_of, together
from lsm_ros.fusion.voxel_map import VoxelMap
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.geometry.lie import make_sim3
from lsm_ros.geometry.rotation import quat_to_matrix, so3_exp
from lsm_ros.mapping.gaussians import gaussians_of_keyframes, placed
from lsm_ros.models.preprocess import plan_crop
from lsm_ros.pairs.base import GAUSSIANS
from lsm_ros.pairs.network import NetworkPairModel
from lsm_ros.types import Frame, Observation

CAMERA = CameraIntrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)
PLAIN = SimpleNamespace(gives=frozenset())


def wall(depth, number, features=None):
    """A camera that looks at a wall at a depth in metres."""
    z = np.full((48, 64), round(depth / 1e-3), np.uint16)
    return Observation(number, number, number, "front", np.eye(4), z, 1e-3, np.full(z.shape, 255, np.uint8),
                       np.full((48, 64, 3), 100, np.uint8), CAMERA, features=features)


def empty_map():
    return VoxelMap(from_dict({"fusion.voxel_size": 0.05, "fusion.backend": "numpy"}).fusion)


def graph_of(*numbers):
    crop = plan_crop(64, 48, 64)
    view = [SimpleNamespace(tokens=SimpleNamespace(number=n, crop=crop)) for n in numbers]
    return SimpleNamespace(keyframes={n: SimpleNamespace(views={"front": v}) for n, v in zip(numbers, view, strict=True)})


def gaussians_of_map(*args):
    return together([cloud for _, cloud in gaussians_of_keyframes(*args)])


class Predicts:
    """Gaussians at a third of the true depth, turned a little, each half a unit wide; says what it was asked for."""

    gives = frozenset({GAUSSIANS})

    def __init__(self, depth):
        self.depth, self.asked = depth, []

    def gaussians(self, pairs):
        self.asked += [(a.number, b.number) for a, b in pairs]
        means = CAMERA.rays(unit=False) * self.depth / 3
        shape = means.shape[:2]
        return [{"means": means.astype(np.float32), "scales": np.full((*shape, 3), 0.5, np.float32),
                 "rotations": np.broadcast_to(np.float32([0.8, 0.6, 0, 0]), (*shape, 4)),
                 "opacities": np.full(shape, 0.25, np.float32), "colours": np.full((*shape, 3), 0.1, np.float32)}
                for _ in pairs]


def test_gaussians_in_free_voxels_are_left_out():
    voxels = empty_map()
    voxels.add(wall(1.0, 0), np.eye(4))
    assert len(gaussians_of_map(voxels, graph_of(), PLAIN, 1)) == 64 * 48
    for n in range(1, 6):  # five others look through it
        voxels.add(wall(2.0, n), np.eye(4))
    cloud = gaussians_of_map(voxels, graph_of(), PLAIN, 2)
    assert len(cloud) == 5 * 32 * 24 and np.allclose(cloud.means[:, 2], 2.0, atol=1e-3)
    assert len(gaussians_of(wall(1.0, 0), np.eye(4), 2)) == 32 * 24
    with pytest.raises(ValueError, match="no Gaussians"):
        gaussians_of_map(empty_map(), graph_of(), PLAIN, 1)


def test_predicted_ones_are_asked_for_with_the_keyframe_before():
    voxels, model = empty_map(), Predicts(2.0)
    for n in (3, 5, 8):
        voxels.add(wall(2.0, n), np.eye(4))
    cloud = gaussians_of_map(voxels, graph_of(3, 5), model, 1)  # the keyframe of the third has left the graph
    assert model.asked == [(3, 5), (5, 3)]
    assert len(cloud) == 3 * 64 * 48 and np.allclose(cloud.means[:, 2], 2.0, atol=1e-3)
    assert np.count_nonzero(np.isclose(cloud.opacities, 0.25)) == 2 * 64 * 48
    assert np.allclose(cloud.scales[:10], 1.5, rtol=1e-3)
    assert len(gaussians_of_map(voxels, graph_of(3), model, 1)) == 3 * 64 * 48 and len(model.asked) == 2


def test_predicted_ones_are_placed_where_the_map_has_depth():
    features = np.arange(6 * 8).reshape(6, 8, 1).astype(np.int8)
    seen = wall(2.0, 0, features)
    seen.z[:24], seen.confidence[:, :32] = 0, 0
    T = make_sim3(2.0, so3_exp([0.0, 0.4, 0.0]), [1.0, 0.0, 0.0])
    found = Predicts(2.0).gaussians([(SimpleNamespace(number=0),) * 2])[0]
    found["means"][40, 50] *= -1  # behind the camera
    cloud = placed(found, seen, T, plan_crop(64, 48, 64))
    pixels = np.argwhere((seen.z > 0) & (seen.confidence > 0) & (found["means"][..., 2] > 0))
    expected = CAMERA.rays(unit=False)[pixels[:, 0], pixels[:, 1]] * 2.0
    assert np.allclose(cloud.means, expected @ T[:3, :3].T + T[:3, 3], atol=1e-4) and np.allclose(cloud.scales, 3.0, rtol=1e-4)
    turned = quat_to_matrix(cloud.rotations[0, [1, 2, 3, 0]])
    assert np.allclose(turned, so3_exp([0.0, 0.4, 0.0]) @ quat_to_matrix([0.6, 0.0, 0.0, 0.8]), atol=1e-5)
    assert np.allclose(cloud.sh, 0.1) and cloud.sh.shape[1:] == (1, 3)
    assert np.array_equal(cloud.features[cloud.cell][:, 0], (pixels[:, 0] // 8 * 8 + pixels[:, 1] // 8).astype(np.int8))
    seen.z[:] = 0
    assert placed(found, seen, T, plan_crop(64, 48, 64)) is None


def test_a_networks_own():
    torch.manual_seed(0)
    model = NetworkPairModel(PairConfig(model="lsm", precision="float32"), models.build("lsm", **TINY_LSM), "cpu")
    assert GAUSSIANS in model.gives
    frames = [Frame(n, "front", np.random.default_rng(n).integers(0, 255, (90, 120, 3), np.uint8)) for n in range(2)]
    a, b = model.encode(frames)
    found, prediction = model.gaussians([(a, b)])[0], model.predict([(a, b)])[0]
    assert np.allclose(found["means"], prediction.points_a.numpy())
    for name, shape in (("scales", (3,)), ("rotations", (4,)), ("opacities", ()), ("colours", (3,))):
        assert found[name].shape == (48, 64, *shape) and found[name].dtype == np.float32
    plain = models.build("dust3r", **TINY_LSM["dust3r"])
    assert GAUSSIANS not in NetworkPairModel(PairConfig(model="dust3r", precision="float32"), plain, "cpu").gives
