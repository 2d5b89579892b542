# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Networks with random weights: shapes, sizes, batches, directions, orientations, bad input."""
import math

import numpy as np
import pytest
import torch
from helpers.golden_cases import TINY, TINY_DPT, TINY_MAST3R, relative_error

from lsm_ros import models
from lsm_ros.models.architecture import alias
from lsm_ros.models.croco import completion_loss, patchify, unpatchify
from lsm_ros.models.positions import cosine_embedding, patch_positions, rope_rotation, rotate
from lsm_ros.models.postprocess import points_of

NETWORKS = {"linear": ("dust3r", TINY), "dpt": ("dust3r", TINY_DPT), "mast3r": ("mast3r", TINY_MAST3R)}


@pytest.fixture(params=list(NETWORKS))
def network(request, device):
    name, config = NETWORKS[request.param]
    return models.build(name, **config).to(device)


def picture(*shape, device="cpu"):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape))).mul(2).sub(1).to(device)


@torch.no_grad()
def test_shapes_and_kinds(network, device):
    view1, view2 = network(picture(2, 3, 32, 48, device=device), picture(2, 3, 48, 64, device=device))
    assert view1["pts3d"].shape == (2, 32, 48, 3) and view2["pts3d_in_other_view"].shape == (2, 48, 64, 3)
    assert "pts3d" not in view2 and view1["conf"].min() >= 1 and view2["conf"].shape == (2, 48, 64)
    if "desc" in view1:
        assert view1["desc"].shape == (2, 32, 48, 6) and view2["desc_conf"].shape == (2, 48, 64)
        assert torch.allclose(view2["desc"].norm(dim=-1), torch.ones(2, 48, 64, device=device), atol=1e-5)
    assert all(v.dtype == torch.float32 and torch.isfinite(v).all() for view in (view1, view2) for v in view.values())


@torch.no_grad()
@pytest.mark.parametrize("size", [(16, 16), (16, 80), (80, 16), (48, 112), (112, 48)])
def test_any_multiple_of_16(network, device, size):
    view1, _ = network(picture(1, 3, *size, device=device), picture(1, 3, 32, 32, device=device))
    assert view1["pts3d"].shape == (1, *size, 3)


@torch.no_grad()
def test_a_batch_is_its_samples(network, device):
    a, b = picture(3, 3, 48, 80, device=device), picture(3, 3, 48, 80, device=device).flip(0)
    whole = network(a, b)
    for n in range(3):
        single = network(a[n:n + 1], b[n:n + 1])
        for got, expected in zip(whole, single, strict=True):
            for key in expected:
                assert relative_error(got[key][n:n + 1], expected[key]) < 1e-4, key


@torch.no_grad()
def test_both_directions_at_once_are_two_pairs(device):
    network = models.build("mast3r", **TINY_MAST3R).to(device)
    for size in ((48, 64), (64, 48)):  # of one size, and of two
        a, b = picture(1, 3, 48, 64, device=device), picture(1, 3, *size, device=device).neg()
        v11, v21, v22, v12 = network.symmetric(a, b)
        forth, back = network(a, b), network(b, a)
        for got, expected in ((v11, forth[0]), (v21, forth[1]), (v22, back[0]), (v12, back[1])):
            for key, value in expected.items():
                assert relative_error(got[key.replace("pts3d_in_other_view", "pts3d")], value) < 1e-4


@torch.no_grad()
def test_symmetrized_batches_are_encoded_once(device):
    network = models.build("dust3r", **TINY).to(device)
    a, b = picture(2, 3, 32, 48, device=device), picture(2, 3, 32, 48, device=device).neg()
    first = {"img": torch.stack([a[0], b[0], a[1], b[1]]), "instance": ["a", "b", "c", "d"]}
    second = {"img": torch.stack([b[0], a[0], b[1], a[1]]), "instance": ["b", "a", "d", "c"]}
    encoded = []
    inner = network.run_encoder
    network.run_encoder = lambda t, p: encoded.append(len(t)) or inner(t, p)
    once = network(first, second)
    every = network(first["img"], second["img"])
    assert encoded == [4, 8]
    for got, expected in zip(once, every, strict=True):
        assert all(relative_error(got[k], expected[k]) < 1e-5 for k in expected)


@torch.no_grad()
def test_mixed_orientations_are_what_each_would_be_alone(device):
    inference = models.build("dust3r", **TINY).to(device)
    training = models.build("dust3r", **TINY, patch_embed_cls="ManyAR_PatchEmbed", landscape_only=True).to(device)
    training.load_state_dict(inference.state_dict())
    land, portrait = picture(1, 3, 32, 48, device=device), picture(1, 3, 48, 32, device=device)
    batch = torch.cat([land, portrait.mT, land])
    shapes = torch.tensor([[32, 48], [48, 32], [32, 48]])
    other = torch.cat([portrait.mT, land, land])
    view1, view2 = training(batch, other, shapes, shapes[[1, 0, 2]])
    for n, (x, y) in enumerate(((land, portrait), (portrait, land), (land, land))):
        first, second = inference(x, y)
        for got, expected, image in ((view1, first, x), (view2, second, y)):
            for key, value in expected.items():
                turned = value.transpose(1, 2) if image is portrait else value
                assert relative_error(got[key][n:n + 1], turned) < 1e-4, (n, key)
    square = picture(1, 3, 32, 32, device=device)
    assert relative_error(training(square, square)[0]["pts3d"], inference(square, square)[0]["pts3d"]) < 1e-5


