# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Views drawn in sRGB (SIZE, SIZE, 3) uint8: landscapes, towns, still lifes, and what one sees out of windows."""
from __future__ import annotations

import cv2
import numpy as np

from lsm_sim.pictures.canvas import COLUMNS, ROWS, SIZE, Maker, box, field, fractal, hue, pick, shade, sheet, shown, srgb


def sky(rng: np.random.Generator) -> np.ndarray:
    """(SIZE, SIZE, 3) float32 sky that grows lighter downwards, with clouds."""
    top, low = pick(rng, (("5b93cf", "cfe0ee"), ("7fb0de", "e6eef2"), ("3f74b8", "bcd6ea"), ("8a97a6", "d5d9dc"),
                          ("46588a", "f0b58a"), ("b5bcc4", "e8e9ea")))
    t = (ROWS / SIZE)[..., None] ** 0.8
    image = np.float32(srgb(top)) * (1 - t) + np.float32(srgb(low)) * t
    cloud = np.clip(fractal(rng, 4, 5, 0.55) * 0.9 - 0.25, 0, 1)[..., None] * np.float32(rng.uniform(0.3, 0.9))
    return image * (1 - cloud) + cloud * np.float32((250, 248, 245))


def _ridge(rng: np.random.Generator, base: float, height: float, rough: int) -> np.ndarray:
    """(SIZE,) rows of a skyline."""
    x = np.linspace(0, 1, SIZE)
    out = np.zeros(SIZE)
    for k in range(1, rough + 1):
        out += np.sin(2 * np.pi * (k * x * rng.uniform(0.7, 1.3) + rng.random())) * rng.uniform(0.4, 1) / k
    return base - height * out / 1.5


def trees(image: np.ndarray, rng: np.random.Generator, base: np.ndarray, count: int, size: tuple[float, float]) -> None:
    """Draws trees of dabs of leaves, or conifers, standing at rows `base` (SIZE,) of the image."""
    greens = ("3d5c2c", "55772f", "2d4a2a", "6f8a3f", "7a6f32", "46653a")
    conifer, color = rng.random() < 0.35, srgb(pick(rng, greens))
    for x in np.sort(rng.integers(0, SIZE, count)):
        h = rng.uniform(*size)
        y = int(base[x])
        cv2.line(image, (int(x), y), (int(x), int(y - h)), (62, 48, 36), max(1, int(h / 14)), cv2.LINE_AA)
        if conifer:
            for k in range(5):
                top, w = y - h + k * h * 0.17, 0.1 * h + 0.045 * h * k
                p = np.array([[x, top - 0.12 * h], [x - w, top + 0.2 * h], [x + w, top + 0.2 * h]], np.int32)
                cv2.fillPoly(image, [p], shade(color, 0.6 + 0.1 * k + rng.uniform(-0.1, 0.1)), cv2.LINE_AA)
            continue
        for k, (dx, dy) in enumerate(rng.normal(0, 0.2 * h, (26, 2))):
            at = (int(x + dx), int(y - 0.72 * h + 0.8 * dy))
            light = 0.55 + 0.016 * k - 0.9 * dy / h * 0.4 + rng.uniform(-0.1, 0.1)
            cv2.circle(image, at, max(1, int(h * rng.uniform(0.04, 0.11))), shade(color, light), -1, cv2.LINE_AA)


