# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Where rays enter solids. In the solid's unit frame: the box [-1, 1]^3, the cylinder, the ball.

Each function takes the origin o and the direction d as three tensors that broadcast, and the taper of cylinders; it
returns t of the nearest entry at t > NEAR, inf where there is none. Origins lie outside of solids.
"""
from __future__ import annotations

import torch

from lsm_ros.sim.world import Shape

NEAR = 0.02

Vector = tuple[torch.Tensor, torch.Tensor, torch.Tensor] | list[torch.Tensor]


def box(o: Vector, d: Vector, taper: torch.Tensor) -> torch.Tensor:
    """Slab method (Kay and Kajiya, Ray tracing complex scenes, 1986)."""
    near = far = None
    for oi, di in zip(o, d, strict=True):
        inverse = torch.where(di.abs() < 1e-12, torch.full_like(di, 1e12), di.reciprocal())
        middle, reach = inverse * (-oi), inverse.abs()
        enter, leave = middle - reach, middle.add_(reach)
        near = enter if near is None else torch.maximum(near, enter)
        far = leave if far is None else torch.minimum(far, leave)
    return near.masked_fill_((near > far) | (near < NEAR), torch.inf)


def cylinder(o: Vector, d: Vector, taper: torch.Tensor) -> torch.Tensor:
    """Along z from -1 to 1, radius 1 at the bottom and `taper` at the top: the quadric's roots and the two discs."""
    a, b = 0.5 * (taper + 1), 0.5 * (taper - 1)
    (ox, oy, oz), (dx, dy, dz) = o, d
    radius = a + b * oz
    A = dx * dx + dy * dy - (b * dz) ** 2
    B = ox * dx + oy * dy - b * dz * radius
    C = ox * ox + oy * oy - radius * radius
    root = B * B - A * C
    real = root >= 0
    root = root.clamp(min=0.0).sqrt()
    A = torch.where(A.abs() < 1e-12, torch.full_like(A, 1e-12), A)
    best = torch.full_like(A, torch.inf)
    for sign in (-1.0, 1.0):
        t = (sign * root - B) / A
        z = oz + t * dz
        good = real & (z.abs() <= 1) & (t > NEAR) & (a + b * z >= 0)
        best = torch.where(good & (t < best), t, best)
    dz = torch.where(dz.abs() < 1e-12, torch.full_like(dz, 1e-12), dz)
    for end, r in ((-1.0, torch.ones_like(taper)), (1.0, taper)):
        t = (end - oz) / dz
        x, y = ox + t * dx, oy + t * dy
        good = (x * x + y * y <= r * r) & (t > NEAR) & (t < best)
        best = torch.where(good, t, best)
    return best


def ellipsoid(o: Vector, d: Vector, taper: torch.Tensor) -> torch.Tensor:
    """The unit ball; its entry is the smaller root."""
    (ox, oy, oz), (dx, dy, dz) = o, d
    A = (dx * dx + dy * dy + dz * dz).clamp(min=1e-20)
    B = ox * dx + oy * dy + oz * dz
    # the distance of the ray from the centre, by components: B^2 - A C would lose digits for far balls
    px, py, pz = ox - B / A * dx, oy - B / A * dy, oz - B / A * dz
    root = (1 - (px * px + py * py + pz * pz)) * A
    t = -(B + root.clamp(min=0.0).sqrt()) / A
    return t.masked_fill((root < 0) | (t < NEAR), torch.inf)


INTERSECT = {Shape.BOX: box, Shape.CYLINDER: cylinder, Shape.ELLIPSOID: ellipsoid}


def hit_face(shape: torch.Tensor, local: torch.Tensor) -> torch.Tensor:
    """Number (N,) uint8 of the face of a unit solid on which local points (N, 3) lie, as in `world.FACES`."""
    axis = local.abs().argmax(1)
    side = local.gather(1, axis[:, None]).squeeze(1) > 0
    of_box = 2 * axis + side
    z = local[:, 2]
    of_cylinder = torch.where(z.abs() > 1 - 1e-4, torch.where(z > 0, 2, 1), 0)
    face = torch.where(shape == int(Shape.BOX), of_box, torch.where(shape == int(Shape.CYLINDER), of_cylinder, 0))
    return face.to(torch.uint8)