@torch.no_grad()
def test_identical_images(network, device):
    image = picture(1, 3, 32, 48, device=device)
    assert all(torch.isfinite(v).all() for view in network(image, image) for v in view.values())


BAD = {
    "no multiple": (lambda: torch.zeros(1, 3, 40, 48), "height 40 and width 48 must be multiples of 16"),
    "too small": (lambda: torch.zeros(1, 3, 0, 16), "multiples of 16"),
    "bytes": (lambda: torch.zeros(1, 3, 32, 48, dtype=torch.uint8), "torch.uint8"),
    "channels last": (lambda: torch.zeros(1, 32, 48, 3), r"\(B, 3, H, W\), got \(1, 32, 48, 3\)"),
    "no batch": (lambda: torch.zeros(3, 32, 48), r"\(B, 3, H, W\)"),
    "empty": (lambda: torch.zeros(0, 3, 32, 48), r"\(B, 3, H, W\)"),
    "array": (lambda: torch.zeros(1, 3, 32, 48).numpy(), r"\(B, 3, H, W\)"),
    "nan": (lambda: torch.full((1, 3, 32, 48), math.nan), "4608 values are NaN"),
    "infinite": (lambda: torch.full((1, 3, 32, 48), math.inf), "NaN or infinite"),
}


@pytest.mark.parametrize("kind", list(BAD))
def test_bad_images(kind):
    make, message = BAD[kind]
    good = torch.zeros(1, 3, 32, 48)
    for name, config in NETWORKS.values():
        model = models.build(name, **config)
        with pytest.raises(ValueError, match=f"img1.*{message}"):
            model(make(), good)
        with pytest.raises(ValueError, match=f"img2.*{message}"):
            model(good, make())


def test_bad_batches():
    model, image = models.build("dust3r", **TINY), torch.zeros(2, 3, 32, 48)
    with pytest.raises(ValueError, match="img1 holds 2 images, img2 1"):
        model(image, image[:1])
    with pytest.raises(ValueError, match="does not fit"):
        model(image, image, torch.tensor([[48, 32], [32, 48]]))
    with pytest.raises(ValueError, match="key 'img'"):
        model({"image": image}, image)


@torch.no_grad()
def test_other_float_kinds_are_converted():
    model, image = models.build("dust3r", **TINY), picture(1, 3, 32, 48)
    assert relative_error(model(image.double(), image.double())[0]["pts3d"], model(image, image)[0]["pts3d"]) < 1e-6


@pytest.mark.parametrize("name, config, message", [
    ("vggt", {}, "does not exist; there are: croco"), ("dust3r", {"enc_detph": 1}, "did you mean 'enc_depth'"),
    ("dust3r", {**TINY, "pos_embed": "cosine"}, "CroCo v1"), ("dust3r", {**TINY, "pos_embed": "RoPEx"}, "RoPEx"),
    ("dust3r", {**TINY, "head_type": "catmlp+dpt"}, "head_type"), ("dust3r", {**TINY, "head_type": "dpt"}, "at least 10"),
    ("dust3r", {**TINY, "output_mode": "pts3d+desc24"}, "output_mode"),
    ("mast3r", {**TINY_MAST3R, "output_mode": "pts3d"}, "desc"),
    ("dust3r", {**TINY, "enc_num_heads": 5}, "does not split"), ("dust3r", {**TINY, "img_size": 100}, "img_size"),
    ("dust3r", {**TINY, "depth_mode": ("exp", 0, 1)}, "depth_mode"), ("dust3r", {**TINY, "conf_mode": "exp"}, "conf_mode"),
    ("dust3r", {**TINY, "conf_mode": ("sigmoid", 0, math.inf)}, "conf_mode"), ("dust3r", {**TINY, "freeze": "all"}, "freeze"),
    ("dust3r", {**TINY, "patch_embed_cls": "Other"}, "patch_embed_cls"), ("croco", {"mask_ratio": 1.0}, "mask_ratio"),
    ("mast3r", {**TINY_MAST3R, "local_feat_dim": 7}, "local_feat_dim"), ("croco", {"patch_size": 14}, "patch_size"),
    ("dust3r", {**TINY_DPT, "layer_dims": (1, 2, 3)}, "layer_dims"), ("dust3r", {**TINY_DPT, "hooks": (0, 3, 2, 9)}, "hooks")])
