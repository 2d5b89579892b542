# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Woven, knotted or tanned surfaces: fabric, stripes, checks, carpet, leather; neutral, for tinting. And rugs."""
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
    field,
    fractal,
    neutral,
    pick,
    relief,
    sheet,
    shown,
    srgb,
    tiled_blur,
    warp,
)


def weave(rng: np.random.Generator, kind: int, period: int = 4) -> np.ndarray:
    """(SIZE, SIZE) brightness about 1 of threads: kind 0 linen, 1 twill, 2 herringbone, 3 rib. Tiles."""
    x, y = COLUMNS * (2 * np.pi / period), ROWS * (2 * np.pi / period)
    if kind == 0:
        threads = np.sign(np.sin(x / 2) * np.sin(y / 2)) * (np.abs(np.sin(x / 2)) - np.abs(np.sin(y / 2)))
    elif kind == 1:
        threads = np.sin((x + y) / 2)
    elif kind == 2:
        threads = np.sin((x * np.sign(np.sin(COLUMNS * (2 * np.pi / 64) + 1e-4)) + y) / 2)
    else:
        threads = np.abs(np.sin(x / 4)) - 0.6 + 0.2 * np.sin(y)
    slubs = field(rng, 256, 16) + field(rng, 16, 256)
    return (1 + 0.09 * threads + 0.035 * slubs).astype(np.float32)


def _use(rng: np.random.Generator, strength: float = 0.05) -> np.ndarray:
    """Brightness about 1 of creases and wear."""
    return 1 + strength * (0.7 * fractal(rng, 4, 3) + 0.5 * np.clip(np.abs(field(rng, 8)) - 0.5, -0.5, 0.5))


