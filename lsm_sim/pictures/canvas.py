# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tools that draw pictures: noise that tiles, warps, colours, words.

Pictures are SIZE x SIZE; row 0 is the top of an upright face, columns run to the right as one looks at it. Makers take
an rng and a variant and return (SIZE, SIZE, 3) uint8, linear reflectance * 255.
"""
from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from functools import lru_cache

import cv2
import numpy as np

SIZE = 256
"""Rows and columns of a picture."""

NEUTRAL_MEAN = 0.7
"""Mean reflectance of the pictures that a material's color tints."""

_BASES = 3

Maker = Callable[[np.random.Generator, int], np.ndarray]

_GREY = np.arange(256) / 255.0
_TO_LINEAR = np.where(_GREY <= 0.04045, _GREY / 12.92, ((_GREY + 0.055) / 1.055) ** 2.4)
_LINEAR_BYTES = np.rint(_TO_LINEAR * 255).astype(np.uint8)
_SYLLABLES = ("ka", "lo", "mi", "ra", "ton", "ver", "sel", "no", "dra", "fin", "gal", "hu", "pes", "tor", "wen", "ix")
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
ROWS, COLUMNS = (a.astype(np.float32) for a in np.mgrid[:SIZE, :SIZE])


def field(rng: np.random.Generator, rows: int, columns: int | None = None) -> np.ndarray:
    """(SIZE, SIZE) float32 smooth noise that tiles, unit deviation, with that many cells (divisors of SIZE) each way.

    One of a few made once for those cells, turned over, negated and shifted at random: that is many times as quick.
    """
    base = _base_field(rows, columns or rows, int(rng.integers(_BASES)))
    flips = int(rng.integers(8))
    base = base[::-1 if flips & 1 else 1, ::-1 if flips & 2 else 1]
    shifted = np.roll(base, tuple(int(v) for v in rng.integers(0, SIZE, 2)), (0, 1))
    return np.negative(shifted, out=shifted) if flips & 4 else shifted


@lru_cache(maxsize=256)
def _base_field(rows: int, columns: int, which: int) -> np.ndarray:
    coarse = np.random.default_rng([rows, columns, which]).standard_normal((rows, columns), dtype=np.float32)
    if rows < SIZE or columns < SIZE:
        fy, fx = SIZE // rows, SIZE // columns
        padded = np.pad(coarse, 2, mode="wrap")
        padded = cv2.resize(padded, ((columns + 4) * fx, (rows + 4) * fy), interpolation=cv2.INTER_CUBIC)
        coarse = padded[2 * fy:2 * fy + SIZE, 2 * fx:2 * fx + SIZE]
    coarse = coarse - coarse.mean()
    return coarse / max(float(coarse.std()), 1e-6)


def forget_fields() -> None:
    """Frees the memory of the noise that `field` keeps."""
    _base_field.cache_clear()


def fractal(rng: np.random.Generator, start: int = 4, octaves: int = 5, gain: float = 0.6) -> np.ndarray:
    """(SIZE, SIZE) float32 noise of several sizes that tiles, unit deviation; start: cells of the coarsest."""
    total = sum(gain ** k * field(rng, min(start << k, SIZE)) for k in range(octaves))
    return total / max(float(total.std()), 1e-6)


def tiled_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """The picture blurred as if it went on on all sides."""
    m = int(3 * sigma) + 1
    pad = [(m, m), (m, m)] + [(0, 0)] * (image.ndim - 2)
    return cv2.GaussianBlur(np.pad(image, pad, mode="wrap"), (0, 0), sigma)[m:-m, m:-m]


