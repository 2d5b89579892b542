# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Settings that have no effect with the models that were chosen. One that names a model of its own is refused, for whoever
gives it wants another result than he would get; of others it is said that they do nothing."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lsm_ros.config import Config
from lsm_ros.pairs.base import DEPTH, POINTS, VIEWS, PairModel
from lsm_ros.parameters import default_of, walk
from lsm_ros.semantics.layer import SemanticLayer

MODELS = ("pairs.weights", "pairs.retrieval", "pairs.depth_prior_model", "semantics.weights", "semantics.segmenter_model",
          "semantics.segmenter_labels")
"""Settings that are refused where they have no effect."""


@dataclass(frozen=True)
class Rule:
    """Parameters (a name, or a stage with a dot at its end) that count only under a condition. advice: what counts instead."""

    names: tuple[str, ...]
    counts: Callable[[PairModel, SemanticLayer], bool]
    advice: str

    def has(self, name: str) -> bool:
        """True for a parameter of this rule."""
        return any(name.startswith(n) if n.endswith(".") else name == n for n in self.names)


def _is_network(model: PairModel, _: SemanticLayer) -> bool:
    return POINTS in model.gives


def _is_two_view(model: PairModel, _: SemanticLayer) -> bool:
    return DEPTH in model.gives


RULES = (
    Rule(("pairs.weights", "pairs.retrieval"), _is_network, "is for a network, see pairs.model (--pairs)"),
    Rule(("pairs.precision",), lambda model, layer: POINTS in model.gives or layer.reads("pairs.precision"),
         "is for a network, see pairs.model (--pairs)"),
    Rule(("pairs.depth_prior_model",), lambda model, _: model.depth_prior is not None,
         "is for pairs.depth_prior, which is none"),
    Rule(("pairs.min_depth", "pairs.max_depth", "tracking.depth_sigma"), lambda model, _: model.uses_depth,
         "is for the depth of a camera"),
    Rule(("pairs.max_points", "pairs.min_corner_distance", "tracking.relocalize_match_fraction", "keyframes.overlap",
          "keyframes.max_translation", "keyframes.max_rotation", "keyframes.window", "keyframes.neighbours",
          "keyframes.all_neighbours"),
         lambda model, _: POINTS not in model.gives, "is not for networks, see pointmap"),
    Rule(("tracking.sigma_px", "tracking.references"), lambda model, _: not model.gives & {POINTS, DEPTH},
         "is for measured depth; see two_view and pointmap"),
    Rule(("two_view.",), _is_two_view, "is for pair model two_view"),
    Rule(("pointmap.window",), lambda model, _: VIEWS in model.gives, "is for multi-view networks"),
    Rule(("pointmap.",), _is_network, "is for networks"),
    Rule(("semantics.weights",), lambda _, layer: layer.reads("semantics.weights"),
         "is for semantics.features=always with a pair model that gives none, and for segmenter lsm_small"),
    Rule(("semantics.label_space", "semantics.min_similarity"),
         lambda _, layer: layer.language is not None or layer.reads("semantics.label_space"),
         "is for language features, and there are none"),
    Rule(("semantics.segmenter_model", "semantics.segmenter_labels", "semantics.min_label_probability"),
         lambda _, layer: layer.reads("semantics.segmenter_model"), "is for a segmenter that is a network, see "
         "semantics.segmenter"),
)


def unused_settings(config: Config, model: PairModel, layer: SemanticLayer) -> str:
    """Line about settings that are not their defaults and have no effect; '' where there are none. ValueError for one of
    `MODELS`."""
    found: dict[str, list[str]] = {}
    for name, field, value in walk(config):
        rule = next((r for r in RULES if r.has(name)), None)
        if rule is None or value == default_of(field) or rule.counts(model, layer):
            continue
        if name in MODELS:
            raise ValueError(f"{name} {value!r} has no effect with pair model {model.name!r}: it {rule.advice}")
        found.setdefault(rule.advice, []).append(f"{name} ({value!r})")
    listed = "; ".join(f"{', '.join(names)} {advice}" for advice, names in found.items())
    return f"settings without effect with pair model {model.name!r}: {listed}" if found else ""
