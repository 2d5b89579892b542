# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Screens, keyboards, clocks and the front of a head. Fitted, coloured."""
from __future__ import annotations

import cv2
import numpy as np

from lsm_sim.pictures.canvas import (
    FONTS,
    ROWS,
    SIZE,
    Maker,
    bevel,
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
    word,
    write,
)
from lsm_sim.pictures.scenery import landscape, town


def screen(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Content of a monitor: code, a page, windows, a film, charts, icons."""
    kind = variant % 6
    image = (_code, _page, _windows, _film, _charts, _icons)[kind](rng)
    cv2.rectangle(image, (0, 0), (SIZE - 1, SIZE - 1), (8, 8, 9), 3)
    return shown(image)


def _code(rng: np.random.Generator) -> np.ndarray:
    image = sheet(pick(rng, ((30, 31, 38), (20, 28, 34), (250, 250, 246))))
    dark = image[0, 0].sum() < 300
    box(image, (0, 0, SIZE, 12), (60, 62, 70) if dark else (210, 212, 216))
    box(image, (0, 12, 46, SIZE), (40, 42, 50) if dark else (232, 232, 234))
    indent = 0
    for y in range(18, 248, 8):
        small_print(image, rng, (5, y, 40, y + 5), (150, 150, 156), 6)
        indent = int(np.clip(indent + rng.integers(-1, 2), 0, 4))
        x = 54 + 10 * indent
        for _ in range(int(rng.integers(0, 6))):
            w = int(rng.integers(8, 40))
            if x + w > 250:
                break
            small_print(image, rng, (x, y, x + w, y + 6), hue(rng, (0.3, 0.8), (0.7, 1.0) if dark else (0.2, 0.6)), 7, 0)
            x += w + 4
    return image


def _page(rng: np.random.Generator) -> np.ndarray:
    image = sheet((250, 250, 250))
    box(image, (0, 0, SIZE, 14), (222, 224, 228))
    box(image, (40, 3, 200, 11), (250, 250, 252))
    banner = hue(rng, (0.5, 0.95), (0.3, 0.8))
    box(image, (0, 14, SIZE, 54), banner)
    write(image, f"{word(rng, 3)} {word(rng)}", (12, 20, 180, 48), (250, 250, 250), pick(rng, FONTS))
    image[62:140, 10:120] = cv2.resize(pick(rng, (landscape, town))(rng), (110, 78), interpolation=cv2.INTER_AREA)
    write(image, word(rng, 3), (128, 60, 246, 76), (30, 30, 34))
    small_print(image, rng, (128, 80, 246, 140), (70, 70, 76), 5)
    for k in range(3):
        x = 10 + 82 * k
        box(image, (x, 150, x + 74, 196), hue(rng, (0.2, 0.8), (0.5, 1.0)))
        small_print(image, rng, (x, 200, x + 74, 250), (80, 80, 86), 5)
    return image


def _windows(rng: np.random.Generator) -> np.ndarray:
    image = landscape(rng)
    for _ in range(int(rng.integers(2, 5))):
        x, y, w, h = (int(v) for v in rng.integers((4, 4, 70, 60), (130, 120, 130, 120)))
        tone = pick(rng, ((248, 248, 250), (36, 38, 46), (232, 236, 240)))
        box(image, (x + 3, y + 4, x + w + 3, y + h + 4), (20, 22, 26))
        box(image, (x, y, x + w, y + h), tone)
        box(image, (x, y, x + w, y + 10), hue(rng, (0.3, 0.8), (0.3, 0.8)))
        for k in range(3):
            cv2.circle(image, (x + w - 6 - 8 * k, y + 5), 2, (240, 240, 240), -1, cv2.LINE_AA)
        ink = (60, 60, 66) if tone[0] > 128 else (200, 205, 210)
        small_print(image, rng, (x + 6, y + 16, x + w - 6, y + h - 4), ink, int(rng.integers(5, 8)))
    box(image, (0, 244, SIZE, SIZE), (28, 30, 36))
    for x in range(6, 120, 14):
        box(image, (x, 246, x + 9, 255), hue(rng))
    return image


def _film(rng: np.random.Generator) -> np.ndarray:
    image = pick(rng, (landscape, town))(rng)
    c, r = int(rng.integers(70, 186)), int(rng.integers(26, 46))
    cv2.ellipse(image, (c, 256), (int(2.1 * r), int(2.0 * r)), 0, 180, 360, hue(rng, (0.2, 0.9), (0.2, 0.8)), -1, cv2.LINE_AA)
    cv2.ellipse(image, (c, 150), (r, int(1.25 * r)), 0, 0, 360, pick(rng, ((224, 176, 146), (150, 100, 74), (96, 64, 48))), -1,
                cv2.LINE_AA)
    cv2.ellipse(image, (c, 132), (r, r), 0, 180, 360, (46, 34, 28), -1, cv2.LINE_AA)
    box(image, (0, 0, SIZE, 26), (4, 4, 5))
    box(image, (0, 230, SIZE, SIZE), (4, 4, 5))
    write(image, f"{word(rng)} {word(rng, 1)} {word(rng)}", (50, 234, 206, 248), (240, 238, 220))
    return image


def _charts(rng: np.random.Generator) -> np.ndarray:
    image = sheet(pick(rng, ((248, 248, 250), (24, 28, 40))))
    dark = image[0, 0].sum() < 300
    ink = (200, 205, 215) if dark else (70, 72, 80)
    write(image, word(rng, 4), (8, 4, 130, 20), ink)
    for k in range(4):
        x, y = 8 + 124 * (k % 2), 26 + 114 * (k // 2)
        box(image, (x, y, x + 116, y + 106), (40, 46, 62) if dark else (236, 238, 242))
        write(image, word(rng, 2), (x + 4, y + 3, x + 60, y + 14), ink)
        color = hue(rng, (0.5, 0.9), (0.6, 1.0))
        if k % 2 == int(rng.integers(2)):
            for j in range(8):
                box(image, (x + 8 + 13 * j, y + 98 - rng.uniform(8, 76), x + 17 + 13 * j, y + 98), color)
        else:
            for _ in range(2):
                p = np.stack([np.linspace(x + 6, x + 110, 14), y + 60 + np.cumsum(rng.normal(0, 8, 14)).clip(-40, 38)], -1)
                cv2.polylines(image, [p.astype(np.int32)], False, hue(rng, (0.5, 0.9), (0.6, 1.0)), 2, cv2.LINE_AA)
    return image


def _icons(rng: np.random.Generator) -> np.ndarray:
    base, top = np.float32(hue(rng, (0.3, 0.9), (0.2, 0.7))), np.float32(hue(rng, (0.3, 0.9), (0.4, 0.9)))
    t = (ROWS / SIZE)[..., None]
    image = np.clip((base * t + top * (1 - t)) * (1 + 0.05 * fractal(rng, 2, 3))[..., None], 0, 255).astype(np.uint8)
    for y in range(14, 200, 46):
        for x in range(14, 230, 48):
            if rng.random() < 0.75:
                color = hue(rng, (0.4, 1.0), (0.5, 1.0))
                box(image, (x, y, x + 26, y + 26), color)
                mark = shade(color, pick(rng, (0.4, 1.6)))
                cv2.circle(image, (x + 13, y + 13), int(rng.integers(4, 10)), mark, -1, cv2.LINE_AA)
                write(image, word(rng), (x - 4, y + 28, x + 30, y + 37), (245, 245, 248))
    box(image, (0, 236, SIZE, SIZE), (20, 22, 30))
    write(image, f"{int(rng.integers(24)):02d}:{int(rng.integers(60)):02d}", (206, 239, 250, 253), (240, 240, 244))
    return image


_KEYS = ((1,) * 15, (1,) * 15, (1.5, *(1,) * 12, 1.5), (1.5, *(1,) * 12, 1.5), (2, *(1,) * 11, 2), (1, 1, 1, 6, 1, 1, 2))
"""Widths of the keys of each row."""


def keyboard(rng: np.random.Generator, variant: int) -> np.ndarray:
    """Keys from above, the long way along the columns' axis."""
    dark = variant % 2 == 0
    image = sheet((28, 28, 30) if dark else (196, 197, 200))
    cap = (54, 54, 58) if dark else (238, 238, 236)
    ink = (220, 220, 224) if dark else (50, 50, 54)
    pitch = (SIZE - 16) / len(_KEYS)
    for r in range(len(_KEYS)):
        x, y = 6.0, 8 + r * pitch
        units = _KEYS[r]
        unit = (SIZE - 12) / sum(units)
        for k, u in enumerate(units):
            at = (x + 1, y + 2, x + u * unit - 1, y + pitch - 3)
            color = hue(rng, (0.4, 0.9), (0.4, 0.9)) if variant % 3 == 2 and (r, k) in ((0, 0), (3, 13), (5, 4)) else cap
            box(image, at, color)
            bevel(image, at, 2, 0.3)
            if u < 3:
                letter = pick(rng, "QWERTYUOPASDFGHJKLZXCVBNM")
                write(image, letter, (at[0] + 3, at[1] + 5, at[2] - 3, at[1] + 0.6 * pitch), ink)
            x += u * unit
    return shown(image)


def clock(rng: np.random.Generator, variant: int) -> np.ndarray:
    """The face of a clock with marks or digits and hands."""
    rim = pick(rng, ((30, 30, 32), (190, 150, 80), (180, 182, 186), (120, 76, 46), (180, 50, 44)))
    ground = pick(rng, ((246, 244, 236), (238, 230, 208), (28, 30, 36), (220, 232, 236)))
    ink = (28, 26, 28) if sum(ground) > 300 else (235, 232, 224)
    image = sheet(rim)
    cv2.circle(image, (128, 128), 124, rim, -1, cv2.LINE_AA)
    cv2.circle(image, (128, 128), 112, ground, -1, cv2.LINE_AA)
    cv2.circle(image, (128, 128), 112, shade(rim, 0.5), 2, cv2.LINE_AA)
    for k in range(60):
        a = 2 * np.pi * k / 60
        d = np.array([np.sin(a), -np.cos(a)])
        inner = 98 if k % 5 == 0 else 105
        cv2.line(image, tuple(int(round(v)) for v in 128 + inner * d), tuple(int(round(v)) for v in 128 + 109 * d), ink,
                 3 if k % 5 == 0 else 1, cv2.LINE_AA)
        if k % 5 == 0 and variant % 3 != 2:
            x, y = 128 + 82 * d
            write(image, str(k // 5 or 12), (x - 13, y - 11, x + 13, y + 11), ink, pick(rng, FONTS[:1]) if variant % 2 else
                  cv2.FONT_HERSHEY_TRIPLEX, 2)
    write(image, word(rng), (106, 166, 150, 178), ink)
    hour, minute = rng.uniform(0, 12), rng.uniform(0, 60)
    for a, long, wide in ((hour / 12, 52, 7), (minute / 60, 84, 4), (rng.random(), 92, 1)):
        d = np.array([np.sin(2 * np.pi * a), -np.cos(2 * np.pi * a)])
        cv2.line(image, tuple(int(v) for v in 128 - 14 * d), tuple(int(v) for v in 128 + long * d),
                 (200, 40, 36) if wide == 1 else ink, wide, cv2.LINE_AA)
    cv2.circle(image, (128, 128), 7, ink, -1, cv2.LINE_AA)
    return shown(image)


def face(rng: np.random.Generator, variant: int) -> np.ndarray:
    """The front of a head: hair, brows, eyes, nose, mouth; some with glasses or a beard."""
    skin = pick(rng, ((232, 190, 164), (214, 164, 130), (178, 124, 90), (128, 84, 60), (88, 58, 44), (240, 204, 184)))
    hair = pick(rng, ((36, 28, 24), (84, 56, 34), (150, 110, 60), (120, 116, 112), (60, 30, 22), (206, 180, 130)))
    image = sheet(skin)
    image = np.clip(image * (1 + 0.02 * fractal(rng, 8, 4))[..., None], 0, 255).astype(np.uint8)
    low = int(rng.integers(48, 84))
    edge = low + 10 * field(rng, 8)[0] + 34 * np.abs(np.linspace(-1, 1, SIZE)) ** 2.5 * rng.uniform(0.5, 3.5)
    strands = (1 + 0.16 * field(rng, 32, 256))[..., None]
    image = np.where((edge > ROWS)[..., None], np.clip(np.float32(hair) * strands, 0, 255).astype(np.uint8), image)
    eye = pick(rng, ((70, 48, 30), (70, 100, 130), (70, 96, 66)))
    y = int(rng.integers(112, 122))
    for x in (88, 168):
        cv2.ellipse(image, (x, y), (22, 12), 0, 0, 360, shade(skin, 0.82), -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, y), (17, 8), 0, 0, 360, (240, 238, 234), -1, cv2.LINE_AA)
        cv2.circle(image, (x, y), 8, eye, -1, cv2.LINE_AA)
        cv2.circle(image, (x, y), 4, (12, 10, 10), -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, y), (18, 9), 0, 190, 350, (30, 22, 20), 2, cv2.LINE_AA)
        cv2.ellipse(image, (x, y - 18), (24, 8), 0, 200, 340, shade(hair, 0.8), 6, cv2.LINE_AA)
    cv2.line(image, (122, 124), (112, 164), shade(skin, 0.8), 3, cv2.LINE_AA)
    cv2.ellipse(image, (128, 168), (18, 9), 0, 0, 180, shade(skin, 0.68), 3, cv2.LINE_AA)
    cv2.line(image, (130, 124), (130, 160), shade(skin, 1.12), 5, cv2.LINE_AA)
    if variant % 4 == 1:
        cv2.ellipse(image, (128, 214), (78, 60), 0, 0, 360, shade(hair, 0.9), -1, cv2.LINE_AA)
    cv2.ellipse(image, (128, 200), (32, 9), 0, 0, 360, (176, 84, 80), -1, cv2.LINE_AA)
    cv2.line(image, (98, 200), (158, 200), (96, 40, 40), 2, cv2.LINE_AA)
    cheek = tuple(int(c * f) for c, f in zip(skin, (1.04, 0.92, 0.92), strict=True))
    for x in (58, 198):
        cv2.circle(image, (x, 168), 17, cheek, -1, cv2.LINE_AA)
    if variant % 3 == 2:
        for x in (88, 168):
            cv2.ellipse(image, (x, y + 2), (32, 24), 0, 0, 360, (24, 22, 24), 4, cv2.LINE_AA)
        cv2.line(image, (120, y), (136, y), (24, 22, 24), 4, cv2.LINE_AA)
    return shown(grained(image, rng, 1.5))


MAKERS: dict[str, tuple[Maker, int]] = {"screen": (screen, 8), "keyboard": (keyboard, 6), "clock": (clock, 6),
                                        "face": (face, 6)}
"""Makers of this group by family, with the number of variants."""
