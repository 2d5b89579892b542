# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The classes of sources have what `open_source` uses."""
import inspect

import pytest

from lsm_ros.datasets.base import Source, SourceKind, read_camera_file, read_label_space
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


CAMERA = "image_width: 64\nimage_height: 48\nfx: 50\nfy: 50\ncx: 31\ncy: 23\n"
ODD = [".inf", "-.inf", ".nan", "[[1], [2, 3]]", "[.inf]", "2020-01-01", "!!binary aGk="]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("key", ["image_width", "fx", "D", "depth_scale", "rate_hz", "T_rig_cam"])
def test_odd_values_of_a_camera_name_its_file(tmp_path, key, value):
    (tmp_path / "camera.yaml").write_text(f"{CAMERA}{key}: {value}\n")
    with pytest.raises(ValueError, match=r"^\S+camera\.yaml: "):
        read_camera_file(tmp_path / "camera.yaml")


@pytest.mark.parametrize("text", [".inf: a", ".nan: a", "1e400: a", "-1: a", "[1]: a", "names: 5", "99999999999999999999: a",
                                  "names: {1: a}\nthreshold: []", "names: {1: a}\nthreshold: .nan"])
def test_odd_values_of_a_label_space_name_its_file(tmp_path, text):
    (tmp_path / "labels.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"^\S+labels\.yaml"):
        read_label_space(tmp_path / "labels.yaml")
