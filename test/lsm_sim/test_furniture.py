# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Furniture: sizes of the real world, standing where it should, free supports, variety, no faces that fight."""
from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from lsm_sim.furniture import FURNITURE, KINDS, build
from lsm_sim.furniture import parts as p
from lsm_sim.labels import indoor_labels
from lsm_sim.world import FACES, Part, Shape, Thing, WorldBuilder

SEEDS = range(12)
NOT_BUILT = {"void", "wall", "floor", "ceiling"}
FAMILIES = {
    "plain", "blank", "noise", "wood", "planks", "parquet", "tiles", "brick", "concrete", "plaster", "fabric",
    "stripes", "checker", "wallpaper", "carpet", "leather", "metal", "marble", "leaves", "wicker", "cardboard",
    "pebbles", "ceiling_panels", "painting", "photo", "poster", "books", "book_cover", "drawers", "doors", "door",
    "screen", "keyboard", "label", "newspaper", "window_view", "clock", "fridge", "oven", "washer", "stove",
    "microwave", "dishwasher", "radiator", "rug", "mirror_frame", "text_clutter", "face", "shelf_goods",
}

SIZES = {  # metres: shorter and longer side of the footprint, height (of what there is between lowest and highest)
    "door": ((0.01, 1.1), (0.5, 2.2), (1.8, 2.4)), "window": ((0.01, 0.5), (0.4, 3.0), (0.4, 2.4)),
    "cabinet": ((0.25, 0.7), (0.32, 2.4), (0.4, 2.4)), "bed": ((0.9, 2.2), (1.9, 2.4), (0.5, 2.0)),
    "chair": ((0.28, 1.0), (0.3, 1.1), (0.4, 1.5)), "sofa": ((0.75, 2.9), (1.3, 3.6), (0.65, 1.0)),
    "table": ((0.25, 1.4), (0.3, 2.3), (0.3, 0.95)), "desk": ((0.5, 1.7), (0.9, 2.0), (0.68, 0.8)),
    "shelf": ((0.12, 0.55), (0.4, 1.5), (0.015, 2.5)), "bookcase": ((0.2, 0.4), (0.4, 1.5), (0.8, 2.4)),
    "counter": ((0.45, 1.1), (0.55, 2.8), (0.8, 1.25)), "sink": ((0.3, 0.75), (0.4, 1.3), (0.15, 1.45)),
    "refrigerator": ((0.45, 1.0), (0.5, 1.1), (0.8, 2.1)), "oven": ((0.5, 0.8), (0.5, 0.8), (0.8, 2.2)),
    "stove": ((0.45, 0.8), (0.5, 0.95), (0.8, 1.2)), "microwave": ((0.3, 0.5), (0.4, 0.6), (0.2, 0.4)),
    "dishwasher": ((0.4, 0.75), (0.5, 0.75), (0.8, 0.95)), "washing machine": ((0.4, 0.75), (0.5, 0.75), (0.8, 0.95)),
    "toilet": ((0.33, 0.65), (0.5, 0.85), (0.35, 1.3)), "bathtub": ((0.6, 1.0), (1.4, 1.95), (0.45, 0.95)),
    "shower": ((0.7, 1.3), (0.7, 1.4), (1.8, 2.4)), "mirror": ((0.005, 0.7), (0.15, 1.6), (0.2, 2.2)),
    "picture": ((0.003, 0.15), (0.1, 2.0), (0.1, 1.6)), "curtain": ((0.02, 0.4), (0.2, 3.5), (0.8, 2.9)),
    "blinds": ((0.005, 0.25), (0.3, 3.0), (0.2, 2.6)), "lamp": ((0.02, 0.9), (0.05, 1.7), (0.02, 2.1)),
    "television": ((0.03, 0.5), (0.5, 2.1), (0.3, 1.6)), "monitor": ((0.03, 0.4), (0.3, 1.1), (0.25, 0.8)),
    "computer": ((0.03, 0.45), (0.1, 0.75), (0.01, 0.65)), "keyboard": ((0.07, 0.3), (0.2, 0.6), (0.005, 0.08)),
    "pillow": ((0.1, 0.75), (0.25, 0.95), (0.05, 0.7)), "blanket": ((0.1, 1.8), (0.2, 2.3), (0.02, 0.6)),
    "carpet": ((0.3, 4.0), (0.4, 5.0), (0.001, 0.016)), "plant": ((0.04, 1.7), (0.04, 1.8), (0.06, 2.3)),
    "box": ((0.03, 0.8), (0.05, 1.0), (0.02, 0.8)), "bag": ((0.05, 0.6), (0.1, 0.9), (0.1, 1.1)),
    "book": ((0.01, 0.35), (0.05, 0.45), (0.004, 0.4)), "cup": ((0.04, 0.3), (0.05, 0.4), (0.04, 0.3)),
    "bottle": ((0.03, 0.35), (0.03, 0.4), (0.08, 0.5)), "clothes": ((0.02, 1.0), (0.1, 1.3), (0.02, 1.9)),
    "shoes": ((0.05, 0.4), (0.15, 0.7), (0.04, 0.6)), "bin": ((0.1, 0.7), (0.12, 0.8), (0.15, 1.1)),
    "person": ((0.15, 1.2), (0.3, 1.9), (0.9, 2.1)), "stairs": ((0.3, 2.5), (0.4, 4.5), (0.3, 3.2)),
    "railing": ((0.02, 1.5), (0.3, 4.0), (0.06, 1.5)), "fireplace": ((0.15, 1.2), (0.4, 2.2), (0.4, 3.0)),
    "radiator": ((0.03, 0.4), (0.2, 2.6), (0.15, 2.2)),
}

