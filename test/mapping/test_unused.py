# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Settings without effect are said or refused by name, those with effect are not."""
from dataclasses import fields
from types import SimpleNamespace

import pytest

from lsm_ros import cli
from lsm_ros.config import Config, from_dict
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.mapping.unused import MODELS, RULES, unused_settings
from lsm_ros.pairs.base import DEPTH, MATCHES, POINTS, VIEWS
from lsm_ros.parameters import walk
from lsm_ros.semantics.segmenters.base import Segmenter
from lsm_ros.semantics.segmenters.small import SmallSegmenter
from lsm_sim.source import RoomSource

STAGES = ("pairs", "two_view", "pointmap", "tracking", "keyframes", "semantics")
ALWAYS = {"pairs.model", "pairs.depth_prior", "tracking.tracker", "tracking.min_match_fraction", "tracking.min_inliers",
          "tracking.huber", "tracking.max_speed", "tracking.max_rate", "tracking.lost_session_seconds", "keyframes.max_seconds",
          "keyframes.max_keyframes", "semantics.segmenter", "semantics.classes", "semantics.features"}
MODEL = {"depth": SimpleNamespace(name="depth", gives=frozenset({MATCHES}), uses_depth=True, depth_prior=None),
         "two_view": SimpleNamespace(name="two_view", gives=frozenset({MATCHES, DEPTH}), uses_depth=False, depth_prior=1),
         "network": SimpleNamespace(name="mast3r", gives=frozenset({POINTS}), uses_depth=False, depth_prior=None),
         "views": SimpleNamespace(name="views", gives=frozenset({POINTS, VIEWS}), uses_depth=False, depth_prior=None)}
NETWORKS = {"network", "views"}
OTHER = {"pairs.weights": "w.pth", "pairs.retrieval": "r.pth", "pairs.precision": "float32",
         "pairs.depth_prior_model": "d.onnx", "two_view.features": "xfeat", "two_view.refine_focal": False,
         "pointmap.matching": "reciprocal",
         "semantics.weights": "w", "semantics.segmenter_model": "s.onnx", "semantics.segmenter_labels": "ade20k",
         "semantics.label_space": "ade20k"}
USES = {  # stages or parameters by the models that use them
    "two_view.": {"two_view"}, "pointmap.window": {"views"}, "pointmap.": NETWORKS, "pairs.weights": NETWORKS,
    "pairs.retrieval": NETWORKS, "pairs.precision": NETWORKS,
    "pairs.depth_prior_model": {"two_view"}, "pairs.min_depth": {"depth"},
    "pairs.max_depth": {"depth"}, "pairs.max_points": {"depth", "two_view"}, "pairs.min_corner_distance": {"depth", "two_view"},
    "tracking.depth_sigma": {"depth"}, "tracking.sigma_px": {"depth"}, "tracking.references": {"depth"},
    "tracking.relocalize_match_fraction": {"depth", "two_view"}, "keyframes.": {"depth", "two_view"}, "semantics.": set()}
PARAMETERS = [(name, f) for name, f, _ in walk(Config()) if name.partition(".")[0] in STAGES and name not in ALWAYS]


def layer(*segmenters, language=None):
    reads = frozenset().union(*(s.reads for s in segmenters))
    return SimpleNamespace(language=language, reads=reads.__contains__)


def changed(name, field):
    value = OTHER.get(name)
    if value is None:
        value = field.default + (field.metadata["high"] - field.default) * (1 if isinstance(field.default, int) else 0.5)
    return from_dict({name: value})


