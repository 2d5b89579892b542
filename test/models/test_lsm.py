# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The Large Spatial Model, with small random weights."""
import pytest
import torch
from helpers.golden_cases import TINY_LSM, relative_error

from lsm_ros import models

GAUSSIANS = {"means": (3,), "scales": (3,), "rotations": (4,), "opacities": (1,), "sh_coeffs": (16, 3), "gs_feats": (8,)}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return models.build("lsm", **TINY_LSM)


def picture(seed, height=48, width=64, batch=1):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@torch.no_grad()
def test_every_pixel_has_a_point_and_a_gaussian(network):
    first, second = network(picture(1), picture(2, 32, 64))
    for view, name, size in ((first, "pts3d", (48, 64)), (second, "pts3d_in_other_view", (32, 64))):
        assert view[name].shape == (1, *size, 3) and view["conf"].shape == (1, *size)
        assert view["features"].shape == (1, size[0] // 8, size[1] // 8, network.feature_channels)
        for key, shape in GAUSSIANS.items():
            assert view[key].shape == (1, *size, *shape) and torch.isfinite(view[key]).all(), key
        assert torch.equal(view["means"], view[name])
        for unit in (view["rotations"], view["features"]):
            assert torch.allclose(unit.norm(dim=-1), torch.ones(()), atol=1e-5)
        assert view["opacities"].min() > 0 and view["opacities"].max() < 1 and view["scales"].min() > 0


@torch.no_grad()
def test_a_pair_does_not_depend_on_the_others_of_its_batch(network):
    a, b = picture(1, batch=2), picture(2, batch=2)
    both = network(a, b)
    for n in range(2):
        for got, alone in zip(both, network(a[n:n + 1], b[n:n + 1]), strict=True):
            assert all(relative_error(got[k][n:n + 1], v) < 1e-4 for k, v in alone.items())


@torch.no_grad()
def test_tokens_hold_what_a_pair_needs(network):
    a, b = picture(1), picture(2, 64, 32)
    (t1, p1), (t2, p2) = network.encode(a), network.encode(b)
    assert t1.shape == (1, 12, network.enc_dim)
    for got, expected in zip(network.predict(t1, p1, (48, 64), t2, p2, (64, 32)), network(a, b), strict=True):
        for key in expected:
            if key != "gs_feats":  # of which tokens have the residual part at stride 8
                assert relative_error(got[key], expected[key]) < 1e-4, key
        assert relative_error(got["gs_feats"], expected["gs_feats"]) > 1e-3
    geometry = network.predict_geometry(t1, p1, (48, 64), t2, p2, (64, 32))
    assert set(geometry[0]) == {"pts3d", "conf"} and torch.equal(geometry[0]["pts3d"], network(a, b)[0]["pts3d"])


@torch.no_grad()
def test_cosines_of_map_features_are_those_of_expanded_vectors(network):
    torch.nn.init.normal_(network.feature_expansion[1].bias)
    semantic = torch.randn(1, 2, 3, 8).repeat_interleave(8, 1).repeat_interleave(8, 2)
    text = torch.nn.functional.normalize(torch.randn(24), dim=0)
    expanded = network.expanded(semantic.permute(0, 3, 1, 2))[0, :, ::4, ::4]
    expected = torch.einsum("chw,c->hw", expanded, text) / expanded.norm(dim=0)
    basis = torch.from_numpy(network.language_basis())
    assert torch.allclose(basis @ basis.T, torch.eye(9), atol=1e-5) and not network.map_features(semantic)[..., 9:].any()
    assert torch.allclose(network.map_features(semantic)[0, ..., :9] @ (basis @ text), expected, atol=1e-5)


@torch.no_grad()
def test_features_follow_the_weights(network):
    semantic = torch.randn(1, 8, 8, 8)
    before = network.map_features(semantic)
    state = {k: v + 1 if k == "feature_expansion.1.bias" else v for k, v in network.state_dict().items()}
    network.load_state_dict(state)
    assert not torch.allclose(network.map_features(semantic), before, atol=1e-3)


@torch.no_grad()
def test_images_without_content(network):
    for image in (torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 64), -torch.ones(1, 3, 48, 16)):
        for view in network(image, image):
            assert all(torch.isfinite(v).all() for v in view.values())


def test_gaussians_do_not_move_the_points(network):
    first, _ = network(picture(1, 32, 32), picture(2, 32, 32))
    (first["gs_feats"].sum() + first["scales"].sum() + first["means"].sum()).backward()
    heads = [p.grad for n, p in network.named_parameters() if "downstream_head" in n]
    assert all(g is None or not g.any() for g in heads)
    assert network.point_transformer.enc["enc2"].block0.attn.qkv.weight.grad.any()


def test_stochastic_depth_is_for_training_only(network):
    images = picture(1), picture(2)
    with torch.no_grad():
        assert torch.equal(network(*images)[0]["gs_feats"], network(*images)[0]["gs_feats"])
        network.train()
        assert not torch.allclose(network(*images)[0]["gs_feats"], network(*images)[0]["gs_feats"])


@pytest.mark.parametrize("change, message", [
    ({"lseg": {"hooks": (0, 1)}}, "four increasing blocks"), ({"lseg": {"num_heads": 5}}, "does not split"),
    ({"lseg": {"layer_dims": (8, 8)}}, "four widths"), ({"point_transformer": {"enc_depths": (1, 1)}}, "enc_depths"),
    ({"point_transformer": {"dec_num_head": (5, 1)}}, "do not split"), ({"point_transformer": {"odd": 1}}, "odd"),
    ({"point_transformer": {"cross_heads": 7}}, "do not split"), ({"dust3r": {"head_type": "odd"}}, "odd")])
def test_bad_keywords(change, message):
    config = {k: {**v, **change.get(k, {})} if isinstance(v, dict) else v for k, v in TINY_LSM.items()}
    with pytest.raises(ValueError, match=message):
        models.build("lsm", **config)


def test_bad_images(network):
    good = torch.zeros(1, 3, 32, 48)
    with pytest.raises(ValueError, match="img2.*height 40"):
        network(good, torch.zeros(1, 3, 40, 48))
    with pytest.raises(ValueError, match="img1 holds 2 images, img2 1"):
        network(good.repeat(2, 1, 1, 1), good)
