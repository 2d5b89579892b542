# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Everything that is chosen by name, and its definition: one line in a table. Imports nothing; entries are loaded when used.

The values that parameters may have derive from these tables (`lsm_ros.config`), so a new entry needs no other edit.
"""
from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

NETWORKS: dict[str, str] = {
    "croco": "lsm_ros.models.croco:CroCo",
    "dust3r": "lsm_ros.models.dust3r:DUSt3R",
    "mast3r": "lsm_ros.models.mast3r:MASt3R",
    "lsm": "lsm_ros.models.lsm:LSM",
    "lsm_small": "lsm_ros.models.lsm_small:LsmSmall",
}
"""The networks, for `lsm_ros.models.build` and `load`. One of the CroCo family maps by a second line, in `PAIR_MODELS`."""

PAIR_MODELS: dict[str, str] = {
    "depth": "lsm_ros.pairs.depth:DepthPairModel",
    "two_view": "lsm_ros.pairs.two_view:TwoViewPairModel",
    "dust3r": "lsm_ros.pairs.network:NetworkPairModel",
    "mast3r": "lsm_ros.pairs.network:NetworkPairModel",
    "lsm": "lsm_ros.pairs.network:NetworkPairModel",
    "lsm_small": "lsm_ros.pairs.network:NetworkPairModel",
    "depth_anything3": "lsm_ros.pairs.views.pair:ViewPairModel",
    "map_anything": "lsm_ros.pairs.views.pair:ViewPairModel",
}
"""Pair models, for `pairs.model`. A network of the CroCo family is a file in `lsm_ros.models`, a line in `NETWORKS`, and a line
here."""

DEPTH_PRIORS: dict[str, str] = {
    "onnx": "lsm_ros.pairs.depth_priors.onnx:OnnxPrior",
    "transformers": "lsm_ros.pairs.depth_priors.transformers:TransformersPrior",
}
"""Depth priors, for `pairs.depth_prior`: networks that guess the depth of one image."""

VIEW_MODELS: dict[str, str] = {
    "depth_anything3": "lsm_ros.pairs.views.depth_anything3:DepthAnything3Views",
    "map_anything": "lsm_ros.pairs.views.map_anything:MapAnythingViews",
}
"""Multi-view networks, each of which is a pair model too."""

POINT_FEATURES: dict[str, str] = {
    "sift": "lsm_ros.pairs.point_features.sift:SiftFeatures",
    "xfeat": "lsm_ros.pairs.point_features.xfeat:XFeatFeatures",
    "xfeat_lightglue": "lsm_ros.pairs.point_features.xfeat:XFeatLightGlueFeatures",
}
"""Points that two images share, for `two_view.features`."""

TRACKERS: dict[str, str] = {
    "depth": "lsm_ros.slam.trackers.depth:DepthTracker",
    "two_view": "lsm_ros.slam.trackers.two_view:TwoViewTracker",
    "windows": "lsm_ros.slam.trackers.windows:WindowTracker",
    "pointmap": "lsm_ros.slam.trackers.pointmap:PointmapTracker",
}
"""Kinds of tracking, for `tracking.tracker`; `auto` takes the first that suits the output of the pair model."""

SOURCES: dict[str, str] = {
    "tum": "lsm_ros.datasets.tum:TumSource",
    "bag": "lsm_ros.datasets.rosbag:RosbagSource",
    "colour_depth": "lsm_ros.datasets.colour_depth:ColourDepthSource",
    "images": "lsm_ros.datasets.images:ImageFolderSource",
    "video": "lsm_ros.datasets.video:VideoSource",
}
"""Sources of images; the first that recognizes a path reads it."""

SEGMENTERS: dict[str, str] = {
    "lsm_small": "lsm_ros.semantics.segmenters.small:SmallSegmenter",
    "onnx": "lsm_ros.semantics.segmenters.onnx:OnnxSegmenter",
    "tflite": "lsm_ros.semantics.segmenters.tflite:TfliteSegmenter",
    "transformers": "lsm_ros.semantics.segmenters.transformers:TransformersSegmenter",
}
"""Segmenters that label the pixels of keyframes, for `semantics.segmenter`."""


def load(table: Mapping[str, str], name: str, what: str) -> Any:
    """The class or function that an entry names, imported now. ValueError for a name that is not in the table; what: the
    kind of entry, for the message."""
    if name not in table:
        raise ValueError(f"{what} {name!r} does not exist; there are: {', '.join(sorted(table))}")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
