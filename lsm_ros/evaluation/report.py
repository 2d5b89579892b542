# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""report.html: one file with the map, its quality and its cost. It opens without a network."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.config import Config, from_dict, walk
from lsm_ros.evaluation.cost import StageTimes
from lsm_ros.evaluation.picture import INSIDE_NEAR_M, label_color, label_colors, render, standard_views
from lsm_ros.evaluation.plots import Line, plot, thin
from lsm_ros.evaluation.report_style import escaped, figure, image_tag, page, table
from lsm_ros.evaluation.samples import Sample
from lsm_ros.evaluation.trajectory import associate
from lsm_ros.files import write_text
from lsm_ros.types import UNLABELLED, LabelSpace, MapSnapshot, TrajectoryPose

_PATH_COLOR = (31, 111, 235)
_COLUMNS = ("rmse", "mean", "median", "max")
_GAP_FACTOR = 8  # a pause this many times the usual step breaks the line of a trajectory


@dataclass(frozen=True)
class RunRecord:
    """Content of a report.

    metrics: as in metrics.json. trajectory, keyframes: poses of the first camera in the map. ground_truth_map: the same
    camera's true poses, already moved into the map, or None. time_offset_ns: subtracted from the trajectory's stamps
    to compare both. notes: more warnings. novel_views: captions and pictures of the map's Gaussians.
    """

    metrics: dict[str, Any]
    snapshot: MapSnapshot
    label_space: LabelSpace | None
    trajectory: Sequence[TrajectoryPose]
    keyframes: Sequence[TrajectoryPose]
    stages: StageTimes
    samples: Sequence[Sample] = ()
    ground_truth_map: Sequence[TrajectoryPose] | None = None
    time_offset_ns: int = 0
    notes: Sequence[str] = field(default_factory=tuple)
    novel_views: Sequence[tuple[str, np.ndarray]] = ()


def write_report(path: str | Path, record: RunRecord) -> None:
    """Writes the HTML file. All text from the input is escaped."""
    m = record.metrics
    title = f"Map of {m['source']['name']}"
    sections = [_head(title, m), _warnings(record), _tiles(m), _map_pictures(record), _novel_views(record),
                _trajectory(record), _samples(record.samples), _errors(m), _stages(record), _facts(m), _parameters(m)]
    body = "\n".join(s for s in sections if s)
    write_text(path, page(title, body))


def _head(title: str, m: dict[str, Any]) -> str:
    s = m["source"]
    cameras = ", ".join(s["cameras"])
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return (f"<h1>{escaped(title)}</h1>\n<p class=\"sub\">{escaped(s['path'])} &middot; {m['frames']} frames of camera "
            f"{escaped(cameras)} over {_number(s['duration_s'])} s &middot; pair model {escaped(m['pair_model'])} &middot; "
            f"config <code>{escaped(m['config_hash'])}</code> &middot; seed {m['seed']} &middot; lsm_ros "
            f"{escaped(m['version'])} &middot; {now}</p>")


def _warnings(record: RunRecord) -> str:
    lines = [*record.metrics["warnings"], *record.notes]
    if not lines:
        return '<p class="good">No warnings.</p>'
    return "\n".join(f'<div class="warn">{escaped(line)}</div>' for line in lines)


def _tiles(m: dict[str, Any]) -> str:
    tiles = [(f"{100 * m['coverage']:.1f} %", f"of {m['frames_expected']} frames have a pose"),
             (f"{m['keyframes']}", "keyframes"), (f"{m['map']['voxels']:,}".replace(",", " "), "surface voxels"),
             (f"{_number(m['map']['volume_m3'])} m³", "observed volume"),
             (f"{_number(m['frames_per_s'])} /s", "frames, reading included"),
             (f"{m['peak_rss_bytes'] / 2**20:.0f} MiB", "largest memory")]
    truth = m["ground_truth"]
    if truth:
        for name, label in (("se3", "ATE, rigid alignment"), ("sim3", "ATE, with scale")):
            if name in truth["ate_m"]:
                tiles.append((f"{100 * truth['ate_m'][name]['rmse']:.1f} cm", label))
    if not m["scale"]["is_metric"]:
        tiles.append(("not metric", "lengths have no known scale"))
    cells = "".join(f'<div class="tile"><b>{escaped(value)}</b><span>{escaped(label)}</span></div>'
                    for value, label in tiles)
    return f'<div class="tiles">{cells}</div>'


