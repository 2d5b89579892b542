# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest
import torch

from lsm_ros.config import PairConfig
from lsm_ros.geometry import se3_inverse, so3_log
from lsm_ros.pairs import PairModel, SparsePairModel, make_pair_model, registry
from lsm_ros.pairs.depth import DepthTokens
from lsm_sim.source import RoomSource


@pytest.fixture(scope="module")
def pair():
    """Two frames of the room, four apart, and the true pose of the earlier camera in the later one."""
    source = RoomSource(seed=3, frames=150, odometry=False)
    early, late = source.frame_set(20), source.frame_set(24)
    camera = early.frames[0].camera
    poses = [source.ground_truth[i].T_map_rig @ early.T_rig_cam[camera] for i in (20, 24)]
    return late.frames[0], early.frames[0], se3_inverse(poses[1]) @ poses[0]


@pytest.fixture(scope="module")
def model():
    return make_pair_model(PairConfig())


def test_it_is_what_it_says(model):
    assert isinstance(model, PairModel) and isinstance(model, SparsePairModel)
    assert model.is_metric


def test_unknown_models_are_named():
    class Other:
        model = "psychic"

    with pytest.raises(ValueError, match="'psychic' does not exist; there are: depth"):
        make_pair_model(Other())
    assert "depth" in registry


@pytest.mark.parametrize("with_prior", [True, False])
def test_predicts_metric_geometry_in_camera_a(model, pair, with_prior):
    a, b, T_true = pair
    prediction = model.predict([tuple(model.encode([a, b]))], [T_true] if with_prior else None)[0]
    error = se3_inverse(T_true) @ prediction.T_a_b
    assert np.linalg.norm(error[:3, 3]) < 0.02
    assert np.linalg.norm(so3_log(error[:3, :3])) < 0.01
    assert prediction.points_a.shape == (*a.image.shape[:2], 3) and prediction.points_a.dtype == torch.float32
    assert prediction.is_metric and len(prediction.matches_a) == len(prediction.matches_b) > 30
    # the same surface, seen from both: points of b lie on the surface that a sees
    known = prediction.conf_b > 0
    points = prediction.points_b[known].numpy()
    pixels, ok = a.intrinsics.project(points)
    inside = ok & a.intrinsics.contains(pixels)
    u, v = np.rint(pixels[inside]).astype(int).T
    measured = a.depth[v, u]
    assert np.median(np.abs(points[inside, 2] - measured)[measured > 0]) < 0.03


def test_unknown_depth_is_unknown_geometry(model, pair):
    a, b, _ = pair
    prediction = model.predict([tuple(model.encode([a, b]))])[0]
    assert torch.equal(torch.isnan(prediction.points_a[..., 2]), prediction.conf_a == 0)


def test_images_of_different_places_are_an_error(model, pair):
    a, b, _ = pair
    noise = np.random.default_rng(0).integers(0, 255, a.image.shape, dtype=np.uint8)
    from dataclasses import replace

    with pytest.raises(ValueError, match="share too few points"):
        model.predict([tuple(model.encode([replace(a, image=noise), b]))])
    with pytest.raises(ValueError, match="needs the intrinsics"):
        model.predict([tuple(model.encode([replace(a, intrinsics=None), b]))])


def test_depth_is_sampled_inside_surfaces_only():
    depth = np.full((40, 40), 2000, np.uint16)
    depth[:, 20:] = 4000
    depth[0:5, 0:5] = 0
    tokens = DepthTokens("c", 0, np.zeros((40, 40), np.uint8), depth, None, PairConfig())
    out = tokens.sample_depth(np.array([[10.0, 20.0], [30.0, 20.0], [20.0, 20.0], [2.0, 2.0], [0.0, 0.0], [100.0, 3.0]]))
    assert out[:2] == pytest.approx([2.0, 4.0])
    assert np.isnan(out[2:]).all()


def test_depth_out_of_range_is_unknown(model, pair):
    from dataclasses import replace

    a, _, _ = pair
    far = np.full_like(a.depth, 50.0)
    far[0, 0], far[0, 1] = np.nan, -1.0
    tokens = model.encode([replace(a, depth=far)])[0]
    assert not tokens.depth_mm.any() and len(tokens.corners) == 0


def test_tokens_without_depth_come_back_from_a_file(model, pair, tmp_path):
    frame = replace(pair[0], depth=None)
    tokens, = model.encode([frame])
    np.savez(tmp_path / "tokens.npz", corners=tokens.corners, **model.pack(tokens))
    with np.load(tmp_path / "tokens.npz", allow_pickle=False) as parts:
        again = model.unpack(frame.camera, frame.stamp_ns, frame.intrinsics, parts)
    assert again.depth_mm is None and np.array_equal(again.gray, tokens.gray) and again.corners.shape == (0, 2)
