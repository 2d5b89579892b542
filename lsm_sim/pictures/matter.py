# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Metal, marble, leaves, cardboard, pebbles; neutral, for tinting, but for leaves."""
from __future__ import annotations

import cv2
import numpy as np

from lsm_sim.pictures.canvas import (
    COLUMNS,
    ROWS,
    SIZE,
    Maker,
    borders,
    cells,
    coloured,
    field,
    fractal,
    linear,
    neutral,
    pick,
    relief,
    small_print,
    tiled_blur,
    warp,
)


def metal(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Brushed (variant 0 faintly), scratched, hammered or chequered sheet."""
    kind = variant % 6
    streaks = 0.5 * field(rng, 256, 2) + 0.5 * field(rng, 256, 8) + 0.3 * field(rng, 64, 2)
    tone = 1 + (0.03, 0.06, 0.05, 0.02, 0.03, 0.05)[kind] * streaks + 0.03 * fractal(rng, 2, 3)
    if kind in (1, 5):
        tone = tone.T
    if kind in (2, 5):
        scratches = np.zeros((SIZE, SIZE), np.float32)
        for _ in range(50):
            a, d = rng.uniform(0, SIZE, 2), rng.normal(0, 26, 2)
            cv2.line(scratches, tuple(int(v) for v in a), tuple(int(v) for v in a + d), float(rng.uniform(-1, 1)), 1)
        tone = tone + 0.16 * scratches
    elif kind == 3:
        label, distance = cells(rng, 220)
        tone = tone * relief(tiled_blur(distance, 1.5), 0.05)
    elif kind == 4:
        u, v = COLUMNS % 32, ROWS % 32
        left = ((COLUMNS // 32 + ROWS // 32) % 2) == 0
        along, across = np.where(left, u + v, u - v + 32) - 32, np.where(left, u - v, u + v - 32)
        bump = np.clip(1.3 - (along / 20) ** 2 - (across / 6) ** 2, 0, 0.6).astype(np.float32)
        tone = tone * (relief(4 * bump, 0.09) + 0.25 * bump)
    return neutral(tone)


def marble(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Veins over clouds; light or strongly veined, some laid as slabs."""
    bend = 14 * fractal(rng, 2, 4), 14 * fractal(rng, 2, 4)
    veins = np.zeros((SIZE, SIZE), np.float32)
    for start, width, strength in ((2, 0.08, 1.0), (4, 0.09, 0.7), (8, 0.12, 0.45)):
        ridge = np.abs(warp(fractal(rng, start, 3), *bend))
        veins += strength * np.clip(1 - ridge / width, 0, 1) * np.clip(0.5 + field(rng, 4), 0, 1.3)
    clouds = warp(fractal(rng, 2, 5), *bend)
    strength = (0.45, 0.65, 0.32)[variant % 3]
    tone = 1 + 0.06 * clouds - strength * np.clip(veins, 0, 1.2) + 0.012 * field(rng, 256)
    if variant % 2:
        tone = tone * np.kron(rng.normal(1, 0.05, (2, 2)), np.ones((SIZE // 2, SIZE // 2)))
        tone[::SIZE // 2] *= 0.6
        tone[:, ::SIZE // 2] *= 0.6
    return neutral(np.clip(tone, 0.1, None).astype(np.float32))


def leaves(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Leaves over leaves, the lower ones in shadow; coloured."""
    palettes = (("3f6b2f", "5c8a3a", "2f5526"), ("6c8f4e", "89a860", "4d7039"), ("2c5a45", "3f7a58", "7aa06a"),
                ("7d8f3a", "5a6f2a", "a3ac55"), ("4a7a3f", "96b36a", "31592f"), ("6f4a52", "4f6b3a", "8a5a60"))
    greens = [linear(c) for c in palettes[variant % 6]]
    image = np.broadcast_to(greens[2] * 0.15, (SIZE, SIZE, 3)).astype(np.float32).copy()
    count, long = ((260, 22), (420, 15), (160, 32))[variant % 3]
    slim = (0.42, 0.5, 0.25, 0.6, 0.3, 0.45)[variant % 6]
    for k in range(count):
        center, turn = rng.uniform(0, SIZE, 2), rng.uniform(0, 2 * np.pi)
        size = long * rng.uniform(0.7, 1.2)
        light = 0.35 + 0.9 * k / count
        color = (pick(rng, greens) * light * rng.normal(1, 0.12)).clip(0.01, 1)
        d = np.array([np.cos(turn), np.sin(turn)])
        n = np.array([-d[1], d[0]]) * slim * size
        outline = np.array([-d * size, -0.35 * d * size + n * 0.9, 0.3 * d * size + n * 0.8, d * size,
                            0.3 * d * size - n * 0.8, -0.35 * d * size - n * 0.9])
        low, high = center - 1.1 * size, center + 1.1 * size
        for sx in (-SIZE, 0, SIZE):
            for sy in (-SIZE, 0, SIZE):
                if high[0] + sx < 0 or high[1] + sy < 0 or low[0] + sx > SIZE or low[1] + sy > SIZE:
                    continue
                at = center + (sx, sy)
                cv2.fillPoly(image, [np.rint(outline + at).astype(np.int32)], color.tolist(), cv2.LINE_AA)
                a, b = at - d * size * 0.9, at + d * size * 0.9
                cv2.line(image, tuple(int(v) for v in a), tuple(int(v) for v in b), (color * 1.5).tolist(), 1, cv2.LINE_AA)
    return coloured(image)


def cardboard(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Corrugated board with fibres, on some a print or a tape; neutral, tiles."""
    tone = 1 + 0.015 * np.sin(ROWS * (2 * np.pi / 8)) + 0.03 * field(rng, 128, 32) + 0.03 * fractal(rng, 4, 4)
    tone -= 0.18 * np.clip(field(rng, 256, 64) - 2.3, 0, 1)
    image = np.repeat(np.clip(tone, 0, 1.2)[..., None] * 200, 3, 2).astype(np.uint8)
    if variant % 3 != 1:
        for _ in range(int(rng.integers(2, 5))):
            x, y = (int(v) for v in rng.integers(8, 160, 2))
            small_print(image, rng, (x, y, x + int(rng.integers(40, 88)), y + int(rng.integers(12, 50))), (60, 55, 50), 8)
            cv2.arrowedLine(image, (x + 20, min(y + 80, 250)), (x + 20, y + 56), (70, 65, 60), 3, cv2.LINE_AA, tipLength=0.4)
    if variant % 2:
        image[112:144] = (0.55 * image[112:144] + 90 * (1 + 0.05 * field(rng, 64)[112:144, :, None])).astype(np.uint8)
    return neutral(image.astype(np.float32))


def pebbles(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Rounded stones side by side."""
    count = (140, 300, 700, 90, 200, 1200)[variant % 6]
    label, distance = cells(rng, count)
    size = SIZE / count ** 0.5
    round_off = np.sqrt(np.clip(1 - (distance / (0.72 * size)) ** 2, 0, 1)).astype(np.float32)
    tint = (rng.normal(1, 0.22, (1600, 1)) * rng.normal(1, 0.04, (1600, 3)))[label]
    light = relief(tiled_blur(round_off * size * 0.35, 1.0), 0.09) * (0.2 + 0.85 * round_off)
    light = np.where(borders(label), 0.25, light) * (1 + 0.05 * field(rng, 128) + 0.05 * field(rng, 64))
    return neutral(tint * light[..., None])


MAKERS: dict[str, tuple[Maker, int]] = {"metal": (metal, 6), "marble": (marble, 6), "leaves": (leaves, 6),
                                        "cardboard": (cardboard, 6), "pebbles": (pebbles, 6)}
"""Makers of this group by family, with the number of variants."""