def _map_pictures(record: RunRecord) -> str:
    snapshot = record.snapshot
    if not len(snapshot.points_map):
        return "<h2>Map</h2><p>The map has no surface.</p>"
    poses = np.array([p.T_map_rig for p in record.trajectory]).reshape(-1, 4, 4)
    path = [(poses[:, :3, 3], _PATH_COLOR)] if len(poses) else []
    has_labels = bool(np.any(snapshot.labels != UNLABELLED))
    views = standard_views(snapshot, poses)
    figures, labelled = [], []
    for view in views:
        outside = view.near < INSIDE_NEAR_M  # from inside, the path would cover the picture
        figures.append(figure(render(snapshot, view, lines=path if outside else []), view.name))
        if has_labels:
            labelled.append(figure(render(snapshot, view, label_colors(snapshot.labels)), f"{view.name}, by label"))
    out = ["<h2>Map</h2>", f'<div class="grid2">{"".join(figures)}</div>']
    if has_labels:
        out += [*_objects(record.metrics["objects"]), "<h2>Labels</h2>", _legend(snapshot.labels, record.label_space),
                f'<div class="grid2">{"".join(labelled)}</div>']
    return "\n".join(out)


def _novel_views(record: RunRecord) -> str:
    if not record.novel_views:
        return ""
    figures = "".join(figure(picture, caption) for caption, picture in record.novel_views)
    return f'<h2>Views that no keyframe had</h2><div class="grid2">{figures}</div>'


def _objects(objects: Sequence[dict[str, Any]]) -> list[str]:
    """Table of the objects."""
    if not objects:
        return []
    rows = "".join(f"<tr><td>{o['id']}</td><td>{escaped(o['name'] or o['label'])}</td><td>{o['existence']:.2f}</td>"
                   f"<td>{' '.join(f'{v:.2f}' for v in o['centre'])}</td>"
                   f"<td>{' '.join(f'{v:.2f}' for v in o['size'])}</td></tr>"
                   for o in objects)
    head = "".join(f"<th>{h}</th>" for h in ("number", "name", "there", "centre [m]", "size [m]"))
    return ["<h2>Objects</h2>", f"<table><tr>{head}</tr>{rows}</table>"]


def _legend(labels: np.ndarray, space: LabelSpace | None, most: int = 40) -> str:
    """Colour, name and share of each label in the map, the frequent ones first."""
    ids, counts = np.unique(labels, return_counts=True)
    entries, names = [], space.names if space else {}
    for i in np.argsort(-counts)[:most]:
        number = int(ids[i])
        name = "without a label" if number == UNLABELLED else names.get(number, f"label {number}")
        r, g, b = label_color(number)
        entries.append(f'<span><i style="background:rgb({r},{g},{b})"></i>{escaped(name)} '
                       f"{100 * counts[i] / len(labels):.1f} %</span>")
    more = f"<span>and {len(ids) - most} more</span>" if len(ids) > most else ""
    return f'<div class="legend">{"".join(entries)}{more}</div>'


def _trajectory(record: RunRecord) -> str:
    if not record.trajectory:
        return "<h2>Trajectory</h2><p>No frame has a pose.</p>"
    xyz = _broken(record.trajectory)
    keys = np.array([p.T_map_rig[:3, 3] for p in record.keyframes]).reshape(-1, 3)
    truth = None if not record.ground_truth_map else _broken(record.ground_truth_map)
    panels = []
    for title, a, b in (("from above", 0, 1), ("from the south", 0, 2), ("from the west", 1, 2)):
        lines = [] if truth is None else [Line(truth[:, a], truth[:, b], "gt")]
        lines += [Line(keys[:, a], keys[:, b], "kf", dots=True), Line(xyz[:, a], xyz[:, b], "est", start=True)]
        axes = "xyz"
        panel = plot(lines, title, f"{axes[a]} in m", f"{axes[b]} in m", 400, 340, equal=True)
        panels.append(f"<div>{panel}</div>")
    key = _line_key("est", "camera (○ start, □ end, dots: keyframes)")
    if truth is not None:
        key += _line_key("gt", "ground truth, aligned rigidly")
    return (f'<h2>Trajectory</h2><div class="legend">{key}</div><div class="grid3">{"".join(panels)}</div>'
            f"{_error_plot(record)}")


