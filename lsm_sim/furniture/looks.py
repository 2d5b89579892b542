# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Looks of furniture: palettes and the materials drawn from them: woods, lacquers, fabrics, metals, plastics, stone.

Colours are named as one sees them on a screen (sRGB, hex).
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lsm_sim.world import Material

PICTURE_MEAN = 0.7
"""Mean reflectance of the pictures of neutral families, which a tint must make up for."""

WOODS = ("d9b98c", "c79a63", "b98550", "a4703f", "8a5a32", "6e4426", "4b2f1f", "e4cda8", "ded3c0", "9a8266", "7a3f24")
PAINTS = ("f4f2ec", "efeadf", "e8e8e8", "f7f7f7", "d8dcd9", "b9c4bd", "8fa3a6", "5c7480", "3a4c5c", "2b2b2d", "a8b89a",
          "d9c6a5", "c9a9a0", "7e8c6a", "46525a", "b5452f", "e0b84c", "2f5d50")
FABRICS = ("8d8f92", "6a6c70", "b9b2a6", "cfc6b4", "3c4654", "4f6478", "2f3e55", "7b5f4b", "a3583d", "8c3b3b", "5a6b4e",
           "8a9a7b", "c2a04f", "d8d2c6", "444446", "9b7f96", "4c7d80", "c98f7c", "ece7dc", "27292e")
LEATHERS = ("3a2a20", "5b3a26", "8a5a36", "1e1d1d", "b28a5c", "d8cbb6", "6b1f1c", "e6e1d8")
METALS = ("c9cbcd", "a9abad", "8c8f92", "e0dfdb", "6f7072")
BRIGHTS = ("c23b2e", "2f66a8", "2f8a57", "e2b33c", "d9752e", "f2f2f0", "202123", "7a4b96", "3aa0ad", "d46a8b", "93b84a",
           "e8e4d8", "8c8c8c", "1d3557")


def rgb(color: str) -> tuple[float, float, float]:
    """Linear reflectance (3,) of a colour named in sRGB by six hex digits."""
    s = np.array([int(color[i:i + 2], 16) for i in (0, 2, 4)]) / 255
    return tuple(float(c) for c in np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4))


def tint(color: str, rng: np.random.Generator | None = None, spread: float = 0.12) -> tuple[float, float, float]:
    """Tint (3,) for a picture of a neutral family so that its mean is the colour named, varied if there is an rng."""
    c = np.array(rgb(color)) / PICTURE_MEAN
    if rng is not None:
        c = c * rng.normal(1, spread) * rng.normal(1, spread / 3, 3)
    return tuple(float(v) for v in np.clip(c, 0.01, 1))


def pick(rng: np.random.Generator, options: Sequence, weights: Sequence[float] | None = None):
    """One of the options, drawn evenly or by weights."""
    p = None if weights is None else np.asarray(weights, float) / np.sum(weights)
    return options[int(rng.choice(len(options), p=p))]


def chance(rng: np.random.Generator, p: float) -> bool:
    """True with probability p."""
    return bool(rng.random() < p)


def flat(color: str, rng: np.random.Generator | None = None, gloss: float = 0.0, texture: str = "plain",
         scale: float = 1.0, glow: float = 0.0) -> Material:
    """Material of one colour (sRGB hex) on a neutral family."""
    variant = 0 if rng is None else int(rng.integers(64))
    return Material(texture, tint(color, rng, 0.05), variant, scale, gloss, glow)


