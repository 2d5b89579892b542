# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The transform tree, and the log of warnings."""
from types import SimpleNamespace

import numpy as np
import pytest

from lsm_ros.datasets.base import WarningLog, natural_key, stamp_from_text, stamp_to_text
from lsm_ros.datasets.tf_tree import TransformError, TransformTree, pose_matrix
from lsm_ros.geometry.lie import make_se3, se3_exp, so3_exp

RNG = np.random.default_rng(11)


@pytest.fixture
def tree():
    tree = TransformTree()
    tree.set_static("base", "cam", A)
    tree.add("odom", "base", 100, make_se3(np.eye(3), [0, 0, 0]))
    tree.add("odom", "base", 300, make_se3(so3_exp([0, 0, 1.0]), [2, 0, 0]))
    return tree


A = se3_exp(RNG.normal(size=6))


def test_interpolates(tree):
    expected = make_se3(so3_exp([0, 0, 0.25]), [0.5, 0, 0]) @ A
    np.testing.assert_allclose(tree.lookup("odom", "cam", 150), expected, atol=1e-12)
    np.testing.assert_allclose(tree.lookup("cam", "odom", 150), np.linalg.inv(expected), atol=1e-12)
    np.testing.assert_allclose(tree.lookup("odom", "base", 300)[:3, 3], [2, 0, 0])
    np.testing.assert_allclose(tree.lookup("odom", "base", None)[:3, 3], [2, 0, 0])
    np.testing.assert_allclose(tree.lookup("cam", "cam", 7), np.eye(4))


@pytest.mark.parametrize("stamp_ns", [99, 301])
def test_never_extrapolates(tree, stamp_ns):
    with pytest.raises(TransformError, match="odom -> base is known from 100 to 300 ns"):
        tree.lookup("odom", "cam", stamp_ns)


def test_branches(tree):
    B = se3_exp(RNG.normal(size=6))
    tree.set_static("base", "lidar", B)
    np.testing.assert_allclose(tree.lookup("lidar", "cam", 1), np.linalg.inv(B) @ A, atol=1e-12)
    assert tree.is_static("lidar", "cam") and not tree.is_static("odom", "cam")


def test_unknown_frames_are_named(tree):
    with pytest.raises(TransformError, match="'map' and 'cam'.*base, cam, odom"):
        tree.lookup("map", "cam", 150)


def test_circle():
    tree = TransformTree()
    tree.set_static("a", "b", A)
    tree.set_static("b", "a", A)
    with pytest.raises(TransformError, match="circle"):
        tree.lookup("a", "x", 0)


def test_order_does_not_matter():
    tree = TransformTree()
    for stamp in RNG.permutation(300) * 10:
        tree.add("odom", "base", int(stamp), make_se3(np.eye(3), [stamp, 0, 0]))
    for stamp in (0, 5, 1234, 2990):
        assert tree.lookup("odom", "base", stamp)[0, 3] == pytest.approx(stamp)


def test_old_ones_go():
    tree = TransformTree(keep_ns=1000)
    for stamp in range(3000):
        tree.add("odom", "base", stamp, make_se3(np.eye(3), [stamp, 0, 0]))
    assert tree.lookup("odom", "base", 2500)[0, 3] == 2500
    with pytest.raises(TransformError, match="known from"):
        tree.lookup("odom", "base", 1000)


def test_warnings_are_counted():
    log = WarningLog()
    for i in range(3):
        log.add("image skipped", f"image {i}")
    log.add("no names")
    assert log.lines() == ["image skipped (3 times): image 0", "no names"] and log.count("image skipped") == 3


@pytest.mark.parametrize("text, ns", [("0", 0), ("1.5", 1_500_000_000), ("-0.25", -250_000_000), ("1e3", 10**12),
                                      ("1700000000.123456789", 1_700_000_000_123_456_789), ("5.", 5 * 10**9)])
def test_stamps_are_exact(text, ns):
    assert stamp_from_text(text) == ns
    assert stamp_from_text(stamp_to_text(ns)) == ns


@pytest.mark.parametrize("text", ["x", "", "nan", "inf"])
def test_what_is_no_stamp(text):
    with pytest.raises(ValueError):
        stamp_from_text(text)


def test_natural_order():
    names = ["f10.png", "f2.png", "F1.png", "a.png", "10", "9"]
    assert sorted(names, key=natural_key) == ["9", "10", "a.png", "F1.png", "f2.png", "f10.png"]


def at(x):
    return make_se3(np.eye(3), np.array([x, 0.0, 0.0]))


class TestRules:
    def test_a_child_that_gets_another_parent_leaves_the_old_one(self):
        tree = TransformTree()
        tree.add("odom", "base", 0, at(1))
        tree.add("map", "base", 10, at(2))
        assert np.allclose(tree.lookup("map", "base", None), at(2))
        with pytest.raises(TransformError, match="from 10 to 10"):
            tree.lookup("map", "base", 0)
        with pytest.raises(TransformError, match="not connected"):
            tree.lookup("odom", "base", None)

    def test_a_second_pose_of_a_stamp_takes_the_place_of_the_first(self):
        tree = TransformTree()
        for stamp, x in ((0, 0.0), (10, 1.0), (10, 3.0), (20, 4.0)):
            tree.add("odom", "base", stamp, at(x))
        assert [tree.lookup("odom", "base", t)[0, 3] for t in (5, 10, 15)] == [1.5, 3.0, 3.5]

    @pytest.mark.parametrize("pair", [("base", "odom"), ("odom", "base"), ("camera", "odom"), ("lidar", "odom")])
    def test_a_way_over_a_moving_frame_is_not_static_in_either_direction(self, pair):
        tree = TransformTree()
        tree.add("odom", "base", 0, at(1))
        tree.set_static("base", "camera", at(2))
        tree.set_static("base", "lidar", at(3))
        assert not tree.is_static(*pair) and tree.is_static("camera", "lidar")

    def test_a_fixed_pose_comes_before_a_moving_one(self):
        tree = TransformTree()
        tree.add("odom", "camera", 0, at(1))
        tree.set_static("base", "camera", at(2))
        assert np.allclose(tree.lookup("base", "camera", 77), at(2))
        with pytest.raises(TransformError, match="not connected"):
            tree.lookup("odom", "camera", 0)

    @pytest.mark.parametrize("translation, rotation", [
        ((np.nan, 0, 0), (0, 0, 0, 1)), ((np.inf, 0, 0), (0, 0, 0, 1)), ((0, 0, 0), (0, 0, np.nan, 1)),
        ((0, 0, 0), (0, np.inf, 0, 1)), ((0, 0, 0), (0, 0, 0, 0)), ((0, 0, 0), (0, 0, 0, 1e-4))])
    def test_what_is_no_rigid_transform_is_refused(self, translation, rotation):
        with pytest.raises(ValueError, match="no rigid transform"):
            pose_matrix(SimpleNamespace(**dict(zip("xyz", translation, strict=True))),
                        SimpleNamespace(**dict(zip("xyzw", rotation, strict=True))))

    def test_a_quaternion_of_another_length_is_made_a_unit_one(self):
        T = pose_matrix(SimpleNamespace(x=1.0, y=2.0, z=3.0), SimpleNamespace(x=0.0, y=0.0, z=0.9, w=0.9))
        assert np.allclose(T, [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