names = pytest.mark.parametrize("name", sorted(FURNITURE))


@cache
def things(name: str) -> tuple[Thing, ...]:
    """The same class from a few seeds, and each of its kinds."""
    made = [build(name, np.random.default_rng(s)) for s in SEEDS]
    return (*made, *(build(name, np.random.default_rng(s), kind) for kind in KINDS.get(name, {}) for s in range(4)))


def within(part: Part, points: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """(N,) bool: which points (N, 3) lie inside a part by more than a margin in metres."""
    q, half = (points - part.center) @ part.R, np.maximum(part.half - margin, 1e-9)
    if part.shape == Shape.BOX:
        return (np.abs(q) < half).all(1)
    if part.shape == Shape.ELLIPSOID:
        return ((q / half) ** 2).sum(1) < 1
    wide = 1 + (part.taper - 1) * (q[:, 2] / part.half[2] + 1) / 2
    return (((q[:, :2] / half[:2]) ** 2).sum(1) < wide ** 2) & (np.abs(q[:, 2]) < half[2])


def level_faces(part: Part) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Flat faces of a part: name, outer normal (3,), and points (N, 3) spread evenly over them."""
    grid = (np.arange(15) + 0.5) / 7.5 - 1
    u, v = (a.ravel() for a in np.meshgrid(grid, grid))
    out = []
    for k, face in enumerate(FACES[part.shape]):
        if part.shape == Shape.ELLIPSOID or face == "side":
            continue
        axis, sign = (k // 2, 2 * (k % 2) - 1) if part.shape == Shape.BOX else (2, 2 * k - 3)
        local = np.empty((len(u), 3))
        local[:, axis], local[:, (axis + 1) % 3], local[:, (axis + 2) % 3] = sign, u, v
        if part.shape == Shape.CYLINDER:
            local = local[u ** 2 + v ** 2 < 1] * np.array([1, 1, 1])
            local[:, :2] *= part.taper if sign > 0 else 1.0
        out.append((face, sign * part.R[:, axis], part.center + (local * part.half) @ part.R.T))
    return out


def fights(thing: Thing, gap: float = 0.0009) -> list[str]:
    """Pairs of faces of different looks that lie within a gap of one plane, face the same way, overlap by more than
    2 cm^2, and can be seen there.
    """
    faces = [(i, part, *f) for i, part in enumerate(thing.parts) for f in level_faces(part)]
    found = []
    for i, a, face_a, n_a, on_a in faces:
        look_a = a.faces.get(face_a, a.material)
        area = 4 * float(np.prod([a.half[k] for k in range(3) if abs(a.R[:, k] @ n_a) < 0.5]))
        for j, b, face_b, n_b, on_b in faces:
            apart = (on_b[0] - on_a[0]) @ n_a
            if j <= i or n_a @ n_b < 0.99999 or abs(apart) > gap:
                continue
            if b.faces.get(face_b, b.material) == look_a:
                continue
            inside = on_a[within(b, on_a + (apart - 1e-4) * n_a)]
            out = inside + 0.003 * n_a
            seen = np.ones(len(out), bool)
            axis, sign = {"wall": (0, 1), "ceiling": (2, -1)}.get(thing.place, (2, 1))
            seen &= sign * out[:, axis] > 0
            for c in thing.parts:
                seen &= ~within(c, out)
            if seen.sum() / len(on_a) * area > 2e-4:
                found.append(f"{i} {face_a} {j} {face_b} at {np.round(inside.mean(0), 3).tolist()}")
    return found


@names
def test_valid(name: str):
    known = set(indoor_labels().names.values())
    builder = WorldBuilder(0, "test", indoor_labels())
    for thing in things(name):
        assert thing.label == name
        assert thing.place in ("floor", "top", "wall", "ceiling")
        assert 1 <= len(thing.parts) <= 64
        builder.add(thing, np.eye(4))
        assert any(q.label in (None, name) for q in thing.parts)
        for part in thing.parts:
            assert part.label is None or part.label in known
            for look in (part.material, *part.faces.values()):
                assert look.texture in FAMILIES, look.texture


@names
def test_sizes(name: str):
    for i, thing in enumerate(things(name)):
        low, high = p.extent(thing.parts)
        size = high - low
        got = (*sorted(size[:2]), size[2])
        for value, (least, most), what in zip(got, SIZES[name], ("shorter side", "longer side", "height"), strict=True):
            assert least <= value <= most, f"{name} {i}: {what} is {value:.3f}, not {least} to {most}"


@names
def test_stands_where_it_should(name: str):
    for i, thing in enumerate(things(name)):
        low, high = p.extent(thing.parts)
        if thing.place in ("floor", "top"):
            assert -0.004 <= low[2] <= 0.012, f"{name} {i} begins at {low[2]:.4f}"
            middle = np.abs(low + high)[:2] / 2
            if name == "door":
                continue  # turns about its hinge, which is its origin
            assert (middle <= 0.15 * (high - low)[:2] + 0.06).all(), f"{name} {i}: middle of its footprint at {middle}"
        elif thing.place == "wall":
            assert low[0] >= -1e-6 and low[0] < 0.06 and low[2] >= -1e-6, f"{name} {i}: {low}"
        else:
            assert high[2] <= 1e-6, f"{name} {i} rises to {high[2]:.4f} above the ceiling"


@names
def test_nothing_hovers(name: str):
    """Parts hang together: each one touches, within 2 cm, others that reach the support."""
    for i, thing in enumerate(things(name)):
        boxes = [(q.corners().min(0) - 0.01, q.corners().max(0) + 0.01) for q in thing.parts]
        low, high = p.extent(thing.parts)
        axis, side = {"wall": (0, low[0]), "ceiling": (2, high[2])}.get(thing.place, (2, low[2]))
        held = {k for k, (a, b) in enumerate(boxes) if a[axis] <= side + 0.012 and b[axis] >= side - 0.012}
        while True:
            more = {k for k, (a, b) in enumerate(boxes) if k not in held
                    and any((a <= boxes[m][1]).all() and (b >= boxes[m][0]).all() for m in held)}
            if not more:
                break
            held |= more
        loose = [thing.parts[k] for k in range(len(boxes)) if k not in held]
        assert not loose, f"{name} {i}: nothing holds {loose[0]}"


@names
def test_supports(name: str):
    grid = np.linspace(-0.98, 0.98, 7)
    u, v = (a.ravel() for a in np.meshgrid(grid, grid))
    for i, thing in enumerate(things(name)):
        for s in thing.supports:
            assert min(s.half) > 0.02 and s.clear > 0.02, f"{name} {i}: {s}"
            at = np.stack([s.center[0] + u * s.half[0], s.center[1] + v * s.half[1], np.full(len(u), s.z)], 1)
            below = np.any([within(q, at - (0, 0, 0.006)) for q in thing.parts], axis=0)
            assert below.mean() > 0.95, f"{name} {i}: {s} hovers"
            for rise in np.linspace(0.006, min(s.clear, 1.0) - 0.005, 12):
                above = np.any([within(q, at + (0, 0, rise)) for q in thing.parts], axis=0)
                assert not above.any(), f"{name} {i}: {s} is not free at {at[above][0] + (0, 0, rise)}"


@names
def test_no_faces_fight(name: str):
    for i, thing in enumerate(things(name)[::2]):
        assert not (found := fights(thing)), f"{name} {2 * i}: {found[:3]}"


@names
def test_variety_and_determinism(name: str):
    made = [build(name, np.random.default_rng(s)) for s in SEEDS]
    sizes = {tuple(np.round(t.bounds()[1] - t.bounds()[0], 3)) for t in made}
    assert len(sizes) >= 9, f"{name}: only {len(sizes)} sizes"
    assert len({t.parts[0].material for t in made}) >= 4
    for seed, thing in zip(SEEDS, made, strict=True):
        again = build(name, np.random.default_rng(seed))
        assert len(again.parts) == len(thing.parts) and again.supports == thing.supports
        for a, b in zip(again.parts, thing.parts, strict=True):
            assert np.array_equal(a.center, b.center) and np.array_equal(a.half, b.half) and np.array_equal(a.R, b.R)
            assert (a.material, a.faces, a.label) == (b.material, b.faces, b.label)


def test_all_classes_but_the_shell():
    assert set(FURNITURE) == set(indoor_labels().names.values()) - NOT_BUILT
    assert set(KINDS) <= set(FURNITURE)


@pytest.mark.parametrize("name", ["chair", "sofa", "table", "desk", "counter", "bed", "cabinet", "shelf", "stove", "sink"])
def test_types_differ_in_their_parts(name: str):
    assert len({len(t.parts) for t in things(name)}) >= 4


def test_parts_with_a_class_of_their_own():
    def inside(name: str) -> set[str]:
        return {q.label or name for t in things(name) for q in t.parts}

    assert {"pillow", "blanket"} <= inside("bed")
    assert "pillow" in inside("sofa")
    assert inside("bookcase") == {"bookcase", "book"}


def test_errors():
    with pytest.raises(ValueError, match="no furniture of class 'throne'.*chair"):
        build("throne", np.random.default_rng(0))
    with pytest.raises(ValueError, match="no kind 'sofa' of 'chair'.*office"):
        build("chair", np.random.default_rng(0), "sofa")
    with pytest.raises(ValueError, match="two different ends"):
        p.rod((0, 0, 1), (0, 0, 1), 0.1, p.flat("808080"))


class TestParts:
    """The constructors that all furniture is made with."""

    look = p.flat("808080")

    def test_fights_are_found(self):
        a = p.box((0, 0, 0), (1, 1, 1), self.look)
        other = p.box((0.5, 0.2, 0), (1.0005, 0.8, 0.9), p.flat("202020"))
        assert fights(Thing("box", (a, other)))
        assert not fights(Thing("box", (a, p.moved(other, (0.002, 0, 0)))))
        assert not fights(Thing("box", (a, replace(other, material=self.look))))
        thin = p.box((0.999, 0.3, 0.3), (1.0, 0.7, 0.7), p.flat("202020"))
        assert fights(Thing("box", (a, thin)))
        cover = p.box((1, 0, 0), (1.1, 1, 1), self.look)
        assert not fights(Thing("box", (a, other, cover)))

    @pytest.mark.parametrize("axis", ["x", "y", "z"])
    def test_cylinder_axis(self, axis: str):
        q = p.cylinder((1, 2, 3), 0.1, 2.0, self.look, axis=axis)
        size = q.corners().max(0) - q.corners().min(0)
        expected = np.full(3, 0.2)
        expected["xyz".index(axis)] = 2.0
        assert np.allclose(size, expected)

    def test_cylinder_radii_across_x(self):
        q = p.cylinder((0, 0, 0), (0.1, 0.3), 2.0, self.look, axis="x")
        assert np.allclose(q.corners().max(0), (1.0, 0.3, 0.1))

    def test_rod_ends(self):
        a, b = np.array([0.1, 0.2, 0.3]), np.array([-0.5, 0.8, 1.1])
        q = p.rod(a, b, 0.02, self.look, end=0.01)
        assert np.allclose(q.center + q.R[:, 2] * q.half[2], b)
        assert np.allclose(q.center - q.R[:, 2] * q.half[2], a)
        assert q.taper == pytest.approx(0.5)

    @pytest.mark.parametrize("kind", ["square", "round", "tapered"])
    def test_legs_stand_on_the_floor(self, kind: str):
        made = p.legs((0.3, 0.4), 0.7, 0.05, self.look, kind, 0.0 if kind == "square" else 0.06)
        for q in made:
            low, high = p.extent([q])
            assert low[2] == pytest.approx(0, abs=2e-4) and high[2] == pytest.approx(0.7, abs=2e-4)

    def test_extent_of_round_parts(self):
        lying = p.rod((0, 0, 0.2), (1, 0, 0.2), 0.2, self.look, end=0.1)
        assert np.allclose(p.extent([lying]), ((0, -0.2, 0), (1, 0.2, 0.4)))
        tilted = p.turned(p.ball((0, 0, 0), (2, 1, 1), self.look), p.rot_y(45))
        assert np.allclose(p.extent([tilted])[1], (np.sqrt(2.5), 1, np.sqrt(2.5)))
        turned = p.turned(p.box((-1, -1, 0), (1, 1, 1), self.look), p.rot_z(45))
        assert np.allclose(p.extent([turned])[1], (2 ** 0.5, 2 ** 0.5, 1))

    def test_mirrored(self):
        q = p.turned(p.box((0, 1, 0), (1, 2, 1), self.look, left=p.flat("ff0000")), p.rot_z(30), (0, 0, 0))
        (m,) = p.mirrored([q])
        mirror = np.array([1, -1, 1])
        assert {tuple(np.round(c, 9)) for c in m.corners()} == {tuple(np.round(c * mirror, 9)) for c in q.corners()}
        assert set(m.faces) == {"right"}

    def test_leaning_forward(self):
        assert (p.rot_y(30) @ (0, 0, 1))[0] > 0 and (p.rot_z(30) @ (1, 0, 0))[1] > 0

    def test_colours(self):
        assert p.rgb("ffffff") == pytest.approx((1, 1, 1))
        assert p.rgb("808080")[0] == pytest.approx(0.2159, abs=1e-4)
        assert p.tint("808080")[0] == pytest.approx(0.2159 / p.PICTURE_MEAN, abs=1e-4)

    def test_spans(self):
        made = p.spans(0, 1, 4, 0.02)
        assert len(made) == 4 and made[0] == pytest.approx((0.01, 0.24)) and made[-1][1] == pytest.approx(0.99)
