# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Results of the parts of bench/gpu_check.py: read, checked, and summarised."""
from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_NEEDS_GPU = re.compile("GPU|CUDA|CuPy", re.IGNORECASE)


def measured(path: Path) -> dict[str, Any]:
    """The figures of a bench. ValueError if there are none, or one of them is no number."""
    if not path.is_file():
        raise ValueError("it wrote no figures")
    figures = json.loads(path.read_text())
    bad = [name for name, value in _numbers(figures, "") if not math.isfinite(value)]
    if not figures or bad:
        raise ValueError(f"{', '.join(bad[:5]) or 'nothing'} in {path.name} is no number")
    return figures


def tests(path: Path) -> dict[str, Any]:
    """Counts, failures, and why tests were skipped, of a JUnit file. ValueError if none passed, or if one that needs a GPU was
    skipped for lack of it, where there is one."""
    if not path.is_file():
        raise ValueError("the tests did not end")
    counts, failures, skipped = Counter(passed=0, failed=0, skipped=0), [], Counter()
    for case in ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag: child for child in case}
        if kinds.keys() & {"failure", "error"}:
            counts["failed"] += 1
            failures.append(f"{case.get('classname')}.{case.get('name')}")
        elif "skipped" in kinds:
            counts["skipped"] += 1
            skipped[kinds["skipped"].get("message", "")] += 1
        else:
            counts["passed"] += 1
    wanting = [reason for reason in skipped if _NEEDS_GPU.search(reason)]
    if wanting:
        raise ValueError(f"{sum(skipped[r] for r in wanting)} tests found no GPU: {wanting[0]}")
    if not counts["passed"]:
        raise ValueError("no test ran")
    return {**counts, "failures": failures, "skip_reasons": dict(skipped)}


def training(path: Path) -> dict[str, Any]:
    """Steps, losses at the start and the end, and pairs a second, of a training's log. ValueError if it did not learn."""
    if not path.is_file():
        raise ValueError("no step was logged")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    losses, few = [r["loss"] for r in rows], max(1, len(rows) // 5)
    first, last = sum(losses[:few]) / few, sum(losses[-few:]) / few
    if not all(math.isfinite(v) for v in losses):
        raise ValueError("a loss is no number")
    if len(rows) < 2 or not last < first:
        raise ValueError(f"the loss did not fall: {first:.3f} to {last:.3f} in {rows[-1]['step']} steps")
    speeds = sorted(r["pairs_per_s"] for r in rows)
    return {"steps": rows[-1]["step"], "first_loss": first, "last_loss": last, "pairs_per_s": speeds[len(speeds) // 2]}


def remark(result: dict[str, Any]) -> str:
    """A few words about the results of tests and training, for the table."""
    found = result.get("results", {})
    if "failures" in found:
        names = "".join(f"\n{'':23}{name}" for name in found["failures"][:10])
        return f" ({found['passed']} passed, {found['failed']} failed, {found['skipped']} skipped){names}"
    if "pairs_per_s" in found:
        return (f" (loss {found['first_loss']:.2f} to {found['last_loss']:.2f} in {found['steps']} steps, "
                f"{found['pairs_per_s']:.0f} pairs/s)")
    return ""


def _numbers(value: Any, name: str) -> list[tuple[str, float]]:
    if isinstance(value, dict):
        return [n for k, v in value.items() for n in _numbers(v, f"{name}/{k}" if name else k)]
    if isinstance(value, list):
        return [n for v in value for n in _numbers(v, name)]
    return [(name, float(value))] if isinstance(value, (int, float)) else []
