# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Surfaces that two depth images share: which points, how far from them, and what speaks against it."""
import numpy as np
import pytest
from helpers.box_room import CAMERA, HIGH, LOW, box_depth, looking

from lsm_ros.geometry import make_se3, se3_exp, se3_inverse, transform_points
from lsm_ros.pairs.surfaces import FEWEST, common_surfaces

SIGMA = 0.0015
A, B = looking(0.4, (-1.0, -0.6, 1.2)), looking(np.pi - 0.4, (3.0, -0.6, 1.2))  # from both ends of a room


def common(depth_b, depth_a, T_a=A, T_b=B, **more):
    return common_surfaces(depth_b, CAMERA, depth_a, CAMERA, se3_inverse(T_a) @ T_b, SIGMA, **more)


def distances(found, T_a_b):
    return np.sum(found.planes[:, :3] * transform_points(T_a_b, found.points), 1) + found.planes[:, 3]


@pytest.mark.parametrize("noise", [0.0, 0.0012])
def test_views_from_opposite_ends_share_floor_and_walls(noise):
    found = common(box_depth(B, noise=noise), box_depth(A, noise=noise, seed=1))
    off = distances(found, se3_inverse(A) @ B)
    assert len(found) >= FEWEST and np.quantile(np.abs(off), 0.9) < (1e-9 if noise == 0 else 0.004)  # some lie across an edge
    assert np.abs(off).max() < 0.01
    assert np.allclose(np.linalg.norm(found.planes[:, :3], axis=1), 1.0)
    normals = np.abs(found.planes[:, :3] @ A[:3, :3].T)  # in the map: along its axes
    assert np.mean(normals.max(axis=1) > 0.99) > 0.9 and {int(n) for n in normals.argmax(axis=1)} >= {1, 2}
    points = transform_points(B, found.points)
    on = np.minimum(np.abs(points - LOW), np.abs(points - HIGH)).min(axis=1)
    assert on.max() < 0.01


def test_a_pose_that_is_off_shows_in_the_distances():
    shift = make_se3(np.eye(3), [0.0, 0.0, 0.02])  # the map says that b is 2 cm too high
    found = common(box_depth(B), box_depth(A), T_b=shift @ B)
    off = distances(found, se3_inverse(A) @ shift @ B)
    floor = np.abs((A[:3, :3] @ found.planes[:, :3].T)[2]) > 0.9
    assert floor.sum() > 20 and np.quantile(np.abs(off[floor] - 0.02), 0.9) < 1e-6
    assert np.quantile(np.abs(off[~floor]), 0.9) < 1e-6


def test_planes_face_their_camera_and_offsets_are_metres():
    found = common(box_depth(B), box_depth(A))
    assert (found.planes[:, 3] > 0).all()  # the camera itself is in front of them
    assert np.isclose(found.planes[:, 3], A[2, 3], atol=1e-9).sum() > 20  # the floor, 1.2 m below


def test_deviations_grow_with_depth_and_towards_it():
    found = common(box_depth(B), box_depth(A))
    T_a_b = se3_inverse(A) @ B
    in_a = transform_points(T_a_b, found.points)
    at_a = np.abs(np.sum(found.planes[:, :3] * in_a, 1)) * in_a[:, 2]
    at_b = np.abs(np.sum((found.planes[:, :3] @ T_a_b[:3, :3]) * found.points, 1)) * found.points[:, 2]
    expected = np.sqrt(SIGMA**2 * (at_a**2 + at_b**2) + 2 * 0.003**2)
    assert np.quantile(np.abs(found.sigma - expected), 0.9) < 1e-6 and found.sigma.max() > 1.3 * found.sigma.min()


def test_units():
    metres, millimetres = common(box_depth(B), box_depth(A)), common(
        np.rint(1000 * box_depth(B)).astype(np.uint16), np.rint(1000 * box_depth(A)).astype(np.uint16), unit=0.001)
    assert len(metres) == len(millimetres) and np.allclose(metres.points, millimetres.points, atol=0.003)


