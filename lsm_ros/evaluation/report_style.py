# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The style of reports, one HTML file each, and their elements. Fonts are those of the system: nothing is loaded."""
from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from lsm_ros.images.codecs import encode_jpeg

CSS = """
:root { --ink: #1b2430; --soft: #5c6b7d; --rule: #e2e7ed; --tint: #f4f6f9; --blue: #1f6feb;
  --grey: #8a94a1; --amber: #b45309; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
  "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 28px; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 40px 0 12px; padding-bottom: 6px; border-bottom: 1px solid var(--rule); }
p.sub { color: var(--soft); margin: 0 0 20px; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; }
.tile { background: var(--tint); border-radius: 10px; padding: 12px 14px; }
.tile b { display: block; font-size: 22px; font-weight: 650; font-variant-numeric: tabular-nums;
  letter-spacing: -0.01em; }
.tile span { color: var(--soft); font-size: 13px; }
.grid2 { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 16px; }
.grid3 { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 16px; }
figure { margin: 0; }
figure img { width: 100%; display: block; border: 1px solid var(--rule); border-radius: 10px; }
figcaption { color: var(--soft); font-size: 13px; margin-top: 4px; }
.samples { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 16px; }
.samples img { border-radius: 6px; margin-bottom: 4px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 500; font-size: 13px; }
td.n, th.n { text-align: right; overflow-wrap: normal; white-space: nowrap; }
td.bar { width: 34%; }
td.bar i { display: block; height: 10px; margin-top: 7px; border-radius: 3px; background: var(--blue); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 8px 0; font-size: 13px; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px;
  vertical-align: -1px; }
.warn { background: #fff7e8; border-left: 4px solid #e8a33d; border-radius: 6px; padding: 10px 14px; margin: 8px 0;
  overflow-wrap: anywhere; }
.good { color: var(--soft); }
code { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
svg { width: 100%; height: auto; display: block; }
svg .t { font-size: 13px; font-weight: 600; fill: var(--ink); } svg .a { font-size: 11px; fill: var(--soft); }
svg .g { stroke: var(--rule); } svg polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg .est { stroke: var(--blue); } svg .gt { stroke: var(--grey); stroke-dasharray: 5 4; }
svg circle.kf { fill: var(--blue); stroke: none; }
svg.key { display: inline; width: 30px; }
svg .err { stroke: var(--amber); } svg .s { stroke-dasharray: none; stroke-width: 2; fill: #fff; }
@media print { h2 { break-after: avoid; } figure, .tile, table { break-inside: avoid; } }
"""


def page(title: str, body: str) -> str:
    """A whole document."""
    return (f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escaped(title)}</title>\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<style>{CSS}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n")


def escaped(value: Any) -> str:
    """Text of a value that may stand in HTML."""
    return html.escape(str(value), quote=True)


def image_tag(picture: np.ndarray, caption: str) -> str:
    """A picture (H, W, 3) uint8 RGB as an element that holds its data."""
    data = base64.b64encode(encode_jpeg(picture, 88)).decode("ascii")
    return f'<img alt="{escaped(caption)}" src="data:image/jpeg;base64,{data}">'


def figure(picture: np.ndarray, caption: str) -> str:
    """A picture above its caption."""
    return f"<figure>{image_tag(picture, caption)}<figcaption>{escaped(caption)}</figcaption></figure>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: int = 1) -> str:
    """Cells from column `numeric` on are numbers. Cells must be escaped already."""
    def css(i: int) -> str:
        return ' class="n"' if i >= numeric else ""

    top = "".join(f"<th{css(i)}>{h}</th>" for i, h in enumerate(head))
    body = "".join("<tr>" + "".join(f"<td{css(i)}>{c}</td>" for i, c in enumerate(row)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
