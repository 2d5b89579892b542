# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Parameters of meaning; see `lsm_ros.config`."""
from __future__ import annotations

from dataclasses import dataclass

from lsm_ros.parameters import param
from lsm_ros.registry import SEGMENTERS


@dataclass(frozen=True)
class SemanticsConfig:
    """Labels and language features in the map, and their names."""

    segmenter: str = param("none", "segmenter for the keyframes of cameras without labels", choices=("none", SEGMENTERS))
    segmenter_model: str = param("", "its model. onnx, tflite: a file, with a YAML file of the same name beside it; "
                                 "transformers: a folder, or a Hugging Face id that is already in the local cache")
    segmenter_labels: str = param("", "label space that the segmenter's classes are translated into by names and synonyms: a "
                                  "name in config/label_spaces, a YAML file, or a file of groups; empty: the segmenter's own")
    classes: str = param("", "YAML file with changes to what is known of classes: `name: {group: object, dynamic: false, "
                         "color: [255, 0, 0], cost: 0, synonyms: []}`; empty: none")
    min_label_probability: float = param(0.5, "pixels whose class the segmenter's network gives a lower probability are "
                                         "unlabelled", low=0.0, high=1.0)
    features: str = param("auto", "language features in the voxels: auto (where the pair model gives some), always (of "
                          "keyframes of the other pair models too, which lsm_small then reads), never",
                          choices=("auto", "always", "never"))
    weights: str = param("", "weights of lsm_small that describe the keyframes of other pair models; empty: the package's own")
    label_space: str = param("", "names that features are decoded into: a name in config/label_spaces, or a YAML file; empty: "
                             "the classes that the weights were trained with")
    min_similarity: float = param(0.35, "a voxel whose feature is less similar than this to every name is unlabelled", low=-1.0,
                                  high=1.0, runtime=True)


@dataclass(frozen=True)
class ObjectsConfig:
    """Objects in the map."""

    min_size: float = param(0.1, "things whose largest side is smaller are no objects", unit="m", low=0.0, high=10.0)
    min_probability: float = param(0.3, "voxels whose label is less probable belong to no object", low=0.0, high=1.0)
    min_existence: float = param(0.5, "objects that are there with a lower probability are not shown", low=0.0, high=1.0)


@dataclass(frozen=True)
class RegionsConfig:
    """Rooms of the map, and poses to go to."""

    min_height: float = param(1.3, "bottom of the band above the floor whose obstacles are walls, above tables and beds",
                              unit="m", low=-10.0, high=10.0)
    max_height: float = param(1.8, "top of that band, below the lintels of doors", unit="m", low=-10.0, high=20.0)
    robot_radius: float = param(0.3, "free space that a goal has on each side", unit="m", low=0.02, high=5.0)
    goal_distance: float = param(0.7, "distance of a goal to the thing that it is for", unit="m", low=0.0, high=10.0)
