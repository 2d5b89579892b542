# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Entry of rays into solids, in the solid's frame scaled by its half extents: o + t m, o and m as three tensors each.

All tensors of one call broadcast against each other and have one dtype. Only the way in counts: a ray that starts
inside of a solid does not meet it. What is not met is at t = inf.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch

_TINY = 1e-30  # a slope of exactly 0 would make 0 * inf
_TOUCH = 1e-9  # a camera nearer than this to a box's plane, in half extents, counts as behind it
_BIG = 1e15
Vector = Sequence[torch.Tensor]


def box(o: Vector, m: Vector, near: float) -> tuple[torch.Tensor, torch.Tensor]:
    """t at which rays enter |x_i| <= 1 not before `near`, and the face (uint8), as numbered in `FACES`."""
    entry, leave, face = None, None, None
    for i in range(3):
        slope = m[i] + _TINY
        middle, reach = -o[i] / slope, 1 / slope.abs()
        this = 2 * i + (slope < 0).to(torch.uint8)
        if entry is None:
            entry, leave, face = middle - reach, middle + reach, this.expand(middle.shape)
        else:
            later = middle - reach > entry
            entry, face = torch.where(later, middle - reach, entry), torch.where(later, this, face)
            leave = torch.minimum(leave, middle + reach)
    return torch.where((entry <= leave) & (entry >= near), entry, torch.inf), face


def ellipsoid(o: Vector, m: Vector, near: float) -> torch.Tensor:
    """t at which rays enter |x| <= 1 not before `near`.

    From the point of the ray nearest to the centre, which avoids the difference of large numbers in b^2 - 4 a c.
    """
    a = m[0] * m[0] + m[1] * m[1] + m[2] * m[2]
    middle = -(o[0] * m[0] + o[1] * m[1] + o[2] * m[2]) / a
    q = [torch.addcmul(p, middle, s) for p, s in zip(o, m, strict=True)]
    rest = 1 - (q[0] * q[0] + q[1] * q[1] + q[2] * q[2])
    t = middle - (rest / a).clamp(min=0).sqrt()
    return torch.where((rest >= 0) & (t >= near), t, torch.inf)


def cylinder(o: Vector, m: Vector, taper: torch.Tensor, near: float) -> tuple[torch.Tensor, torch.Tensor]:
    """t at which rays enter x^2 + y^2 <= r(z)^2, |z| <= 1 not before `near`, and the face (uint8).

    r(z) = (1 + taper) / 2 + (taper - 1) / 2 z. Of the roots of a s^2 + 2 b s + c the way in is that of falling value.
    """
    slope, radius = 0.5 * (taper - 1), 0.5 * (taper + 1)
    middle = -(o[0] * m[0] + o[1] * m[1] + o[2] * m[2]) / (m[0] * m[0] + m[1] * m[1] + m[2] * m[2])
    x, y, z = (torch.addcmul(p, middle, s) for p, s in zip(o, m, strict=True))
    r, dr = radius + slope * z, slope * m[2]
    a = m[0] * m[0] + m[1] * m[1] - dr * dr + _TINY
    b = x * m[0] + y * m[1] - r * dr
    c = x * x + y * y - r * r
    square = b * b - a * c
    root = square.clamp(min=0).sqrt()
    s = torch.where(b < 0, c / (root - b), -(b + root) / a)
    side = middle + s
    side = torch.where((square >= 0) & ((z + s * m[2]).abs() <= 1) & (side >= near), side, torch.inf)
    s = (-torch.sign(m[2]) - z) / (m[2] + _TINY)
    u, v = torch.addcmul(x, s, m[0]), torch.addcmul(y, s, m[1])
    end = torch.where(m[2] > 0, torch.ones_like(taper), taper)
    disc = middle + s
    disc = torch.where((u * u + v * v <= end * end) & (m[2] != 0) & (disc >= near), disc, torch.inf)
    face = torch.where(side <= disc, 0, torch.where(m[2] > 0, 1, 2)).to(torch.uint8)
    return torch.minimum(side, disc), face


def plane_forms(o: torch.Tensor, M: torch.Tensor, wide: torch.Tensor) -> torch.Tensor:
    """Boxes |x_i| <= wide_i as planes in inverse depth: forms (N, 9, 3), linear in the ray's direction (x, y, 1).

    o (N, 3) camera and M (N, 3, 3) directions of the camera to those of the box, wide (N, 3). Along t M d, the half
    space n x <= w holds where n M d <= (w - n o) / t: a bound of the inverse depth u = 1 / t that is linear in d. A ray
    enters at the least of the forms 0 to 2 (the face of each axis that is seen; huge if none is) and leaves at the
    greatest of the forms 3 to 8 (the faces that are not seen; hugely negative otherwise): it is met where that is not
    greater.
    """
    room = torch.cat([wide - o, wide + o], 1)
    room = torch.where(room.abs() < _TOUCH, _TOUCH, room)
    seen = room < 0
    forms = torch.cat([M, -M], 1) / room[..., None]
    none = forms.new_tensor([0.0, 0.0, _BIG])
    enter = torch.where(seen[:, :3, None], forms[:, :3], torch.where(seen[:, 3:, None], forms[:, 3:], none))
    leave = torch.where(seen[..., None], -none, forms)
    return torch.cat([enter, leave], 1)