@pytest.mark.parametrize("kind", MODEL)
@pytest.mark.parametrize("name, field", PARAMETERS, ids=[name for name, _ in PARAMETERS])
def test_each_model_says_what_it_does_not_use(name, field, kind):
    used = next(models for n, models in USES.items() if name == n or (n.endswith(".") and name.startswith(n)))
    config = changed(name, field)
    if kind in used:
        assert unused_settings(config, MODEL[kind], layer()) == ""
    elif name in MODELS:
        with pytest.raises(ValueError, match=rf"^{name} '.*' has no effect with pair model '{MODEL[kind].name}': it is for"):
            unused_settings(config, MODEL[kind], layer())
    else:
        text = unused_settings(config, MODEL[kind], layer())
        assert text.startswith(f"settings without effect with pair model '{MODEL[kind].name}': {name} (")
        assert "; " not in text.replace("; see", "")


def test_every_parameter_of_these_stages_was_thought_of():
    known = {name for name, _, _ in walk(Config()) if name.partition(".")[0] in STAGES}
    assert {n for n in known if any(r.has(n) for r in RULES)} == known - ALWAYS and known >= ALWAYS
    assert {f.name for f in fields(Config)} >= set(STAGES)


@pytest.mark.parametrize("name, value", [("semantics.segmenter_model", "s.onnx"), ("semantics.segmenter_labels", "ade20k"),
                                         ("semantics.min_label_probability", 0.9)])
def test_settings_of_segmenters_count_with_one_that_reads_them(name, value):
    config = from_dict({name: value})
    assert unused_settings(config, MODEL["depth"], layer(Segmenter)) == ""
    if name not in MODELS:
        assert name in unused_settings(config, MODEL["depth"], layer(SmallSegmenter))


@pytest.mark.parametrize("name, value", [("semantics.weights", "w"), ("semantics.label_space", "ade20k"),
                                         ("semantics.min_similarity", 0.9), ("pairs.precision", "float32")])
def test_settings_of_language_count_where_there_is_some(name, value):
    assert unused_settings(from_dict({name: value}), MODEL["depth"], layer(SmallSegmenter)) == ""
    if name in ("semantics.label_space", "semantics.min_similarity"):
        assert unused_settings(from_dict({name: value}), MODEL["depth"], layer(language=object())) == ""


def test_several_in_one_line():
    config = from_dict({"two_view.features": "xfeat", "two_view.sigma_px": 1.0, "pointmap.stride": 2})
    assert unused_settings(config, MODEL["depth"], layer()) == (
        "settings without effect with pair model 'depth': two_view.sigma_px (1.0), two_view.features ('xfeat') is for pair "
        "model two_view; pointmap.stride (2) is for networks")


def test_the_pipeline_warns_as_long_as_that_is_so():
    pipeline = MappingPipeline(from_dict({"semantics.min_similarity": 0.9}))
    assert any("semantics.min_similarity" in w for w in pipeline.status().warnings)
    pipeline.reset()
    assert any("semantics.min_similarity" in w for w in pipeline.status().warnings)
    pipeline.apply_runtime(Config())
    assert not any("without effect" in w for w in pipeline.status().warnings)
    before = pipeline.config
    with pytest.raises(ValueError, match="semantics.segmenter_labels 'coco' has no effect"):
        pipeline.apply_runtime(from_dict({"semantics.segmenter_labels": "coco", "tracking.sigma_px": 9.0}))
    assert pipeline.config is before and pipeline.tracker.config.tracking.sigma_px == before.tracking.sigma_px
    with pytest.raises(ValueError, match="pairs.weights 'x.pth' has no effect"):
        MappingPipeline(from_dict({"pairs.weights": "x.pth"}))


def test_the_command_line(tmp_path, capsys):
    from lsm_sim.export import export

    export(RoomSource(seed=1, frames=6, width=160, height=120, noise=False), tmp_path / "room")
    begin = ["map", str(tmp_path / "room"), "--out", str(tmp_path / "out"), "--quiet"]
    assert cli.main([*begin, "--weights", "x.pth"]) == 2
    assert "pairs.weights 'x.pth' has no effect with pair model 'depth'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert cli.main([*begin, "--set", "two_view.features=xfeat"]) == 0
    assert "warning: settings without effect with pair model 'depth': two_view.features ('xfeat')" in capsys.readouterr().out