def landscape(rng: np.random.Generator) -> np.ndarray:
    """Hills, mountains or the sea under a sky, with trees."""
    image = sky(rng)
    horizon = rng.uniform(110, 165)
    if rng.random() < 0.3:  # the sea
        water = np.float32(srgb(pick(rng, ("3f6f8f", "4d8a99", "5a7185"))))
        wave = (1 + 0.09 * field(rng, 128, 16) + 0.05 * field(rng, 256, 32))[..., None]
        image = np.where((horizon < ROWS)[..., None], water * wave * (0.8 + 0.4 * ROWS[..., None] / SIZE), image)
        base = _ridge(rng, 228, 14, 3)
        sand = np.float32(srgb("cdb78c")) * (1 + 0.06 * fractal(rng, 32, 3))[..., None]
        image = np.where((base < ROWS)[..., None], sand, image).clip(0, 255).astype(np.uint8)
        if rng.random() < 0.6:
            x = int(rng.integers(50, 200))
            p = np.array([[x, horizon - 32], [x, horizon + 6], [x + 20, horizon + 6]], np.int32)
            cv2.fillPoly(image, [p], (245, 243, 238), cv2.LINE_AA)
            cv2.ellipse(image, (x, int(horizon + 8)), (18, 4), 0, 0, 180, (90, 50, 40), -1, cv2.LINE_AA)
        return image
    tones = pick(rng, (("7d8fa8", "6b8a5a", "55752f"), ("8f9aa8", "8a9a5f", "a8a04f"), ("6f7f95", "5a7a55", "3f5f30"),
                       ("a89a90", "b08a4f", "8a7038")))
    base = np.zeros(SIZE)
    for k, tone in enumerate(tones):
        base = _ridge(rng, horizon + 38 * k, (45, 22, 14)[k], (9, 5, 3)[k])
        texture = (1 + (0.05, 0.08, 0.11)[k] * fractal(rng, 16, 5, 0.8))[..., None]
        image = np.where((base < ROWS)[..., None], np.float32(srgb(tone)) * texture, image)
        if k == 1:
            image = image.clip(0, 255).astype(np.uint8)
            trees(image, rng, base + 3, int(rng.integers(5, 20)), (10, 24))
    image = image.clip(0, 255).astype(np.uint8)
    trees(image, rng, base + 10, int(rng.integers(2, 7)), (40, 110))
    return image


