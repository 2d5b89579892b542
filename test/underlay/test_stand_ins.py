# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Originals are told from what stands in for them, and are not tested here."""
import sys

import pytest


@pytest.fixture
def conftest(request):
    return next(p for p in request.config.pluginmanager.get_plugins() if getattr(p, "STAND_INS", None))


def test_what_is_here_is_ours(conftest):
    assert conftest.originals() == []


def test_an_original_is_known(conftest, tmp_path, monkeypatch):
    for name in ("with_a_file", "namespace_package"):
        (tmp_path / name).mkdir()
    (tmp_path / "with_a_file" / "__init__.py").write_text("# Copyright: others\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    names = ("with_a_file", "namespace_package", "not_here")
    assert conftest.originals(names) == ["with_a_file", "namespace_package"]
