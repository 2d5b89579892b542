# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Surfaces of walls and ceilings; neutral, for tinting, but for brick."""
from __future__ import annotations

import cv2
import numpy as np

from lsm_sim.pictures.canvas import (
    COLUMNS,
    NEUTRAL_MEAN,
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
    tiled_blur,
    warp,
)


def plain(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Even paint with faint mottling and the grain of a roller."""
    strength = (0.012, 0.02, 0.03)[variant % 3]
    roller = relief(0.5 * field(rng, 128) + 0.3 * field(rng, 256), 0.012 + 0.4 * strength)
    marks = np.clip(field(rng, 32) - 2.4, 0, 1) * (2 * strength)
    return neutral(roller * (1 + strength * fractal(rng, 2, 5)) - marks)


def blank(rng: np.random.Generator, variant: int) -> np.ndarray:
    """One even colour."""
    return np.full((SIZE, SIZE, 3), round(255 * NEUTRAL_MEAN), np.uint8)


def noise(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Speckles of many sizes: granite, terrazzo, cork, sponged paint."""
    kind = variant % 3
    if kind == 0:
        a, b = field(rng, 128), field(rng, 64)
        tone = 1 + 0.2 * np.clip(a, -1.5, 1.5) - 0.45 * (field(rng, 128) > 1.3) + 0.3 * (b > 1.6) + 0.08 * field(rng, 16)
        return neutral(tone)
    if kind == 1:  # terrazzo
        label, distance = cells(rng, (500, 1100)[variant // 3 % 2])
        size = rng.uniform(1.5, 6.5, 1300)[label]
        chip = np.clip((size - distance - 0.8 * field(rng, 64)) * 1.2, 0, 1)[..., None]
        colors = rng.uniform(0.25, 1.1, (1300, 1)) * rng.uniform(0.8, 1.15, (1300, 3))
        return neutral((1 - chip) * 0.85 * (1 + 0.03 * field(rng, 128))[..., None] + chip * colors[label])
    return neutral(1 + 0.13 * fractal(rng, 8, 5, 0.85) + 0.1 * np.sign(fractal(rng, 16, 3) - 0.6))


def plaster(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Rough plaster: sprayed, trowelled or woodchip paper."""
    kind = variant % 3
    if kind == 0:
        height = 0.8 * field(rng, 128) + 0.9 * field(rng, 64)
    elif kind == 1:
        height = warp(2.2 * field(rng, 16, 64) + 0.8 * field(rng, 64, 128), 9 * field(rng, 4), 9 * field(rng, 4))
    else:
        chips = np.clip(tiled_blur(field(rng, 128), 1.0) * 2 - 1.8, 0, 1.5)
        height = 2.0 * chips + 0.2 * field(rng, 128)
    return neutral(relief(height.astype(np.float32), (0.05, 0.05, 0.07)[kind]) * (1 + 0.015 * fractal(rng, 2, 4)))


def concrete(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Clouds, pores and cracks; on some the joints and holes of the forms, or the marks of boards."""
    tone = 1 + 0.07 * fractal(rng, 2, 7, 0.7) + 0.02 * field(rng, 256)
    tone -= 0.35 * np.clip(tiled_blur(field(rng, 256), 0.9) * 3 - 2.6, 0, 1) + 0.3 * np.clip(field(rng, 64) * 2 - 5, 0, 1)
    kind = variant % 3
    if kind == 1:
        for at in (0, SIZE // 2):
            tone[at:at + 2] *= 0.72
            tone[:, at:at + 2] *= 0.72
        for y in (32, 96, 160, 224):
            for x in (32, 96, 160, 224):
                tone[y - 2:y + 3, x - 2:x + 3] *= 0.6
    elif kind == 2:
        step = 32
        tone *= np.repeat(rng.normal(1, 0.04, SIZE // step), step)[:, None] * (1 + 0.03 * field(rng, 128, 4))
        tone[::step] *= 0.8
    if variant % 2:
        crack = np.abs(fractal(rng, 2, 6))
        tone = tone * (1 - 0.4 * np.clip(0.025 - crack, 0, 1) / 0.025 * (field(rng, 2) > 0.2))
    return neutral(tone.astype(np.float32))


def brick(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Bricks in running or stack bond: red, yellow, grey or painted white; coloured."""
    tones = ("9c5238", "a9623f", "c9a878", "8b8680", "e3dfd6", "6e3b2c", "b47b5a", "7d4a3c")
    base, mortar = linear(tones[variant % 8]), linear(pick(rng, ("cfc8bb", "a8a299", "8f8a82", "e2ddd2")))
    if variant % 8 == 4:
        mortar = base * 0.85
    courses, across = ((16, 4), (16, 4), (16, 8), (8, 4))[variant % 4]
    high, wide = SIZE // courses, SIZE // across
    wobble_x, wobble_y = 0.45 * field(rng, 32), 0.45 * field(rng, 32)
    y = (ROWS + wobble_y) % SIZE
    row = (y // high).astype(int) % courses
    bond = wide // 2 if variant % 5 != 3 else 0
    x = (COLUMNS + wobble_x + bond * (row % 2)) % SIZE
    column = (x // wide).astype(int) % across
    edge = np.minimum(np.minimum(y % high, high - y % high), np.minimum(x % wide, wide - x % wide))
    joint = np.clip((1.9 - edge) / 1.2, 0, 1)[..., None]
    tint = (rng.normal(1, 0.17, (courses, across, 1)) * rng.normal(1, 0.02, (courses, across, 3)))[row, column]
    face = base * tint * (1 + 0.12 * fractal(rng, 16, 5, 0.8) - 0.4 * (field(rng, 128) > 2))[..., None]
    light = relief(np.clip(edge, 0, 4).astype(np.float32), 0.08)[..., None]
    return coloured((face * (1 - joint) + mortar * (0.85 + 0.1 * field(rng, 128)[..., None]) * joint) * light)


def tiles(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Tiles with joints: square, metro, slabs, mosaic, hexagons, or with painted ornaments; neutral."""
    kind = variant % 8
    if kind == 6:
        return _hexagons(rng)
    rows, columns, bond = ((4, 4, 0), (8, 4, 1), (2, 2, 0), (16, 16, 0), (4, 4, 0), (8, 8, 0), (1, 1, 0), (4, 2, 1))[kind]
    high, wide = SIZE // rows, SIZE // columns
    row = (ROWS // high).astype(int)
    x = (COLUMNS + bond * (row % 2) * (wide // 2)) % SIZE
    column = (x // wide).astype(int)
    u, v = x % wide, ROWS % high
    spread = (0.03, 0.02, 0.05, 0.16, 0.03, 0.05, 0, 0.05)[kind]
    tone = rng.normal(1, spread, (rows, columns))[row, column][..., None] * (1 + 0.02 * rng.normal(size=3))
    if kind in (2, 7):
        tone = tone * (1 + 0.05 * fractal(rng, 4, 6)[..., None])
    if kind == 4:
        tone = tone * _ornament(rng, high)[v.astype(int), u.astype(int)]
    if kind == 5:
        tone = tone * (1 - rng.uniform(0.35, 0.6) * ((row + column) % 2)[..., None])
    tone = tone * (1 + 0.012 * field(rng, 64) + 0.01 * fractal(rng, 8, 4))[..., None]
    edge = np.minimum(np.minimum(u, wide - 1 - u), np.minimum(v, high - 1 - v))
    grout = pick(rng, (0.55, 0.75, 0.35, 0.9))
    tone = np.where((edge < 1)[..., None], grout * (0.95 + 0.06 * field(rng, 128)[..., None]), tone)
    tone = np.where((edge == 1)[..., None], tone * np.where((u <= 1) | (v <= 1), 1.06, 0.9)[..., None], tone)
    return neutral(tone)


def _ornament(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, size, 3) brightness of a painted tile, mirrored both ways and about its diagonal."""
    half = size // 2
    image = np.ones((half, half, 3), np.float32)
    color = tuple(float(rng.uniform(0.3, 0.55) * c) for c in rng.uniform(0.75, 1.25, 3))
    other = tuple(float(rng.uniform(0.6, 0.75) * c) for c in rng.uniform(0.85, 1.15, 3))
    for k in range(5):
        r = int(rng.integers(4, half))
        c = pick(rng, ((0, 0), (half, half), (half, 0), (0, half), (half // 2, half // 2)))
        cv2.circle(image, c, r, color if k % 2 else other, int(pick(rng, (-1, 2, 3))), cv2.LINE_AA)
    image = np.minimum(image, image.transpose(1, 0, 2))
    return np.block([[[image], [image[:, ::-1]]], [[image[::-1]], [image[::-1, ::-1]]]])


def _hexagons(rng: np.random.Generator) -> np.ndarray:
    """Hexagons (slightly stretched so that they tile)."""
    wide, high = SIZE // 8, SIZE // 4  # two rows of centres in each `high`
    best, owner = np.full((SIZE, SIZE), 1e9, np.float32), np.zeros((SIZE, SIZE), int)
    second = best.copy()
    for k, (oy, ox) in enumerate(((0, 0), (high / 2, wide / 2))):
        cy, cx = np.rint((ROWS - oy) / high), np.rint((COLUMNS - ox) / wide)
        for my in (-1, 0, 1):
            dy = (ROWS - oy - (cy + my) * high) * (0.866 * 2 * wide / high)
            d = np.hypot(dy, COLUMNS - ox - cx * wide).astype(np.float32)
            closer = d < best
            second = np.where(closer, best, np.minimum(second, d))
            owner = np.where(closer, (k * 16 + (cy + my) % 4 * 64 + cx % 8).astype(int), owner)
            best = np.minimum(best, d)
    tone = rng.choice([1.0, 1.03, 0.96, 0.7], 320)[owner] * (1 + 0.02 * fractal(rng, 8, 4))
    return neutral(np.where(borders(owner), 0.45, tone))


def wallpaper(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Printed paper: sprigs, damask, trellis, dots, stripes with flowers, leaves, waves, scribbles; neutral."""
    kind = variant % 8
    ink = rng.uniform(0.35, 0.85) * rng.uniform(0.7, 1.2, 3)
    other = rng.uniform(0.4, 0.95) * rng.uniform(0.75, 1.2, 3)
    tone = np.ones((SIZE, SIZE, 3), np.float32)
    if kind == 2:  # trellis
        u, v = (COLUMNS + ROWS) * (8 / SIZE), (COLUMNS - ROWS) * (8 / SIZE)
        line = np.minimum(np.abs(u - np.rint(u)), np.abs(v - np.rint(v)))
        tone[line < 0.07] = ink
        tone[(np.abs(u % 1 - 0.5) < 0.16) & (np.abs(v % 1 - 0.5) < 0.16)] = other
    elif kind == 4:
        tone[((COLUMNS // 16).astype(int) % 4) == 0] = 0.5 + 0.5 * ink
        tone[(COLUMNS % 64 == 0) | (COLUMNS % 64 == 15)] = ink
    elif kind == 6:
        wave = ROWS * (8 / SIZE) + 0.35 * np.sin(COLUMNS * (2 * np.pi * 4 / SIZE))
        tone[np.abs(wave % 1 - 0.5) < 0.1] = ink
        tone[np.abs(wave % 1 - 0.1) < 0.04] = other
    pitch = (64, 128, 0, 32, 64, 128, 0, 64)[kind]
    if pitch:
        stamp = (_sprig, _damask, _sprig, _dot, _sprig, _leaf, _sprig, _scribble)[kind]
        for row in range(SIZE // pitch * 2):
            for column in range(SIZE // pitch):
                if kind == 4 and row % 2:
                    continue
                x = column * pitch + (pitch // 2 if row % 2 else 0) + (8 if kind == 4 else 0)
                if column == 0 or kind in (0, 5, 7):
                    mark = stamp(np.random.default_rng([variant, row % 2 if kind in (0, 4) else row + 10 * column]), pitch)
                _press(tone, mark, row * pitch // 2, x, ink, other)
    return neutral(tone * (relief(field(rng, 128), 0.012) * (1 + 0.02 * fractal(rng, 2, 4)))[..., None])


def _press(tone: np.ndarray, mark: np.ndarray, top: int, left: int, ink: np.ndarray, other: np.ndarray) -> None:
    """Prints a mark (pitch, pitch, 2) of two inks, going on at the other side where it passes the border."""
    rows, columns = (top + np.arange(len(mark))) % SIZE, (left + np.arange(len(mark))) % SIZE
    at = np.ix_(rows, columns)
    for k, color in enumerate((ink, other)):
        a = mark[..., k:k + 1]
        tone[at] = tone[at] * (1 - a) + a * color


def _blank_mark(pitch: int) -> list[np.ndarray]:
    return [np.zeros((pitch, pitch), np.float32) for _ in range(2)]


def _sprig(rng: np.random.Generator, pitch: int) -> np.ndarray:
    stalk, bloom = _blank_mark(pitch)
    c, turn = pitch // 2, rng.uniform(0, 360)
    for k in range(3):
        a = np.radians(turn + 120 * k + rng.uniform(-25, 25))
        tip = (int(c + 0.3 * pitch * np.cos(a)), int(c + 0.3 * pitch * np.sin(a)))
        cv2.line(stalk, (c, c), tip, 1.0, 1, cv2.LINE_AA)
        cv2.ellipse(stalk, tip, (max(2, pitch // 9), max(1, pitch // 20)), float(np.degrees(a)), 0, 360, 1.0, -1, cv2.LINE_AA)
    for k in range(5):
        a = np.radians(turn + 72 * k)
        cv2.circle(bloom, (int(c + 0.09 * pitch * np.cos(a)), int(c + 0.09 * pitch * np.sin(a))), max(2, pitch // 16), 1.0, -1,
                   cv2.LINE_AA)
    return np.stack([stalk, bloom], -1)


def _damask(rng: np.random.Generator, pitch: int) -> np.ndarray:
    first, second = _blank_mark(pitch)
    c = pitch // 2
    for _ in range(9):
        x, y = int(c + rng.uniform(0, 0.3) * pitch), int(rng.uniform(0.14, 0.86) * pitch)
        size = (int(rng.uniform(0.05, 0.15) * pitch), int(rng.uniform(0.02, 0.06) * pitch) + 1)
        cv2.ellipse(first, (x, y), size, float(rng.uniform(-80, 80)), 0, float(rng.uniform(200, 360)), 1.0, -1, cv2.LINE_AA)
        cv2.ellipse(second, (x, y), (size[0] // 2, size[1] // 2 + 1), 0, 0, 360, 1.0, 1, cv2.LINE_AA)
    return np.stack([np.maximum(m, m[:, ::-1]) for m in (first, second)], -1)


def _dot(rng: np.random.Generator, pitch: int) -> np.ndarray:
    first, second = _blank_mark(pitch)
    cv2.circle(first, (pitch // 2, pitch // 2), int(pitch * 0.2), 1.0, -1, cv2.LINE_AA)
    cv2.circle(second, (pitch // 2, pitch // 2), int(pitch * 0.09), 1.0, -1, cv2.LINE_AA)
    return np.stack([first, second], -1)


def _leaf(rng: np.random.Generator, pitch: int) -> np.ndarray:
    first, second = _blank_mark(pitch)
    c, turn = pitch / 2, rng.uniform(0, 2 * np.pi)
    for k in range(-4, 5):
        x, y = c + 0.08 * pitch * k * np.cos(turn), c + 0.08 * pitch * k * np.sin(turn)
        for side in (-1, 1):
            a = turn + side * 0.9
            at = (int(x + 0.09 * pitch * np.cos(a)), int(y + 0.09 * pitch * np.sin(a)))
            cv2.ellipse(first if side > 0 else second, at, (pitch // 11, pitch // 32), float(np.degrees(a)), 0, 360, 1.0, -1,
                        cv2.LINE_AA)
    return np.stack([first, second], -1)


def _scribble(rng: np.random.Generator, pitch: int) -> np.ndarray:
    first, second = _blank_mark(pitch)
    for image in (first, second):
        p = (pitch * (0.5 + 0.35 * rng.uniform(-1, 1, (3, 2)))).astype(np.int32)
        if rng.random() < 0.5:
            cv2.polylines(image, [p], True, 1.0, 2, cv2.LINE_AA)
        else:
            cv2.circle(image, tuple(int(v) for v in p[0]), pitch // 8, 1.0, 2, cv2.LINE_AA)
    return np.stack([first, second], -1)


def ceiling_panels(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Mineral panels on a grid of rails, with fissures or pinholes."""
    count = (2, 2, 4)[variant % 3]
    step = SIZE // count
    tone = 1 + 0.012 * field(rng, 128) + rng.normal(0, 0.015, (count, count)).repeat(step, 0).repeat(step, 1)
    if variant % 2:
        tone = tone - 0.25 * np.clip(warp(field(rng, 128, 64), 2 * field(rng, 32), 2 * field(rng, 32)) * 2 - 3.2, 0, 1)
    else:
        tone = tone - 0.22 * ((ROWS % 8 == 4) & (COLUMNS % 8 == 4))
    at = np.arange(SIZE) % step
    for k, factor in ((0, 0.62), (1, 1.04), (2, 1.04), (3, 0.8)):
        tone[at == k] *= factor
        tone[:, at == k] *= factor
    return neutral(np.clip(tone, 0.3, 1.05))


MAKERS: dict[str, tuple[Maker, int]] = {
    "plain": (plain, 6), "blank": (blank, 1), "noise": (noise, 6), "plaster": (plaster, 6), "concrete": (concrete, 6),
    "brick": (brick, 8), "tiles": (tiles, 8), "wallpaper": (wallpaper, 16), "ceiling_panels": (ceiling_panels, 6),
}
"""Makers of this group by family, with the number of variants."""
