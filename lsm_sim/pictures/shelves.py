# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Contents of shelves, from the front: rows of books, goods. Fitted, coloured."""
from __future__ import annotations

import cv2
import numpy as np

from lsm_sim.pictures.canvas import (
    FONTS,
    SIZE,
    Maker,
    bevel,
    box,
    grained,
    hue,
    pick,
    shade,
    sheet,
    shown,
    small_print,
    word,
    write,
)


def _spine(rng: np.random.Generator, width: int, height: int, palette: list | None) -> np.ndarray:
    """One spine (height, width, 3): its title written down, bands, a mark of the publisher, rounded by light."""
    color = shade(pick(rng, palette), rng.uniform(0.8, 1.15)) if palette else hue(rng, (0.05, 0.9), (0.15, 0.98))
    image = np.full((height, width, 3), color, np.uint8)
    ink = (245, 240, 225) if sum(color) < 380 else (35, 30, 32)
    accent = pick(rng, (ink, (205, 165, 80), hue(rng, (0.5, 1.0), (0.4, 1.0))))
    style = int(rng.integers(5))
    if style == 0:
        for y in (0.06, 0.1, 0.86, 0.9):
            box(image, (0, y * height, width, y * height + 2), accent)
    elif style == 1:
        box(image, (0, 0.12 * height, width, 0.34 * height), shade(color, 0.45))
    elif style == 2:
        box(image, (0, 0.7 * height, width, height), accent)
    elif style == 3:
        for y in np.linspace(0.12, 0.88, 5):
            box(image, (0, y * height, width, y * height + 3), shade(color, 1.35))
    lying = np.zeros((width, height, 3), np.uint8) + np.uint8(color)
    lying[:] = np.rot90(image)
    start, end = rng.uniform(0.1, 0.2) * height, rng.uniform(0.55, 0.8) * height
    text = " ".join(word(rng, int(rng.integers(1, 4))) for _ in range(int(rng.integers(1, 3))))
    if width > 5:
        write(lying, text, (start, 0.14 * width, end, 0.86 * width), ink, pick(rng, FONTS), 1)
        if width > 9:
            write(lying, word(rng), (0.82 * height, 0.25 * width, 0.96 * height, 0.75 * width), ink)
    image = np.ascontiguousarray(np.rot90(lying, -1))
    across = np.linspace(-1, 1, width)
    light = (1.08 - 0.1 * across - 0.38 * np.abs(across) ** 3)[None, :, None]
    return np.clip(image * light, 0, 255).astype(np.uint8)


def books(rng: np.random.Generator, variant: int) -> np.ndarray:
    """One to four rows of spines, mixed or a series, some leaning or lying in a pile, with gaps in shadow."""
    rows = (1, 1, 2, 3, 1, 2, 4, 2)[variant % 8]
    image = sheet((18, 15, 13))
    pitch = SIZE // rows
    for r in range(rows):
        floor, x = (r + 1) * pitch - (3 if rows > 1 else 0), int(rng.integers(0, 4))
        palette = [hue(rng, (0.2, 0.8), (0.2, 0.9)) for _ in range(3)] if rng.random() < 0.3 else None
        usual = rng.uniform(0.74, 0.9) * pitch
        thick = (8, 26) if rows < 3 else (5, 15)
        while x < SIZE - 4:
            if rng.random() < 0.04:
                x += int(rng.integers(4, 14))
            if rng.random() < 0.05 and x < SIZE - 80:
                x = _pile(image, rng, x, floor, pitch)
                continue
            w = int(rng.integers(*thick))
            h = int(min(pitch - 5, usual * rng.uniform(0.72, 1.12)))
            repeat = int(rng.integers(2, 7)) if rng.random() < 0.12 else 1
            spine = _spine(rng, w, h, palette)
            for _ in range(repeat):
                wide = min(w, SIZE - x)
                if wide < 3:
                    break
                image[floor - h:floor, x:x + wide] = spine[:, :wide]
                image[floor - h:floor, x + wide - 1] //= 2
                x += wide
            if repeat == 1 and rng.random() < 0.05 and x < SIZE - 40:
                x = _leaning(image, rng, x, floor, h, palette)
        if rows > 1:
            box(image, (0, floor, SIZE, floor + 3), (120, 85, 55))
    return shown(grained(image, rng, 2))


