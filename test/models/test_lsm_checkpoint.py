# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Checkpoints of the Large Spatial Model: official ones, with and without the parts that have files of their own."""
import argparse
import warnings

import pytest
import torch
from helpers.golden_cases import TINY, TINY_LSM
from helpers.optional import needs_safe_reader

from lsm_ros import models
from lsm_ros.models import checkpoint


def same(a, b):
    left, right = a.state_dict(), b.state_dict()
    assert left.keys() == right.keys()
    return all(torch.equal(left[k], right[k]) for k in left)


def lsm_state(model, *without):
    return {k: v for k, v in model.state_dict().items() if not k.startswith(without)}


@pytest.fixture
def spatial():
    return models.build("lsm", **TINY_LSM)


@pytest.fixture
def lsm_pth(tmp_path, spatial):
    """Writes an official file of a Large Spatial Model, without the keys that start so."""
    points = {k: v for k, v in TINY_LSM["point_transformer"].items() if k.startswith(("enc_", "dec_"))}
    config = {"training": {"lr": 1e-4, "freeze": None}, "points": {"in_channels": 6, **points}}

    def write(*without):
        args = argparse.Namespace(model=f"LSM_Dust3R({config=})")
        torch.save({"args": args, "model": lsm_state(spatial, *without), "epoch": 3}, tmp_path / "lsm.pth")
        return tmp_path / "lsm.pth"

    return write


HEADS = {"dust3r": {"enc_num_heads": 2, "dec_num_heads": 2, "img_size": (96, 96)}, "img_size": (64, 64)}


@needs_safe_reader
def test_official_file_of_the_large_spatial_model(lsm_pth, spatial):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = models.load(lsm_pth(), **HEADS)
    assert same(loaded, spatial) and not loaded.training
    image = torch.rand(1, 3, 32, 48) * 2 - 1
    with torch.no_grad():
        got, expected = loaded(image, image)[1], spatial(image, image)[1]
    assert all(torch.equal(got[k], expected[k]) for k in expected)


@needs_safe_reader
def test_its_parts_may_come_from_files_of_their_own(tmp_path, lsm_pth, spatial, monkeypatch):
    other = models.build("dust3r", **TINY)
    torch.save(other.state_dict(), tmp_path / "other.pth")
    lseg = {f"net.{k}": v + 1 for k, v in spatial.lseg_feature_extractor.state_dict().items()}
    torch.save({"state_dict": {**lseg, "criterion.weight": torch.zeros(1)}, "epoch": 200}, tmp_path / "demo.ckpt")
    both = models.load(lsm_pth(), parts={"dust3r": tmp_path / "other.pth", "lseg": tmp_path / "demo.ckpt"}, **HEADS)
    assert same(both.geometry, other)
    for key, value in spatial.lseg_feature_extractor.state_dict().items():
        assert torch.equal(both.lseg_feature_extractor.state_dict()[key], value + 1)
    assert torch.equal(both.gaussian_head.gaussian_proj.weight, spatial.gaussian_head.gaussian_proj.weight)

    without = lsm_pth("dust3r.")
    assert same(models.load(without, parts={"dust3r": tmp_path / "other.pth"}, **HEADS).geometry, other)
    monkeypatch.setenv("LSM_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="without its dust3r part.*parts=.*lsm weights --download DUSt3R"):
        models.load(without)
    torch.save(other.state_dict(), tmp_path / "DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth")
    assert same(models.load(without, **HEADS).geometry, other)


@needs_safe_reader
def test_parts_that_are_wrong(tmp_path, lsm_pth):
    with pytest.raises(ValueError, match="'dpt' does not exist; there are: dust3r, lseg"):
        models.load(lsm_pth(), parts={"dpt": "a.pth"})
    with pytest.raises(ValueError, match="without its lseg part; give it: parts="):
        models.load(lsm_pth("lseg_"))
    with pytest.raises(FileNotFoundError, match="^checkpoint nowhere.pth does not exist"):
        models.load(lsm_pth(), parts={"lseg": "nowhere.pth"})
    torch.save(models.build("dust3r", **TINY).state_dict(), tmp_path / "d.pth")
    with pytest.raises(ValueError, match="keys missing: lseg_feature_extractor"):
        models.load(lsm_pth(), parts={"lseg": tmp_path / "d.pth"}, **HEADS)
    with pytest.raises(ValueError, match="'dust3r' does not exist"):
        models.load(tmp_path / "d.pth", parts={"dust3r": "a.pth"})
    with pytest.raises(ValueError, match="point_transformer.dec.dec0"):
        models.load(lsm_pth("point_transformer.dec.dec0."), **HEADS)


@needs_safe_reader
def test_saved_large_spatial_model_loads_again(tmp_path, spatial):
    checkpoint.save(spatial, tmp_path / "out", TINY_LSM)
    assert same(models.load(tmp_path / "out"), spatial)
    torch.save(spatial.state_dict(), tmp_path / "w.pth")
    assert same(models.load(tmp_path / "w.pth"), spatial)
