# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Fronts of kitchen and laundry appliances, and hobs from above. Fitted, coloured."""
from __future__ import annotations

import cv2
import numpy as np

from lsm_sim.pictures.canvas import (
    SIZE,
    Maker,
    bevel,
    box,
    field,
    fractal,
    hue,
    pick,
    shade,
    shown,
    small_print,
    srgb,
    word,
    write,
)

_BODIES = ("f4f4f2", "c4c6c8", "3a3b3d", "f4f4f2", "b2b4b6", "efeade")


def _body(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Enamel or brushed steel."""
    color = _BODIES[variant % len(_BODIES)]
    steel = color in ("c4c6c8", "b2b4b6", "3a3b3d")
    tone = 1 + (0.02 * field(rng, 256, 4) + 0.03 * field(rng, 2, 4) if steel else 0.008 * fractal(rng, 4, 3))
    return np.clip(np.float32(srgb(color)) * tone[..., None], 0, 255).astype(np.uint8)


def _ink(image: np.ndarray) -> tuple[int, int, int]:
    return (60, 62, 66) if image[128, 4].sum() > 300 else (215, 215, 218)


def _dial(image: np.ndarray, at: tuple[int, int], r: int, turn: float) -> None:
    """A knob with its pointer and marks round it."""
    for a in np.linspace(0.7, 2 * np.pi - 0.7, 9):
        p = np.array([-np.sin(a), np.cos(a)])
        cv2.line(image, tuple(int(v) for v in at + 1.25 * r * p), tuple(int(v) for v in at + 1.45 * r * p), _ink(image), 1,
                 cv2.LINE_AA)
    cv2.circle(image, (at[0] + 2, at[1] + 3), r, (30, 30, 30), -1, cv2.LINE_AA)
    cv2.circle(image, at, r, (210, 210, 212), -1, cv2.LINE_AA)
    cv2.circle(image, at, r, (90, 90, 92), 1, cv2.LINE_AA)
    tip = (int(at[0] + 0.85 * r * np.cos(turn)), int(at[1] + 0.85 * r * np.sin(turn)))
    cv2.line(image, at, tip, (40, 40, 42), 2, cv2.LINE_AA)


def _display(image: np.ndarray, rng: np.random.Generator, at: tuple[int, int, int, int]) -> None:
    """A dark display with digits of light."""
    box(image, at, (14, 16, 18))
    light = pick(rng, ((90, 240, 150), (250, 120, 60), (120, 200, 250)))
    write(image, f"{int(rng.integers(0, 24)):02d}:{int(rng.integers(0, 60)):02d}", (at[0] + 3, at[1] + 2, at[2] - 3, at[3] - 2),
          light, cv2.FONT_HERSHEY_SIMPLEX, 2)


def _glass(image: np.ndarray, rng: np.random.Generator, at: tuple[int, int, int, int], racks: int) -> None:
    """A dark pane with racks behind it and a shine across it."""
    box(image, at, (26, 26, 28))
    a, b, c, d = at
    for y in np.linspace(b, d, racks + 2)[1:-1]:
        cv2.line(image, (a + 8, int(y)), (c - 8, int(y)), (84, 82, 80), 1, cv2.LINE_AA)
    pane = image[b:d, a:c].astype(np.float32)
    y, x = np.mgrid[:d - b, :c - a]
    shine = np.clip(1 - np.abs((x + 0.6 * y) / (c - a) - rng.uniform(0.3, 0.9)) / 0.16, 0, 1)[..., None]
    image[b:d, a:c] = np.clip(pane + 46 * shine, 0, 255)
    bevel(image, at, 3, 0.4, sunk=True)


def _bar(image: np.ndarray, at: tuple[int, int, int, int]) -> None:
    """A handle with its shadow."""
    a, b, c, d = at
    part = image[b + 4:d + 5, a + 3:c + 3]
    part[:] = (part * 0.55).astype(np.uint8)
    box(image, at, (200, 201, 204))
    bevel(image, at, 2, 0.4)


def fridge(rng: np.random.Generator, variant: int) -> np.ndarray:
    """One or two doors, handles, magnets and notes."""
    image = _body(rng, variant)
    split = (86, 160, 0)[variant % 3]
    for y0, y1 in ((0, split), (split, SIZE)) if split else ((0, SIZE),):
        cv2.rectangle(image, (1, y0 + 1), (SIZE - 2, y1 - 2), (70, 72, 74), 2)
        bevel(image, (3, y0 + 3, SIZE - 3, y1 - 3), 2, 0.15)
        middle = (y0 + y1) // 2
        _bar(image, (14, max(y0 + 12, middle - 34), 22, min(y1 - 12, middle + 34)))
    write(image, word(rng).upper(), (100, 10, 160, 24), (120, 122, 128))
    for _ in range(int(rng.integers(0, 9))):
        x, y = int(rng.integers(40, 205)), int(rng.integers(max(split, 20) + 8, 215))
        if rng.random() < 0.5:
            w, h = int(rng.integers(16, 44)), int(rng.integers(16, 34))
            box(image, (x, y, min(x + w, 250), y + h), pick(rng, ((250, 248, 238), (252, 238, 130), (180, 220, 240))))
            small_print(image, rng, (x + 3, y + 4, min(x + w, 250) - 3, y + h - 2), (60, 60, 80), 5)
        cv2.circle(image, (x + 8, y), 5, hue(rng, (0.6, 1), (0.5, 1)), -1, cv2.LINE_AA)
    return shown(image)


def oven(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A panel with dials and a clock over a glass door with a handle."""
    image = _body(rng, variant + 1)
    box(image, (0, 50, SIZE, 53), (24, 24, 26))
    count = (4, 2, 6)[variant % 3]
    spots = np.linspace(28, SIZE - 28, count + 1)
    for k, x in enumerate(spots):
        if k != (count + 1) // 2:
            _dial(image, (int(x), 26), 11, rng.uniform(0, 2 * np.pi))
    x = int(spots[(count + 1) // 2])
    _display(image, rng, (x - 24, 14, x + 24, 38))
    _bar(image, (22, 62, 234, 72))
    _glass(image, rng, (26, 88, 230, 226), int(rng.integers(2, 5)))
    write(image, word(rng).upper(), (104, 231, 152, 243), _ink(image))
    return shown(image)


def washer(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A round glass door under a panel with a drawer, a dial, buttons and a display."""
    image = _body(rng, variant if variant % 6 != 2 else 0)
    box(image, (0, 54, SIZE, 56), (130, 132, 134))
    bevel(image, (8, 10, 92, 46), 2, 0.3, sunk=True)
    write(image, word(rng).upper(), (20, 22, 80, 36), (90, 92, 100))
    _dial(image, (128, 29), 17, rng.uniform(0, 2 * np.pi))
    _display(image, rng, (168, 14, 240, 34))
    for x in range(172, 240, 15):
        cv2.circle(image, (x, 43), 4, (150, 152, 156), -1, cv2.LINE_AA)
    c, r = (128, 150), int(rng.integers(68, 80))
    cv2.circle(image, c, r, (206, 208, 212), -1, cv2.LINE_AA)
    cv2.circle(image, c, r, (90, 92, 96), 2, cv2.LINE_AA)
    cv2.circle(image, c, r - 16, (34, 38, 44), -1, cv2.LINE_AA)
    for _ in range(14):
        p = np.array(c) + rng.normal(0, 14, 2).clip(-24, 24) + (0, 12)
        cv2.ellipse(image, tuple(int(v) for v in p), (int(rng.integers(8, 18)), 7), float(rng.uniform(0, 180)), 0, 360,
                    shade(hue(rng, (0.1, 0.7), (0.2, 0.7)), 0.7), -1, cv2.LINE_AA)
    cv2.ellipse(image, c, (r - 26, r - 26), 0, 190, 260, (150, 158, 166), 5, cv2.LINE_AA)
    cv2.circle(image, c, r - 16, (120, 122, 126), 4, cv2.LINE_AA)
    _bar(image, (c[0] + r - 15, 138, c[0] + r - 5, 164))
    box(image, (0, 238, SIZE, 240), (130, 132, 134))
    return shown(image)


def stove(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A hob from above: glass with rings, gas burners with grates, or iron plates."""
    kind = variant % 3
    color = ((20, 20, 22), (176, 178, 182), (226, 226, 224))[kind]
    image = np.clip(np.float32(color) * (1 + 0.04 * fractal(rng, 4, 5))[..., None], 0, 255).astype(np.uint8)
    cv2.rectangle(image, (2, 2), (SIZE - 3, SIZE - 3), (128, 130, 134), 3)
    sizes = rng.permutation([46, 36, 36, 28])
    for (x, y), r in zip(((68, 72), (188, 72), (68, 178), (188, 178)), sizes, strict=True):
        r = int(r)
        if kind == 0:
            cv2.circle(image, (x, y), r, (150, 150, 152), 1, cv2.LINE_AA)
            cv2.circle(image, (x, y), r - 8, (96, 96, 98), 2, cv2.LINE_AA)
            cv2.line(image, (x - 6, y), (x + 6, y), (150, 150, 152), 1)
            cv2.line(image, (x, y - 6), (x, y + 6), (150, 150, 152), 1)
        elif kind == 1:
            cv2.circle(image, (x, y), r - 12, (60, 60, 62), -1, cv2.LINE_AA)
            cv2.circle(image, (x, y), r - 20, (28, 28, 30), -1, cv2.LINE_AA)
            for a in range(0, 180, 45):
                d = np.array([np.cos(np.radians(a)), np.sin(np.radians(a))]) * 50
                cv2.line(image, (int(x - d[0]), int(y - d[1])), (int(x + d[0]), int(y + d[1])), (24, 24, 26), 4, cv2.LINE_AA)
            cv2.rectangle(image, (x - 52, y - 48), (x + 52, y + 48), (24, 24, 26), 4)
        else:
            cv2.circle(image, (x, y), r + 3, (160, 162, 166), -1, cv2.LINE_AA)
            for k in range(r, 3, -7):
                cv2.circle(image, (x, y), k, (34, 33, 34) if k // 7 % 2 else (52, 50, 50), -1, cv2.LINE_AA)
    for k in range(4):
        at = (76 + 34 * k, 240)
        if kind:
            cv2.circle(image, at, 8, (50, 50, 52), -1, cv2.LINE_AA)
            cv2.line(image, at, (at[0] + 5, at[1] - 4), (230, 230, 230), 2)
        else:
            write(image, "- 0 +", (at[0] - 12, 234, at[0] + 12, 244), (190, 190, 192))
    return shown(image)


def microwave(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A window at the left, display and keys at the right."""
    image = _body(rng, variant + 2)
    _glass(image, rng, (16, 26, 166, 230), 0)
    mesh = image[40:216, 30:152]
    mesh[::5, ::5] = 74
    _bar(image, (172, 40, 180, 216))
    _display(image, rng, (190, 24, 246, 50))
    if variant % 2:
        for k in range(2):
            _dial(image, (218, 100 + 72 * k), 20, rng.uniform(0, 2 * np.pi))
    else:
        for k in range(12):
            x, y = 190 + 19 * (k % 3), 64 + 34 * (k // 3)
            box(image, (x, y, x + 16, y + 24), (206, 206, 204) if image[128, 4].sum() < 300 else (150, 152, 156))
            write(image, str((k + 1) % 10), (x + 3, y + 4, x + 13, y + 20), (30, 30, 32))
        box(image, (190, 206, 246, 232), (80, 150, 100))
    write(image, word(rng).upper(), (60, 8, 120, 22), _ink(image))
    return shown(image)


def dishwasher(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A panel with buttons and lights over a plain door with a handle."""
    image = _body(rng, variant)
    box(image, (0, 40, SIZE, 43), (60, 62, 64))
    for k in range(int(rng.integers(4, 9))):
        cv2.circle(image, (150 + 12 * k, 20), 4, (160, 162, 166), -1, cv2.LINE_AA)
        cv2.circle(image, (150 + 12 * k, 31), 1, pick(rng, ((80, 230, 90), (240, 70, 50), (60, 60, 60))), -1)
    _display(image, rng, (100, 10, 138, 30))
    write(image, word(rng).upper(), (14, 12, 84, 28), _ink(image))
    if variant % 2:
        _bar(image, (30, 54, 226, 64))
    else:
        box(image, (80, 44, 176, 56), shade(image[60, 60], 0.4))
    bevel(image, (4, 46, SIZE - 4, 232), 2, 0.15)
    box(image, (0, 234, SIZE, SIZE), (46, 46, 48))
    return shown(image)


MAKERS: dict[str, tuple[Maker, int]] = {"fridge": (fridge, 6), "oven": (oven, 6), "washer": (washer, 6), "stove": (stove, 6),
                                        "microwave": (microwave, 6), "dishwasher": (dishwasher, 6)}
"""Makers of this group by family, with the number of variants."""
