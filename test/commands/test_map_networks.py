# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""`lsm map --pairs dust3r|mast3r --weights ...` with random weights, from files in the official layouts.

Random weights predict no geometry: what counts is that the whole road is gone and that nothing is believed.
"""
import argparse
import json
import os
import pathlib
import warnings

import cv2
import numpy as np
import pytest
import torch
from helpers import pointmaps
from helpers.golden_cases import TINY, TINY_DPT, TINY_MAST3R
from helpers.pointmaps import FakePairModel, walk
from helpers.textured import CAMERA, room, see

from lsm_ros import cli, models
from lsm_ros.datasets import open_source
from lsm_ros.models import checkpoint
from lsm_ros.models.tensor_files import write_safetensors
from lsm_ros.registry import PAIR_MODELS

NETWORKS = {"linear": ("dust3r", TINY), "dpt": ("dust3r", TINY_DPT), "mast3r": ("mast3r", TINY_MAST3R)}
CLASSES = {"dust3r": "AsymmetricCroCo3DStereo", "mast3r": "AsymmetricMASt3R"}


@pytest.fixture
def images(tmp_path):
    """A folder of images that show something."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 255, (30, 44, 3), np.uint8), (176, 120), interpolation=cv2.INTER_CUBIC)
    for n in range(3):
        cv2.imwrite(str(folder / f"{n:03d}.png"), picture[:, 8 * n:8 * n + 160])
    return folder


def expression(name, config):
    """The constructor as an official .pth names it."""
    official = {"pos_embed": "RoPE100", "patch_embed_cls": "ManyAR_PatchEmbed", "depth_mode": ("exp", -np.inf, np.inf),
                "conf_mode": ("exp", 1, np.inf), **({"two_confs": True, "desc_conf_mode": ("exp", 0, np.inf)}
                                                    if name == "mast3r" else {}), **config}
    return f"{CLASSES[name]}({', '.join(f'{k}={v!r}' for k, v in official.items())})"


def stored(layout, kind, folder):
    """Random weights of a small network in one of the official layouts."""
    name, config = NETWORKS[kind]
    torch.manual_seed(0)
    model = models.build(name, **config)
    if layout == "folder":
        return checkpoint.save(model, folder / "hub", config)
    if layout == "safetensors":
        write_safetensors(folder / "model.safetensors", model.state_dict())
        (folder / "config.json").write_text(json.dumps(config))
        return folder / "model.safetensors"
    args = argparse.Namespace(model=expression(name, config), output_dir=pathlib.PosixPath("out"), epochs=90)
    torch.save({"args": args, "model": model.state_dict(), "epoch": 1}, folder / "network.pth")
    return folder / "network.pth"


@pytest.mark.parametrize(("layout", "kind"), [("pth", "linear"), ("pth", "mast3r"), ("safetensors", "dpt"),
                                              ("folder", "mast3r"), ("folder", "linear")])
def test_whole_road_with_random_weights(layout, kind, images, tmp_path, capsys):
    weights = stored(layout, kind, tmp_path)
    status = cli.main(["map", str(images), "--out", str(tmp_path / "out"), "--pairs", NETWORKS[kind][0],
                       "--weights", str(weights), "--quiet"])
    said = capsys.readouterr().err.strip()
    assert status == 2 and len(said.splitlines()) == 1 and not (tmp_path / "out").exists()
    assert "none of 3 frames of images got a pose" in said and "predicted" in said


def test_without_weights_or_with_those_of_another_network(images, tmp_path, capsys):
    begin = ["map", str(images), "--out", str(tmp_path / "out"), "--quiet", "--pairs"]
    assert cli.main([*begin, "dust3r"]) == 2
    assert "needs weights" in capsys.readouterr().err
    weights = stored("folder", "linear", tmp_path)
    assert cli.main([*begin, "mast3r", "--weights", str(weights)]) == 2
    assert "'dust3r', not of 'mast3r'" in capsys.readouterr().err
    assert cli.main([*begin, "dust3r", "--weights", str(tmp_path / "absent.pth")]) == 2
    assert "absent.pth" in capsys.readouterr().err


