# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import pytest
import torch
from helpers.training_parts import TINY_SMALL
from torch.utils.flop_counter import FlopCounterMode

from lsm_ros import models

TINY = {k: tuple(v) if isinstance(v, list) else v for k, v in TINY_SMALL.items()}


def test_the_default_is_small():
    with torch.device("meta"):
        model = models.build("lsm_small")
        images = torch.zeros(1, 3, 192, 256)
    weights = sum(p.numel() for p in model.parameters())
    assert weights <= 12e6 and 2 * weights <= 24e6
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        tokens, positions = model.encode(torch.cat([images, images]))
        model.decode(tokens[:1], positions[:1], tokens[1:], positions[1:])
    assert counter.get_total_flops() < 50e9


def test_views():
    torch.manual_seed(0)
    model = models.build("lsm_small", **TINY)
    image1, image2 = torch.rand(2, 2, 3, 48, 80) * 2 - 1
    with torch.no_grad():
        view1, view2 = model(image1, image2)
    assert view1["pts3d"].shape == view2["pts3d_in_other_view"].shape == (2, 48, 80, 3)
    assert view1["desc"].shape == (2, 48, 80, 8) and view1["desc_conf"].shape == (2, 48, 80)
    assert view1["features"].shape == view2["features"].shape == (2, 6, 10, 16)
    assert torch.allclose(view1["features"].norm(dim=-1), torch.ones(2, 6, 10), atol=1e-5)
    assert (view1["conf"] >= 1).all() and all(torch.isfinite(v).all() for v in view1.values())


def test_features_belong_to_their_place():
    torch.manual_seed(0)
    model = models.build("lsm_small", **TINY)
    head = model.downstream_head1
    deep = [torch.zeros(1, 15, 64), torch.zeros(1, 15, 64), torch.zeros(1, 15, 64)]
    plain = head.features(deep, (48, 80))
    deep[0][0, 7] = torch.randn(64)  # row 1, column 2 of the patches
    changed = (head.features(deep, (48, 80)) - plain).abs().sum(-1)[0] > 1e-6
    assert changed[2:4, 4:6].all() and int(changed.sum()) == 4


def test_a_stem_of_convolutions_sees_beyond_its_patch():
    torch.manual_seed(0)
    model = models.build("lsm_small", **TINY, stem_dims=(8, 16))
    image = torch.rand(1, 3, 48, 80)
    plain, positions = model.patch_embed(image)
    assert plain.shape == (1, 15, 64) and positions[0, -1].tolist() == [2, 4]
    image[:, :, :, 16] += 1.0  # the first column of the second patches
    changed = (model.patch_embed(image)[0] - plain).abs().sum(-1)[0].reshape(3, 5) > 1e-6
    assert changed[:, :2].all()  # the patch before it sees it too
    with torch.no_grad():
        assert model(image, image)[0]["pts3d"].shape == (1, 48, 80, 3)


@pytest.mark.parametrize(("change", "said"), [
    ({"stem_dims": (12,)}, "multiples of 8"), ({"stem_dims": (8,) * 5}, "at most four"),
    ({"head_type": "linear"}, "head_type"), ({"feature_channels": 0}, "feature_channels"),
    ({"feature_channels": True}, "feature_channels"), ({"hooks": (0, 1, 5, 9)}, "hooks"),
    ({"fature_channels": 3}, "did you mean 'feature_channels'"), ({"output_mode": "pts3d"}, "desc")])
def test_what_cannot_be_built(change, said):
    with pytest.raises(ValueError, match=said):
        models.build("lsm_small", **{**TINY, **change})


def test_its_weights_are_made_from_the_seed():
    def made():
        torch.manual_seed(5)
        return models.build("lsm_small", **TINY).state_dict()

    one, two = made(), made()
    assert all(torch.equal(v, two[k]) for k, v in one.items())
    assert one["downstream_head1.language.fc1.bias"].abs().max() == 0
