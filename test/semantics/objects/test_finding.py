# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Instances in labelled voxels."""
import numpy as np
import pytest

from lsm_ros.semantics.classes import Classes
from lsm_ros.semantics.objects import Box, LabelledVoxels, find_objects
from lsm_ros.types import LabelSpace

SIZE = 0.05
NAMES = LabelSpace({1: "chair", 2: "armchair", 3: "wall", 4: "person"})


def block(low, size, label=1, probability=0.9):
    """Voxels of the surface of a box with its low corner and size in voxels, its label and probability."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in size], indexing="ij"), -1).reshape(-1, 3)
    rim = ((index == 0) | (index == np.array(size) - 1)).any(1)
    index = index[rim] + low
    return index, np.full(len(index), label), np.full(len(index), probability)


def found(*blocks, **options):
    voxel, labels, probability = (np.concatenate(a) for a in zip(*blocks, strict=True))
    cloud = LabelledVoxels(voxel.astype(np.int32), ((voxel + 0.5) * SIZE).astype(np.float32), labels.astype(np.uint16),
                           probability.astype(np.float32), SIZE)
    return find_objects(cloud, NAMES, Classes(), **options)


def test_each_thing_apart_is_an_object_with_its_box():
    one, two = found(block((0, 0, 0), (10, 6, 12)), block((30, 0, 0), (8, 8, 8)), block((60, 0, 0), (40, 3, 40), 3))
    assert {o.label for o in (one, two)} == {"chair"}  # walls are not counted
    assert np.allclose(sorted(one.box.size), [0.3, 0.5, 0.6], atol=1e-4) and np.allclose(one.box.centre, [0.25, 0.15, 0.3])
    assert np.allclose(two.box.size, 0.4, atol=1e-4) and one.probability == pytest.approx(0.9)


def test_a_gap_of_a_hand_joins_and_one_of_an_arm_does_not():
    assert len(found(block((0, 0, 0), (10, 6, 6)), block((11, 0, 0), (10, 6, 6)))) == 1
    assert len(found(block((0, 0, 0), (10, 6, 6)), block((18, 0, 0), (10, 6, 6)))) == 2


def test_synonyms_are_one_class():
    (one,) = found(block((0, 0, 0), (5, 6, 6)), block((5, 0, 0), (5, 6, 6), 2))
    assert one.label == "chair" and np.allclose(sorted(one.box.size), [0.3, 0.3, 0.5], atol=1e-4)


def test_two_that_touch_at_a_neck_are_two():
    """Each 0.6 m thick, joined by what is 0.2 m wide."""
    left, right = block((0, 0, 0), (12, 12, 10)), block((14, 0, 0), (12, 12, 10))
    assert len(found(left, right, block((12, 4, 0), (2, 4, 10)))) == 2
    assert len(found(left, right, block((12, 0, 0), (2, 12, 10)))) == 1  # a bench


def test_small_and_unsure_things_are_left_out():
    assert not found(block((0, 0, 0), (3, 3, 3)), min_size=0.2)
    assert not found(block((0, 0, 0), (9, 9, 9), probability=0.2), min_probability=0.3)
    assert len(found(block((0, 0, 0), (9, 9, 9), probability=0.4), min_probability=0.3)) == 1


def test_no_voxels_are_no_objects():
    empty = LabelledVoxels(np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32), np.zeros(0, np.uint16),
                           np.zeros(0, np.float32), SIZE)
    assert find_objects(empty, NAMES, Classes()) == []


def test_boxes_lie_along_the_thing():
    angle = 0.5
    x, y, z = np.meshgrid(np.linspace(-1, 1, 41), np.linspace(-0.25, 0.25, 11), np.linspace(0, 0.5, 11))
    c, s = np.cos(angle), np.sin(angle)
    points = np.stack([c * x - s * y + 3, s * x + c * y - 1, z], -1).reshape(-1, 3)
    box = Box.around(points)
    assert box.yaw == pytest.approx(angle, abs=1e-3) and np.allclose(box.size, [2, 0.5, 0.5], atol=1e-3)
    assert np.allclose(box.centre, [3, -1, 0.25], atol=1e-3)
    assert box.overlap(box) == pytest.approx(1, abs=1e-4)
    assert box.overlap(Box(box.centre + [0, 0, 0.25], box.size, box.yaw)) == pytest.approx(1 / 3, abs=1e-4)
    assert box.overlap(Box(box.centre + [5, 0, 0], box.size, box.yaw)) == 0
    T = np.eye(4)
    T[:2, :2], T[:3, 3] = [[0, -1], [1, 0]], [1, 2, 3]
    moved = box.moved(T)
    assert np.allclose(moved.centre, [2, 5, 3.25], atol=1e-3) and moved.yaw == pytest.approx(angle + np.pi / 2, abs=1e-3)
    assert np.allclose(moved.T_map_box, T @ box.T_map_box, atol=1e-6)