def damaged(what, folder):
    """Weights that cannot be used as those of a DUSt3R, and what should be said of them."""
    if what == "cut.pth":
        whole = stored("pth", "linear", folder).read_bytes()
        (folder / what).write_bytes(whole[:len(whole) // 2])
        return folder / what, "cut.pth is truncated"
    if what == "cut.safetensors":
        path = stored("safetensors", "linear", folder)
        path.write_bytes(path.read_bytes()[:100_000])
        return path, "model.safetensors is truncated"
    if what == "hostile.pth":
        torch.save({"model": {}, "args": Hostile()}, folder / what)
        return folder / what, "hostile.pth is refused"
    if what == "picture":
        return next((folder / "images").iterdir()), "no checkpoint"
    path = stored("folder", "linear", folder)
    if what == "broken config":
        (path / "config.json").write_text("{")
        return path, "config.json is not JSON"
    state = models.build("dust3r", **TINY).state_dict()
    write_safetensors(path / "model.safetensors", {k: v for k, v in state.items() if k != "dec_norm.weight"})
    return path, "dec_norm.weight"


class Hostile:
    """Asks for a program when it is read."""

    def __reduce__(self):
        return os.system, ("touch hacked",)


@pytest.mark.parametrize("what", ["cut.pth", "cut.safetensors", "hostile.pth", "picture", "broken config", "missing key"])
def test_weights_that_cannot_be_used_are_one_line_and_status_2(what, images, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights, words = damaged(what, tmp_path)
    assert cli.main(["map", str(images), "--out", str(tmp_path / "out"), "--pairs", "dust3r", "--weights", str(weights),
                     "--quiet"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and said[0].startswith("lsm: error: ") and words in said[0]
    assert not (tmp_path / "hacked").exists() and not (tmp_path / "out").exists()


def test_a_field_that_the_network_does_not_know_is_named_in_one_line(images, tmp_path, capsys):
    weights = stored("folder", "linear", tmp_path)
    config = json.loads((weights / "config.json").read_text())
    (weights / "config.json").write_text(json.dumps({**config, "new_in_2027": 1}))
    before = warnings.formatwarning
    with pytest.warns(UserWarning, match="left out: new_in_2027"):
        assert cli.main(["map", str(images), "--out", str(tmp_path / "out"), "--pairs", "dust3r", "--weights", str(weights),
                         "--quiet"]) == 2
    assert "none of 3 frames" in capsys.readouterr().err  # its weights are used
    assert cli.plain_warning(UserWarning("left\n out"), UserWarning, "a.py", 3) == "lsm: warning: left out\n"
    assert warnings.formatwarning is before


@pytest.mark.parametrize(("count", "width", "height"), [(1, 160, 120), (2, 171, 123), (2, 20, 8)],
                         ids=["one image", "odd size", "too small"])
def test_few_small_and_odd_images_with_random_weights(count, width, height, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    picture = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    for n in range(count):  # all the same
        cv2.imwrite(str(tmp_path / "images" / f"{n}.png"), picture)
    assert cli.main(["map", str(tmp_path / "images"), "--out", str(tmp_path / "out"), "--pairs", "mast3r", "--weights",
                     str(stored("folder", "mast3r", tmp_path)), "--quiet"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and f"none of {count} frames" in said[0]


def test_what_a_network_that_knows_something_leaves_behind(tmp_path, monkeypatch, capsys):
    """With slightly disturbed exact pointmaps in place of a network: all files, the focal length, the odd pixels' share."""
    path, boards = walk(24)[::2], room()
    (tmp_path / "images").mkdir()
    for n, T in enumerate(path):
        cv2.imwrite(str(tmp_path / "images" / f"{n:03d}.png"), see(boards, T)[0])
    stamps = [s.stamp_ns for s in open_source(tmp_path / "images")]
    model = FakePairModel(boards, lambda stamp: path[stamps.index(stamp)], size=128, ray_noise=0.001, depth_noise=0.02,
                          unit_spread=0.3)
    monkeypatch.setattr(pointmaps, "HANDED", [model])
    monkeypatch.setitem(PAIR_MODELS, "exact", "helpers.pointmaps:handed")
    assert cli.main(["map", str(tmp_path / "images"), "--out", str(tmp_path / "out"), "--pairs", "exact", "--quiet",
                     "--set", "fusion.voxel_size=0.1", "--set", "fusion.min_weight=0.05"]) == 0
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["coverage"] == 1.0 and found["pair_model"] == "exact" and found["map"]["voxels"] > 100
    assert found["focal_is_estimated"]["camera"] and found["focal_px"]["camera"] == pytest.approx(CAMERA.fx, rel=0.01)
    assert 0 <= found["off_pinhole_share"]["camera"] < 0.05 and not found["scale"]["is_metric"]
    assert {p.name for p in (tmp_path / "out").iterdir()} >= {"trajectory.tum", "online.tum", "map.ply", "report.html"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["dust3r", "mast3r"])
def test_whole_road_at_official_size(name, images, tmp_path, capsys):
    with torch.device("meta"):
        model = models.build(name)
    model = model.to_empty(device="cpu").half()
    for parameter in model.parameters():
        parameter.data.uniform_(-0.02, 0.02)
    args = argparse.Namespace(model=expression(name, {"img_size": (512, 512), **(
        {"head_type": "dpt", "output_mode": "pts3d"} if name == "dust3r" else
        {"head_type": "catmlp+dpt", "output_mode": "pts3d+desc24"})}))
    torch.save({"args": args, "model": model.state_dict()}, tmp_path / "official.pth")
    del model
    status = cli.main(["map", str(images), "--out", str(tmp_path / "out"), "--pairs", name, "--max-frames", "1", "--quiet",
                       "--weights", str(tmp_path / "official.pth"), "--set", "pairs.precision=float32"])
    assert status == 2 and "none of 1 frames" in capsys.readouterr().err
