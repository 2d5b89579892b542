# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
from helpers.fusion_scenes import ROOM, observe, pose, state_of

from lsm_ros.config import FusionConfig
from lsm_ros.fusion import VoxelMap
from lsm_ros.fusion.map.ledger import Entry, displacement

pytestmark = pytest.mark.usefixtures("backend")
CONFIG = FusionConfig(voxel_size=0.1, move_voxels=0.25, view_cell=0.5, view_cell_keyframes=2)
POSES = {10 * i: pose(0.6 * i, 0, 0.5) for i in range(4)}


def mapped(config=CONFIG):
    """One observation for each keyframe; keyframe 10 i has observation i."""
    m = VoxelMap(config)
    for i, (k, T) in enumerate(POSES.items()):
        m.add(observe(ROOM, pose(0.1 * i, 0, 0.5), i, k), T)
    return m


def shifted(**moves):
    return {k: pose(0.6 * i + moves.get(f"k{k}", 0.0), 0, 0.5) for i, k in enumerate(POSES)}


def test_only_what_moved_enough_is_moved():
    m = mapped()
    assert m.follow(POSES, 1e4) == ((), 0)
    small = shifted(k0=0.024, k20=0.026)  # a quarter voxel is 0.025
    assert m.follow(small, 1e4) == ((2,), 0)
    fused = m.fused_poses()
    assert (fused[2] == small[20]).all() and (fused[0] == POSES[0]).all()
    assert m.settle(small) == ()
    assert (m.fused_poses()[0] == small[0]).all()


def test_nearest_to_the_newest_first_within_the_budget():
    m = mapped()
    poses = shifted(k0=0.1, k10=0.1, k20=0.1, k30=0.1)
    assert m.follow(poses, 0.0) == ((), 4)
    assert m.follow(poses, 1e-6) == ((3,), 3)  # at least one, or it would never end
    assert m.follow(poses, 1e-6) == ((2,), 2)
    assert m.follow(poses, 1e4) == ((1, 0), 0)


def test_settle_is_scratch_of_the_final_poses():
    m, poses = mapped(), shifted(k0=1e-9, k10=0.3, k30=-0.2)
    m.follow(poses, 1e-6)
    m.settle(poses)
    fresh = VoxelMap(CONFIG)
    for i, (k, T) in enumerate(poses.items()):
        fresh.add(observe(ROOM, pose(0.1 * i, 0, 0.5), i, k), T)
    assert state_of(m) == state_of(fresh)
    seq = m.seq
    m.settle(poses)
    assert m.seq == seq


def test_keyframes_that_are_not_named_stay():
    m = mapped()
    m.settle({10: pose(5)})
    fused = m.fused_poses()
    assert (fused[1] == pose(5)).all() and all((fused[i] == POSES[10 * i]).all() for i in (0, 2, 3))
    assert m.follow({}, 100) == ((), 0) and m.settle({}) == ()


@pytest.mark.parametrize("yaw", [0.0, 0.7])
def test_displacement(yaw):
    o = observe(ROOM, POSES[0])
    e = Entry(o, pose(0, 0, 0, yaw), True, np.zeros(0), 2.0)
    assert displacement(e, pose(0, 0, 0, yaw)) == 0
    assert displacement(e, pose(0.3, 0, 0.4, yaw)) == pytest.approx(0.5)
    # rotation about z by 0.1: the point lies 2.1 in front of the rig's axis
    assert displacement(e, pose(0, 0, 0, yaw + 0.1)) == pytest.approx(2 * np.sin(0.05) * 2.1, rel=1e-3)


def test_only_the_newest_of_a_view_cell_stay():
    m, T = VoxelMap(CONFIG), pose(0.1, 0.1, 0.1)
    for i in range(4):
        m.add(observe(ROOM, T, i, 10 + i), T)
    m.add(observe(ROOM, T, 4, 13), T)  # a second camera of keyframe 13
    for i, other in ((5, pose(0.1, 0.1, 0.1, 1.0)), (6, pose(0.7, 0.1, 0.1))):  # another direction, another place
        m.add(observe(ROOM, other, i, i), other)
    assert m.stale_observations() == (0, 1)
    for i in m.stale_observations():
        m.remove(i, keep=True)
    assert m.stale_observations() == ()
    assert sorted(m.observations) == list(range(7)) and 0 not in m.fused_poses()
    m.remove(4)
    m.remove(3)
    moved = pose(0.15, 0.1, 0.1)
    m.follow({11: moved}, 0.0)  # a resting observation follows at no cost
    m.restore(1)
    assert (m.fused_poses()[1] == moved).all()
