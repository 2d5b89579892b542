# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Run of `lsm query`: the map's features and its language from files, the places, a table or JSON."""
from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsm_ros.config import FusionConfig, from_dict
from lsm_ros.fusion.files import feature_file
from lsm_ros.fusion.files.feature_file import FeatureCloud, read_features
from lsm_ros.fusion.voxel_map import VoxelMap
from lsm_ros.mapping import store
from lsm_ros.models.known import LANGUAGE_FILE
from lsm_ros.reading import reading
from lsm_ros.semantics.language import Sentence, read_language
from lsm_ros.semantics.search import Answer, find_places, without


@dataclass(frozen=True)
class Found:
    """A sentence and the places found for it."""

    sentence: Sentence
    answer: Answer


def ask(folder: Path, text: str, threshold: float, most: int, unwanted: Sequence[str] = ()) -> Found:
    """Asks the map in a folder. unwanted: texts that are not meant; what is as much like one of them does not count.
    FileNotFoundError for a folder without a map; ValueError for a map without features, a text
    without words, or weights of another text encoder; ImportError when the text encoder is missing."""
    cloud = read_cloud(folder)
    language = read_language(folder / LANGUAGE_FILE)
    sentence = language.sentence(text)
    similarity = without(cloud.similarity(sentence.vector), [cloud.similarity(language.sentence(t).vector) for t in unwanted])
    return Found(sentence, find_places(cloud.voxel, cloud.points_map, similarity, cloud.voxel_size, threshold, most))


def read_cloud(folder: Path) -> FeatureCloud:
    """The features of a result of `lsm map`, or of a saved map."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder of a map")
    if (folder / feature_file.FILE).is_file():
        return read_features(folder / feature_file.FILE)
    if not (folder / store.META).is_file():
        if (folder / "map.ply").is_file():
            raise ValueError(f"the map in {folder} has no language features; make it with --pairs lsm_small or lsm, or with "
                             "--set semantics.features=always")
        raise FileNotFoundError(f"{folder} holds no map: neither {feature_file.FILE} nor {store.META} exists")
    voxels = VoxelMap(fusion_config(folder, store.read_meta(folder)))
    voxels.load(folder / "map")
    return cloud_of(voxels)


def cloud_of(voxels: VoxelMap) -> FeatureCloud:
    """Surface voxels of a map with their features. ValueError if it has none."""
    cell, features = voxels.features()
    surface = voxels.surface()
    return FeatureCloud(surface.voxel, surface.points_map, cell, features, voxels.layout.voxel_size)


def fusion_config(folder: Path, meta: Mapping[str, Any]) -> FusionConfig:
    """Parameters of the voxels of a saved map, of which `meta` is the description. ValueError."""
    with reading(folder / store.META):
        values = meta["config"]["fusion"]
        return from_dict({"fusion": {k: v for k, v in values.items() if k not in ("backend", "threads")}}).fusion


def as_json(found: Found) -> str:
    """All of the answer but its points."""
    a = found.answer
    places = [{"similarity": round(p.similarity, 4), "score": round(p.score, 4), "voxels": p.voxels,
               "centre": [round(x, 4) for x in p.centre.tolist()], "low": [round(x, 4) for x in p.low.tolist()],
               "high": [round(x, 4) for x in p.high.tolist()]} for p in a.places]
    return json.dumps({"text": found.sentence.text, "threshold": round(a.threshold, 4),
                       "best": round(a.best, 4) if math.isfinite(a.best) else None, "voxels": len(a.points),
                       "remarks": list(found.sentence.remarks), "places": places}, indent=1)


def as_table(found: Found) -> str:
    """The answer for people."""
    a = found.answer
    lines = [f"note: {r}" for r in found.sentence.remarks]
    best = f"; the best of the map has {a.best:.2f}" if math.isfinite(a.best) else ""
    if not a.places:
        return "\n".join([*lines, f"nothing has a similarity of {a.threshold:.2f} or more{best}"])
    lines.append(f"{len(a.points)} voxels have a similarity of {a.threshold:.2f} or more{best}")
    lines.append(f"{'similarity':>10} {'voxels':>7}   {'centre x y z [m]':<24} size [m]")
    for p in a.places:
        centre, size = (" ".join(f"{v:.2f}" for v in x) for x in (p.centre, p.high - p.low))
        lines.append(f"{p.similarity:>10.2f} {p.voxels:>7}   {centre:<24} {size}")
    return "\n".join(lines)
