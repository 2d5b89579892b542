# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Label spaces of the package, knowledge of their classes, and ways from one to another."""
from pathlib import Path

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.semantics.classes import GROUPS, Classes, read_classes
from lsm_ros.semantics.label_spaces import find_label_space
from lsm_ros.semantics.segmenters.network import NetworkSegmenter
from lsm_ros.semantics.translation import translation
from lsm_ros.types import UNLABELLED, Frame

FOLDER = Path(__file__).resolve().parents[2] / "config" / "label_spaces"
SPACES = {"indoor": 51, "voc": 21, "coco": 80, "ade20k": 150, "cityscapes": 19, "scannet20": 20}
CLASSES = Classes()


@pytest.mark.parametrize("space", SPACES)
def test_the_vocabulary_knows_all_names_of_the_package(space):
    names = find_label_space(space).names
    assert len(names) == SPACES[space]
    assert not [n for n in names.values() if CLASSES.common_name(n) not in CLASSES._about]


def test_all_label_spaces_are_tested():
    assert {p.stem for p in FOLDER.glob("*.yaml")} == set(SPACES)


@pytest.mark.parametrize(("name", "common", "group", "counted", "dynamic"), [
    ("Potted_Plant", "plant", "object", True, False), ("chairs", "chair", "furniture", True, False),
    ("pedestrian", "person", "person", True, True), ("rug", "carpet", "ground", False, False),
    ("wall", "wall", "structure", False, False), ("boxes", "box", "object", True, False),
    ("background", "void", "void", False, False),
    ("flux capacitor", "flux capacitor", "object", True, False)])
def test_classes_by_any_of_their_names(name, common, group, counted, dynamic):
    about = CLASSES.about(name)
    assert (about.name, about.group, about.is_counted, about.dynamic) == (common, group, counted, dynamic)
    assert about.color == CLASSES.about(common).color and about.group in GROUPS


def test_a_file_changes_what_is_known(tmp_path):
    file = tmp_path / "classes.yaml"
    file.write_text("carpet: {group: object, cost: 40, color: [1, 2, 3], synonyms: [flokati]}\nforklift: {group: vehicle}\n")
    classes = read_classes(str(file))
    assert classes.about("Flokati") == classes.about("rug") and classes.about("rug").cost == 40
    assert classes.about("rug").color == (1, 2, 3) and classes.about("rug").is_counted
    assert classes.about("forklift").dynamic and not Classes().about("rug").is_counted


@pytest.mark.parametrize(("text", "says"), [
    ("chair: {group: furnitures}", "the group of 'chair' is 'furnitures', which is none of void"),
    ("chair: {colour: 1}", "class 'chair' may have group, dynamic"), ("chair: 3", "class 'chair' may have group"),
    ("chair: {color: [1, 2, 300]}", "color of 'chair' must be three"),
    ("chair: {cost: 101}", "cost of 'chair' must be a whole"),
    ("chair: {dynamic: maybe}", "dynamic of 'chair' must be true"), ("chair: {synonyms: seat}", "must be a list of names"),
    ("[chair]", "expected `name:")])
def test_files_that_are_wrong_are_named(tmp_path, text, says):
    (tmp_path / "classes.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"classes.yaml: .*{says}"):
        read_classes(str(tmp_path / "classes.yaml"))


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match="classes nowhere.yaml does not exist"):
        read_classes("nowhere.yaml")


def test_from_one_label_space_to_another(tmp_path):
    ade, indoor = find_label_space("ade20k"), find_label_space("indoor")
    found = translation(ade, "indoor", CLASSES)
    names = {ade.names[i]: indoor.names[j] for i, j in found.ids.items()}
    assert names["armchair"] == "chair" and names["rug"] == "carpet" and names["coffee table"] == "table"
    assert names["screen"] == "monitor" and names["wall"] == "wall" and "sky" not in names and "mountain" not in names
    assert found.space == indoor
    back = translation(find_label_space("voc"), "coco", CLASSES).ids
    assert len(back) == 20  # all but the background
    own = tmp_path / "own.yaml"
    own.write_text("1: spoon\n")
    with pytest.raises(ValueError, match="none of the names road, sidewalk, .* has a counterpart in .*own.yaml"):
        translation(find_label_space("cityscapes"), str(own), CLASSES)


def test_files_of_groups(tmp_path):
    file = tmp_path / "groups.yaml"
    file.write_text("name: some\noffset: -1\ngroups:\n- {name: Unknown, labels: [3]}\n- {name: Wall, labels: [1, 2]}\n")
    found = translation(find_label_space("ade20k"), str(file), CLASSES)
    assert found.space.names == {0: "Unknown", 1: "Wall"} and found.ids == {0: 1, 1: 1, 2: 0}
    file.write_text("groups:\n- {name: a, labels: [1]}\n- {name: b, labels: [1]}\n")
    with pytest.raises(ValueError, match="groups.yaml cannot be read: label 1 is in two groups, the second of which is 'b'"):
        translation(find_label_space("ade20k"), str(file), CLASSES)


def test_label_spaces_as_hydra_has_them(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("total_semantic_labels: 3\ndynamic_labels: [2]\n"
                    "label_names:\n- {label: 0, name: unknown}\n- {label: 2, name: air_vent}\n")
    assert find_label_space(str(file)).names == {0: "unknown", 2: "air_vent"}
    file.write_text("label_names:\n- {id: 0}\n")
    with pytest.raises(ValueError, match="space.yaml: expected lines `id: name`"):
        find_label_space(str(file))


class Stripes(NetworkSegmenter):
    """Gives each of its classes a column."""

    def __init__(self, config):
        self._begin(config, find_label_space("scannet20"))

    def predict(self, image):
        return np.arange(20)[None].repeat(2, 0), np.ones((2, 20), np.float32)


def test_a_segmenter_speaks_in_the_names_that_are_wanted():
    frame = Frame(1, "camera", np.zeros((2, 20, 3), np.uint8))
    segmenter = Stripes(from_dict({"semantics.segmenter_labels": "indoor"}))
    indoor = find_label_space("indoor").names
    assert segmenter.label_space.names == indoor
    labels = segmenter.segment(frame)[0]
    assert [indoor.get(i) for i in labels[:6].tolist()] == ["wall", "floor", "cabinet", "bed", "chair", "sofa"]
    assert labels[-1] == UNLABELLED  # other furniture
