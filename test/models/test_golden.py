# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The networks against the numbers of their references."""
import json
import math

import pytest
import torch
from helpers.golden_cases import literal, relative_error

from lsm_ros import models
from lsm_ros.models.croco import completion_loss, reconstruct
from lsm_ros.models.positions import rope_rotation, rotate
from lsm_ros.models.postprocess import confidence_of, points_of

TOLERANCE, TOLERANCE_FULL = 1e-4, 2e-3
DPT = {"head_type": "dpt", "feature_dim": 32, "last_dim": 16, "layer_dims": (12, 16, 24, 32)}
MAST3R = {**DPT, "head_type": "catmlp+dpt", "hidden_dim_factor": 1.0, "two_confs": True, "desc_conf_mode": ("exp", 0, math.inf)}


def filled(name: str, case, **extra):
    model = models.build(name, **{**case.cfg, **extra})
    model.load_state_dict(case.sd)
    return model


def compare(views, out, prefix, tolerance=TOLERANCE):
    names = [k for k in out if k.startswith(f"{prefix}/view")]
    assert len(names) == sum(len(v) for v in views)
    for name in names:
        view, field = name.split("/")[-2:]
        assert relative_error(views[int(view[-1]) - 1][field], out[name]) < tolerance, name


@pytest.mark.parametrize("kind", ["grid", "rand"])
def test_rope(golden, kind):
    case = golden("rope2d")
    rotation = rope_rotation(case.inp[f"pos_{kind}"], 16, 100)
    got = rotate(case.inp["tokens"].transpose(1, 2), rotation).transpose(1, 2)
    assert relative_error(got, case.out[kind]) < 1e-6


def test_postprocess(golden):
    case = golden("postprocess")
    x, inf = case.inp["x"], math.inf
    for kind in ("exp", "square", "linear"):
        assert relative_error(points_of(x[..., :3], (kind, -inf, inf)), case.out[kind]) < 1e-6
    for name, mode in (("conf_exp_1_inf", ("exp", 1, inf)), ("conf_exp_0_inf", ("exp", 0, inf)),
                       ("conf_exp_1_4", ("exp", 1, 4)), ("conf_sigmoid_0_1", ("sigmoid", 0, 1))):
        assert relative_error(confidence_of(x[..., 3], mode), case.out[name]) < 1e-6


@pytest.mark.parametrize("version", ["croco_v1", "croco_v2"])
def test_croco(golden, version):
    case = golden(version)
    model, mask = filled("croco", case), case.inp["mask"]
    with torch.no_grad():
        prediction, _, target = model(case.inp["img1"], case.inp["img2"], mask)
        tokens1, positions1 = model.encode(case.inp["img1"], mask)
        tokens2, positions2 = model.encode(case.inp["img2"])
        decoded = model.decode(tokens1, mask, positions1, tokens2, positions2)
        loss = completion_loss(prediction, mask, target)
    for got, name in ((tokens1, "enc1"), (tokens2, "enc2"), (decoded, "dec"), (prediction, "pred"), (target, "target"),
                      (loss, "loss_normpix"), (reconstruct(prediction, target, 64, 64), "reconstruction")):
        assert relative_error(got, case.out[name]) < TOLERANCE, name


@pytest.mark.parametrize("name", ["dust3r_linear", "dust3r_dpt", "mast3r_catmlpdpt"])
def test_pairs(golden, name):
    case = golden(name)
    model = filled(name.split("_")[0], case, **({} if "linear" in name else MAST3R if "mast3r" in name else DPT))
    for pair in sorted({k.split("/")[0] for k in case.inp}):
        img1, img2 = case.inp[f"{pair}/img1"], case.inp[f"{pair}/img2"]
        with torch.no_grad():
            compare(model(img1, img2), case.out, pair)
            (t1, p1), (t2, p2) = model.encode(img1), model.encode(img2)
            deep1, deep2 = model.decode(t1, p1, t2, p2)
        assert torch.equal(p1, case.out[f"{pair}/pos1"]) and torch.equal(p2, case.out[f"{pair}/pos2"])
        expected = {f"{pair}/enc1": t1, f"{pair}/enc2": t2}
        for i in range(1, len(deep1)):
            expected |= {f"{pair}/dec1_{i}": deep1[i], f"{pair}/dec2_{i}": deep2[i]}
        for key, got in expected.items():
            if key in case.out:
                assert relative_error(got, case.out[key]) < TOLERANCE, key