def test_bad_configs(name, config, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        models.build(name, **config)


@torch.no_grad()
def test_one_confidence_for_two():
    model = models.build("mast3r", **TINY_MAST3R, two_confs=False)
    view, _ = model(picture(1, 3, 32, 48), picture(1, 3, 32, 48))
    assert torch.equal(view["desc_conf"], view["conf"])
    assert model.downstream_head1.head_local_features.fc2.out_features == 6 * 256


def test_what_is_trained_can_be_frozen():
    assert not any(p.requires_grad for p in models.build("dust3r", **TINY, freeze="encoder").enc_blocks.parameters())
    model = models.build("dust3r", **TINY_DPT)
    view1, view2 = model(picture(1, 3, 32, 48), picture(1, 3, 32, 48))
    (view1["pts3d"].mean() + view2["pts3d_in_other_view"].mean() + view1["conf"].mean() + view2["conf"].mean()).backward()
    idle = {n for n, p in model.named_parameters() if p.grad is None}
    assert idle == {"mask_token"} | {n for n in idle if "refinenet4.resConfUnit1" in n} and len(idle) == 9


@torch.no_grad()
def test_croco_masks_and_restores(device):
    model = models.build("croco", img_size=64, enc_embed_dim=32, enc_depth=1, enc_num_heads=2, dec_embed_dim=32, dec_depth=1,
                         dec_num_heads=2).to(device)
    assert model.random_mask(5, 196).sum(1).tolist() == [176] * 5
    image = picture(2, 3, 64, 64, device=device)
    prediction, mask, target = model(image, image)
    assert prediction.shape == (2, 16, 768) and mask.sum(1).tolist() == [14, 14]
    assert torch.equal(unpatchify(patchify(image), 64, 64), image)
    normed = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6).sqrt()
    assert completion_loss(normed, mask, target) < 1e-9 < completion_loss(prediction, mask, target)
    for bad in (mask[:1], mask.float(), torch.zeros(2, 9, dtype=torch.bool, device=device)):
        with pytest.raises(ValueError, match="mask"):
            model(image, image, bad)
    with pytest.raises(ValueError, match="cosine positions"):
        model(image[..., :32], image)


def test_rotation_depends_on_distance_alone():
    q, k = torch.randn(2, 1, 1, 1, 16)
    near = patch_positions(3, 3)[:, 4:5]

    def product(shift):
        a, b = (rotate(x, rope_rotation(near + s, 16)) for x, s in ((q, torch.tensor([1, 2]) + shift), (k, shift)))
        return (a * b).sum()

    assert torch.allclose(product(0), product(7), atol=1e-5)
    assert torch.allclose(rotate(q, rope_rotation(near, 16)).norm(), q.norm())


def test_cosine_embedding_by_hand():
    got = cosine_embedding(8, 2, 3)
    assert torch.allclose(got[5], torch.tensor([math.sin(2), math.sin(0.02), math.cos(2), math.cos(0.02),
                                                math.sin(1), math.sin(0.01), math.cos(1), math.cos(0.01)]))


def test_points_at_the_origin_are_finite():
    assert torch.equal(points_of(torch.zeros(2, 3), ("exp", -math.inf, math.inf)), torch.zeros(2, 3))


def test_aliases():
    assert alias("downstream_head1.dpt.scratch.layer1_rn.weight") == "downstream_head1.dpt.scratch.layer_rn.0.weight"
    assert alias("downstream_head2.dpt.scratch.layer_rn.3.weight") == "downstream_head2.dpt.scratch.layer4_rn.weight"
    assert alias("enc_norm.weight") is None


def test_a_portrait_tensor_for_mixed_orientations_is_not_turned_unasked():
    """It was transposed on the way in and read as if it had not been, when no true_shape said what it holds."""
    portrait, land = torch.zeros(1, 3, 48, 32), torch.zeros(1, 3, 32, 48)
    for landscape_only in (True, False):
        model = models.build("dust3r", **TINY, patch_embed_cls="ManyAR_PatchEmbed", landscape_only=landscape_only)
        with pytest.raises(ValueError, match="img1: 'ManyAR_PatchEmbed' takes landscape tensors, got height 48 and width 32"):
            model(portrait, portrait)
        with pytest.raises(ValueError, match="img2"):
            model(land, portrait)


@pytest.mark.parametrize("field, value", [
    ("pos_embed", None), ("pos_embed", 100), ("pos_embed", "RoPEinf"), ("enc_depth", 0), ("dec_depth", -1),
    ("enc_num_heads", 1.5), ("mlp_ratio", -1), ("mlp_ratio", math.inf), ("hidden_dim_factor", -1),
    ("hidden_dim_factor", math.inf), ("desc_mode", []),
    ("desc_mode", {}), ("enc_embed_dim", True)])
def test_values_of_a_wrong_kind_are_named(field, value):
    """They came out as AttributeError, RuntimeError and the like, or built a network without blocks."""
    with torch.device("meta"), pytest.raises(ValueError, match=field):
        models.build("mast3r", **{**TINY_MAST3R, field: value})


def test_widths_may_be_numpys_whole_numbers():
    with torch.device("meta"):
        model = models.build("dust3r", **{**TINY, "enc_embed_dim": np.int64(TINY["enc_embed_dim"]), "mlp_ratio": np.float32(4)})
    assert model.enc_norm.weight.shape == (TINY["enc_embed_dim"],)
