# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bounds of what files may unpack to, in every reader of them, and errors that name the file."""
import json
import zipfile

import numpy as np
import pytest
from helpers.memory import refused_within
from helpers.saved_maps import write_bomb

from lsm_ros import reading
from lsm_ros.commands.options import assignments
from lsm_ros.config import load_config
from lsm_ros.datasets.base import read_camera_file, read_label_space
from lsm_ros.reading import open_arrays, read_yaml
from lsm_ros.semantics.label_spaces import find_label_space
from lsm_ros.training.config import load_train_config

MEGABYTE = 1 << 20
ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
DEEP = "a: " + "[" * 20_000
YAML = {"aliases": (ALIASES, "alias"), "deep lists": (DEEP, "nested more than"),
        "deep names": ("a: " + "{a: " * 5000, "nested"),
        "no YAML": ("a: [1", "is not YAML"), "bytes": (b"a: \xff\xfe", "UTF-8"),
        "too long": (b"#" * (reading.MOST_TEXT_BYTES + 1), "more than")}


@pytest.mark.parametrize("read", [load_config, load_train_config, read_camera_file, read_label_space,
                                  lambda path: find_label_space(str(path))])
@pytest.mark.parametrize("text, named", YAML.values(), ids=list(YAML))
def test_every_reader_of_yaml_refuses_and_names_the_file(tmp_path, read, text, named):
    path = tmp_path / "odd.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=named) as error:
        read(path)
    assert "odd.yaml" in str(error.value) and len(str(error.value)) < 500


def test_yaml_of_parameters_and_launch_files(tmp_path):
    pytest.importorskip("rclpy")
    from lsm_ros.ros.launch_arguments import read_parameters
    from lsm_ros.ros.replay_qos import recorded_qos

    for name, read in (("params.yaml", read_parameters), ("metadata.yaml", lambda path: recorded_qos(path.parent))):
        (tmp_path / name).write_text(ALIASES)
        with pytest.raises(ValueError, match="alias"):
            read(tmp_path / name)


@pytest.mark.parametrize("value", [DEEP, "&a [1, *a]"])
def test_values_on_the_command_line(value):
    with pytest.raises(ValueError, match="^--set 'node.x="):
        assignments([f"node.x={value}"], "--set")


def test_plain_yaml_is_as_before():
    assert read_yaml("a: [1, {b: &x 2.5}]\nc: '*a'", "t") == {"a": [1, {"b": 2.5}], "c": "*a"}
    assert read_yaml("[" * reading.MOST_DEPTH + "]" * reading.MOST_DEPTH, "t")


def test_archives_of_zeros_are_refused_and_arrays_of_zeros_are_not(tmp_path):
    path = tmp_path / "bomb.npz"
    write_bomb(path, {"a": 200 * MEGABYTE})
    with pytest.raises(ValueError, match=r"bomb\.npz cannot be read: its \d+ bytes would unpack to 209"), open_arrays(path):
        pass
    np.savez_compressed(path, a=np.zeros(50 * MEGABYTE, np.uint8))
    with open_arrays(path) as arrays:
        assert arrays["a"].size == 50 * MEGABYTE


def test_many_small_parts_count_together(tmp_path):
    path = tmp_path / "bomb.npz"
    write_bomb(path, {f"a{n}": 10 * MEGABYTE for n in range(20)})
    with zipfile.ZipFile(path) as archive, pytest.raises(ValueError, match="would unpack"):
        reading.check_archive(archive, path)


def test_every_reader_of_arrays_refuses_within_the_memory(tmp_path):
    """A map of gigabytes of zeros, as it may come from anybody: without checksums, for those can be made by anybody, too."""
    size = 450 * MEGABYTE
    graph, voxels = tmp_path / "of graph", tmp_path / "of voxels"
    for folder in (graph, voxels):
        (folder / "map").mkdir(parents=True)
        (folder / "map.json").write_text(json.dumps({"format": 2, "pair_model": "depth", "keyframes": [], "links": []}))
    write_bomb(graph / "graph.npz", {"0/front/gray": size})
    write_bomb(voxels / "map" / "voxel_map.npz", {"meta": size})
    write_bomb(tmp_path / "features.npz", {"voxel": size})
    assert (tmp_path / "features.npz").stat().st_size < 2 * MEGABYTE
    texts = refused_within("""
        from pathlib import Path
        from lsm_ros.config import Config
        from lsm_ros.fusion.files.feature_file import read_features
        from lsm_ros.fusion.voxel_map import VoxelMap
        from lsm_ros.mapping.pipeline import MappingPipeline
        from lsm_ros.pairs.vlad import load_vocabulary
        pipeline = MappingPipeline(Config())
        """, f"folder = Path({str(tmp_path)!r})", [
        "pipeline.load(folder / 'of graph')", "VoxelMap(Config().fusion).load(folder / 'of voxels' / 'map')",
        "read_features(folder / 'features.npz')", "load_vocabulary(folder / 'features.npz')"])
    assert all("would unpack" in text for text in texts), texts