def houses(image: np.ndarray, rng: np.random.Generator, base: int, tall: tuple[int, int]) -> None:
    """Draws a row of houses with windows and roofs whose feet are at row `base`."""
    x = -int(rng.integers(0, 30))
    while x < SIZE:
        w, h = int(rng.integers(30, 70)), int(rng.integers(*tall))
        wall = pick(rng, ("d8c8a8", "b5654a", "e6e0d4", "a8a29a", "c9a27a", "8f6f5a", "cfd4d4", "9aa5ad"))
        color = shade(srgb(wall), rng.uniform(0.75, 1.05))
        top = base - h
        box(image, (x, top, x + w, base), color)
        if h < 100:
            p = np.array([[x - 3, top], [x + w // 2, top - int(rng.integers(10, 26))], [x + w + 3, top]], np.int32)
            cv2.fillPoly(image, [p], shade(srgb(pick(rng, ("7a3b2c", "4a4648", "8f5a3f"))), rng.uniform(0.8, 1.1)), cv2.LINE_AA)
        nx, pitch = max(2, w // int(rng.integers(10, 16))), int(rng.integers(14, 22))
        glass = pick(rng, ((52, 64, 78), (90, 110, 130), (40, 44, 50), (200, 190, 150)))
        for y in range(top + 6, base - 10, pitch):
            for k in range(nx):
                left = x + (k + 0.25) * w / nx
                box(image, (left, y, left + 0.5 * w / nx, y + 0.6 * pitch), shade(glass, rng.uniform(0.7, 1.2)))
                box(image, (left - 1, y + 0.6 * pitch, left + 0.5 * w / nx + 1, y + 0.6 * pitch + 2), (225, 220, 210))
        cv2.line(image, (x + w, top), (x + w, base), shade(color, 0.6), 1)
        x += w + int(rng.integers(0, 8))


def town(rng: np.random.Generator) -> np.ndarray:
    """Houses in two rows, a street, trees."""
    image = sky(rng).clip(0, 255).astype(np.uint8)
    base = int(rng.integers(180, 225))
    houses(image, rng, base - 10, (70, 140))
    image[:base - 10] = (0.75 * image[:base - 10] + 0.25 * np.float32((190, 200, 212))).astype(np.uint8)
    houses(image, rng, base, (40, 100))
    street = np.float32(srgb(pick(rng, ("6a6a6c", "8a857c", "5f7a48")))) * (1 + 0.06 * fractal(rng, 16, 5, 0.8))[..., None]
    image[base:] = street.clip(0, 255).astype(np.uint8)[base:]
    trees(image, rng, np.full(SIZE, base + 6.0), int(rng.integers(1, 6)), (30, 80))
    for x in rng.integers(0, 220, int(rng.integers(0, 4))):
        body = hue(rng, (0.3, 0.9), (0.3, 0.9))
        box(image, (x, base + 4, x + 34, base + 13), body)
        box(image, (x + 7, base - 3, x + 26, base + 4), shade(body, 0.5))
        for wheel in (x + 8, x + 27):
            cv2.circle(image, (int(wheel), base + 13), 4, (22, 22, 24), -1, cv2.LINE_AA)
    return image


def still_life(rng: np.random.Generator) -> np.ndarray:
    """A vase with flowers, fruit, a table."""
    wall, table = hue(rng, (0.05, 0.6), (0.25, 0.9)), hue(rng, (0.2, 0.7), (0.2, 0.7))
    image = sheet(wall)
    image[185:] = table
    image = np.clip(image * (1 + 0.08 * fractal(rng, 8, 5))[..., None], 0, 255).astype(np.uint8)
    c, w = int(rng.integers(80, 176)), int(rng.integers(18, 34))
    vase = hue(rng, (0.1, 0.8), (0.3, 0.95))
    blooms = [hue(rng, (0.3, 1.0), (0.5, 1.0)) for _ in range(3)]
    for _ in range(int(rng.integers(9, 20))):
        tip = (int(c + rng.normal(0, 40)), int(rng.uniform(22, 125)))
        cv2.line(image, (c, 150), tip, (50, 84, 44), 2, cv2.LINE_AA)
        r, color = int(rng.integers(7, 17)), pick(rng, blooms)
        for k in range(7):
            a = 2 * np.pi * k / 7
            cv2.circle(image, (int(tip[0] + 0.6 * r * np.cos(a)), int(tip[1] + 0.6 * r * np.sin(a))), r // 2,
                       shade(color, rng.uniform(0.7, 1.15)), -1, cv2.LINE_AA)
        cv2.circle(image, tip, r // 3, (70, 50, 25), -1, cv2.LINE_AA)
    cv2.ellipse(image, (c, 178), (w, 36), 0, 0, 360, vase, -1, cv2.LINE_AA)
    box(image, (c - w // 2, 138, c + w // 2, 160), vase)
    cv2.ellipse(image, (c - w // 3, 172), (w // 5, 20), 0, 0, 360, shade(vase, 1.35), -1, cv2.LINE_AA)
    for x in rng.integers(10, 246, int(rng.integers(2, 7))):
        r, color = int(rng.integers(11, 21)), pick(rng, ((200, 60, 40), (220, 160, 40), (120, 150, 50), (110, 40, 70)))
        at = (int(x), int(rng.integers(205, 225)))
        cv2.ellipse(image, (at[0] + 5, at[1] + r - 2), (r, r // 3), 0, 0, 360, shade(table, 0.5), -1, cv2.LINE_AA)
        cv2.circle(image, at, r, color, -1, cv2.LINE_AA)
        cv2.circle(image, (at[0] - r // 3, at[1] - r // 3), r // 3, shade(color, 1.35), -1, cv2.LINE_AA)
    return image


def window_view(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Outdoors as one sees it out of a window: sky, trees, houses; fitted, coloured."""
    kind = variant % 4
    if kind == 1:
        return shown(landscape(rng))
    if kind == 2:
        return shown(town(rng))
    image = sky(rng).clip(0, 255).astype(np.uint8)
    base = int(rng.integers(175, 210))
    houses(image, rng, base, (35, 90))
    lawn = np.float32(srgb(pick(rng, ("6f8f45", "587a3a", "8a9a52")))) * (1 + 0.09 * fractal(rng, 32, 4, 0.9))[..., None]
    image[base:] = lawn.clip(0, 255).astype(np.uint8)[base:]
    for x in range(0, SIZE, 9):
        box(image, (x, base + 8, x + 4, base + 26), (205, 198, 184))
    box(image, (0, base + 13, SIZE, base + 16), (190, 182, 168))
    trees(image, rng, np.full(SIZE, base + 14.0) + COLUMNS[0] % 7, int(rng.integers(3, 9)), (50, 150))
    return shown(image)


MAKERS: dict[str, tuple[Maker, int]] = {"window_view": (window_view, 8)}
"""Makers of this group by family, with the number of variants."""
