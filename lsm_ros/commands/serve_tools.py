# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The questions that `lsm serve` answers of a saved map, as tools."""
from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.commands.serve_map import Loaded, SavedMap
from lsm_ros.commands.serve_protocol import PNG, Argument, Server, Tool
from lsm_ros.images.codecs import encode_png
from lsm_ros.semantics import asking
from lsm_ros.semantics.objects import MapObject
from lsm_ros.semantics.objects.picture import find_picture
from lsm_ros.semantics.search import Place, find_places, without

UNSURE = 0.5  # similarity below which the map may have nothing of the kind
NEAREST = 5  # objects around a pose
INSIDE_M, MOST_OF_IT = 0.1, 0.5  # a place is of the object whose box, with this around it, has this share of it or more
LEAST_OF_IT = 0.25  # and that has not four times as many voxels
INSTRUCTIONS = ("A robot's map of rooms: things with numbers that stay, rooms with names, poses to drive to. "
                "Lengths are metres in the map frame (x, y level, z up), yaw is in radians. A similarity below 0.5 means "
                "that the map may have nothing of the kind; an empty answer is an answer.")
ROBOT = Argument("point", "x and y of the robot, from which the way begins; by default where the map was left off")


def server_of(folder: Path) -> Server:
    """A server for the map in a folder, which is read now. Errors as of `SavedMap.now`."""
    kept = SavedMap(folder)
    kept.now()
    ask = Questions(kept)
    text = Argument("string", "number, name or class of an object, name of a room, or a sentence in English", required=True)
    return Server((
        Tool("list_objects", "All things of the map with boxes, the rooms, and the doors between them.", ask.list_objects,
             {"label": Argument("string", "only things of this class")}),
        Tool("find", "Things that a text means, the best first, each with its score, and a pose to see it from.", ask.find,
             {"text": text, "top": Argument("integer", "at most so many (5)", low=1, high=100), "robot": ROBOT,
              "unwanted": Argument("texts", "what is not meant: a place as much like one of these does not count")}),
        Tool("goal_near", "A pose that is free and reachable near a thing, facing it, or in a room.", ask.goal_near,
             {"target": text, "robot": ROBOT}),
        Tool("where_am_i", "The room that a point lies in, the rooms beside it, and the things around it.", ask.where_am_i,
             {"position": Argument("point", "x, y and perhaps z in the map", required=True)}),
        Tool("picture", "The image of the map that shows a thing best, cut out around it, as PNG.", ask.picture,
             {"id": Argument("integer", "number of the object", required=True, low=0)})), INSTRUCTIONS)


