# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The same lamps and windows in other light: another hour, some lamps out, others brighter, all warmer or colder."""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from lsm_sim.world import Lamp, Material, Part, Thing

OUT = 0.08
"""Share of its power that a lamp keeps that is switched off: what comes in from elsewhere."""


def other_day(day: float, rng: np.random.Generator) -> float:
    """Daylight of another hour, 0 (night) to 1, at least 0.2 from `day`."""
    if day == 0.0:
        return float(rng.uniform(0.5, 1.0))
    if rng.random() < 0.35:
        return 0.0
    low, high = max(day - 0.2 - 0.25, 0.15), day - 0.2
    brighter = min(day + 0.4, 1.0)
    return float(rng.uniform(low, high)) if brighter - day < 0.2 or rng.random() < 0.5 else brighter


def tint_of(rng: np.random.Generator) -> np.ndarray:
    """Factors (3,) of the colour of all lamps: warmer or colder by a tenth or more."""
    warmth = float(rng.uniform(0.35, 1.0) * rng.choice((-1, 1)))
    return np.array([1 + 0.15 * warmth, 1.0, 1 - 0.2 * warmth])


def relit(thing: Thing, tint: np.ndarray, share_out: float, rng: np.random.Generator) -> Thing:
    """A thing with its lamp, if it has one, brighter, dimmer or out, and what shines of it as well."""
    if thing.lamp is None:
        return thing
    factor = OUT if rng.random() < share_out else float(np.exp(rng.normal(0.0, 0.4)))
    color = np.clip(np.asarray(thing.lamp.color) * tint, 0.0, 1.0)
    lamp = Lamp(thing.lamp.position, (float(color[0]), float(color[1]), float(color[2])), thing.lamp.power * factor,
                thing.lamp.radius)
    return replace(thing, lamp=lamp, parts=tuple(_dimmed(p, min(factor, 1.3)) for p in thing.parts))


def _dimmed(part: Part, factor: float) -> Part:
    def of(m: Material) -> Material:
        return replace(m, glow=m.glow * factor) if m.glow > 0 else m

    if part.material.glow == 0 and not any(m.glow > 0 for m in part.faces.values()):
        return part
    return replace(part, material=of(part.material), faces={n: of(m) for n, m in part.faces.items()})
