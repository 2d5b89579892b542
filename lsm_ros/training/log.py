# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The log of a training: log.jsonl as it goes, log.csv and curves.png from it."""
from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsm_ros.files import replacing, write_text

LOG_FILE, TABLE_FILE, CURVES_FILE = "log.jsonl", "log.csv", "curves.png"


class TrainingLog:
    """Appends rows to DIR/log.jsonl. `after`: rows of later steps are dropped first, for they will come again."""

    def __init__(self, folder: Path, after: int | None = None) -> None:
        self.folder, self.path = folder, folder / LOG_FILE
        rows = [] if after is None else [r for r in read_log(folder) if r["step"] <= after]
        write_text(self.path, "".join(json.dumps(r) + "\n" for r in rows))

    def add(self, row: Mapping[str, Any]) -> None:
        """Writes a row at once. `step` counts the steps that were done; `validation` rows have figures under that name. OSError
        names the file; an incomplete row is dropped when the training goes on."""
        try:
            with self.path.open("a", encoding="utf-8") as f:
                f.write(json.dumps(dict(row)) + "\n")
        except OSError as error:  # the error of a write does not name its file
            raise OSError(error.errno, error.strerror or str(error), str(self.path)) from error


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The rows; a last line that is not complete is left out. Empty when there is no log. ValueError names a damaged line."""
    path = folder / LOG_FILE
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]  # after the last newline nothing is complete
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if line else None
            if row is not None:
                int(row["step"])
                rows.append(row)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{path}: line {number} is damaged; remove it") from error
    return rows


def write_curves(folder: Path) -> list[Path]:
    """Writes log.csv, and curves.png where matplotlib is installed. Returns the written paths."""
    rows = read_log(folder)
    flat = [{k: v for k, v in r.items() if k != "validation"} | {f"val_{k}": v for k, v in r.get("validation", {}).items()}
            for r in rows]
    names = list(dict.fromkeys(k for r in flat for k in r))
    table, text = folder / TABLE_FILE, io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    write_text(table, text.getvalue())
    if importlib.util.find_spec("matplotlib") is None or not rows:
        return [table]
    return [table, _draw(folder / CURVES_FILE, flat, names)]


def _draw(target: Path, rows: list[dict[str, Any]], names: list[str]) -> Path:
    """One panel for the loss and its parts, one for the figures of validation."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    losses, shares = figure.subplots(1, 2)
    for name in names:
        points = [(r["step"], r[name]) for r in rows if r.get(name) is not None and isinstance(r[name], (int, float))]
        if not points or name in ("step", "lr", "gradient", "pairs_per_s", "skipped"):
            continue
        figure_of_validation = name.startswith("val_") and name != "val_loss"
        axes = shares if figure_of_validation else losses
        axes.plot(*zip(*points, strict=True), label=name.removeprefix("val_") if figure_of_validation else name,
                  marker="." if name.startswith("val_") else None, linewidth=1.8 if name == "loss" else 1)
    for axes, title in ((losses, "loss and its parts"), (shares, "held-out worlds, averaged weights")):
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
    with replacing(target) as part:
        figure.savefig(part, format="png", dpi=110)
    return target
