# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Procedural surfaces of the rendered room: pictures of a face in metres, with corners that a tracker can hold on to.

Each maker takes (rng, width, height in metres) and returns (rows, columns, 3) float32 reflectance in [0, 1] at TEXEL
metres; row 0 is the top of an upright face.
"""
from __future__ import annotations

import colorsys
from collections.abc import Callable

import cv2
import numpy as np

TEXEL = 0.01
"""Edge of a texel in metres."""

Maker = Callable[[np.random.Generator, float, float], np.ndarray]


def shape_of(width: float, height: float) -> tuple[int, int]:
    """(rows, columns) of a face's texture."""
    return max(2, round(height / TEXEL)), max(2, round(width / TEXEL))


def noise(rng: np.random.Generator, rows: int, columns: int, size: float) -> np.ndarray:
    """(rows, columns) float32 smooth noise of unit deviation with blobs of about `size` texels."""
    coarse = rng.standard_normal((max(2, int(rows / size) + 2), max(2, int(columns / size) + 2))).astype(np.float32)
    field = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return field / max(float(field.std()), 1e-6)


def plain(color: tuple[float, float, float], grain: float = 0.05) -> Maker:
    """One colour with soft mottling."""
    def make(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
        rows, columns = shape_of(width, height)
        tone = 1 + grain * (0.6 * noise(rng, rows, columns, 5) + 0.4 * noise(rng, rows, columns, 16))
        return (np.array(color, np.float32) * tone[..., None]).clip(0.02, 1)
    return make


def wood(color: tuple[float, float, float], plank: float = 0.0) -> Maker:
    """Grain along the longer side; plank: width of the boards in metres, 0 for one piece."""
    def make(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
        rows, columns = shape_of(width, height)
        turned = rows > columns
        if turned:
            rows, columns = columns, rows
        streaks = cv2.resize(rng.standard_normal((rows, max(2, columns // 25 + 2))).astype(np.float32), (columns, rows),
                             interpolation=cv2.INTER_CUBIC)
        tone = 1 + 0.06 * cv2.GaussianBlur(streaks, (0, 0), 1.2) + 0.04 * noise(rng, rows, columns, 12)
        if plank:
            tone *= _planks(rng, rows, columns, plank)
        tone = tone.T if turned else tone
        knots = np.ones(tone.shape, np.float32)
        for _ in range(int(tone.size / 1200) + 1):
            center = (int(rng.integers(tone.shape[1])), int(rng.integers(tone.shape[0])))
            cv2.circle(knots, center, int(rng.integers(1, 4)), float(rng.uniform(0.55, 0.8)), -1, cv2.LINE_AA)
        return (np.array(color, np.float32) * (tone * knots)[..., None]).clip(0.02, 1)
    return make


def _planks(rng: np.random.Generator, rows: int, columns: int, plank: float) -> np.ndarray:
    tone = np.ones((rows, columns), np.float32)
    step = max(4, round(plank / TEXEL))
    for top in range(0, rows, step):
        left = -int(rng.integers(0, 110))
        while left < columns:
            length = int(rng.integers(70, 130))
            right = min(left + length, columns)
            tone[top:top + step, max(left, 0):right] *= rng.uniform(0.72, 1.12)
            tone[top:top + step, max(right - 1, 0):right] *= 0.55
            left += length
        tone[top:top + 1] *= 0.6
    return tone


def wallpaper(color: tuple[float, float, float], accent: tuple[float, float, float]) -> Maker:
    """A painted wall with a scattered pattern of small diamonds, a skirting board and framed pictures."""
    def make(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
        wall = plain(color, 0.035)(rng, width, height)
        rows, columns = wall.shape[:2]
        for y in range(14, rows - 14, 28):
            for x in range(14 + 14 * (y // 28 % 2), columns - 8, 28):
                if rng.random() < 0.8:
                    cx, cy, r = x + int(rng.integers(-5, 6)), y + int(rng.integers(-5, 6)), int(rng.integers(2, 5))
                    diamond = np.array([[cx, cy - r], [cx + r, cy], [cx, cy + r], [cx - r, cy]])
                    tone = rng.uniform(0.75, 1.15)
                    cv2.fillConvexPoly(wall, diamond, [min(1.0, c * tone) for c in accent], cv2.LINE_AA)
        x = int(rng.integers(15, 45))
        while x < columns - 70:
            w, h = int(rng.integers(45, 80)), int(rng.integers(40, 60))
            y = int(rows * 0.36 + rng.integers(-12, 8))
            if x + w < columns - 10:
                wall[y - h // 2:y - h // 2 + h, x:x + w] = picture(rng, w * TEXEL, h * TEXEL)[:h, :w]
            x += w + int(rng.integers(40, 110))
        wall[-9:] = np.array([0.86, 0.84, 0.8], np.float32)
        wall[-10:-9] *= 0.5
        return wall
    return make


def picture(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """A framed abstract painting."""
    rows, columns = shape_of(width, height)
    hue = rng.random()
    art = np.full((rows, columns, 3), colorsys.hsv_to_rgb(hue, 0.25, 0.85), np.float32)
    for _ in range(14):
        color = colorsys.hsv_to_rgb((hue + rng.normal(0, 0.17)) % 1, rng.uniform(0.3, 0.9), rng.uniform(0.25, 0.95))
        p = (int(rng.integers(columns)), int(rng.integers(rows)))
        if rng.random() < 0.5:
            q = (p[0] + int(rng.integers(6, 30)), p[1] + int(rng.integers(5, 24)))
            cv2.rectangle(art, p, q, color, -1)
        else:
            cv2.circle(art, p, int(rng.integers(3, 11)), color, -1, cv2.LINE_AA)
    frame = (0.2, 0.14, 0.09) if rng.random() < 0.6 else (0.75, 0.62, 0.3)
    cv2.rectangle(art, (0, 0), (columns - 1, rows - 1), frame, 5)
    return art


def tiles(color: tuple[float, float, float], size: float) -> Maker:
    """Square panels with joints and specks, as in a hung ceiling."""
    def make(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
        face = plain(color, 0.02)(rng, width, height)
        rows, columns = face.shape[:2]
        step = round(size / TEXEL)
        for y in range(0, rows, step):
            for x in range(0, columns, step):
                face[y:y + step, x:x + step] *= rng.uniform(0.88, 1.04)
        face[::step] *= 0.65
        face[:, ::step] *= 0.65
        speck = [float(v) for v in face.mean((0, 1)) * 0.72]
        for _ in range(rows * columns // 180):
            center = (int(rng.integers(columns)), int(rng.integers(rows)))
            cv2.circle(face, center, int(rng.integers(1, 3)), speck, -1)
        return face.clip(0.02, 1)
    return make


def fabric(color: tuple[float, float, float], accent: tuple[float, float, float]) -> Maker:
    """Woven cloth with stripes and dots in a second colour."""
    def make(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
        face = plain(color, 0.08)(rng, width, height)
        rows, columns = face.shape[:2]
        for x in range(int(rng.integers(3, 9)), columns, 17):
            face[:, x:x + 3] = 0.5 * face[:, x:x + 3] + 0.5 * np.array(accent, np.float32)
        for _ in range(rows * columns // 350 + 2):
            center = (int(rng.integers(columns)), int(rng.integers(rows)))
            tone = rng.uniform(0.7, 1.2)
            cv2.circle(face, center, int(rng.integers(1, 4)), [min(1.0, a * tone) for a in accent], -1, cv2.LINE_AA)
        return face.clip(0.02, 1)
    return make


def drawers(color: tuple[float, float, float], columns_of: int, rows_of: int) -> Maker:
    """A wooden front with doors or drawers, their joints and handles."""
    def make(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
        face = wood(color)(rng, width, height)
        rows, columns = face.shape[:2]
        ys, xs = np.linspace(0, rows, rows_of + 1).astype(int), np.linspace(0, columns, columns_of + 1).astype(int)
        for y0, y1 in zip(ys[:-1], ys[1:], strict=True):
            for x0, x1 in zip(xs[:-1], xs[1:], strict=True):
                face[y0:y1, x0:x1] *= rng.uniform(0.85, 1.12)
                cv2.rectangle(face, (int(x0), int(y0)), (int(x1) - 1, int(y1) - 1), [c * 0.35 for c in color], 1)
                cx, cy = int(x0 + x1) // 2, int(y0 + min(8, (y1 - y0) // 2))
                cv2.rectangle(face, (cx - 4, cy - 1), (cx + 4, cy), (0.85, 0.83, 0.78), -1)
        return face.clip(0.02, 1)
    return make


def books(color: tuple[float, float, float], shelves: int) -> Maker:
    """Boards with rows of book spines in many colours and heights."""
    def make(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
        rows, columns = shape_of(width, height)
        face = np.full((rows, columns, 3), [0.35 * c for c in color], np.float32)
        edges = np.linspace(0, rows, shelves + 1).astype(int)
        for top, bottom in zip(edges[:-1], edges[1:], strict=True):
            x, room = 3, bottom - top - 4
            while x < columns - 5:
                w = int(rng.integers(3, 8))
                if rng.random() < 0.88:
                    tall = int(room * rng.uniform(0.55, 0.95))
                    spine = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.2, 0.85), rng.uniform(0.25, 0.9))
                    x1 = min(x + w, columns - 3)
                    face[bottom - 2 - tall:bottom - 2, x:x1] = spine
                    face[bottom - 2 - tall // 2:bottom - 2 - tall // 2 + 3, x:x1] = [min(1, c + 0.35) for c in spine]
                    face[bottom - 2 - tall:bottom - 2, x1 - 1:x1] *= 0.5
                x += w
            face[bottom - 2:bottom] = color
        cv2.rectangle(face, (0, 0), (columns - 1, rows - 1), color, 3)
        return face
    return make


def leaves(color: tuple[float, float, float]) -> Maker:
    """Foliage: overlapping leaves in several greens."""
    def make(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
        rows, columns = shape_of(width, height)
        face = np.full((rows, columns, 3), [0.4 * c for c in color], np.float32)
        for _ in range(rows * columns // 22 + 4):
            tone = rng.uniform(0.5, 1.5)
            center = (int(rng.integers(columns)), int(rng.integers(rows)))
            cv2.ellipse(face, center, (int(rng.integers(3, 7)), 2), float(rng.uniform(0, 180)), 0, 360,
                        [min(1.0, c * tone) for c in color], -1, cv2.LINE_AA)
        return face
    return make


def screen(color: tuple[float, float, float]) -> Maker:
    """A dark screen in a frame, showing a few coloured areas."""
    def make(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
        rows, columns = shape_of(width, height)
        face = np.full((rows, columns, 3), color, np.float32)
        inner = picture(rng, max(width - 0.06, 0.05), max(height - 0.06, 0.05))[5:-5, 5:-5]
        y, x = (rows - inner.shape[0]) // 2, (columns - inner.shape[1]) // 2
        face[y:y + inner.shape[0], x:x + inner.shape[1]] = 0.15 + 0.6 * inner
        return face
    return make


def carpet(color: tuple[float, float, float], accent: tuple[float, float, float]) -> Maker:
    """A rug with a border and a regular, slightly irregular pattern."""
    def make(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
        face = plain(color, 0.09)(rng, width, height)
        rows, columns = face.shape[:2]
        for inset, thick in ((6, 3), (14, 2)):
            cv2.rectangle(face, (inset, inset), (columns - inset, rows - inset), accent, thick)
        for y in range(26, rows - 20, 20):
            for x in range(26, columns - 20, 20):
                tone = rng.uniform(0.5, 1.25)
                r = int(rng.integers(3, 8))
                shade = [min(1.0, c * tone) for c in accent]
                if rng.random() < 0.5:
                    cv2.rectangle(face, (x - r, y - r), (x + r, y + r), shade, -1)
                else:
                    cv2.circle(face, (x, y), r, shade, -1, cv2.LINE_AA)
        return face.clip(0.02, 1)
    return make
