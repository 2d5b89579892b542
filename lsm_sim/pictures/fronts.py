# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Fronts of furniture and of the room: drawers, cabinet doors, doors, radiators, frames of mirrors. Fitted, coloured."""
from __future__ import annotations

import cv2
import numpy as np

from lsm_sim.pictures.canvas import COLUMNS, SIZE, Maker, bevel, box, field, fractal, pick, relief, shade, shown, srgb
from lsm_sim.pictures.woods import grain

_WOODS = ("d9b98c", "c79a63", "b98550", "8a5a32", "6e4426", "4b2f1f", "ded3c0", "7a3f24")
_PAINTS = ("f2f0ea", "e9e6de", "dfe2e0", "8fa3a6", "3a4c5c", "a8b89a", "2f3236", "b9c4bd", "c9a9a0")


def board(rng: np.random.Generator, wooden: bool | None = None, upright: bool = True) -> np.ndarray:
    """(SIZE, SIZE, 3) uint8 sRGB of a board of wood or lacquer."""
    if wooden is None:
        wooden = rng.random() < 0.55
    if wooden:
        tone = grain(rng, int(rng.integers(6)))
        tone = tone.T if upright else tone
        image = np.float32(srgb(pick(rng, _WOODS))) * (0.5 + 0.5 * tone / tone.mean())[..., None]
    else:
        image = np.float32(srgb(pick(rng, _PAINTS))) * (1 + 0.012 * fractal(rng, 4, 5))[..., None]
    return np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8))


def _gap(image: np.ndarray, at: tuple[float, float, float, float]) -> None:
    """The dark gap round a front, and the light on its upper edge."""
    a, b, c, d = (round(float(v)) for v in at)
    cv2.rectangle(image, (a, b), (c - 1, d - 1), (28, 24, 22), 2)
    bevel(image, (a + 2, b + 2, c - 2, d - 2), 2, 0.18)


