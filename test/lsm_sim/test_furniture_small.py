# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Lamps, electronics, decoration, small things, people and parts of buildings: what is true of them in particular."""
from __future__ import annotations

import numpy as np
import pytest

from lsm_sim.furniture import KINDS, build
from lsm_sim.furniture.building import door_leaf, window
from lsm_sim.furniture.decor import blinds, curtain
from lsm_sim.furniture.lights import ceiling_lamp, floor_lamp, table_lamp, wall_lamp
from lsm_sim.world import Part, Shape, Thing

SEEDS = range(40)
LAMPS = {"ceiling": ceiling_lamp, "floor": floor_lamp, "top": table_lamp, "wall": wall_lamp}


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def inside(part: Part, points: np.ndarray) -> np.ndarray:
    """(N,) bool: which points (N, 3) a part contains."""
    q = (points - part.center) @ part.R / part.half
    if part.shape == Shape.BOX:
        return (np.abs(q) < 1).all(1)
    if part.shape == Shape.ELLIPSOID:
        return (q ** 2).sum(1) < 1
    wide = 1 + (part.taper - 1) * (q[:, 2] + 1) / 2
    return ((q[:, :2] ** 2).sum(1) < wide ** 2) & (np.abs(q[:, 2]) < 1)


def escape(thing: Thing, low: float = -1.0, high: float = 1.0) -> float:
    """Share of the lamp's light that leaves the thing, over directions whose z is between low and high."""
    n = 160
    z = low + (high - low) * (np.arange(n) + 0.5) / n
    turn = np.arange(n) * 2.399963
    ways = np.stack([np.sqrt(1 - z ** 2) * np.cos(turn), np.sqrt(1 - z ** 2) * np.sin(turn), z], 1)
    reach = np.arange(0.0, 0.8, 0.008)
    points = np.asarray(thing.lamp.position) + reach[:, None, None] * ways
    hit = np.zeros(points.shape[:2], bool)
    for part in thing.parts:
        hit |= inside(part, points.reshape(-1, 3)).reshape(hit.shape)
    return 1 - float(hit.any(0).mean())


class TestLamps:
    @pytest.mark.parametrize("place", sorted(LAMPS))
    def test_light_gets_out(self, place: str):
        for seed in SEEDS:
            thing = LAMPS[place](rng(seed))
            assert thing.place == place and thing.label == "lamp"
            assert escape(thing) > 0.35, f"{place} {seed} keeps its light"

    def test_ceiling_lamps_light_what_is_below(self):
        for seed in SEEDS:
            assert escape(ceiling_lamp(rng(seed)), -1.0, -0.3) > 0.97, seed

    def test_escape_sees_a_shade(self):
        thing = table_lamp(rng(0))
        at = np.asarray(thing.lamp.position)
        shut = Part(Shape.ELLIPSOID, at, np.full(3, 0.05), thing.parts[0].material)
        assert escape(Thing("lamp", (*thing.parts, shut), "top", lamp=thing.lamp)) == 0

    @pytest.mark.parametrize("place", sorted(LAMPS))
    def test_light_is_at_its_shade(self, place: str):
        for seed in SEEDS:
            thing = LAMPS[place](rng(seed))
            shining = [p for p in thing.parts if any(m.glow > 0 for m in (p.material, *p.faces.values()))]
            assert shining, f"{place} {seed}: nothing shines"
            at = np.asarray(thing.lamp.position)
            boxes = [(p.corners().min(0), p.corners().max(0)) for p in shining]
            gaps = [np.linalg.norm(np.maximum(np.maximum(low - at, at - high), 0)) for low, high in boxes]
            assert min(gaps) < 0.4, f"{place} {seed}: {min(gaps):.2f} m from what shines"
            assert thing.lamp.power > 0.3 and thing.lamp.radius > 0

    def test_ceiling_lamps_leave_room_for_heads(self):
        assert min(ceiling_lamp(rng(s)).bounds()[0][2] for s in SEEDS) > -1.15

    def test_kinds(self):
        assert {k: v(rng(0)).place for k, v in KINDS["lamp"].items()} == {
            "ceiling": "ceiling", "floor": "floor", "table": "top", "wall": "wall"}


class TestWindows:
    def test_daylight_stands_before_the_pane(self):
        for seed in SEEDS:
            thing = build("window", rng(seed))
            low, high = thing.bounds()
            x, y, z = thing.lamp.position
            assert 0.05 < x < 0.5 and low[1] < y < high[1] and low[2] < z < high[2]
            assert escape(thing) > 0.4
            views = [p for p in thing.parts if "front" in p.faces and p.faces["front"].texture == "window_view"]
            assert len(views) == 1 and views[0].faces["front"].glow > 0.5

    def test_sizes_asked_for(self):
        for seed in range(10):
            low, high = window(rng(seed), width=1.2, sill=0.9, top=2.1).bounds()
            assert high[2] == pytest.approx(2.1) and low[2] == pytest.approx(0.9, abs=0.04)
            assert high[1] - low[1] == pytest.approx(1.2, abs=0.13)

    @pytest.mark.parametrize("size", [{"width": 0.1}, {"sill": 2.0, "top": 2.1}])
    def test_too_small(self, size: dict):
        with pytest.raises(ValueError, match="wider and higher than 0.2 m"):
            window(rng(0), **size)

    def test_what_hangs_before_covers_the_width(self):
        for seed in SEEDS:
            for make, spare in ((curtain, 0.7), (blinds, 0.12)):
                low, high = make(rng(seed), width=1.5, top=2.2).bounds()
                assert low[1] < -0.74 and high[1] > 0.74 and high[1] - low[1] < 1.5 + spare
                assert 2.15 < high[2] < 2.25 and low[2] > 0


