# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
import torch
from helpers.hand_made import furnished, make_world, solid, table_of

from lsm_sim.face_table import FLAT
from lsm_sim.lighting import sample_places
from lsm_sim.world import FACES, Material, Part, Shape

TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])


def place(table, face, point):
    """(s, t) of a point on a flat face."""
    return tuple(float(np.dot([table[c + a][face] for a in "xyz"], point) + table[c + "0"][face]) for c in "st")


class TestFlat:
    # Seen from outside: right and down of each face of a box, for a part whose axes are the world's.
    LEFT_TOP = {"back": (-1, 1, 1), "front": (1, -1, 1), "right": (-1, -1, 1), "left": (1, 1, 1), "top": (-1, -1, 1)}
    RIGHT_LOW = {"back": (-1, -1, -1), "front": (1, 1, -1), "right": (1, -1, -1), "left": (-1, 1, -1), "top": (1, 1, 1)}

    @pytest.mark.parametrize("R", [np.eye(3), TURN])
    @pytest.mark.parametrize("name", list(LEFT_TOP))
    def test_corners(self, name, R):
        center, half = np.array([1.0, 2.0, 0.7]), np.array([0.3, 0.5, 0.4])
        world = make_world(("box", solid("BOX", center, half, R)), shells=False)
        table, face = table_of(world), FACES[Shape.BOX].index(name)
        for corners, expected in ((self.LEFT_TOP, (0, 0)), (self.RIGHT_LOW, (1, 1))):
            point = center + R @ (np.array(corners[name]) * half)
            assert np.allclose(place(table, face, point), expected, atol=1e-5)
        normal = [table[n][face] for n in ("nx", "ny", "nz")]
        axis = [0, 0, 1, 1, 2, 2][face]
        assert np.allclose(normal, R[:, axis] * (1 if face % 2 else -1), atol=1e-6)

    def test_pieces_of_a_wall_show_one_pattern(self):
        paper = Material("wallpaper", scale=0.7)
        pieces = tuple(Part(Shape.BOX, np.array([x, 0, 1.25]), np.array([h, 0.1, 1.25]), paper)
                       for x, h in ((1, 1), (2.4, 0.4)))
        world = make_world(("wall", pieces), shells=False)
        table, left = table_of(world, fitted=False), FACES[Shape.BOX].index("left")
        found = []
        for part in (0, 1):
            face = part * 6 + left
            s, t = place(table, face, (2.0, 0.1, 0.9))
            found.append((table["ru"][face] * s + table["ou"][face], table["rv"][face] * t + table["ov"][face]))
        assert np.allclose((np.subtract(*found) + 0.5) % 1, 0.5, atol=1e-4)
        a, b = (table["ru"][left] * place(table, left, (x, 0.1, 1))[0] for x in (0.5, 1.2))
        assert abs(abs(a - b) - 1) < 1e-4  # 0.7 m are one picture

    def test_grain_runs_along(self):
        leg = Part(Shape.BOX, np.zeros(3) + 0.5, np.array([0.03, 0.03, 0.4]), Material("wood"))
        table = table_of(make_world(("table", leg), ("wall", leg), shells=False))
        front = FACES[Shape.BOX].index("front")
        assert abs(table["sz"][front]) > 0 and table["sy"][front] == 0
        assert abs(table["sy"][6 + front]) > 0 and table["sz"][6 + front] == 0  # not on walls


class TestPlaces:
    def test_samples_lie_on_their_faces(self):
        world = make_world(("box", solid("BOX", (1, 1, 0.5), (0.3, 0.2, 0.5), TURN)),
                           ("lamp", solid("CYLINDER", (2, 1, 0.5), (0.2, 0.3, 0.5), taper=0.5)),
                           ("pillow", solid("ELLIPSOID", (3, 1, 0.5), (0.2, 0.3, 0.1))))
        table = table_of(world, spacing=0.05)
        places = sample_places(world, table, torch.device("cpu"))
        assert len(places.face) == table.samples
        face, p, n = places.face.numpy(), places.position.numpy().astype(float), places.normal.numpy()
        part = face // 6
        unit = np.einsum("nji,nj->ni", world.R[part], p - world.center[part]) / world.half[part]
        shape, curved = world.shape[part], table.kind[face] != FLAT
        k = shape == Shape.BOX
        assert np.abs(np.abs(unit[k]).max(1) - 1).max() < 1e-4
        k = (shape == Shape.CYLINDER) & curved
        assert np.abs(np.hypot(*unit[k, :2].T) - (1 - 0.25 * (unit[k, 2] + 1))).max() < 1e-4
        k = shape == Shape.ELLIPSOID
        assert np.abs(np.linalg.norm(unit[k], axis=1) - 1).max() < 1e-4
        assert np.allclose(np.linalg.norm(n, axis=1), 1, atol=1e-4)
        outwards = ((p - world.center[part]) * n).sum(1)
        assert (outwards > 0).all()
        k = ~curved
        expected = np.stack([table[c][face[k]] for c in ("nx", "ny", "nz")], 1)
        assert np.allclose(n[k], expected, atol=1e-5)
        assert len(np.unique(np.round(p[face == 1], 4), axis=0)) == (face == 1).sum()

    def test_areas(self):
        world = furnished()
        places = sample_places(world, table_of(world, spacing=0.2), torch.device("cpu"))
        top = places.area[(places.face // 6 == 8) & (places.face % 6 == 5)].sum()
        index = [i for i, s in enumerate(world.things) if s == "table"][0]
        part = int(np.flatnonzero(world.instance == index)[0])
        top = float(places.area[places.face == part * 6 + 5].sum())
        assert abs(top - 4 * world.half[part, 0] * world.half[part, 1]) < 1e-4

    def test_outside_is_known(self):
        world = make_world(("box", solid("BOX", (1, 1, 0.5), (0.3, 0.2, 0.5))))
        places = sample_places(world, table_of(world), torch.device("cpu"))
        wall = np.flatnonzero(world.instance == 0)[0]
        assert (places.zone[places.face // 6 == len(world) - 1] == 0).all()
        outer = places.zone[places.face == wall * 6]
        assert wall >= 0 and len(outer) and set(places.zone.unique().tolist()) <= {-1, 0}


def test_coarser_grids_have_fewer_samples():
    world = furnished()
    fine, coarse = table_of(world, spacing=0.05), table_of(world, spacing=0.2)
    assert coarse.samples < 0.2 * fine.samples
    assert (fine["nu"] >= 2).all() and (fine["nv"] >= 2).all()
