# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Line plots as SVG text, which stands in the HTML itself: sharp at any size, and nothing has to be installed."""
from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MARGIN = (52.0, 30.0, 14.0, 40.0)  # left, top, right, bottom


@dataclass(frozen=True)
class Line:
    """A polyline with x (N,) and y (N,) in the units of the axes, and the CSS class that paints it."""

    x: np.ndarray
    y: np.ndarray
    css: str
    dots: bool = False
    start: bool = False


def plot(lines: Sequence[Line], title: str, x_label: str, y_label: str, width: int, height: int,
         equal: bool = False, zero: bool = False) -> str:
    """One set of axes as an <svg> element. equal: both axes have one scale. zero: the y axis starts at 0. Values that
    are not finite break a line. All text is escaped."""
    left, top, right, bottom = _MARGIN
    inner_w, inner_h = width - left - right, height - top - bottom
    (x0, x1), (y0, y1) = _range([v.x for v in lines]), _range([v.y for v in lines])
    if zero:
        y0 = min(0.0, y0)
    if equal:
        scale = max((x1 - x0) / inner_w, (y1 - y0) / inner_h)
        mx, my = (x0 + x1) / 2, (y0 + y1) / 2
        x0, x1 = mx - scale * inner_w / 2, mx + scale * inner_w / 2
        y0, y1 = my - scale * inner_h / 2, my + scale * inner_h / 2

    def at_x(x: np.ndarray) -> np.ndarray:
        return left + (x - x0) / (x1 - x0) * inner_w

    def at_y(y: np.ndarray) -> np.ndarray:
        return top + inner_h - (y - y0) / (y1 - y0) * inner_h

    out = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title, True)}">',
           f'<text class="t" x="{left}" y="18">{html.escape(title)}</text>']
    for x in _ticks(x0, x1, inner_w / 70):
        px = float(at_x(np.array(x)))
        out += [f'<line class="g" x1="{px:.1f}" y1="{top}" x2="{px:.1f}" y2="{top + inner_h}"/>',
                f'<text class="a" x="{px:.1f}" y="{top + inner_h + 14}" text-anchor="middle">{x:g}</text>']
    for y in _ticks(y0, y1, inner_h / 45):
        py = float(at_y(np.array(y)))
        out += [f'<line class="g" x1="{left}" y1="{py:.1f}" x2="{left + inner_w}" y2="{py:.1f}"/>',
                f'<text class="a" x="{left - 6}" y="{py + 3.5:.1f}" text-anchor="end">{y:g}</text>']
    out += [f'<text class="a" x="{left + inner_w / 2}" y="{height - 6}" text-anchor="middle">'
            f"{html.escape(x_label)}</text>",
            f'<text class="a" transform="translate(12,{top + inner_h / 2}) rotate(-90)" text-anchor="middle">'
            f"{html.escape(y_label)}</text>"]
    for line in lines:
        out += _draw(at_x(np.asarray(line.x, float)), at_y(np.asarray(line.y, float)), line)
    return "".join(out) + "</svg>"


def _draw(px: np.ndarray, py: np.ndarray, line: Line) -> list[str]:
    finite = np.isfinite(px) & np.isfinite(py)
    if line.dots:
        return [f'<circle class="{line.css}" cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>'
                for x, y in zip(px[finite], py[finite], strict=True)]
    out = []
    for run in np.split(np.arange(len(px)), np.flatnonzero(~finite)):
        run = run[finite[run]]
        if len(run) > 1:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(px[run], py[run], strict=True))
            out.append(f'<polyline class="{line.css}" points="{points}"/>')
    if line.start and finite.any():
        first, last = np.flatnonzero(finite)[[0, -1]]
        out += [f'<circle class="s {line.css}" cx="{px[first]:.1f}" cy="{py[first]:.1f}" r="4.5"/>',
                f'<rect class="s {line.css}" x="{px[last] - 4:.1f}" y="{py[last] - 4:.1f}" width="8" height="8"/>']
    return out


def _range(parts: Sequence[np.ndarray]) -> tuple[float, float]:
    values = np.concatenate([np.asarray(p, float).ravel() for p in parts]) if parts else np.zeros(0)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    pad = 0.05 * (high - low) or max(0.05 * abs(high), 0.05)
    return low - pad, high + pad


def _ticks(low: float, high: float, count: float) -> list[float]:
    """Round numbers between low and high, about `count` of them."""
    raw = (high - low) / max(count, 1.0)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) + 0.0 for i in range(first, math.floor(high / step + 1e-9) + 1)]


def thin(values: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """(index, value) of at most `bins` largest values, one for each stretch of equal length, so that peaks stay."""
    if len(values) <= bins:
        return np.arange(len(values)), values
    edges = np.linspace(0, len(values), bins + 1).astype(int)
    picked = np.array([a + int(np.argmax(values[a:b])) for a, b in zip(edges, edges[1:], strict=False)])
    return picked, values[picked]