def fabric(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Plain stuff: linen, twill, herringbone, rib, melange, knit, or with small woven motifs."""
    kind = variant % 8
    if kind < 4:
        tone = weave(rng, kind, (4, 8, 8, 8)[kind])
    elif kind == 4:  # melange
        tone = 1 + 0.14 * tiled_blur(field(rng, 256), 0.7) * 1.5 + 0.07 * field(rng, 64, 128)
    elif kind == 5:  # knit
        v = np.abs((COLUMNS % 16) - 8) * 0.9
        tone = 0.85 + 0.25 * np.abs(np.sin((ROWS + v) * (np.pi / 8))) - 0.15 * (np.abs((COLUMNS % 16) - 8) > 6.5)
    elif kind == 6:  # boucle
        label, distance = cells(rng, 1600)
        tone = 1.1 - 0.055 * distance - 0.1 * borders(label) + 0.05 * rng.standard_normal(1700)[label]
    else:  # motifs
        tone = weave(rng, 0) * (1 - 0.22 * _motifs(rng))
    if variant >= 8:
        flecks = np.clip(tiled_blur(field(rng, 128), 0.8) * 2.2 - 2.4, -0.0, 1) - np.clip(field(rng, 64, 128) * 1.5 - 3, 0, 1)
        tone = tone * (1 + 0.3 * flecks)
    return neutral(tone * _use(rng))


def _motifs(rng: np.random.Generator) -> np.ndarray:
    """Small diamonds, dots or crosses in staggered rows, 0 to 1, that tile."""
    pitch = int(pick(rng, (16, 32, 64)))
    image = np.zeros((pitch * 2, pitch), np.float32)
    r = pitch * rng.uniform(0.18, 0.3)
    shape = int(rng.integers(3))
    for cy, cx in ((pitch / 2, pitch / 2), (1.5 * pitch, 0), (1.5 * pitch, pitch)):
        dy, dx = np.abs(np.mgrid[:2 * pitch, :pitch][0] - cy), np.abs(np.mgrid[:2 * pitch, :pitch][1] - cx)
        inside = (dx + dy < r, dx * dx + dy * dy < r * r, (np.minimum(dx, dy) < r / 3) & (np.maximum(dx, dy) < r))[shape]
        image[inside] = 1
    return np.tile(image, (SIZE // (2 * pitch), SIZE // pitch))


def stripes(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Stripes along the rows' axis, even or of mixed widths, some with a second colour."""
    if variant % 3 == 0:
        n = (8, 16, 32)[variant // 3 % 3]
        owner = (COLUMNS[0] * (2 * n / SIZE)).astype(int) % 2
        tones = np.array([1.0, rng.uniform(0.35, 0.7)])
    else:
        edges = np.sort(rng.choice(np.arange(4, SIZE, 4), int(rng.integers(7, 22)), replace=False))
        owner = np.searchsorted(edges, np.arange(SIZE), side="right") % len(edges)
        tones = rng.choice([1.0, 0.85, 0.6, 0.4, 0.3], len(edges))
    color = np.repeat(tones[:, None], 3, 1)
    if variant % 2:
        chosen = rng.random(len(tones)) < 0.4
        color[chosen] *= rng.uniform(0.5, 1.1, 3)
    tone = np.broadcast_to(color[owner][None], (SIZE, SIZE, 3)).astype(np.float32)
    return neutral(tone * (weave(rng, 0) * _use(rng, 0.04))[..., None])


def checker(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Chequers, gingham and tartans."""
    if variant % 3 == 0:
        n = (4, 8, 16)[variant // 3 % 3]
        step = SIZE // n
        odd = ((ROWS // step + COLUMNS // step) % 2).astype(np.float32)
        tone = 1 - rng.uniform(0.4, 0.7) * odd + 0.04 * cv2.resize(rng.standard_normal((n, n)), (SIZE, SIZE),
                                                                   interpolation=cv2.INTER_NEAREST)
        return neutral(tone * (1 + 0.03 * fractal(rng, 8, 5)))
    if variant % 3 == 1:
        n = (8, 16, 4)[variant // 3 % 3]
        band = ((np.arange(SIZE) * 2 * n // SIZE) % 2).astype(np.float32)
        tone = 1 - 0.32 * (band[:, None] + band[None])
        return neutral(tone * weave(rng, 0) * _use(rng, 0.04))
    edges = np.sort(rng.choice(np.arange(2, SIZE // 2, 2), 9, replace=False))
    tones = rng.uniform(0.3, 1.0, (9, 3)) * 0.4 + rng.uniform(0.2, 1.0, (9, 1)) * 0.6
    line = np.tile(tones[np.searchsorted(edges, np.arange(SIZE // 2)) % 9], (2, 1)).astype(np.float32)
    twill = 0.5 + 0.5 * np.sign(np.sin((COLUMNS + ROWS) * (np.pi / 2) + 0.3))[..., None]
    tone = line[None] * (0.35 + 0.3 * twill) + line[:, None] * (0.65 - 0.3 * twill)
    return neutral(tone * _use(rng, 0.04)[..., None])


def carpet(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Loops and pile; flecked, ribbed, or with a woven pattern."""
    pile = 0.11 * tiled_blur(field(rng, 256), 0.6) * 1.5 + 0.05 * field(rng, 128) + 0.04 * fractal(rng, 4, 4)
    kind = variant % 4
    if kind == 1:
        pile = pile + 0.3 * np.clip(field(rng, 64) - 1.3, 0, 1) - 0.3 * np.clip(field(rng, 64) - 1.4, 0, 1)
    elif kind == 2:
        pile = pile + 0.12 * np.sin(ROWS * (2 * np.pi / 8))
    elif kind == 3:
        pile = pile - 0.25 * warp(_motifs(rng), 1.2 * field(rng, 32), 1.2 * field(rng, 32))
    return neutral(1 + pile)


def leather(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Grain of small cells, creases, and on some a quilting with buttons."""
    label, distance = cells(rng, (2600, 1200, 4200)[variant % 3])
    height = -0.25 * distance - 0.5 * borders(label)
    crease = np.abs(fractal(rng, 4, 4))
    tone = relief(tiled_blur(height.astype(np.float32), 0.8), 0.14) - 0.2 * np.clip(0.16 - crease, 0, 1) / 0.16
    tone = tone * (1 + 0.07 * fractal(rng, 4, 3))
    if variant % 2:
        u, v = (COLUMNS + ROWS) * (np.pi / 64), (COLUMNS - ROWS) * (np.pi / 64)
        bulge = np.abs(np.sin(u) * np.sin(v))
        tone = tone * (0.62 + 0.5 * bulge ** 0.35)
        button = (np.sin(u) ** 2 + np.sin(v) ** 2) < 0.02
        tone = np.where(button, 0.5, tone)
    return neutral(tone)


def rug(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A rug with borders and a field: oriental, geometric or modern; fitted, coloured."""
    palettes = (
        ("7a1f22", "1f2f4f", "d9c6a0", "b5763a", "2f4a3a"), ("e6ddcc", "2f3a44", "8a7a66", "b5452f", "c9b79c"),
        ("2c4a63", "d8d2c2", "9c3b2e", "c9a24a", "16212c"), ("c9b79c", "6e5a45", "efe6d5", "8c8f86", "403a34"),
        ("3f5d52", "e3d3b3", "b0573a", "22302b", "d9a35a"), ("8e8c92", "e9e7e2", "3a3b42", "b9a7b5", "5b5f73"))
    palette = [srgb(c) for c in palettes[(variant + variant // 6) % 6]]
    image = sheet(palette[0])
    if variant % 3 == 2:
        for _ in range(int(rng.integers(9, 26))):
            p = rng.integers(0, SIZE, (int(rng.integers(3, 5)), 2)).astype(np.int32)
            cv2.fillPoly(image, [p], pick(rng, palette), cv2.LINE_AA)
        for _ in range(6):
            cv2.circle(image, tuple(int(v) for v in rng.integers(0, SIZE, 2)), int(rng.integers(10, 50)),
                       pick(rng, palette), int(pick(rng, (-1, 3, 6))), cv2.LINE_AA)
    else:
        _bordered(image, rng, palette, variant % 3 == 0)
    knots = (0.05 * field(rng, 256) + 0.05 * field(rng, 128, 64) + 0.05 * field(rng, 8))[..., None]
    return shown(np.clip(image * (1 + knots), 0, 255))


def _bordered(image: np.ndarray, rng: np.random.Generator, palette: list, round_motifs: bool) -> None:
    """A rug's borders and its field, mirrored both ways."""
    edge = 0
    for k in range(int(rng.integers(3, 6))):
        width = int(rng.integers(5, 20))
        cv2.rectangle(image, (edge, edge), (SIZE - 1 - edge, SIZE - 1 - edge), palette[(k + 1) % 5], -1)
        if width > 9:
            mark = palette[(k + 3) % 5]
            for t in range(edge + width, SIZE - edge - width, width):
                for p in ((t, edge + width // 2), (t, SIZE - 1 - edge - width // 2), (edge + width // 2, t),
                          (SIZE - 1 - edge - width // 2, t)):
                    cv2.drawMarker(image, p, mark, cv2.MARKER_DIAMOND, width // 2 + 1, 2)
        edge += width
    cv2.rectangle(image, (edge, edge), (SIZE - 1 - edge, SIZE - 1 - edge), palette[0], -1)
    half = SIZE // 2
    quarter = image[:half, :half].copy()
    for _ in range(int(rng.integers(14, 30))):
        x, y = (int(v) for v in rng.integers(edge + 6, half, 2))
        r, color = int(rng.integers(3, 16)), pick(rng, palette[1:])
        if round_motifs:
            cv2.ellipse(quarter, (x, y), (r, max(2, r // 2)), int(rng.integers(0, 180)), 0, 360, color, 2, cv2.LINE_AA)
            cv2.circle(quarter, (x, y), r // 3 + 1, pick(rng, palette[1:]), -1, cv2.LINE_AA)
        else:
            p = np.array([[x - r, y], [x, y - r], [x + r, y], [x, y + r]], np.int32)
            cv2.fillPoly(quarter, [p], color, cv2.LINE_AA)
            cv2.polylines(quarter, [p], True, pick(rng, palette), 1, cv2.LINE_AA)
    quarter[:edge], quarter[:, :edge] = image[:edge, :half], image[:half, :edge]
    for r, color in ((rng.uniform(50, 75), palette[2]), (rng.uniform(30, 48), palette[1]), (rng.uniform(8, 26), palette[3])):
        p = np.array([[half - r, half], [half, half - r], [half + r, half], [half, half + r]], np.int32)
        cv2.fillPoly(quarter, [p], color, cv2.LINE_AA)
    image[:half, :half] = quarter
    image[:half, half:] = quarter[:, ::-1]
    image[half:] = image[:half][::-1]


MAKERS: dict[str, tuple[Maker, int]] = {"fabric": (fabric, 16), "stripes": (stripes, 6), "checker": (checker, 6),
                                        "carpet": (carpet, 8), "leather": (leather, 6), "rug": (rug, 8)}
"""Makers of this group by family, with the number of variants."""
