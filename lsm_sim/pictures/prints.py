# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Prints in frames or on tables: paintings, photos, posters, book covers, newspapers, packages, papers. Fitted."""
from __future__ import annotations

import cv2
import numpy as np

from lsm_sim.pictures.canvas import (
    FONTS,
    ROWS,
    SIZE,
    Maker,
    box,
    field,
    fractal,
    grained,
    hue,
    pick,
    shade,
    sheet,
    shown,
    small_print,
    srgb,
    warp,
    word,
    write,
)
from lsm_sim.pictures.scenery import landscape, still_life, town


def painting(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A painting: colour fields, landscape, brush strokes, cubes, lines, flowers, town, with the weave of canvas."""
    kind = variant % 7
    image = (_color_fields, landscape, _strokes, _polygons, _mondrian, still_life, town)[kind](rng)
    bend = 0.4 if kind == 4 else 1.2
    image = warp(image.astype(np.float32), bend * field(rng, 32), bend * field(rng, 32))
    brush = (1 + 0.05 * field(rng, 128, 64) + 0.03 * field(rng, 256))[..., None]
    return shown(_mounted(image * brush, rng, 0.4))


def photo(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A photograph: landscape, town, still life or close-up, in colour or black and white, often with a mount."""
    image = (landscape, town, still_life, _close_up)[variant % 4](rng).astype(np.float32)
    if rng.random() < 0.35:
        grey = image @ np.float32([0.3, 0.59, 0.11])
        image = grey[..., None] * np.float32([1.02, 1.0, 0.94])
    image = (image - 128) * np.float32(rng.uniform(0.9, 1.25)) + 128
    return shown(_mounted(image, rng, 0.4))


def _mounted(image: np.ndarray, rng: np.random.Generator, chance: float) -> np.ndarray:
    """With some chance a picture shrunk onto a mount of white or cream board."""
    if rng.random() > chance:
        return image
    m = int(rng.integers(14, 52))
    out = sheet(pick(rng, ((246, 244, 238), (236, 228, 210), (250, 250, 250), (40, 40, 42)))).astype(np.float32)
    out[m:-m, m:-m] = cv2.resize(image, (SIZE - 2 * m, SIZE - 2 * m), interpolation=cv2.INTER_AREA)
    cv2.rectangle(out, (m - 2, m - 2), (SIZE - m + 1, SIZE - m + 1), (150, 146, 140), 1)
    return out


def _color_fields(rng: np.random.Generator) -> np.ndarray:
    image = sheet(hue(rng)).astype(np.float32)
    for _ in range(int(rng.integers(2, 5))):
        y0, y1 = np.sort(rng.integers(10, SIZE - 10, 2))
        x0 = int(rng.integers(8, 40))
        mask = np.zeros((SIZE, SIZE), np.float32)
        mask[y0:y1 + 8, x0:SIZE - x0] = 1
        mask = cv2.GaussianBlur(warp(mask, 4 * field(rng, 32), 4 * field(rng, 32)), (0, 0), 2)[..., None]
        image = image * (1 - mask) + mask * np.float32(hue(rng, (0.3, 0.95)))
    return image * (1 + 0.08 * fractal(rng, 8, 5))[..., None]


def _strokes(rng: np.random.Generator) -> np.ndarray:
    image = sheet(hue(rng, (0.05, 0.4), (0.6, 0.95)))
    palette = [hue(rng, (0.2, 0.95), (0.1, 0.98)) for _ in range(5)]
    for k in range(110):
        p, a = rng.uniform(-10, SIZE + 10, 2), rng.uniform(0, 2 * np.pi)
        long = rng.uniform(10, 70)
        thick = int(rng.integers(1, 6 if k > 60 else 16))
        bend = int(np.degrees(a)) % 360
        cv2.ellipse(image, tuple(int(v) for v in p), (int(long), int(long * rng.uniform(0.3, 1))), bend, 0,
                    int(rng.integers(30, 120)), shade(pick(rng, palette), rng.uniform(0.7, 1.25)), thick, cv2.LINE_AA)
    return image


def _polygons(rng: np.random.Generator) -> np.ndarray:
    image = sheet(hue(rng))
    palette = [hue(rng, (0.15, 0.9), (0.15, 0.98)) for _ in range(6)]
    for k in range(int(rng.integers(14, 45))):
        size = 110 * 0.96 ** k + 12
        c = rng.uniform(0, SIZE, 2)
        p = (c + rng.uniform(-size, size, (int(rng.integers(3, 6)), 2)) / 1.4).astype(np.int32)
        cv2.fillPoly(image, [cv2.convexHull(p)], pick(rng, palette), cv2.LINE_AA)
        if rng.random() < 0.3:
            cv2.polylines(image, [cv2.convexHull(p)], True, (25, 22, 20), 2, cv2.LINE_AA)
    return image


def _mondrian(rng: np.random.Generator) -> np.ndarray:
    image = sheet((240, 236, 225))
    xs = np.unique(np.r_[0, np.sort(rng.choice(np.arange(16, 248, 8), 5, replace=False)), SIZE])
    ys = np.unique(np.r_[0, np.sort(rng.choice(np.arange(16, 248, 8), 5, replace=False)), SIZE])
    for x0, x1 in zip(xs[:-1], xs[1:], strict=True):
        for y0, y1 in zip(ys[:-1], ys[1:], strict=True):
            if rng.random() < 0.45:
                box(image, (x0, y0, x1, y1), pick(rng, ((190, 30, 35), (30, 60, 140), (235, 195, 40), (30, 30, 32),
                                                        hue(rng, (0.2, 0.6)))))
    for x in xs[1:-1]:
        box(image, (x - 3, 0, x + 2, SIZE), (20, 20, 22))
    for y in ys[1:-1]:
        box(image, (0, y - 2, SIZE, y + 3), (20, 20, 22))
    return image


def _close_up(rng: np.random.Generator) -> np.ndarray:
    """Blurred lights behind something sharp."""
    image = (np.float32(hue(rng, (0.2, 0.6), (0.2, 0.7))) * (1 + 0.25 * fractal(rng, 2, 3))[..., None]).astype(np.uint8)
    image = np.clip(image, 0, 255)
    for _ in range(16):
        cv2.circle(image, tuple(int(v) for v in rng.integers(0, SIZE, 2)), int(rng.integers(6, 26)),
                   hue(rng, (0.1, 0.6), (0.6, 1.0)), -1, cv2.LINE_AA)
    image = cv2.GaussianBlur(image, (0, 0), 5)
    color = hue(rng, (0.5, 0.95), (0.5, 1.0))
    c = rng.uniform(90, 166, 2)
    for ring, (count, r) in enumerate(((16, 70), (13, 50), (9, 28))):
        for k in range(count):
            a = 2 * np.pi * k / count + 0.3 * ring
            at = c + 0.6 * r * np.array([np.cos(a), np.sin(a)])
            cv2.ellipse(image, tuple(int(v) for v in at), (int(r * 0.45), int(r * 0.17)), float(np.degrees(a)), 0, 360,
                        shade(color, rng.uniform(0.55, 1.15)), -1, cv2.LINE_AA)
    cv2.circle(image, tuple(int(v) for v in c), 14, (90, 60, 25), -1, cv2.LINE_AA)
    for p in rng.normal(0, 6, (30, 2)):
        cv2.circle(image, tuple(int(v) for v in c + p), 1, (220, 170, 60), -1)
    return image


def poster(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A poster: a title, a picture or shapes, lines and blocks of text."""
    ground = hue(rng, (0.05, 0.85), (0.75, 1.0)) if variant % 3 else pick(rng, ((245, 243, 238), (25, 26, 32)))
    image = sheet(ground)
    ink = (24, 24, 28) if sum(ground) > 330 else (240, 238, 230)
    accent = hue(rng, (0.6, 1.0), (0.25, 0.5)) if sum(ground) > 330 else hue(rng, (0.3, 0.8), (0.8, 1.0))
    kind = variant % 5
    top = int(rng.integers(8, 20))
    if kind in (0, 3):
        low = int(rng.integers(120, 180))
        picture = pick(rng, (landscape, town, _polygons, still_life, _close_up))(rng)
        image[70:low, 12:SIZE - 12] = cv2.resize(picture, (SIZE - 24, low - 70), interpolation=cv2.INTER_AREA)
    elif kind == 1:
        low = 190
        for _ in range(int(rng.integers(4, 10))):
            c, r = tuple(int(v) for v in rng.integers((20, 75), (236, 180))), int(rng.integers(8, 40))
            cv2.circle(image, c, r, hue(rng), int(pick(rng, (-1, -1, 4))), cv2.LINE_AA)
    elif kind == 2:
        low = 70
    else:
        low = 170
        bars = int(rng.integers(5, 10))
        for k in range(bars):
            x = 16 + k * 224 / bars
            box(image, (x, 170 - rng.uniform(15, 95), x + 150 / bars, 168), accent if k % 3 else ink)
        box(image, (12, 168, 244, 170), ink)
    write(image, word(rng, int(rng.integers(1, 4))).upper(), (10, top, SIZE - 10, 56), accent, pick(rng, FONTS), 2)
    write(image, f"{word(rng)} {word(rng)}", (40, 56, SIZE - 40, 68), ink)
    columns = int(rng.integers(1, 4))
    for k in range(columns):
        left = 12 + k * (SIZE - 24) // columns
        small_print(image, rng, (left, low + 24, left + (SIZE - 24) // columns - 8, 244), ink, int(rng.integers(5, 9)))
    write(image, f"{word(rng, 3)} {int(rng.integers(1, 32))}.{int(rng.integers(1, 13))}.", (12, low + 6, 150, low + 20), accent)
    return shown(grained(image, rng, 2))


def book_cover(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Front of a book: title, author, a picture or a pattern."""
    ground = hue(rng, (0.1, 0.9), (0.2, 0.95))
    image = sheet(ground)
    ink = (248, 246, 238) if sum(ground) < 420 else (28, 26, 30)
    kind = variant % 4
    if kind == 0:
        image[90:220, 20:236] = cv2.resize(pick(rng, (landscape, town, _polygons, still_life))(rng), (216, 130),
                                           interpolation=cv2.INTER_AREA)
    elif kind == 1:
        box(image, (14, 14, 242, 242), ink, 2)
        box(image, (20, 20, 236, 236), ink, 1)
        cv2.circle(image, (128, 165), 40, ink, 3, cv2.LINE_AA)
        cv2.drawMarker(image, (128, 165), ink, cv2.MARKER_STAR, 50, 3)
    elif kind == 2:
        image = _strokes(rng)
        box(image, (22, 20, 234, 96), ground)
    else:
        for k in range(9):
            cv2.circle(image, (128, 256), 190 - 20 * k, hue(rng), -1, cv2.LINE_AA)
    write(image, word(rng, 2).upper(), (26, 26, 230, 62), ink, pick(rng, FONTS), 2)
    write(image, f"{word(rng)} {word(rng, 3)}", (50, 68, 206, 84), ink)
    write(image, word(rng, 3), (80, 226, 176, 240), ink)
    box(image, (0, 0, 6, SIZE), shade(ground, 0.7))
    return shown(grained(image, rng, 2.5))


def newspaper(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A page: masthead, headlines, columns, a picture."""
    image = sheet(pick(rng, ((228, 224, 212), (238, 236, 230), (214, 205, 186))))
    ink = (45, 44, 46)
    write(image, f"{word(rng).upper()} {word(rng)}", (20, 5, 236, 30), ink, cv2.FONT_HERSHEY_TRIPLEX, 2)
    box(image, (8, 32, 248, 33), ink)
    columns = (3, 4, 5, 2)[variant % 4]
    wide = 240 // columns
    for k in range(columns):
        y = 38
        while y < 236:
            right = 8 + (k + 1) * wide - 6
            if rng.random() < 0.75:
                write(image, word(rng, int(rng.integers(2, 4))), (8 + k * wide, y, right, y + 11), ink)
                y += 13
            if rng.random() < 0.35:
                high = int(min(rng.integers(25, 60), 248 - y))
                if high > 8:
                    tone = landscape(rng) if rng.random() < 0.5 else town(rng)
                    small = cv2.resize(tone, (right - 8 - k * wide, high), interpolation=cv2.INTER_AREA)
                    image[y:y + high, 8 + k * wide:right] = small.mean(-1, keepdims=True) * 0.8 + 20
                    y += high + 4
            high = int(min(rng.integers(35, 100), 250 - y))
            small_print(image, rng, (8 + k * wide, y, right, y + high), ink, 4, 0.15)
            y += high + 5
    fold = np.where(np.abs(ROWS - 128) < 1.5, 0.88, 1.0) * (1 + 0.02 * field(rng, 8))
    return shown(image * fold[..., None])


def label(rng: np.random.Generator, variant: int) -> np.ndarray:
    """The side of a package: brand, a picture, facts, a bar code."""
    ground = hue(rng, (0.3, 1.0), (0.5, 1.0))
    image = sheet(ground)
    band = hue(rng, (0.3, 1.0), (0.3, 1.0))
    kind = variant % 4
    if kind == 0:
        cv2.ellipse(image, (128, 60), (110, 44), 0, 0, 360, (250, 248, 240), -1, cv2.LINE_AA)
    elif kind == 1:
        box(image, (0, 24, SIZE, 100), band)
        box(image, (0, 104, SIZE, 110), (250, 248, 240))
    elif kind == 2:
        cv2.fillPoly(image, [np.array([[0, 0], [256, 0], [256, 70], [0, 120]], np.int32)], band, cv2.LINE_AA)
    else:
        image[:] = (image * (0.6 + 0.4 * ROWS[..., None] / SIZE)).astype(np.uint8)
        box(image, (16, 24, 240, 98), (250, 248, 240))
    ink = band if kind in (0, 3) else (252, 250, 242)
    write(image, word(rng, 2).upper(), (32, 34, 224, 84), ink, pick(rng, FONTS[1:]), 3)
    for _ in range(int(rng.integers(5, 14))):
        c = (int(rng.integers(30, 150)), int(rng.integers(125, 200)))
        color, r = hue(rng, (0.5, 1.0), (0.4, 1.0)), int(rng.integers(9, 25))
        cv2.circle(image, c, r, color, -1, cv2.LINE_AA)
        cv2.circle(image, (c[0] - r // 3, c[1] - r // 3), r // 4 + 1, shade(color, 1.5), -1, cv2.LINE_AA)
    box(image, (172, 116, 246, 196), (248, 246, 240))
    small_print(image, rng, (176, 120, 242, 194), (40, 40, 44), 5)
    box(image, (180, 206, 246, 248), (250, 250, 250))
    bars = np.repeat(rng.random(29) < 0.5, 2)
    image[209:243, 184:184 + 58][:, bars] = 20
    write(image, f"{int(rng.integers(100, 990))} g", (14, 214, 80, 242), ink, thickness=2)
    write(image, word(rng, 3), (84, 220, 170, 240), (252, 250, 242))
    return shown(image)


def text_clutter(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Papers, notes, cards and pens over each other on a desk or a board."""
    ground = pick(rng, ("b98f5f", "6b4a32", "d8d2c6", "3a3d42", "a67b4e", "8c8f92"))
    image = np.clip(sheet(srgb(ground)) * (1 + 0.05 * fractal(rng, 16, 4))[..., None], 0, 255).astype(np.uint8)
    for k in range(int(rng.integers(12, 26))):
        w, h = int(rng.integers(30, 110)), int(rng.integers(24, 120))
        paper = np.full((h, w, 3), pick(rng, ((248, 247, 242), (252, 250, 245), (250, 236, 120), (250, 190, 200),
                                              (190, 225, 245), (200, 235, 190), hue(rng, (0.2, 0.7), (0.5, 1)))), np.uint8)
        write(paper, word(rng, 2), (4, 4, w - 4, 4 + h // 6), hue(rng, (0.4, 1), (0.1, 0.5)), pick(rng, FONTS))
        small_print(paper, rng, (5, 8 + h // 6, w - 5, h - 4), (50, 50, 60), int(rng.integers(4, 8)))
        if k % 4 == 0:
            paper[h // 2:h - 5, 5:w // 2] = hue(rng)
        _lay(image, paper, rng)
    for _ in range(4):
        a, d = rng.uniform(20, 236, 2), rng.normal(0, 30, 2)
        cv2.line(image, tuple(int(v) for v in a), tuple(int(v) for v in a + d), hue(rng, (0.5, 1), (0.1, 0.8)), 3, cv2.LINE_AA)
    return shown(grained(image, rng, 2))


def _lay(image: np.ndarray, paper: np.ndarray, rng: np.random.Generator) -> None:
    """Lays a paper on the image, turned a little, with a shadow at its edge."""
    h, w = paper.shape[:2]
    turn = float(rng.normal(0, 14))
    M = cv2.getRotationMatrix2D((w / 2, h / 2), turn, 1)
    M[:, 2] += rng.uniform(0, SIZE, 2) - (w / 2, h / 2)
    mask = cv2.warpAffine(np.full((h, w), 255, np.uint8), M, (SIZE, SIZE))
    laid = cv2.warpAffine(paper, M, (SIZE, SIZE))
    shadow = cv2.GaussianBlur(np.roll(mask, (2, 2), (0, 1)), (0, 0), 1.5) > 60
    image[shadow] = (image[shadow] * np.float32(0.72)).astype(np.uint8)
    image[mask > 127] = laid[mask > 127]


MAKERS: dict[str, tuple[Maker, int]] = {
    "painting": (painting, 16), "photo": (photo, 8), "poster": (poster, 16), "book_cover": (book_cover, 8),
    "newspaper": (newspaper, 6), "label": (label, 8), "text_clutter": (text_clutter, 6),
}
"""Makers of this group by family, with the number of variants."""
