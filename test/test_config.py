# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from pathlib import Path

import pytest

from lsm_ros.config import Config, from_dict, load_config, parameter_table, walk


def test_every_parameter_is_described_and_its_default_is_valid():
    names = [name for name, _, _ in walk(Config())]
    assert len(names) == len(set(names)) > 40
    for name, f, _ in walk(Config()):
        assert len(f.metadata["description"]) > 10, name


def test_nested_and_dotted_names_mean_the_same():
    a = from_dict({"fusion": {"voxel_size": 0.02}, "seed": 3})
    b = from_dict({"fusion.voxel_size": 0.02, "seed": 3})
    assert a == b and a.fusion.voxel_size == 0.02 and a.seed == 3
    assert a.digest() == b.digest() != Config().digest()


@pytest.mark.parametrize("values, message", [
    ({"fusion.voxel_sise": 0.1}, "unknown parameter 'fusion.voxel_sise'; did you mean 'fusion.voxel_size'"),
    ({"fusion.voxel_size": -1.0}, "fusion.voxel_size: -1.0 is outside"),
    ({"fusion.voxel_size": float("nan")}, "fusion.voxel_size: expected float, got nan"),
    ({"fusion.voxel_size": "5 cm"}, "fusion.voxel_size: expected float, got '5 cm'"),
    ({"tracking.min_inliers": True}, "tracking.min_inliers: expected int, got True"),
    ({"pairs.model": "magic"}, "pairs.model: 'magic' is none of"),
    ({"pairs.min_depth": 5.0, "pairs.max_depth": 1.0}, "min_depth 5.0 is not below"),
    ({"grid": {"min_height": 2.0, "max_height": 1.0}}, "grid.min_height 2.0 is not below"),
])
def test_bad_values_are_named(values, message):
    with pytest.raises(ValueError) as error:
        from_dict(values)
    assert message in str(error.value)


def test_whole_numbers_do_for_floats():
    assert from_dict({"fusion.voxel_size": 1}).fusion.voxel_size == 1.0


@pytest.mark.parametrize(("text", "value"), [("2e-2", 0.02), ("1E-1", 0.1), ("+1.5e-1", 0.15)])
def test_numbers_with_an_exponent_are_numbers_although_yaml_has_them_as_text(tmp_path, text, value):
    (tmp_path / "c.yaml").write_text(f"fusion.voxel_size: {text}\n")
    assert load_config(tmp_path / "c.yaml").fusion.voxel_size == value
    with pytest.raises(ValueError, match="seed: expected int, got '1e3'"):
        from_dict({"seed": "1e3"})


def test_numbers_with_an_exponent_have_the_same_bounds():
    with pytest.raises(ValueError, match="fusion.voxel_size: "):
        from_dict({"fusion.voxel_size": "1e999"})


def test_reads_yaml_and_ros_parameter_files(tmp_path):
    plain = tmp_path / "plain.yaml"
    plain.write_text("fusion:\n  voxel_size: 0.1\ntracking.references: 2\n")
    ros = tmp_path / "ros.yaml"
    ros.write_text("/**:\n  ros__parameters:\n    use_sim_time: true\n    cameras: [front]\n    front: {extra: 1}\n"
                   "    fusion:\n      voxel_size: 0.1\n    tracking:\n      references: 2\n")
    assert load_config(plain) == load_config(ros) == from_dict({"fusion.voxel_size": 0.1, "tracking.references": 2})
    assert load_config(None) == Config()


def test_bad_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.yaml does not exist"):
        load_config(tmp_path / "nowhere.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [1")
    with pytest.raises(ValueError, match="bad.yaml is not YAML"):
        load_config(bad)
    bad.write_text("- 1\n- 2\n")
    with pytest.raises(ValueError, match="expected names and values"):
        load_config(bad)


def test_table_lists_every_parameter():
    table = parameter_table()
    assert all(f"| `{name.removeprefix('node.')}` |" in table for name, _, _ in walk(Config()))


def test_the_parameter_file_of_the_node_is_a_config():
    path = Path(__file__).resolve().parent.parent / "config" / "mapping.yaml"
    assert load_config(path) == Config()
    assert from_dict({"base_frame": "base_link"}).node.base_frame == "base_link"
