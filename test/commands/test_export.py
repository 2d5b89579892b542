# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Folders that `lsm export` makes, as all commands do, around a stand-in of the exporter."""
from types import SimpleNamespace

import pytest

from lsm_ros import cli, models
from lsm_ros.models import onnx_export


@pytest.fixture
def exporter(monkeypatch):
    """paths: what was written; fails: a part that ends in an error."""
    state = SimpleNamespace(paths=[], fails=None)

    def export(model, path, part, *_):
        path.parent.mkdir(parents=True, exist_ok=True)
        if part == state.fails:
            raise ValueError(f"{part} differs")
        path.write_text(part)
        state.paths.append(path)
        return {}

    monkeypatch.setattr(onnx_export, "needed", lambda name: None)
    monkeypatch.setattr(models, "load", lambda name: name)
    monkeypatch.setattr(onnx_export, "export", export)
    return state


def test_missing_folders_are_made(exporter, tmp_path):
    assert cli.main(["export", "net", str(tmp_path / "a" / "b" / "net.onnx")]) == 0
    assert exporter.paths == [tmp_path / "a" / "b" / f"net_{part}.onnx" for part in onnx_export.PARTS]


@pytest.mark.parametrize(("fails", "left"), [("encoder", []), ("decoder", ["a", "a/b", "a/b/net_encoder.onnx"])])
def test_they_go_again_when_nothing_was_written(exporter, tmp_path, fails, left):
    exporter.fails = fails
    assert cli.main(["export", "net", str(tmp_path / "a" / "b" / "net.onnx")]) == 2
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == left