def knob(image: np.ndarray, rng: np.random.Generator, at: tuple[float, float], size: float, kind: int, upright: bool) -> None:
    """A handle at (x, y): 0 a knob, 1 a bar, 2 a grip let in, 3 a shell; with its shadow."""
    x, y = int(at[0]), int(at[1])
    metal = pick(rng, ((196, 196, 198), (60, 60, 62), (178, 140, 80), (120, 118, 116)))
    if kind == 0:
        r = max(4, int(size * 0.35))
        cv2.circle(image, (x + 3, y + 4), r, (40, 34, 30), -1, cv2.LINE_AA)
        cv2.circle(image, (x, y), r, metal, -1, cv2.LINE_AA)
        cv2.circle(image, (x - r // 3, y - r // 3), max(1, r // 3), shade(metal, 1.5), -1, cv2.LINE_AA)
        return
    long, thick = int(size * 1.3), max(3, int(size * 0.16))
    w, h = (thick, long) if upright else (long, thick)
    if kind == 1:
        box(image, (x - w + 3, y - h + 4, x + w + 3, y + h + 4), shade(image[y, x], 0.55))
        box(image, (x - w, y - h, x + w, y + h), metal)
        bevel(image, (x - w, y - h, x + w, y + h), 1, 0.4)
    elif kind == 2:
        box(image, (x - w, y - h, x + w, y + h), shade(image[y, x], 0.35))
        bevel(image, (x - w, y - h, x + w, y + h), 2, 0.4, sunk=True)
    else:
        r = max(5, int(size * 0.55))
        cv2.ellipse(image, (x, y), (r, int(0.6 * r)), 0, 180, 360, metal, -1, cv2.LINE_AA)
        cv2.line(image, (x - r, y + 1), (x + r, y + 1), shade(metal, 0.4), 2)


def drawers(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A chest of two to six rows of drawers, one or two columns, with handles."""
    rows, columns = ((3, 1), (4, 2), (2, 1), (5, 1), (3, 2), (6, 1), (4, 1), (3, 3))[variant % 8]
    image = board(rng, upright=False)
    kind, size = int(rng.integers(4)), float(rng.uniform(11, 18))
    heights = np.cumsum(np.r_[0, np.sort(rng.uniform(0.7, 1.3, rows))])
    ys = 6 + heights / heights[-1] * (SIZE - 12)
    xs = np.linspace(6, SIZE - 6, columns + 1)
    framed = rng.random() < 0.35
    base = np.random.default_rng(int(rng.integers(1 << 30)))
    state = base.bit_generator.state
    for y0, y1 in zip(ys[:-1], ys[1:], strict=True):
        for x0, x1 in zip(xs[:-1], xs[1:], strict=True):
            piece = image[round(y0):round(y1), round(x0):round(x1)]
            piece[:] = np.clip(piece * rng.normal(1, 0.03), 0, 255).astype(np.uint8)
            _gap(image, (x0, y0, x1, y1))
            if framed:
                bevel(image, (x0 + 9, y0 + 8, x1 - 9, y1 - 8), 3, 0.25, sunk=True)
            spots = ((0.5,), (0.25, 0.75))[int(columns == 1 and rows > 2 and kind in (0, 3))]
            for spot in spots:
                base.bit_generator.state = state  # all handles alike
                knob(image, base, (x0 + spot * (x1 - x0), (y0 + y1) / 2), min(size, 0.3 * (y1 - y0)), kind, False)
    return shown(image)


def doors(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Cabinet doors: one to four leaves, plain, framed, slatted or glazed, with handles."""
    leaves = (2, 1, 2, 3, 2, 4, 1, 2)[variant % 8]
    image = board(rng)
    style, kind = int(rng.integers(4)), int(rng.integers(3))
    xs = np.linspace(5, SIZE - 5, leaves + 1)
    base = np.random.default_rng(int(rng.integers(1 << 30)))
    state = base.bit_generator.state
    for k, (x0, x1) in enumerate(zip(xs[:-1], xs[1:], strict=True)):
        at = (x0, 5, x1, SIZE - 5)
        _gap(image, at)
        a, c = round(x0) + 14, round(x1) - 14
        if style == 1:
            bevel(image, (a, 22, c, SIZE - 22), 4, 0.28, sunk=True)
            bevel(image, (a + 10, 34, c - 10, SIZE - 34), 3, 0.2)
        elif style == 2:
            for y in range(24, SIZE - 26, 9):
                bevel(image, (a, y, c, y + 9), 2, 0.3)
        elif style == 3 and leaves < 4:
            glass = np.full((SIZE - 44, c - a, 3), (52, 58, 62), np.uint8)
            shine = np.clip(1 + 0.5 * field(rng, 4), 0.4, 2)[22:SIZE - 22, a:c, None]
            image[22:SIZE - 22, a:c] = np.clip(glass * shine, 0, 255).astype(np.uint8)
            for y in (90, 160):
                box(image, (a, y, c, y + 4), (118, 96, 74))
            bevel(image, (a, 22, c, SIZE - 22), 3, 0.4, sunk=True)
        right = (k % 2 == 0) if leaves > 1 else bool(variant % 4 < 2)
        base.bit_generator.state = state
        knob(image, base, (x1 - 10 if right else x0 + 9, 128), 15, kind, True)
    return shown(image)


def door(rng: np.random.Generator, variant: int) -> np.ndarray:
    """The leaf of a room's door: flush, with panels, glazed or of boards; a handle at the right."""
    image = board(rng, None if variant % 2 else False)
    kind = variant % 6
    if kind in (0, 3):
        rows = ((14, 80), (96, 160), (176, 242)) if kind == 0 else ((16, 110), (134, 240))
        for y0, y1 in rows:
            for x0, x1 in ((22, 118), (138, 234)):
                bevel(image, (x0, y0, x1, y1), 4, 0.3, sunk=True)
                bevel(image, (x0 + 12, y0 + 8, x1 - 12, y1 - 8), 3, 0.2)
    elif kind in (2, 5):
        panes = ((50, 20, 206, 150),) if kind == 2 else tuple((x, y, x + 78, y + 40) for y in (16, 62, 108) for x in (40, 138))
        for at in panes:
            box(image, at, (168, 182, 186))
            part = image[at[1]:at[3], at[0]:at[2]]
            part[:] = np.clip(part * (1 + 0.12 * fractal(rng, 8, 4))[at[1]:at[3], at[0]:at[2], None], 0, 255).astype(np.uint8)
            bevel(image, at, 4, 0.3, sunk=True)
        bevel(image, (40, 172, 216, 238), 4, 0.25, sunk=True)
    elif kind == 4:
        for x in range(0, SIZE, 42):
            image[:, x:x + 3] = (image[:, x:x + 3] * 0.55).astype(np.uint8)
        for y in (38, 205):
            box(image, (0, y, SIZE, y + 18), shade(image[y, 5], 0.82))
            bevel(image, (0, y, SIZE, y + 18), 2)
    cv2.rectangle(image, (0, 0), (SIZE - 1, SIZE - 1), shade(image[4, 4], 0.5), 2)
    metal = pick(rng, ((196, 196, 198), (72, 70, 68), (170, 132, 74)))
    box(image, (228, 118, 240, 152), shade(metal, 0.8))
    bevel(image, (228, 118, 240, 152), 1, 0.4)
    box(image, (206, 126, 238, 131), metal)
    box(image, (206, 131, 236, 133), shade(metal, 0.4))
    cv2.circle(image, (234, 144), 3, (20, 20, 20), -1, cv2.LINE_AA)
    for y in (30, 210):
        box(image, (1, y, 7, y + 16), shade(metal, 0.9))
    return shown(image)


def radiator(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Ribs of a column, panel or tubular radiator, with its grille, valve and pipes."""
    ribs = (10, 24, 16, 32, 8, 20)[variant % 6]
    color = np.float32(srgb(pick(rng, ("f2f1ec", "e4e0d6", "f8f8f8", "4a4d50", "d8d5cc"))))
    across = (COLUMNS * (ribs / SIZE)) % 1
    rounded, flat = 0.45 + 0.55 * np.sin(np.pi * across) ** 0.6, 0.82 + 0.18 * np.sign(np.sin(2 * np.pi * across))
    body = flat if variant % 2 else rounded
    body = body * (1 + 0.01 * fractal(rng, 4, 4))
    image = np.clip(color * body[..., None], 0, 255).astype(np.uint8)
    for y0, y1 in ((0, 16), (240, SIZE)):
        image[y0:y1] = np.clip(color * 0.92, 0, 255)
        bevel(image, (0, y0, SIZE, y1), 3, 0.3)
    if variant % 3 == 1:
        for x in range(10, SIZE - 8, 8):
            box(image, (x, 4, x + 3, 11), (50, 50, 52))
    cv2.circle(image, (238, 226), 10, (232, 230, 226), -1, cv2.LINE_AA)
    cv2.circle(image, (238, 226), 10, (120, 118, 116), 2, cv2.LINE_AA)
    box(image, (230, 236, 236, SIZE), (190, 150, 110))
    return shown(image)


def mirror_frame(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A frame (its width a tenth of the picture) round a mirror that shows a dim, blurred room."""
    m = int(rng.integers(16, 34))
    tone = np.float32(srgb(pick(rng, ("b99a55", "3a2c22", "e8e4da", "8a8d90", "7a4a2c", "c9a24a"))))
    height = (0.8 * field(rng, 64) + 0.6 * field(rng, 128)) * (1.0 if variant % 2 else 0.25)
    image = np.clip(tone * relief(height, 0.12)[..., None], 0, 255).astype(np.uint8)
    bevel(image, (0, 0, SIZE, SIZE), 4, 0.35)
    bevel(image, (m - 5, m - 5, SIZE - m + 5, SIZE - m + 5), 4, 0.35, sunk=True)
    room = np.float32((150, 152, 150)) * (1 + 0.16 * fractal(rng, 2, 2))[..., None]
    room = np.clip(room, 0, 255).astype(np.uint8)
    for _ in range(6):
        x, y, w, h = (int(v) for v in rng.integers((0, 90, 20, 20), (230, 200, 90, 90)))
        box(room, (x, y, x + w, y + h), shade(pick(rng, ((120, 96, 70), (90, 100, 110), (200, 196, 186), (60, 56, 54))),
                                              rng.uniform(0.8, 1.2)))
    room = cv2.GaussianBlur(room, (0, 0), 3)
    image[m:-m, m:-m] = room[m:-m, m:-m]
    return shown(image)


MAKERS: dict[str, tuple[Maker, int]] = {"drawers": (drawers, 8), "doors": (doors, 8), "door": (door, 8),
                                        "radiator": (radiator, 6), "mirror_frame": (mirror_frame, 6)}
"""Makers of this group by family, with the number of variants."""