def test_the_two_sides_of_a_thin_wall_are_not_one_surface():
    front, back = looking(0.0, (-2.0, 0.0, 1.0), 0.0), looking(np.pi, (2.0, 0.0, 1.0), 0.0)
    wide = {"low": (-9.0, -9.0, -9.0)}
    thin = common(box_depth(back, (0.01, -9, -9), (9.0, 9, 9)), box_depth(front, high=(0.0, 9, 9), **wide), front, back)
    assert thin is None
    turned = looking(0.1, (-2.0, 0.3, 1.0), 0.0)
    same = common(box_depth(turned, high=(0.01, 9, 9), **wide), box_depth(front, high=(0.0, 9, 9), **wide), front, turned)
    assert len(same) > FEWEST and np.allclose(np.abs(distances(same, se3_inverse(front) @ turned)), 0.01)


def test_what_contradicts_is_no_tie():
    moved = (HIGH[0], HIGH[1] - 0.5, HIGH[2])  # one wall is elsewhere, and so is the other
    assert common(box_depth(B, (LOW[0], LOW[1] + 0.5, LOW[2]), moved), box_depth(A)) is None


def test_what_is_hidden_contradicts_nothing():
    beside = looking(0.5, (-1.0, -0.5, 1.2))
    depth = box_depth(A)
    depth[:, 80:] = 0.5  # somebody stands before half of the view
    whole, half = common(box_depth(beside), box_depth(A), T_b=beside), common(box_depth(beside), depth, T_b=beside)
    assert FEWEST <= len(half) < 0.7 * len(whole)


def test_holes_are_no_metre():
    wall = box_depth(looking(0.0, (3.0, 0.0, 1.2), 0.0))
    assert wall[60, 80] == 1.0 and len(common(wall, wall, A, A)) > FEWEST  # a wall 1 m away
    holes = np.where(np.arange(160) % 3 == 0, 0.0, wall)
    assert common(holes, wall, A, A) is None and common(wall, holes, A, A) is None


def test_far_off_is_nothing():
    lifted = make_se3(np.eye(3), [0.0, 0.0, 0.2])
    found = common(box_depth(B), box_depth(A), T_b=lifted @ B)
    assert found is None or np.abs(distances(found, se3_inverse(A) @ lifted @ B)).max() < 0.1


@pytest.mark.parametrize("spoil", [
    lambda d: np.zeros_like(d),
    lambda d: np.where(np.arange(d.shape[1]) % 3 == 0, 0.0, d),  # holes everywhere
    lambda d: d * np.random.default_rng(2).uniform(0.9, 1.1, d.shape),  # a hedge
])
def test_without_flat_spots_there_is_nothing(spoil):
    good = box_depth(B), box_depth(A)
    assert common(spoil(good[0]), good[1]) is None and common(good[0], spoil(good[1])) is None


def test_surfaces_that_are_hardly_seen_are_left_out():
    low = looking(0.0, (-1.0, 0.0, 0.05), 0.0)  # 5 cm above the floor
    found = common(box_depth(low), box_depth(low), low, low)
    into = np.abs(np.sum(found.planes[:, :3] * found.points, 1)) / np.linalg.norm(found.points, axis=1)
    assert into.min() > 0.09


def test_frames_of_rigs():
    found = common(box_depth(B), box_depth(A))
    mount_b, mount_a = se3_exp([0.1, 0, 0.2, 0.1, 0.2, 0]), se3_exp([0, 1, 0, 0, 0, 2])
    rigs = found.in_rigs(mount_b, mount_a)
    T_rigs = mount_a @ se3_inverse(A) @ B @ se3_inverse(mount_b)
    wrong = se3_exp([0.01, 0.02, -0.01, 0.01, 0, 0.02])
    assert np.allclose(distances(rigs, T_rigs), distances(found, se3_inverse(A) @ B))
    assert np.allclose(distances(rigs, mount_a @ wrong @ se3_inverse(mount_a) @ T_rigs),
                       distances(found, wrong @ se3_inverse(A) @ B)) and (rigs.sigma == found.sigma).all()


@pytest.mark.parametrize("distance", [2.0, 4.0, 6.0, 8.0])
def test_a_wall_behind_a_wall_is_another_one(distance):
    at = looking(0.0, (0.0, 0.0, 1.0), 0.0)
    wall = np.full(CAMERA.shape, distance)
    for off in (0.07, 0.11, 0.26):
        assert common(wall, wall + off, at, at) is None and common(wall + off, wall, at, at) is None
    found = common(wall, wall + 0.03, at, at)
    assert len(found) > FEWEST and np.allclose(distances(found, np.eye(4)), 0.03)
