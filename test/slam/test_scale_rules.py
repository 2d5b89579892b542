# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of the scale that a camera's lever gives, on drives that show it."""
import numpy as np
import pytest

from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.slam.scale import resized
from lsm_ros.slam.scale_sources import map_units_per_metre

LEVER = make_se3(np.eye(3), [0.5, 0.0, 1.1])


def drive(turns, scale=1.0, mount=LEVER, sideways=0.0):
    """Poses of a base that goes 0.1 m along an arc for each of the turns (rad), in a map of that scale; sideways: way (m) to
    its left besides, for each of them."""
    poses = [np.eye(4)]
    for turn, aside in zip(turns, np.broadcast_to(sideways, len(turns)), strict=True):
        step = make_se3(so3_exp([0.0, 0.0, turn]), so3_exp([0.0, 0.0, turn / 2]) @ [0.1, aside, 0.0])
        poses.append(poses[-1] @ step)
    return np.stack([resized(T, mount, mount[:3, 3], scale) for T in poses])


def alternating(turn, count=12):
    return [turn * (-1) ** (n // 2) for n in range(count)]


@pytest.mark.parametrize(("turn", "known"), [(0.045, False), (0.06, True)])
def test_the_lever_has_to_swing_by_a_twentieth_of_its_length(turn, known):
    assert (map_units_per_metre(drive(alternating(turn)), LEVER) is not None) == known


def test_height_is_no_lever():
    """0.27 m aside swing by 0.03 m, which is little of 1.1 m of height."""
    mount = make_se3(np.eye(3), [0.25, 0.1, 1.1])
    assert map_units_per_metre(drive(alternating(0.1), 1.4, mount), mount)[0] == pytest.approx(1.4)
    mount = make_se3(np.eye(3), [1e-4, 0.0, 1.1])  # as good as above the middle
    assert map_units_per_metre(drive(alternating(0.1), 1.4, mount), mount) is None


@pytest.mark.parametrize(("count", "known"), [(3, False), (4, True)])
def test_four_turns_are_needed(count, known):
    turns = [0.3] * count + [0.01] * 10
    assert (map_units_per_metre(drive(turns), LEVER) is not None) == known


def test_between_poses_that_are_turned_by_more_than_a_radian_the_way_is_not_known():
    assert map_units_per_metre(drive(alternating(1.1)), LEVER) is None
    assert map_units_per_metre(drive(alternating(0.9)), LEVER) is not None


def test_many_small_swings_do_not_outvote_the_turns():
    """Between turns the poses are off by what a swing of 5 mm would be."""
    turns = [0.3] * 8 + [0.002] * 14
    found = map_units_per_metre(drive(turns, sideways=[0.0] * 8 + [0.005] * 14), LEVER)
    assert found[0] == pytest.approx(1.0, abs=0.02)


def test_pairs_between_which_it_drove_otherwise_lose_their_weight():
    turns, aside = alternating(0.3, 24), np.zeros(24)
    aside[::6] = 0.1
    found, std = map_units_per_metre(drive(turns, 1.3, sideways=aside), LEVER)
    assert found == pytest.approx(1.3, abs=0.005) and std < 0.05


def test_the_deviation_is_that_of_the_scale():
    found = []
    for seed in range(60):
        T = drive(alternating(0.3, 40), 1.5)
        T[:, :3, 3] += np.random.default_rng(seed).normal(0, 0.003, (41, 3))
        found.append(map_units_per_metre(T, LEVER))
    scales, stds = np.transpose(found)
    assert 0.5 < np.std(scales) / np.mean(stds) < 2.0


@pytest.mark.parametrize(("scale", "known"), [(0.05, False), (0.12, True), (8.0, True), (15.0, False)])
def test_a_scale_that_no_map_has_is_not_believed(scale, known):
    assert (map_units_per_metre(drive(alternating(0.3), scale), LEVER) is not None) == known