def fitted(texture: str, rng: np.random.Generator, gloss: float = 0.05, glow: float = 0.0,
           color: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Material:
    """Material that shows one picture of a family fitted to the face: a painting, drawers, books, a screen."""
    return Material(texture, color, int(rng.integers(64)), 1.0, gloss, glow)


def wood(rng: np.random.Generator, tone: str | None = None) -> Material:
    """Wood, oiled or varnished, of a tone (sRGB hex) or any."""
    return Material("wood", tint(tone or pick(rng, WOODS), rng), int(rng.integers(64)), float(rng.uniform(0.5, 1.3)),
                    float(pick(rng, (0.0, 0.05, 0.15, 0.3))))


def paint(rng: np.random.Generator, color: str | None = None) -> Material:
    """Lacquer, mostly white, grey or muted."""
    if color is None:
        color = pick(rng, PAINTS, [6, 4, 4, 5] + [1] * (len(PAINTS) - 4))
    return Material(pick(rng, ("plain", "blank")), tint(color, rng, 0.05), int(rng.integers(64)), 1.0,
                    float(pick(rng, (0.0, 0.1, 0.3, 0.5))))


def finish(rng: np.random.Generator) -> Material:
    """Material of the boards of furniture: wood or lacquer."""
    return wood(rng) if chance(rng, 0.62) else paint(rng)


def fabric(rng: np.random.Generator, color: str | None = None, pattern: float = 0.2) -> Material:
    """Woven stuff of one colour; with probability `pattern` striped or checked."""
    family = pick(rng, ("stripes", "checker")) if chance(rng, pattern) else "fabric"
    return Material(family, tint(color or pick(rng, FABRICS), rng), int(rng.integers(64)),
                    float(rng.uniform(0.25, 0.7)))


def leather(rng: np.random.Generator) -> Material:
    """Leather, slightly shiny."""
    return Material("leather", tint(pick(rng, LEATHERS), rng), int(rng.integers(64)), float(rng.uniform(0.3, 0.6)),
                    float(rng.uniform(0.1, 0.3)))


def cover(rng: np.random.Generator) -> Material:
    """Cover of seats: fabric or leather."""
    return leather(rng) if chance(rng, 0.25) else fabric(rng)


def metal(rng: np.random.Generator, dark: float = 0.4) -> Material:
    """Steel or chrome; with probability `dark` painted black or dark grey."""
    if chance(rng, dark):
        return Material("metal", tint(pick(rng, ("262626", "1b1b1d", "3a3b3d", "4a4a48")), rng), 0, 0.5, 0.15)
    return Material("metal", tint(pick(rng, METALS), rng, 0.05), int(rng.integers(64)), 0.5,
                    float(rng.uniform(0.4, 0.8)))


def steel(rng: np.random.Generator) -> Material:
    """Brushed stainless steel, as of sinks and fronts of appliances."""
    return Material("metal", tint(pick(rng, ("b9bbbd", "a5a7a9", "c8c8c6")), rng, 0.05), int(rng.integers(64)), 0.6,
                    float(rng.uniform(0.3, 0.55)))


def plastic(rng: np.random.Generator, color: str | None = None) -> Material:
    """Plastic of a bright or plain colour."""
    return Material(pick(rng, ("plain", "blank")), tint(color or pick(rng, BRIGHTS), rng), int(rng.integers(64)), 1.0,
                    float(rng.uniform(0.05, 0.4)))


def enamel(rng: np.random.Generator) -> Material:
    """White porcelain or enamel, as of baths and white goods; rarely of a colour."""
    color = pick(rng, ("f6f6f4", "f1efe8", "fbfbfb", "dfe6e4", "e9dfc8"), (6, 4, 6, 1, 1))
    return Material("blank", tint(color, rng, 0.02), 0, 1.0, float(rng.uniform(0.3, 0.6)))


def stone(rng: np.random.Generator) -> Material:
    """Plates of worktops: marble, concrete, pebbled composite or plain grey."""
    family = pick(rng, ("marble", "concrete", "noise", "plain"))
    return Material(family, tint(pick(rng, ("e8e5df", "8f8d89", "3b3b3d", "cfc7b8", "5d5a56")), rng),
                    int(rng.integers(64)), float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.1, 0.5)))


def worktop(rng: np.random.Generator) -> Material:
    """A kitchen worktop: stone or wood."""
    return stone(rng) if chance(rng, 0.6) else wood(rng)


def shadow(look: Material) -> Material:
    """Material of a body in the gaps between its fronts: the same, dark."""
    return replace(look, color=tuple(0.22 * c for c in look.color), gloss=0.0)
