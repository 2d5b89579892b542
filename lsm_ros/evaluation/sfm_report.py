# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""report.html of structure from motion: cameras and points, the pair graph, and what did not register and why."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.evaluation.picture import render, standard_views
from lsm_ros.evaluation.report_style import escaped, figure, page, table
from lsm_ros.files import write_text
from lsm_ros.types import MapSnapshot

_LINE = (31, 111, 235)
_MODEL_COLORS = ("#1f6feb", "#b45309", "#2f7d32", "#6a51a3", "#c0392b")
_DOTS = 400  # images up to which the pair graph is drawn around a circle with a dot for each


@dataclass(frozen=True)
class PicturedModel:
    """A model as it is drawn: its points, poses (N, 4, 4) T_world_cam, and the half extents (N, 2) of its images at depth 1."""

    snapshot: MapSnapshot
    poses: np.ndarray
    extents: np.ndarray


def write_sfm_report(path: str | Path, about: dict[str, Any], models: Sequence[PicturedModel], edges: np.ndarray,
                     matches: np.ndarray) -> None:
    """Writes the HTML file. about: content of sfm.json. edges (E, 2), matches (E,): of all pairs that were compared."""
    found = sum(1 for i in about["images"] if i["model"] is not None)
    title = f"Structure from motion of {Path(about['folder']).name}"
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    body = [f"<h1>{escaped(title)}</h1>", f'<p class="sub">{escaped(about["folder"])} &middot; pair model '
            f'{escaped(about["pair_model"])} &middot; {about["seconds"]:.1f} s &middot; lsm_ros {escaped(about["version"])} '
            f"&middot; {now}</p>"]
    body += [f'<div class="warn">{escaped(note)}</div>' for note in about["notes"]] or ['<p class="good">No warnings.</p>']
    tiles = [(f"{found} of {len(about['images'])}", "images have a pose"), (str(len(models)), "models"),
             (f"{int((matches > 0).sum())} of {len(edges)}", "pairs agree")]
    cells = "".join(f'<div class="tile"><b>{value}</b><span>{label}</span></div>' for value, label in tiles)
    body.append(f'<div class="tiles">{cells}</div>')
    for n, (model, row) in enumerate(zip(models, about["models"], strict=True)):
        metric = "metric" if row["is_metric"] else "not metric: the unit of length is free"
        body.append(f"<h2>Model {n}: {row['images']} images, {row['points']} points, {metric}</h2>"
                    f'<div class="grid2">{_pictures(model)}</div>')
    body += [f"<h2>Pairs</h2>{_graph(about['images'], edges, matches)}", _left_out(about["images"]), _cameras(about["models"])]
    write_text(path, page(title, "\n".join(b for b in body if b)))


def _pictures(model: PicturedModel) -> str:
    views = standard_views(model.snapshot, model.poses)
    spread = np.linalg.norm(np.ptp(model.poses[:, :3, 3], axis=0))
    extent = np.ptp(np.percentile(model.snapshot.points_map, (5, 95), axis=0), axis=0)
    size = max(0.03 * float(spread), 0.015 * float(np.linalg.norm(extent)))
    lines = [(line, _LINE) for T, extent in zip(model.poses, model.extents, strict=True) for line in frustum(T, extent, size)]
    return "".join(figure(render(model.snapshot, view, lines=lines if not view.name.startswith("from inside") else None),
                          view.name) for view in views)


def frustum(T_world_cam: np.ndarray, extent: np.ndarray, size: float) -> list[np.ndarray]:
    """Lines (M, 3) in the world that show a camera, `size` long. extent (2,): half of its image at depth 1."""
    x, y = extent
    local = np.array([[0, 0, 0], [-x, -y, 1], [x, -y, 1], [x, y, 1], [-x, y, 1]]) * size
    p = local @ T_world_cam[:3, :3].T + T_world_cam[:3, 3]
    return [p[[1, 2, 3, 4, 1]], p[[1, 0, 2]], p[[3, 0, 4]]]


def _graph(images: Sequence[dict[str, Any]], edges: np.ndarray, matches: np.ndarray) -> str:
    """The images around a circle in the order of their names, a line for each pair that agrees, the darker the more it does."""
    count, size = len(images), 560
    angles = [2 * math.pi * n / count - math.pi / 2 for n in range(count)]
    places = [(size / 2 + 0.45 * size * math.cos(a), size / 2 + 0.45 * size * math.sin(a)) for a in angles]
    most = math.log1p(max(1, int(matches.max(initial=0))))
    out = [f'<svg viewBox="0 0 {size} {size}" style="max-width:{size}px" role="img" aria-label="pair graph">']
    for (i, j), m in zip(edges.tolist(), matches.tolist(), strict=True):
        if m > 0:
            (x1, y1), (x2, y2) = places[i], places[j]
            out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#1b2430" '
                       f'stroke-width="0.8" opacity="{0.08 + 0.6 * math.log1p(m) / most:.2f}"/>')
    for (x, y), image in zip(places if count <= _DOTS else [], images, strict=False):
        model = image["model"]
        color = "#fff" if model is None else _MODEL_COLORS[min(model, len(_MODEL_COLORS) - 1)]
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}" stroke="#1b2430"><title>{escaped(image["name"])}'
                   "</title></circle>")
    return "".join([*out, "</svg><p>Each dot is an image, in the order of their names; a white one has no pose, and each "
                    "colour is a model. A line is a pair that agrees with one geometry, the darker the more matches do.</p>"])


def _left_out(images: Sequence[dict[str, Any]]) -> str:
    rows = [[escaped(i["name"]), escaped(i["reason"])] for i in images if i["model"] is None]
    return "<h2>Images without a pose</h2>" + table(("image", "reason"), rows, numeric=9) if rows else ""


def _cameras(models: Sequence[dict[str, Any]]) -> str:
    rows = [[str(n), f"{c['width']}x{c['height']}", str(c["images"]), f"{c['fx']:.1f}", f"{c['fy']:.1f}", f"{c['cx']:.1f}",
             f"{c['cy']:.1f}", escaped(" ".join(f"{d:.4f}" for d in c["D"]) or "none"), "known" if c["known"] else "estimated"]
            for n, m in enumerate(models) for c in m["cameras"]]
    return "<h2>Cameras</h2>" + table(("model", "image", "images", "fx", "fy", "cx", "cy", "distortion", ""), rows, numeric=2)
