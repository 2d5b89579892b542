# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""`lsm map --pairs auto`: what is taken on which machine, and what is said of it."""
from pathlib import Path

import cv2
import numpy as np
import pytest

from lsm_ros import cli
from lsm_ros.commands import choosing, mapping_run
from lsm_ros.commands.choosing import POINTS, PRIORS, Machine, choose, has_depth, this_machine
from lsm_ros.config import from_dict
from lsm_ros.models.known import KNOWN
from lsm_ros.registry import DEPTH_PRIORS

ALL = frozenset({"onnxruntime", "transformers"})
METRIC, ZOE, FAST, SHAPE = PRIORS
MAST3R = "MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric"


@pytest.fixture
def places(tmp_path):
    """All known models, as if they were here."""
    (tmp_path / "fastdepth_7.yaml").touch()
    return {k.name: tmp_path / k.name for k in KNOWN}


def only(places, *names):
    return {n: p for n, p in places.items() if n in names}


def test_measured_depth_comes_before_all_networks(places):
    chosen = choose(Machine("H", ALL, places), depth=True)
    assert chosen.settings == {"pairs.model": "depth"} and "measured depth" in chosen.reasons[0]


def test_nothing_there_is_two_view_alone():
    chosen = choose(Machine("", frozenset(), {}), depth=False)
    assert chosen.settings == {"pairs.model": "two_view"}
    assert "no depth prior" in " ".join(chosen.reasons) and "lsm weights" in " ".join(chosen.reasons)


@pytest.mark.parametrize(("gpu", "packages", "there", "taken"), [
    ("", ALL, PRIORS, FAST), ("H", ALL, PRIORS, METRIC), ("H", ALL, (ZOE, FAST, SHAPE), ZOE), ("H", ALL, (SHAPE,), SHAPE),
    ("H", {"onnxruntime"}, PRIORS, FAST), ("", {"transformers"}, PRIORS, None), ("H", {"transformers"}, (FAST, SHAPE), SHAPE)])
def test_the_best_prior_that_can_run_is_taken(places, gpu, packages, there, taken):
    chosen = choose(Machine(gpu, frozenset(packages), only(places, *there)), depth=False)
    if taken is None:
        assert "pairs.depth_prior" not in chosen.settings
        return
    assert chosen.settings["pairs.depth_prior_model"] == str(places[taken])
    assert chosen.settings["pairs.depth_prior"] == ("onnx" if taken == FAST else "transformers")
    said = next(r for r in chosen.reasons if r.startswith(f"depth prior {taken}"))
    assert "may be used in a product" in said and ("gives the size" in said) == (taken != SHAPE)


def test_what_is_here_and_cannot_run_is_named_with_the_remedy(places):
    chosen = choose(Machine("", frozenset({"transformers"}), only(places, METRIC, FAST)), depth=False)
    said = "\n".join(chosen.reasons)
    assert f"not taken: {METRIC}, slow without a GPU (--set pairs.depth_prior=transformers" in said
    assert f"--set pairs.depth_prior_model={METRIC} uses it)" in said
    assert f"not taken: {FAST}, which needs onnxruntime: pip install onnxruntime" in said
    places[FAST].with_suffix(".yaml").unlink()
    assert "fastdepth_7.yaml beside it" in "\n".join(choose(Machine("", ALL, only(places, FAST)), False).reasons)


def test_points_need_both_of_their_files(places):
    both = choose(Machine("", frozenset(), only(places, *POINTS)), depth=False)
    assert both.settings["two_view.features"] == "xfeat_lightglue"
    assert "two_view.features" not in choose(Machine("", frozenset(), only(places, POINTS[0])), depth=False).settings


def test_weights_that_a_product_may_not_use_are_never_taken_but_named(places):
    known = {k.name: k for k in KNOWN}
    assert all(known[name].for_products for name in (*PRIORS, *POINTS))
    chosen = choose(Machine("H", ALL, only(places, MAST3R)), depth=False)
    assert chosen.settings == {"pairs.model": "two_view"}
    assert f"NON-COMMERCIAL use only; --pairs mast3r --weights {MAST3R} uses it" in chosen.reasons[-1]


def test_each_choice_is_a_configuration(places):
    assert set(DEPTH_PRIORS) >= {"onnx", "transformers"}
    for machine in (Machine("", ALL, places), Machine("H", ALL, places)):
        assert from_dict(choose(machine, depth=False).settings).pairs.model == "two_view"


def test_this_machine_has_what_is_found():
    found = this_machine(lambda known: Path("/somewhere") if known.name == METRIC else None)
    assert found.places == {METRIC: Path("/somewhere")} and found.packages <= ALL


def test_the_choice_is_said_and_used_and_settings_win(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    for n in range(3):
        cv2.imwrite(str(folder / f"{n}.png"), np.full((60, 80, 3), 40 * n, np.uint8))
    assert not has_depth(folder)
    made = []

    class Pipeline:
        def __init__(self, config):
            made.append(config)
            raise ValueError("enough")

    monkeypatch.setattr(mapping_run, "MappingPipeline", Pipeline)
    places = {name: tmp_path / name for name in (*POINTS, FAST)}
    places[FAST].with_suffix(".yaml").touch()
    monkeypatch.setattr(mapping_run, "this_machine", lambda: Machine("", ALL, places))
    arguments = ["map", str(folder), "--out", str(tmp_path / "out"), "--pairs", choosing.AUTO, "--quiet"]
    assert cli.main([*arguments, "--set", "two_view.features=sift", "--set", "pairs.model=depth"]) == 2
    config = made[0]
    assert config.pairs.model == "two_view" and config.pairs.depth_prior == "onnx" and config.two_view.features == "sift"
    out = capsys.readouterr()
    assert "pair model two_view: colour alone" in out.out and "enough" in out.err