def test_mixed_orientations(golden):
    weights, case = golden("dust3r_linear"), golden("dust3r_manyar")
    model = models.build("dust3r", **case.cfg, patch_embed_cls="ManyAR_PatchEmbed", landscape_only=True)
    model.load_state_dict(weights.sd)
    with torch.no_grad():
        views = model(case.inp["img1"], case.inp["img2"], case.inp["true_shape1"], case.inp["true_shape2"])
        for i in "12":
            tokens, positions = model.encode(case.inp[f"img{i}"], case.inp[f"true_shape{i}"])
            assert torch.equal(positions, case.out[f"batch/pos{i}"])
            assert relative_error(tokens, case.out[f"batch/enc{i}"]) < TOLERANCE
    compare(views, case.out, "batch")


def test_both_directions(golden):
    weights, case = golden("mast3r_catmlpdpt"), golden("mast3r_symmetric")
    model = filled("mast3r", weights, **MAST3R)
    with torch.no_grad():
        views = model.symmetric(case.inp["img1"], case.inp["img2"])
    for name, view in zip(("11", "21", "22", "12"), views, strict=True):
        for field, got in view.items():
            assert relative_error(got, case.out[f"{name}/{field}"]) < TOLERANCE, (name, field)


@pytest.mark.parametrize("file, name, config", [
    ("keys_dust3r_linear", "dust3r", {"head_type": "linear"}), ("keys_dust3r_dpt", "dust3r", {"head_type": "dpt"}),
    ("keys_mast3r", "mast3r", {})])
def test_keys_and_shapes_are_the_official_ones(golden_folder, file, name, config):
    expected = json.loads((golden_folder / f"{file}.json").read_text())
    with torch.device("meta"):
        got = {k: list(v.shape) for k, v in models.build(name, **config).state_dict().items()}
    assert got == {k: list(v) for k, v in expected.items()}


@pytest.mark.slow
@pytest.mark.parametrize("file, name", [
    ("full_dust3r_linear", "dust3r"), ("full_dust3r_dpt", "dust3r"), ("full_mast3r", "mast3r")])
def test_official_size(golden, keyed, file, name):
    case = golden(file)
    extra = {} if name == "mast3r" else {"head_type": file.split("_")[-1]}
    with torch.device("meta"):
        model = models.build(name, **case.cfg, **extra)
    assert sum(p.numel() for p in model.parameters()) == case.meta["n_params"]
    for key, tensor in model.state_dict().items():  # one after the other: no second copy of 2.7 GB
        value = torch.from_numpy(keyed.keyed_state_dict({key: tuple(tensor.shape)})[key])
        if key in case.meta["param_checks"]:
            assert value.double().sum().item() == pytest.approx(case.meta["param_checks"][key][0], rel=1e-5)
        model.load_state_dict({key: value}, strict=False, assign=True)
    with torch.no_grad():
        views = model(case.inp["img1"], case.inp["img2"])
        for i in "12":
            got = model.encode(case.inp[f"img{i}"])[0][:, ::4]
            assert relative_error(got, case.out[f"land/enc{i}"]) < TOLERANCE_FULL
    compare(views, case.out, "land", TOLERANCE_FULL)


def test_literal_reads_infinity():
    assert literal("{'a': ('exp', -inf, inf)}") == {"a": ("exp", -math.inf, math.inf)}
