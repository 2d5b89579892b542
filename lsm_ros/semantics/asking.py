# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Things and rooms by what people call them, and poses to go to."""
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lsm_ros.config import RegionsConfig
from lsm_ros.semantics.classes import Classes
from lsm_ros.semantics.label_spaces import plain
from lsm_ros.semantics.objects import MapObject
from lsm_ros.semantics.regions import Goal, Region, Regions, goal_near
from lsm_ros.semantics.search import Place
from lsm_ros.types import OccupancyMap

MOST_TEXT = 1000  # characters of a target

Search = Callable[[str], Sequence[Place]]  # places that a sentence describes, the most convincing first


def check_text(text: str) -> None:
    """ValueError for a target without letters, or of too many."""
    if not plain(text) or len(text) > MOST_TEXT:
        raise ValueError(f"a target needs 1 to {MOST_TEXT} characters, got {len(text)}")


def called(text: str, objects: Sequence[MapObject]) -> list[MapObject]:
    """Objects whose number or name, as a person gave it, this is."""
    asked = plain(text)
    return [o for o in objects if plain(o.name) == asked or str(o.id) == asked]


def of_class(text: str, objects: Sequence[MapObject], classes: Classes) -> list[MapObject]:
    """Objects of the class that this is a name of."""
    return [o for o in objects if o.label == classes.common_name(text)]


def names_in(objects: Sequence[MapObject], regions: Regions | None) -> str:
    """All names that can be asked for, for messages."""
    known = {o.shown_name for o in objects} | ({r.name for r in regions.regions} if regions is not None else set())
    return ", ".join(sorted(known)) or "no objects or regions"


def find_target(text: str, regions: Regions, objects: Sequence[MapObject], classes: Classes, robot: np.ndarray,
                search: Search | None) -> Region | tuple[str, np.ndarray]:
    """A region, or the name of a thing and its outline (N, 2): the number, name or class of an object, of several the nearest
    to `robot` (2,); the name of a region; or what a sentence describes. search: None for a map without features. ValueError
    where there is nothing of the kind."""
    check_text(text)
    by_person = called(text, objects)
    region = next((r for r in regions.regions if plain(r.name) == plain(text)), None)
    if not by_person and region is not None:
        return region
    things = by_person or of_class(text, objects, classes)
    if things:
        near = min(things, key=lambda o: float(np.linalg.norm(o.centroid[:2] - robot)))
        return f"{near.shown_name} {near.id}", near.box.corners
    if search is None:
        raise ValueError(f"nothing in the map is called {text!r}; there are: {names_in(objects, regions)}")
    places = search(text)
    if not places:
        raise ValueError(f"nothing in the map is like {text!r}")
    return f"what is like {text!r}", outline_of(places[0])


def outline_of(place: Place) -> np.ndarray:
    """(4, 2) corners of the footprint of a place, counter-clockwise."""
    (x0, y0), (x1, y1) = place.low[:2], place.high[:2]
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def goal_for(target: Region | tuple[str, np.ndarray], grid: OccupancyMap, robot: np.ndarray, wanted: RegionsConfig
             ) -> tuple[str, Goal]:
    """The name of a target of `find_target` and a pose near it, or in it: free, facing it, and to be reached from `robot` (2,).
    ValueError that says why there is none."""
    if isinstance(target, Region):
        return f"region {target.name}", goal_near(grid, target.outline, robot, wanted.robot_radius, 0.0, inside=True)
    name, outline = target
    return name, goal_near(grid, outline, robot, wanted.robot_radius, wanted.goal_distance)
