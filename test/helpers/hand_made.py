# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Small worlds made by hand, for tests of what needs no furniture."""
import numpy as np

from lsm_sim.face_table import build_face_table
from lsm_sim.labels import indoor_labels
from lsm_sim.world import Lamp, Material, Mover, Part, Shape, Thing, World, WorldBuilder, Zone

PLAIN = Material()


def solid(shape, center, half, R=None, taper=1.0):
    """One part."""
    return Part(Shape[shape], np.array(center, float), np.array(half, float), PLAIN,
                np.eye(3) if R is None else R, taper)


def shell(low, high, thick=0.1):
    """Floor, ceiling and four walls round the inside of a zone, as things."""
    low, high = np.array(low, float), np.array(high, float)
    middle, half = (low + high) / 2, (high - low) / 2
    things = []
    for axis in range(3):
        parts = []
        for sign in (-1, 1):
            c, h = middle.copy(), half + thick
            c[axis] += sign * (half[axis] + thick / 2)
            h[axis] = thick / 2
            parts.append(solid("BOX", c, h))
        if axis == 2:
            things += [Thing("floor", (parts[0],)), Thing("ceiling", (parts[1],))]
        else:
            things.append(Thing("wall", tuple(parts)))
    return things


def make_world(*things, zones=(((0, 0, 0), (5, 4, 2.5)),), shells=True, movers=(), kind="room") -> World:
    """A world of box zones with walls round each, and things, each (label, part or parts[, mover])."""
    builder = WorldBuilder(0, kind, indoor_labels())
    for low, high in zones:
        builder.zones.append(Zone(np.array(low, float), np.array(high, float), "living"))
        if shells:
            for thing in shell(low, high):
                builder.add(thing, np.eye(4))
    builder.movers.extend(movers)
    for label, parts, *mover in things:
        builder.add(Thing(label, parts if isinstance(parts, tuple) else (parts,)), np.eye(4), *mover)
    builder.lamps.append(Lamp(np.array([1.0, 1.0, 2.3])))
    return builder.build()


def walker(track, seconds_per_leg=4.0) -> Mover:
    """A mover along the corners (N, 2) of a closed track."""
    corners = np.array([*track, track[0]], float)
    poses = np.tile(np.eye(4), (len(corners), 1, 1))
    poses[:, :2, 3] = corners
    return Mover(np.arange(len(corners)) * seconds_per_leg, poses)


def furnished() -> World:
    """A room of 5 x 4 m with a table, a cupboard, a pole and a ball."""
    legs = tuple(solid("BOX", (2.5 + x, 2 + y, 0.35), (0.03, 0.03, 0.35)) for x in (-0.5, 0.5) for y in (-0.3, 0.3))
    return make_world(("table", (solid("BOX", (2.5, 2, 0.72), (0.6, 0.4, 0.02)), *legs)),
                      ("cabinet", solid("BOX", (0.25, 2, 0.9), (0.25, 0.6, 0.9))),
                      ("lamp", solid("CYLINDER", (4.3, 3.3, 0.8), (0.05, 0.05, 0.8))),
                      ("pillow", solid("ELLIPSOID", (2.5, 2, 0.84), (0.2, 0.15, 0.1))))


def ring_world(length=9.0, width=7.0, corridor=1.6) -> World:
    """A corridor round a block."""
    block = solid("BOX", (length / 2, width / 2, 1.25), (length / 2 - corridor, width / 2 - corridor, 1.25))
    return make_world(("wall", block), zones=(((0, 0, 0), (length, width, 2.5)),), kind="loop")


def table_of(world, fitted=True, spacing=0.1):
    return build_face_table(world, [0] * len(world.materials), [fitted] * len(world.materials), 256, spacing)