@dataclass(frozen=True)
class Questions:
    """Answers as plain values; see `server_of`. ValueError says why there is no answer."""

    map: SavedMap

    def list_objects(self, label: str | None = None) -> dict[str, Any]:
        """Objects, of one class or all; regions as GeoJSON."""
        now = self.map.now()
        objects = now.objects if label is None else asking.of_class(label, now.objects, now.classes)
        out: dict[str, Any] = {"objects": [o.to_dict() for o in objects],
                               "regions": None if now.regions is None else now.regions.to_geojson()}
        if now.not_level:
            out["remark"] = now.not_level
        return out

    def find(self, text: str, top: int = 5, robot: list[float] | None = None, unwanted: list[str] | None = None
             ) -> dict[str, Any]:
        """Objects by number, name or class, else places that the sentence describes; none is an answer."""
        now = self.map.now()
        asking.check_text(text)
        named = asking.called(text, now.objects)
        things = named or asking.of_class(text, now.objects, now.classes)
        by = "name" if named else "class"
        remarks: list[str] = []
        found = [self._entry(now, o, by, o.existence * (1.0 if named else o.classes.get(o.label, 1.0))) for o in things]
        if not found and now.language is not None:
            found = self._described(now, text, unwanted or [], top, remarks)
        elif not found:
            remarks.append(f"nothing in the map is called {text!r}, and it has no language features for sentences; there are: "
                           f"{asking.names_in(now.objects, now.regions)}")
        found = sorted(found, key=lambda entry: -entry["score"])[:top]
        for entry in found:
            entry.update(_goal(now, (entry["name"], entry.pop("outline")), robot))
        return {"text": text, "found": found, "remarks": remarks}

    def _described(self, now: Loaded, text: str, unwanted: list[str], top: int, remarks: list[str]) -> list[dict[str, Any]]:
        assert now.language is not None
        sentence = now.language.sentence(text)
        remarks += sentence.remarks
        places, best = _places(now, sentence.vector, top, [now.language.sentence(t).vector for t in unwanted])
        if not places:
            but = f" and not rather like {' or '.join(map(repr, unwanted))}" if unwanted else ""
            said = f": its best voxel has a similarity of {best:.2f}" if np.isfinite(best) else ""
            remarks.append(f"nothing in the map is like {text!r}{but}{said}")
        elif places[0].similarity < UNSURE:
            remarks.append(f"similarities below {UNSURE:g} mean that the map may have nothing of the kind")
        out: dict[int, dict[str, Any]] = {}
        for n, place in enumerate(places):
            thing = max(now.objects, key=lambda o: _share_in(o, place), default=None)
            if thing is not None and (_share_in(thing, place) < MOST_OF_IT or place.voxels < LEAST_OF_IT * thing.voxels):
                thing = None  # a wall behind it, or the floor at its feet
            key = -1 - n if thing is None else thing.id
            if key in out:
                continue
            out[key] = self._entry(now, thing, "description", place.score) if thing is not None else {
                "object": None, "name": f"what is like {text!r}", "by": "description", "score": round(place.score, 4),
                "box": {"low": _rounded(place.low), "high": _rounded(place.high)}, "outline": asking.outline_of(place)}
            out[key]["similarity"] = round(place.similarity, 4)
        return list(out.values())

    @staticmethod
    def _entry(now: Loaded, thing: MapObject, by: str, score: float) -> dict[str, Any]:
        region = None if now.regions is None else now.regions.at(thing.centroid)
        return {"object": thing.to_dict(), "name": f"{thing.shown_name} {thing.id}", "by": by, "score": round(score, 4),
                "region": None if region is None else region.name, "outline": thing.box.corners}

    def goal_near(self, target: str, robot: list[float] | None = None) -> dict[str, Any]:
        """A pose near what a text names."""
        now = self.map.now()
        if now.grid is None or now.regions is None:
            raise ValueError(now.not_level)
        start = _start(now, robot)
        language = now.language
        search = None if language is None else (lambda text: _places(now, language.sentence(text).vector, 1)[0])
        found = asking.find_target(target, now.regions, now.objects, now.classes, start, search)
        name, goal = asking.goal_for(found, now.grid, start, now.config.regions)
        return {"target": name, "goal": _pose(goal), "from": _rounded(start)}

    def where_am_i(self, position: list[float]) -> dict[str, Any]:
        """The region of a point."""
        now, point = self.map.now(), np.array(position, float)
        if now.regions is None:
            raise ValueError(now.not_level)
        here = now.regions.at(point)
        names = {r.number: r.name for r in now.regions.regions}
        doors = [] if here is None else [d for d in now.regions.doors if here.number in d.regions]
        around = sorted(now.objects, key=lambda o: float(np.linalg.norm(o.centroid[:2] - point[:2])))[:NEAREST]
        return {"region": None if here is None else {"number": here.number, "name": here.name, "area_m2": round(here.area, 2)},
                "doors": [{"to": names[next(n for n in d.regions if here is not None and n != here.number)],
                           "centre": _rounded(d.centre), "width_m": round(d.width, 2)} for d in doors],
                "near": [{"id": o.id, "name": o.shown_name, "distance_m": round(float(
                    np.linalg.norm(o.centroid[:2] - point[:2])), 2)} for o in around]}

    def picture(self, id: int) -> dict[str, Any]:
        """The best image of an object."""
        now = self.map.now()
        thing = next((o for o in now.objects if o.id == id), None)
        if thing is None:
            raise ValueError(f"there is no object {id}; there are: {', '.join(str(o.id) for o in now.objects) or 'none'}")
        seen = now.voxels.observations
        found = find_picture(thing.box, thing.centroid, [(seen[i], T) for i, T in now.voxels.fused_poses().items()])
        if found is None:
            raise ValueError(f"no image that the map keeps shows {thing.shown_name} {id}")
        image, of = found
        return {"id": id, "name": thing.shown_name, "camera": of.camera, "stamp_ns": of.stamp_ns, "width": image.shape[1],
                "height": image.shape[0], PNG: base64.b64encode(encode_png(image)).decode()}


def _places(now: Loaded, vector: np.ndarray, most: int, unwanted: Sequence[np.ndarray] = ()
            ) -> tuple[tuple[Place, ...], float]:
    """Places that a vector describes, rather than those of what is not meant, and the largest similarity that is left."""
    surface = now.voxels.surface()
    similarity = without(now.voxels.query(vector).similarity, [now.voxels.query(v).similarity for v in unwanted])
    answer = find_places(surface.voxel, surface.points_map, similarity, now.voxels.layout.voxel_size, 0.0, most)
    return answer.places, answer.best


def _share_in(thing: MapObject, place: Place) -> float:
    """Share of a place's box that lies in the box of an object, or just beside it."""
    axes = np.linspace(0.0, 1.0, 8)
    points = place.low + np.stack(np.meshgrid(axes, axes, axes), -1).reshape(-1, 3) * (place.high - place.low)
    T = thing.box.T_map_box
    own = (points - T[:3, 3]) @ T[:3, :3]
    return float((np.abs(own) <= thing.box.size / 2 + INSIDE_M).all(1).mean())


def _start(now: Loaded, robot: list[float] | None) -> np.ndarray:
    return now.stand if robot is None else np.array(robot[:2], float)


def _goal(now: Loaded, target: tuple[str, np.ndarray], robot: list[float] | None) -> dict[str, Any]:
    """A pose for a thing that was found, or why there is none."""
    if now.grid is None:
        return {"goal": None, "no_goal": now.not_level}
    try:
        return {"goal": _pose(asking.goal_for(target, now.grid, _start(now, robot), now.config.regions)[1])}
    except ValueError as error:
        return {"goal": None, "no_goal": str(error)}


def _pose(goal: Any) -> dict[str, float]:
    return {k: round(float(getattr(goal, k)), 4) for k in ("x", "y", "yaw", "clearance")}


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(v), 4) for v in values]