def _pile(image: np.ndarray, rng: np.random.Generator, x: int, floor: int, pitch: int) -> int:
    wide, y = int(rng.integers(45, 75)), floor
    while y > floor - 0.6 * pitch:
        t = int(rng.integers(6, 14))
        w = wide - int(rng.integers(0, 12))
        book = np.ascontiguousarray(np.rot90(_spine(rng, t, w, None)))
        image[y - t:y, x:x + w] = book
        y -= t
    return x + wide + 2


def _leaning(image: np.ndarray, rng: np.random.Generator, x: int, floor: int, h: int, palette: list | None) -> int:
    w, shift = int(rng.integers(9, 16)), int(rng.integers(8, 22))
    spine = _spine(rng, w, h, palette)
    M = np.float32([[1, -shift / h, x + shift], [0, 1, floor - h]])
    mask = cv2.warpAffine(np.full((h, w), 255, np.uint8), M, (SIZE, SIZE))
    laid = cv2.warpAffine(spine, M, (SIZE, SIZE))
    image[mask > 127] = laid[mask > 127]
    return x + w + shift + 1


def shelf_goods(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Boxes, jars, bottles and tins in one to three rows in front of a dark back."""
    rows = (1, 2, 3)[variant % 3]
    image = sheet(shade(pick(rng, ((70, 55, 42), (92, 92, 95), (50, 46, 44))), rng.uniform(0.7, 1.1)))
    pitch = SIZE // rows
    for r in range(rows):
        floor, x = (r + 1) * pitch - 4, int(rng.integers(2, 10))
        image[r * pitch:r * pitch + 14] = (image[r * pitch:r * pitch + 14] * 0.6).astype(np.uint8)
        while x < SIZE - 16:
            w = int(min(rng.uniform(0.16, 0.42) * pitch + 8, SIZE - x - 2))
            h = int(min(pitch - 12, rng.uniform(0.45, 0.9) * pitch))
            if w > 10:
                _good(image, rng, (x, floor - h, x + w, floor))
            x += w + int(rng.integers(1, 10))
        box(image, (0, floor, SIZE, floor + 4), (150, 118, 84) if variant % 2 else (205, 205, 208))
    return shown(grained(image, rng, 2))


def _good(image: np.ndarray, rng: np.random.Generator, at: tuple[int, int, int, int]) -> None:
    """One package in a box (left, top, right, bottom): carton, jar, bottle or tin."""
    left, top, right, bottom = at
    w, h = right - left, bottom - top
    color, accent = hue(rng, (0.2, 1.0), (0.3, 1.0)), hue(rng, (0.3, 1.0), (0.3, 1.0))
    kind = int(rng.integers(4))
    if kind == 0:
        box(image, at, color)
        box(image, (left, top + 0.15 * h, right, top + 0.5 * h), accent)
        small_print(image, rng, (left + 3, top + int(0.6 * h), right - 3, bottom - 4), (40, 38, 40), 5)
        bevel(image, at, 2)
        write(image, word(rng), (left + 3, top + 0.18 * h, right - 3, top + 0.46 * h), (250, 248, 240))
        return
    neck = 0.35 * h if kind == 2 else 0.1 * h
    if kind == 2:
        box(image, (left + 0.35 * w, top, right - 0.35 * w, top + neck + 4), shade(color, 0.8))
    box(image, (left, top + neck, right, bottom), color)
    box(image, (left + (0.3 if kind == 2 else 0.04) * w, top, right - (0.3 if kind == 2 else 0.04) * w, top + 0.1 * h), accent)
    paper = (left, top + 0.48 * h, right, top + 0.86 * h)
    box(image, paper, (242, 238, 226))
    write(image, word(rng), (left + 3, paper[1] + 2, right - 3, paper[1] + 0.2 * h), accent)
    small_print(image, rng, (left + 3, int(paper[1] + 0.22 * h), right - 3, int(paper[3])), (60, 56, 58), 4)
    across = np.linspace(-1, 1, w)
    light = (1.05 - 0.5 * across ** 4 + 0.35 * np.exp(-((across + 0.4) / 0.12) ** 2))[None, :, None]
    start = int(top + neck)
    image[start:bottom, left:right] = np.clip(image[start:bottom, left:right] * light, 0, 255)


MAKERS: dict[str, tuple[Maker, int]] = {"books": (books, 16), "shelf_goods": (shelf_goods, 8)}
"""Makers of this group by family, with the number of variants."""
