# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Wood, boards and parquet; all neutral, for tinting. The grain of wood and planks runs along the columns' axis."""
from __future__ import annotations

import cv2
import numpy as np

from lsm_sim.pictures.canvas import COLUMNS, ROWS, SIZE, Maker, field, neutral, pick, tiled_blur, warp


def grain(rng: np.random.Generator, variant: int) -> np.ndarray:
    """(SIZE, SIZE) float32 brightness about 1 of wood, grain along the columns' axis, that tiles."""
    rings = (3, 5, 8, 2, 6, 12)[variant % 6]
    bend = (0.35, 0.8, 0.5, 1.2, 0.25, 0.6)[variant % 6]
    phase = ROWS * (rings / SIZE) + bend * field(rng, 4, 2) + 0.06 * field(rng, 32, 8)
    knots = int(rng.integers(0, 4)) if variant % 3 else int(rng.integers(2, 6))
    dark = np.zeros((SIZE, SIZE), np.float32)
    for _ in range(knots):
        y, x = rng.uniform(0, SIZE, 2)
        dy, dx = (ROWS - y + SIZE / 2) % SIZE - SIZE / 2, (COLUMNS - x + SIZE / 2) % SIZE - SIZE / 2
        r2 = (dy / rng.uniform(7, 12)) ** 2 + (dx / rng.uniform(14, 26)) ** 2
        phase += np.exp(-r2) * np.float32(rng.uniform(0.8, 1.8))
        dark += np.exp(-5 * r2)
    saw = phase - np.floor(phase)
    late = np.minimum(saw ** 3, (1 - saw) * 8)  # late wood darkens slowly and ends at once
    streaks = 0.5 * field(rng, 128, 4) + 0.35 * field(rng, 256, 8) + 0.3 * field(rng, 32, 2)
    pores = np.clip(tiled_blur(field(rng, 256, 32), 0.6) * 1.6 - 1.6, 0, 1)
    contrast = (0.3, 0.38, 0.22, 0.42, 0.18, 0.34)[variant % 6]
    tone = 1 - contrast * late + 0.055 * streaks - 0.2 * pores + 0.05 * field(rng, 4, 2)
    return (tone * (1 - 0.55 * np.minimum(dark, 1))).astype(np.float32)


def _warmth(tone: np.ndarray, strength: float = 0.25) -> np.ndarray:
    """Three channels in which what is darker is also warmer."""
    mean = float(tone.mean())
    rest = np.clip(tone / mean, 0.05, 2)
    return np.stack([rest ** (1 - strength), rest, rest ** (1 + strength)], -1) * mean


def wood(rng: np.random.Generator, variant: int) -> np.ndarray:
    """One piece of wood: plain, flamed or knotty."""
    return neutral(_warmth(grain(rng, variant)))


def _boards(rng: np.random.Generator, tone: np.ndarray, count: int, spread: float, joints: int) -> np.ndarray:
    out = np.empty_like(tone)
    step = SIZE // count
    for k in range(count):
        rows = slice(k * step, (k + 1) * step)
        ends = np.sort((rng.integers(SIZE) + np.arange(joints) * SIZE // joints + rng.integers(-12, 13, joints)) % SIZE)
        owner = np.searchsorted(ends, np.arange(SIZE)) % joints
        strip = np.empty((step, SIZE), np.float32)
        for j in range(joints):
            source = np.roll(tone, (int(rng.integers(SIZE)), int(rng.integers(SIZE))), (0, 1))[rows]
            strip[:, owner == j] = source[:, owner == j] * rng.normal(1, spread)
        strip[:, ends] *= 0.45
        strip[:, (ends + 1) % SIZE] *= 0.8
        strip[0] *= 0.42
        strip[1] *= 0.8
        strip[-1] *= 0.9
        out[rows] = strip
    return out


def planks(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Boards of a floor or ceiling, narrow to wide, their ends staggered."""
    count, joints = ((8, 2), (4, 1), (16, 2), (8, 1), (4, 2), (8, 3))[variant % 6]
    tone = grain(rng, int(rng.integers(6)))
    return neutral(_warmth(_boards(rng, tone, count, (0.12, 0.06, 0.16, 0.09)[variant % 4], joints), 0.3))


def parquet(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Herringbone, or squares of strips laid crosswise."""
    tone = grain(rng, int(rng.integers(6)))
    i, j = COLUMNS.astype(int), ROWS.astype(int)
    if variant % 2 == 0:
        width = (16, 8, 32)[variant // 2 % 3]
        n = min(4, SIZE // width // 2)
        ci, cj = i // width, j // width
        d = (ci - cj) % (2 * n)
        flat = d < n
        along = np.where(flat, d * width + i % width, (2 * n - 1 - d) * width + j % width)
        across = np.where(flat, j % width, i % width)
        cells = SIZE // width
        piece = np.where(flat, (ci - d) % cells * cells + cj, (cj - (2 * n - 1 - d)) % cells * cells + ci + cells * cells)
        length = n * width
    else:
        block, strips = pick(rng, ((64, 4), (64, 5), (32, 4), (128, 6)))
        width, length = block / strips, block
        ci, cj = i // block, j // block
        flat = (ci + cj) % 2 == 0
        along = np.where(flat, i % block, j % block)
        side = np.where(flat, j % block, i % block)
        across = side % width
        piece = ((cj * 8 + ci) * 8 + (side // width)).astype(int)
    shift = rng.integers(0, SIZE, (2, int(piece.max()) + 1))
    tones = rng.normal(1, 0.11, int(piece.max()) + 1).astype(np.float32)
    out = tone[((across + shift[0][piece]) % SIZE).astype(int), (along + shift[1][piece]).astype(int) % SIZE] * tones[piece]
    seam = (across < 1) | (along < 1)
    out = np.where(seam, 0.45 * out, np.where(across >= width - 1, 0.88 * out, out)).astype(np.float32)
    out[along >= length - 1] *= 0.88
    return neutral(_warmth(out, 0.3))


def wicker(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Canes woven over and under stakes, as baskets are."""
    canes, stakes = ((16, 8), (32, 16), (32, 8), (16, 16), (64, 16), (32, 32))[variant % 6]
    y, x = ROWS * (canes / SIZE), COLUMNS * (stakes / SIZE)
    row = y.astype(int)
    over = np.cos(np.pi * (x + row % 2))  # 1: in front of the stake, -1: behind it
    round_cane = np.sin(np.pi * (y % 1)) ** 0.7
    tones = rng.normal(1, 0.13, (canes, max(2, stakes // 2))).astype(np.float32)
    tones = cv2.resize(tones, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)
    stake = np.sin(np.pi * ((x + 0.5) % 1)) ** 2
    tone = np.where(over > -0.55, round_cane * (0.68 + 0.32 * over) * tones, 0.6 * stake * (0.5 + 0.5 * round_cane))
    tone = warp(tone.astype(np.float32), 0.8 * field(rng, 16), 0.8 * field(rng, 16))
    return neutral(_warmth((0.12 + tone) * (1 + 0.06 * field(rng, 128)) * (1 + 0.08 * field(rng, 4)), 0.2))


MAKERS: dict[str, tuple[Maker, int]] = {"wood": (wood, 16), "planks": (planks, 8), "parquet": (parquet, 8),
                                        "wicker": (wicker, 6)}
"""Makers of this group by family, with the number of variants."""