class TestDoors:
    def test_leaf_turns_about_its_hinge(self):
        for seed in SEEDS:
            low, high = door_leaf(rng(seed), width=0.8, height=1.95).bounds()
            assert low[1] == pytest.approx(0, abs=1e-9) and high[1] == pytest.approx(0.8, abs=1e-9)
            assert 0 <= low[2] < 0.02 and high[2] == pytest.approx(1.95)
            assert low[0] == pytest.approx(-high[0])

    def test_handle_within_reach(self):
        for seed in SEEDS:
            parts = build("door", rng(seed)).parts
            assert any(0.85 < p.center[2] < 1.2 and p.half.max() < 0.12 for p in parts)


class TestPeople:
    @pytest.mark.parametrize(("kind", "least", "most"), [
        ("standing", 1.4, 1.95), ("walking", 1.35, 1.95), ("sitting", 1.1, 1.5)])
    def test_heights(self, kind: str, least: float, most: float):
        heights = [build("person", rng(s), kind).bounds()[1][2] for s in SEEDS]
        assert least < min(heights) and max(heights) < most and np.ptp(heights) > 0.1

    def test_only_who_sits_has_a_chair(self):
        for seed in range(10):
            assert "chair" in {p.label for p in build("person", rng(seed), "sitting").parts}
            for kind in ("standing", "walking"):
                assert {p.label for p in build("person", rng(seed), kind).parts} == {None}

    def test_face_looks_forward(self):
        for seed in range(10):
            thing = build("person", rng(seed), "standing")
            top = thing.bounds()[1][2]
            eyes = [p.center for p in thing.parts if p.half.max() < 0.012 and top - 0.25 < p.center[2] < top - 0.05]
            assert len(eyes) >= 2 and all(e[0] > 0.06 for e in eyes)


class TestThings:
    def test_carpets_are_flat(self):
        assert max(build("carpet", rng(s)).bounds()[1][2] for s in SEEDS) <= 0.015

    def test_mirrors_reflect(self):
        for seed in SEEDS:
            glass = [m for p in build("mirror", rng(seed)).parts for m in p.faces.values() if m.gloss > 0.85]
            assert glass, seed

    def test_pictures_show_something(self):
        shown = {m.texture for s in SEEDS for p in build("picture", rng(s)).parts for m in p.faces.values()}
        assert {"painting", "photo", "poster"} <= shown

    @pytest.mark.parametrize("name", ["cup", "bottle", "book", "keyboard", "monitor", "pillow"])
    def test_small_things_stand_on_others(self, name: str):
        places = [build(name, rng(s)).place for s in SEEDS]
        assert places.count("top") >= 0.7 * len(places)

    @pytest.mark.parametrize(("name", "places"), [
        ("plant", {"floor", "top"}), ("box", {"floor", "top"}), ("clothes", {"top", "wall"}), ("computer", {"floor", "top"}),
        ("television", {"floor", "wall"}), ("lamp", {"ceiling", "floor", "top", "wall"}), ("radiator", {"wall"}),
        ("bin", {"floor"})])
    def test_places(self, name: str, places: set):
        assert {build(name, rng(s)).place for s in range(80)} == places

    def test_television_stands_on_a_cabinet(self):
        for seed in SEEDS:
            thing = build("television", rng(seed))
            labels = {p.label for p in thing.parts}
            assert labels == ({None, "cabinet"} if thing.place == "floor" else {None})

    def test_stairs_climb_to_their_back(self):
        for seed in SEEDS:
            thing = build("stairs", rng(seed))
            assert thing.against_wall and thing.front_room >= 0.6
            steps = sorted((p.center[0], p.center[2] + p.half[2]) for p in thing.parts
                           if p.label is None and np.allclose(p.R, np.eye(3)) and p.half[1] > 0.15 and p.half[2] < 0.03)
            rises = -np.diff([z for _, z in steps])
            assert len(steps) >= 3 and (rises > 0.1).all() and (rises < 0.22).all()

    @pytest.mark.parametrize("name", [
        "bag", "bin", "bottle", "book", "box", "carpet", "clothes", "computer", "cup", "curtain", "fireplace", "lamp", "person",
        "picture", "plant", "shoes", "stairs", "television", "window"])
    def test_types_differ_in_their_parts(self, name: str):
        assert len({tuple(int(p.shape) for p in build(name, rng(s)).parts) for s in SEEDS}) >= 4
