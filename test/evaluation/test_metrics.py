# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import json
from pathlib import Path

import numpy as np
import pytest
from helpers.metrics_keys import undocumented

from lsm_ros.evaluation import metrics


def test_page_and_table_are_the_same():
    page = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
    assert page.read_text(encoding="utf-8") == metrics.metrics_page(), "write metrics_page() to docs/metrics.md"
    for key in metrics.METRICS:
        assert f"| `{key}` |" in metrics.metrics_page()


def test_undocumented_keys_are_found():
    good = {"coverage": 1.0, "stages_ms": {"track": {"mean": 1.0}}, "config": {"anything": {"at": "all"}},
            "ground_truth": {"rpe_translation_m": {"metre": None}}}
    assert undocumented(good) == []
    assert undocumented({"coverag": 1.0, "stages_ms": {"track": {"mode": 1.0}}, "map": None}) \
        == ["coverag", "stages_ms.track.mode", "map"]


def test_file_is_strict_json(tmp_path):
    path = tmp_path / metrics.FILE
    metrics.write(path, {"a": float("nan"), "b": np.float32(1.5), "c": [np.int64(3), float("inf")], 4: np.eye(2)})
    assert json.loads(path.read_text(), parse_constant=pytest.fail) \
        == {"a": None, "b": 1.5, "c": [3, None], "4": [[1.0, 0.0], [0.0, 1.0]]}
    assert metrics.read(path)["b"] == 1.5


@pytest.mark.parametrize("text", ["{", "[1]", ""])
def test_what_is_no_metrics_file(tmp_path, text):
    path = tmp_path / metrics.FILE
    path.write_text(text)
    with pytest.raises(ValueError, match=r"metrics\.json"):
        metrics.read(path)
    with pytest.raises(FileNotFoundError):
        metrics.read(tmp_path / "none.json")
