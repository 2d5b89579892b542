# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The classes of sources have what `open_source` uses."""
import inspect

import pytest

from lsm_ros.datasets.base import Source, SourceKind
from lsm_ros.registry import SOURCES, load


@pytest.mark.parametrize("name", SOURCES)
def test_a_class_of_sources_recognizes_a_path_and_takes_options_by_name(name, tmp_path):
    kind = load(SOURCES, name, "source")
    assert isinstance(kind, SourceKind)
    assert kind.recognizes(tmp_path) is False
    path, *options = inspect.signature(kind).parameters.values()
    assert path.kind is path.POSITIONAL_OR_KEYWORD
    assert options and all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in options)


def test_a_class_without_it_is_none():
    class Closed:
        pass

    assert not isinstance(Closed, SourceKind) and not isinstance(Closed(), Source)
