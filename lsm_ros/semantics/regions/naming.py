# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Names of regions, from what stands in them."""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsm_ros.semantics.objects import MapObject
from lsm_ros.semantics.regions.finding import Region, Regions

SIGNS: dict[str, tuple[str, ...]] = {
    "bathroom": ("toilet", "bathtub", "shower"),
    "kitchen": ("stove", "oven", "refrigerator", "dishwasher", "microwave", "hood"),
    "bedroom": ("bed",),
    "office": ("desk", "computer", "monitor"),
    "living room": ("sofa", "television", "fireplace"),
    "dining room": ("table",),
}
"""Classes by the kind of room that they are a sign of; the first kind with most signs is the name."""
LONG = 5.0  # area of a corridor, relative to the largest circle in it


@dataclass(frozen=True)
class Pin:
    """Name that a person gave to the region that a point (3,) of the map lies in; keyframe: the one that it moves with."""

    name: str
    point: np.ndarray
    keyframe: int


def with_names(found: Regions, objects: Sequence[MapObject], pins: Sequence[Pin] = ()) -> Regions:
    """The regions with names: of a person where there is a pin, else of their objects. Each name is there once: others get a
    number."""
    inside: dict[int, list[str]] = {}
    for o in objects:
        region = found.at(o.centroid)
        if region is not None:
            inside.setdefault(region.number, []).append(o.label)
    names: dict[int, str] = {}
    for pin in pins:
        region = found.at(pin.point)
        if region is not None:
            names[region.number] = pin.name
    used = Counter(names.values())
    for region in found.regions:
        if region.number not in names:
            name = _kind(region, inside.get(region.number, []))
            used[name] += 1
            names[region.number] = name if used[name] == 1 else f"{name} {used[name]}"
    return found.named(names)


def _kind(region: Region, labels: Sequence[str]) -> str:
    counts = {kind: sum(label in signs for label in labels) for kind, signs in SIGNS.items()}
    kind = max(counts, key=lambda k: counts[k])
    if counts[kind]:
        return kind
    return "corridor" if region.area > LONG * np.pi * region.radius**2 else "room"
