# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The parts of the Large Spatial Model against the numbers of its reference, with weights that follow from their names."""
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.golden_cases import literal, relative_error

from lsm_ros import models
from lsm_ros.models.gaussians import GaussianHead, sh_mask, spacing_of
from lsm_ros.models.lseg import LSeg
from lsm_ros.models.point_transformer import PointTransformer, merge_points

TOLERANCE = 1e-4
HALF = 2e-3  # stages are stored in half precision


def fill_by_name(model, prefix, keyed):
    """Gives a model, which may be on the meta device, the weights that belong to its whole keys."""
    for key, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            value = torch.zeros(tensor.shape, dtype=tensor.dtype)
        else:
            value = torch.as_tensor(keyed.keyed_array(prefix + key, tuple(tensor.shape))).reshape(tensor.shape)
            if key.endswith("running_var"):
                value = 5 * value.abs() + 0.5
        model.load_state_dict({key: value}, strict=False, assign=True)
    return model.eval()


def part(cls, keyed, prefix, **config):
    with torch.device("meta"):
        model = cls(**config)
    return fill_by_name(model, prefix, keyed)


def conv(keyed, name, out, dim):
    layer = torch.nn.Conv2d(dim, out, 1)
    return fill_by_name(layer, f"{name}.", keyed)


def test_keys_and_shapes_are_the_official_ones(golden_folder):
    expected = {k: list(v) for k, v in json.loads((golden_folder / "keys_lsm_without_dust3r.json").read_text()).items()}
    dust3r = json.loads((golden_folder / "keys_dust3r_dpt.json").read_text())
    expected |= {f"dust3r.dust3r.{k}": list(v) for k, v in dust3r.items()}
    with torch.device("meta"):
        got = {k: list(v.shape) for k, v in models.build("lsm").state_dict().items()}
    assert got == expected


@pytest.fixture(scope="module")
def pair(golden):
    """The golden case of two views, and its cloud."""
    case = golden("lsm_ptv3_gauss")
    points = torch.cat([case.inp[f"pts{n}"].flatten(0, 1) for n in (1, 2)])
    colours = torch.cat([case.inp[f"img{n}"][0].flatten(1).T for n in (1, 2)])
    return case, points, colours, merge_points(points, colours)


def test_merged_points(pair):
    case, _, _, cloud = pair
    for name, got in (("coord", cloud.coord), ("feat", cloud.feat), ("center", cloud.centre[None, None]),
                      ("scale", cloud.scale[None, None, None])):
        assert relative_error(got, case.out[f"merge/{name}"]) < 1e-6, name


def test_point_transformer(pair, keyed):
    case, _, _, cloud = pair
    model = part(PointTransformer, keyed, "point_transformer.", **literal(case.meta["cfg"]))
    found, modules = {}, dict(model.named_modules())
    names = {"embedding.stem": "embedding", **{f"enc.enc{s}": f"enc{s}" for s in range(5)},
             "decoder_block_dust": "cross_dust", "decoder_block_lseg": "cross_lseg", "dec.dec3": "dec3",
             "decoder_block_multi_scale": "cross_ms", "dec.dec0": "dec0"}
    for module, name in names.items():
        modules[module].register_forward_hook(lambda _m, _i, out, name=name: found.__setitem__(name, out))
    with torch.no_grad():
        out = model(cloud, case.inp["dust3r_feature"][0], case.inp["lseg_token"][0])
    for name, got in found.items():
        expected = case.out[f"stage/{name}/feat"].float()
        assert relative_error(got[::8] if len(got) > 400 else got, expected) < HALF, name
    assert relative_error(out, case.out["ptv3/feat"]) < TOLERANCE


def test_gaussian_head(pair, keyed):
    case, points, colours, _ = pair
    head = part(GaussianHead, keyed, "gaussian_head.")
    residual = case.inp["lseg_res"].flatten(2).transpose(1, 2).flatten(0, 1)
    with torch.no_grad():
        found = head(case.out["ptv3/feat"], points, (colours + 1) / 2, residual, spacing_of(points))
    for n in (1, 2):
        for name, value in found.items():
            got = value.chunk(2)[n - 1].reshape(case.out[f"g{n}/{name}"].shape)
            assert relative_error(got, case.out[f"g{n}/{name}"]) < TOLERANCE, (n, name)


def test_spherical_harmonics_are_masked_by_degree():
    assert sh_mask(torch.device("cpu")).tolist() == [1.0] + [0.125] * 3 + [0.03125] * 5 + [0.0078125] * 7


@pytest.mark.slow
def test_lseg(golden, keyed):
    case = golden("lsm_lseg")
    model = part(LSeg, keyed, "lseg_feature_extractor.")
    with torch.device("meta"):
        whole = models.build("lsm")
    whole.lseg_feature_extractor = model
    for name in ("feature_expansion", "feature_reduction"):
        fill_by_name(getattr(whole, name), f"{name}.", keyed)
    with torch.no_grad():
        feat = whole.lseg_features(case.inp["img"])
        tokens, reduction = whole.lseg_tokens(feat), whole.reduced(feat)
        expansion = whole.expanded(reduction)
    assert relative_error(feat[:, ::8], case.out["feat"]) < TOLERANCE
    assert relative_error(tokens, case.out["tokens"].flatten(2).transpose(1, 2)) < TOLERANCE
    assert relative_error(reduction, case.out["reduction"]) < TOLERANCE
    assert relative_error(expansion[:, ::8], case.out["expansion"]) < TOLERANCE
    assert np.isfinite(feat.numpy()).all()


OFFICIAL = """
import resource, torch
from lsm_ros import models
torch.manual_seed(0)
with torch.device("meta"):
    model = models.build("lsm")
model = model.to_empty(device="cpu")
with torch.no_grad():
    for key, value in model.state_dict().items():
        if value.ndim > 1:
            value.uniform_(-1, 1).mul_(value[0].numel() ** -0.5)
        else:
            value.fill_(key.endswith(("running_var", "weight")))
a, b = (torch.rand(1, 3, 256, 256) * 2 - 1 for _ in range(2))
with torch.inference_mode():
    (t1, p1), (t2, p2) = model.encode(a), model.encode(b)
    views = model.predict(t1, p1, (256, 256), t2, p2, (256, 256))
assert all(bool(v.isfinite().all()) for view in views for v in view.values())
assert views[0]["scales"].shape == (1, 256, 256, 3)
print(sum(p.numel() for p in model.parameters()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_official_size_in_bounded_memory():
    done = subprocess.run([sys.executable, "-c", OFFICIAL], capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    count, gigabytes = done.stdout.split()
    print(f"{float(gigabytes):.2f} GB")
    assert int(count) == 1_100_071_497 and float(gigabytes) < 6.5