def _line_key(css: str, meaning: str) -> str:
    return (f'<span><svg class="key" viewBox="0 0 30 6"><polyline class="{css}" points="0,3 30,3"/></svg> '
            f"{escaped(meaning)}</span>")


def _broken(poses: Sequence[TrajectoryPose]) -> np.ndarray:
    """Positions (N, 3) with NaN rows at pauses, so that a plot does not bridge them; at most about 2000 of them."""
    xyz = np.array([p.T_map_rig[:3, 3] for p in poses])
    stamps = np.array([p.stamp_ns for p in poses], np.int64)
    steps = np.diff(stamps)
    holes = np.flatnonzero(steps > _GAP_FACTOR * np.median(steps)) + 1 if len(steps) else np.zeros(0, int)
    keep = np.zeros(len(xyz), bool)
    keep[:: max(1, len(xyz) // 2000)] = True
    keep[-1] = keep[holes] = keep[np.maximum(holes - 1, 0)] = True
    parts = np.split(np.arange(len(xyz)), holes)
    return np.concatenate([np.vstack([xyz[p[keep[p]]], np.full((1, 3), np.nan)]) for p in parts])


def _error_plot(record: RunRecord) -> str:
    """Distance to the ground truth over time."""
    if not record.ground_truth_map:
        return ""
    pairs = associate(record.trajectory, record.ground_truth_map, time_offset_ns=record.time_offset_ns)
    if len(pairs) < 3:
        return ""
    at, true = (np.array([p.T_map_rig[:3, 3] for p in poses]) for poses in (record.trajectory, record.ground_truth_map))
    errors = np.array([np.linalg.norm(at[i] - true[j]) for i, j in pairs])
    t = np.array([(record.trajectory[i].stamp_ns - record.trajectory[pairs[0][0]].stamp_ns) * 1e-9 for i, _ in pairs])
    picked, values = thin(errors, 800)
    return plot([Line(t[picked], 100 * values, "err")], "distance to the ground truth", "s", "cm", 1080, 200, zero=True)


def _samples(samples: Sequence[Sample]) -> str:
    if not samples:
        return ""
    columns = []
    first = samples[0].stamp_ns
    for s in samples:
        parts = [s.image, *(p for p in (s.depth, s.labels) if p is not None)]
        caption = f"{s.camera}, {(s.stamp_ns - first) * 1e-9:.2f} s"
        images = "".join(image_tag(p, caption) for p in parts)
        columns.append(f"<figure>{images}<figcaption>{escaped(caption)}</figcaption></figure>")
    shown = ["image"] + (["depth"] if any(s.depth is not None for s in samples) else []) \
        + (["labels"] if any(s.labels is not None for s in samples) else [])
    return f'<h2>Input: {", ".join(shown)}</h2><div class="samples">{"".join(columns)}</div>'


def _errors(m: dict[str, Any]) -> str:
    truth = m["ground_truth"]
    if not truth:
        return ""
    words = {"sim3": "ATE, aligned with scale", "se3": "ATE, aligned rigidly", "none": "ATE, not aligned",
             "origin": "ATE, first poses laid over"}
    rows = [[words[n], *(f"{100 * s[k]:.2f} cm" for k in _COLUMNS), str(s["count"])]
            for n, s in truth["ate_m"].items()]
    for step in ("metre", "second"):
        moved, turned = truth["rpe_translation_m"].get(step), truth["rpe_rotation_rad"].get(step)
        if moved:
            rows.append([f"RPE over one {step}", *(f"{100 * moved[k]:.2f} cm" for k in _COLUMNS), str(moved["count"])])
            rows.append([f"RPE over one {step}, rotation", *(f"{np.degrees(turned[k]):.2f}°" for k in _COLUMNS),
                         str(turned["count"])])
    scale = "not determined" if truth["scale"] is None else f"{truth['scale']:.4f}"
    return (f"<h2>Against the ground truth</h2><p>{escaped(truth['name'])}: {truth['matched']} of {truth['poses']} poses "
            f"have one close in time; its path is {truth['path_m']:.2f} m long. Scale to the truth: {scale}.</p>"
            + table(("", "RMSE", "mean", "median", "largest", "count"), rows))


def _stages(record: RunRecord) -> str:
    stages = record.metrics["stages_ms"]
    if not stages:
        return ""
    top = max(s["mean"] for s in stages.values()) or 1.0
    rows = "".join(
        f'<tr><td>{escaped(n)}</td><td class="bar"><i style="width:{100 * s["mean"] / top:.1f}%"></i></td>'
        + "".join(f'<td class="n">{_number(s[k])}</td>' for k in ("mean", "p50", "p95"))
        + f'<td class="n">{s["count"]}</td></tr>'
        for n, s in stages.items())
    sums = _frame_sums(record.stages)
    picked, values = thin(sums, 800)
    line = plot([Line(picked.astype(float), values, "est")], "all stages together, frame by frame", "frame", "ms", 1080,
                200, zero=True) if len(sums) > 1 else ""
    return ('<h2>Milliseconds per stage</h2><table><thead><tr><th>stage</th><th></th><th class="n">mean</th>'
            '<th class="n">median</th><th class="n">95 %</th><th class="n">frames</th></tr></thead><tbody>'
            f"{rows}</tbody></table>{line}")


def _frame_sums(stages: StageTimes) -> np.ndarray:
    """Milliseconds of all stages that run in every frame, summed, (frames,)."""
    series = [stages.series(n) for n in stages.summary()]
    whole = [s for s in series if len(s) == stages.frames]
    return np.sum(whole, axis=0) if whole else np.zeros(0)


def _facts(m: dict[str, Any]) -> str:
    scale, gravity, map_ = m["scale"], m["gravity"], m["map"]
    deviation = "" if scale["std"] is None else f", known to {100 * scale['std']:.1f} %"
    rows = [("scale", f"metric, from {scale['source']}{deviation}" if scale["is_metric"] else "not metric"),
            ("gravity", f"z is up, from {gravity['source']}" if gravity["known"] else "unknown: there is no 2D grid"),
            ("sessions", m["sessions"]), ("loops closed", m["loops"]),
            ("voxels", f"{100 * map_['voxel_size_m']:g} cm; {100 * map_['labelled_share']:.1f} % of them have a label"),
            ("memory", f"map {map_['bytes'] / 2**20:.1f} MiB, keyframes {m['keyframe_bytes'] / 2**20:.1f} MiB, GPU "
                       f"{m['peak_gpu_bytes'] / 2**20:.1f} MiB"),
            ("time", f"{m['wall_s']:.1f} s for {m['source']['duration_s']:.1f} s of input")]
    rows += [("input", line) for line in m["source"].get("taken", [])]
    rows += [(f"focal length of {c}", f"{f:.1f} px{', estimated' if m['focal_is_estimated'].get(c) else ''}")
             for c, f in m["focal_px"].items()]
    return "<h2>Facts</h2>" + table(("", ""), [[escaped(k), escaped(v)] for k, v in rows], numeric=9)


def _parameters(m: dict[str, Any]) -> str:
    defaults = {name: value for name, _, value in walk(Config())}
    rows = [[*(f"<code>{escaped(x)}</code>" for x in (name, value, defaults[name])), escaped(f.metadata["description"])]
            for name, f, value in walk(from_dict(m["config"])) if value != defaults[name]]
    if not rows:
        return "<h2>Parameters</h2><p>All parameters have their default values.</p>"
    head = ("parameter", "value", "default", "meaning")
    return "<h2>Parameters that differ from the default</h2>" + table(head, rows, numeric=9)


def _number(value: float | None) -> str:
    """Three significant digits, without an exponent."""
    if value is None or not np.isfinite(value):
        return "?"
    if value == 0:
        return "0"
    digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return f"{value:.{digits}f}"