def warp(image: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """The tiling picture read at columns + dx, rows + dy (texels)."""
    return cv2.remap(image, (COLUMNS + dx) % SIZE, (ROWS + dy) % SIZE, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def relief(height: np.ndarray, strength: float) -> np.ndarray:
    """Brightness about 1 of a bumpy tiling surface (height in texels) lit from the top left."""
    slope = (np.roll(height, 1, 0) - np.roll(height, -1, 0)) + (np.roll(height, 1, 1) - np.roll(height, -1, 1))
    return 1 - strength * slope


def cells(rng: np.random.Generator, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells about random points that tile: (SIZE, SIZE) int32 cell, float32 distance in texels to the nearest point.

    Points are jittered from a grid of about `points`, so that cells are of like size.
    """
    n = max(2, round(points ** 0.5))
    grid = (np.stack(np.mgrid[:n, :n], -1).reshape(-1, 2) + rng.uniform(0.1, 0.9, (n * n, 2))) * SIZE / n
    m = min(SIZE // 2, 3 * SIZE // n)
    mask = np.full((SIZE + 2 * m, SIZE + 2 * m), 255, np.uint8)
    owner = np.zeros(mask.shape, np.int32)
    for shift_y in (-SIZE, 0, SIZE):
        for shift_x in (-SIZE, 0, SIZE):
            at = (grid + (shift_y + m, shift_x + m)).astype(int)
            inside = ((at >= 0) & (at < len(mask))).all(1)
            mask[at[inside, 0], at[inside, 1]] = 0
            owner[at[inside, 0], at[inside, 1]] = np.flatnonzero(inside)
    distance, label = cv2.distanceTransformWithLabels(mask, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    lookup = np.zeros(int(label.max()) + 1, np.int32)
    zero = mask == 0
    lookup[label[zero]] = owner[zero]
    return lookup[label[m:m + SIZE, m:m + SIZE]], distance[m:m + SIZE, m:m + SIZE]


def borders(label: np.ndarray) -> np.ndarray:
    """(SIZE, SIZE) bool: texels whose right or lower neighbour is of another cell."""
    return (label != np.roll(label, -1, 0)) | (label != np.roll(label, -1, 1))


def neutral(tone: np.ndarray) -> np.ndarray:
    """Picture for tinting from brightness (SIZE, SIZE) or (SIZE, SIZE, 3), any scale: its mean becomes NEUTRAL_MEAN."""
    tone = np.clip(np.atleast_3d(tone), 1e-3, None)
    out = tone * np.float32(NEUTRAL_MEAN / tone.mean())
    for _ in range(2):  # what clips at 1 is made up for by the rest
        out = np.minimum(out * np.float32(NEUTRAL_MEAN / np.minimum(out, 1).mean()), 1.2)
    return np.broadcast_to(np.rint(np.clip(out, 0.01, 1) * 255).astype(np.uint8), (SIZE, SIZE, 3))


def coloured(linear: np.ndarray) -> np.ndarray:
    """Picture from linear reflectance (SIZE, SIZE, 3) in [0, 1]."""
    return np.rint(np.clip(linear, 0.005, 1) * 255).astype(np.uint8)


def shown(srgb: np.ndarray) -> np.ndarray:
    """Picture from what was drawn as it looks on a screen: (SIZE, SIZE, 3) sRGB, uint8 or float 0 to 255."""
    if srgb.dtype != np.uint8:
        srgb = np.rint(np.clip(srgb, 0, 255)).astype(np.uint8)
    return np.maximum(_LINEAR_BYTES[srgb], 1)


def linear(color: str) -> np.ndarray:
    """Linear reflectance (3,) float32 of a colour named in sRGB by six hex digits."""
    return _TO_LINEAR[list(bytes.fromhex(color))].astype(np.float32)


def srgb(color: str) -> tuple[int, int, int]:
    """sRGB bytes of a colour named by six hex digits."""
    return tuple(bytes.fromhex(color))


def pick(rng: np.random.Generator, options: Sequence):
    """One of the options, drawn evenly."""
    return options[int(rng.integers(len(options)))]


def hue(rng: np.random.Generator, saturation: tuple[float, float] = (0.2, 0.8),
        value: tuple[float, float] = (0.3, 0.95)) -> tuple[int, int, int]:
    """A random sRGB colour with saturation and value in ranges of [0, 1]; mostly of the hues that dyes and prints have.

    Bright green and magenta are rare, and hardly ever strong.
    """
    turn, s, v = rng.random(), rng.uniform(*saturation), rng.uniform(*value)
    if 0.19 < turn < 0.47 or 0.73 < turn < 0.92:
        if rng.random() > 0.35:
            turn = pick(rng, (0.01, 0.04, 0.07, 0.1, 0.13, 0.56, 0.61)) + 0.03 * rng.random()
        if 0.19 < turn < 0.47 or 0.73 < turn < 0.92:
            s, v = 0.6 * s, 0.8 * v
    return tuple(int(255 * c) for c in colorsys.hsv_to_rgb(turn, s, v))


def shade(color: Sequence[float], factor: float) -> tuple[int, int, int]:
    """The sRGB colour made brighter or darker."""
    return tuple(int(min(255, max(0, c * factor))) for c in color)


def sheet(color: Sequence[float]) -> np.ndarray:
    """(SIZE, SIZE, 3) uint8 of one colour, to draw on."""
    return np.full((SIZE, SIZE, 3), color, np.uint8)


def word(rng: np.random.Generator, syllables: int = 2) -> str:
    """A word of no language."""
    return "".join(pick(rng, _SYLLABLES) for _ in range(syllables)).capitalize()


def write(image: np.ndarray, text: str, box: tuple[float, float, float, float], color: Sequence[int],
          font: int = cv2.FONT_HERSHEY_DUPLEX, thickness: int = 1) -> None:
    """Writes text in the middle of a box (left, top, right, bottom), as big as fits."""
    left, top, right, bottom = box
    (w, h), base = cv2.getTextSize(text, font, 1.0, thickness)
    scale = min((right - left) / max(w, 1), (bottom - top) / max(h + base / 2, 1))
    at = (int((left + right - scale * w) / 2), int((top + bottom + scale * h) / 2))
    cv2.putText(image, text, at, font, scale, tuple(int(c) for c in color), thickness, cv2.LINE_AA)


def small_print(image: np.ndarray, rng: np.random.Generator, box: tuple[int, int, int, int], color: Sequence[int],
                pitch: int = 5, ragged: float = 0.3) -> None:
    """Lines of print too small to read in a box (left, top, right, bottom): dashes as long as words, in rows."""
    left, top, right, bottom = (int(v) for v in box)
    width = right - left
    if width < 6:
        return
    for y in range(top, bottom - pitch + 2, pitch):
        ink = rng.random(width) < 0.85
        ends = np.cumsum(rng.integers(4, 14, width // 4 + 1))
        ink[ends[ends < width]] = False
        ink[ends[ends < width] - 1] = False
        if rng.random() < ragged:
            ink[int(width * rng.uniform(0.3, 0.95)):] = False
        rows = image[y:y + max(1, pitch // 2), left:right]
        rows[:, ink] = (np.float32(0.75) * np.array(color) + np.float32(0.25) * rows[:, ink]).astype(np.uint8)


def box(image: np.ndarray, at: Sequence[float], color: Sequence[int], line: int = -1) -> None:
    """Rectangle (left, top, right, bottom) in texels: filled, or its outline of a width."""
    a, b, c, d = (round(float(v)) for v in at)
    cv2.rectangle(image, (a, b), (c - 1, d - 1), tuple(int(v) for v in color), line)


def bevel(image: np.ndarray, at: Sequence[float], width: int = 2, depth: float = 0.25, sunk: bool = False) -> None:
    """Lights and shadows on the edges of a panel (left, top, right, bottom) that stands out, or is sunk."""
    a, b, c, d = (round(float(v)) for v in at)
    up, down = (1 - depth, 1 + 0.6 * depth) if sunk else (1 + 0.6 * depth, 1 - depth)
    for rows, columns, factor in ((slice(b, b + width), slice(a, c), up), (slice(b, d), slice(a, a + width), up),
                                  (slice(d - width, d), slice(a, c), down), (slice(b, d), slice(c - width, c), down)):
        image[rows, columns] = np.clip(image[rows, columns] * np.float32(factor), 0, 255).astype(np.uint8)


def grained(image: np.ndarray, rng: np.random.Generator, sigma: float = 3.0) -> np.ndarray:
    """A drawn picture (sRGB) with a little unevenness of several sizes, as real surfaces have."""
    tone = (0.6 * field(rng, 128) + 0.5 * field(rng, 16))[..., None] * np.float32(sigma)
    return np.clip(image + tone, 0, 255).astype(np.uint8)
