# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest
from helpers.fusion_scenes import MIDDLE, ROOM, SMALL, T_RIG_CAM, contribution, observe, plane, pose, sphere

from lsm_ros.config import FusionConfig
from lsm_ros.fusion.backends.blocks import unpack_keys
from lsm_ros.fusion.backends.freespace import free_contribution
from lsm_ros.fusion.backends.integrate import GREEN, NEAR, SDF, VOXELS, WEIGHT
from lsm_ros.fusion.backends.layout import CameraPose, Layout, check_pose
from lsm_ros.fusion.backends.pixels import hanging, pixel_weight, prepare, tangent_slope
from lsm_ros.fusion.backends.view import pixel_view

LAYOUT = Layout.of(FusionConfig(voxel_size=0.05))
VIEW = pixel_view(observe(ROOM, pose()), LAYOUT)


def voxel_centres(c, layout=LAYOUT):
    block, inner = np.divmod(c.voxel, VOXELS)
    ijk = np.stack(np.unravel_index(inner, (8, 8, 8)), -1)
    return (unpack_keys(c.keys)[block] * 8 + ijk + 0.5) * layout.voxel_size


@pytest.mark.parametrize(("surface", "distance"), [
    (plane((1, 0, 0), 1.5), lambda p: 1.5 - p[:, 0]),
    (plane((1, 0.5, -0.4), 1.5), lambda p: 1.5 - p @ (np.array([1, 0.5, -0.4]) / np.sqrt(1.41))),
    (sphere((1.8, 0.1, 0), 0.7), lambda p: np.linalg.norm(p - [1.8, 0.1, 0], axis=1) - 0.7),
])
def test_signed_distance_is_the_distance_to_the_surface(surface, distance):
    T = pose(0.05, -0.1, 0.02, 0.1, -0.1)
    c = contribution(prepare(observe([surface], T, camera=MIDDLE), LAYOUT), CameraPose.of(T, T_RIG_CAM), LAYOUT)
    assert len(c.voxel) > 2500
    value = c.values[:, SDF] / c.values[:, WEIGHT] / 511 * LAYOUT.truncation
    centres = voxel_centres(c)
    true = distance(centres)
    gradient = np.stack([distance(centres + 1e-4 * e) - true for e in np.eye(3)], -1) / 1e-4
    eye = (T @ T_RIG_CAM)[:3, 3] - centres
    faced = (gradient * eye).sum(1) > 0.4 * np.linalg.norm(eye, axis=1)  # not at the outline of something round
    close = (np.abs(true) < LAYOUT.voxel_size) & faced
    error = np.abs(value - true)[close]
    assert np.median(error) < 0.12 * LAYOUT.voxel_size
    assert np.percentile(error, 90) < 0.3 * LAYOUT.voxel_size
    far = true > 1.2 * LAYOUT.truncation  # in front of the surface, in blocks that the surface is in: free
    assert far.sum() > 100 and np.mean(value[far] == LAYOUT.truncation) > 0.9
    assert (c.values[:, NEAR][value < 0.999 * LAYOUT.truncation] > 0).all()


def test_contribution_of_a_voxel_does_not_depend_on_the_others():
    T = pose(0.1, 0.2, 0.4, 0.3, 0.2)
    pixels, camera = prepare(observe(ROOM, T), LAYOUT), CameraPose.of(T, T_RIG_CAM)
    whole = contribution(pixels, camera, LAYOUT)
    for part in (whole.keys[::3], whole.keys[-1:]):
        some = contribution(pixels, camera, LAYOUT, part)
        assert (some.keys == part).all()
        position = np.searchsorted(whole.keys, part)
        mine = np.isin(whole.voxel // VOXELS, position)
        assert (whole.values[mine] == some.values).all()
        assert (whole.voxel[mine] % VOXELS == some.voxel % VOXELS).all()
        cells = np.isin(whole.label_cell // 64, position)
        assert (whole.count[cells] == some.count).all() and (whole.label[cells] == some.label).all()


def test_ranges_of_the_sums():
    T = pose(z=0.5)
    c = contribution(prepare(observe(ROOM, T), LAYOUT), CameraPose.of(T, T_RIG_CAM), LAYOUT)
    weight = c.values[:, WEIGHT]
    assert weight.min() >= 1 and weight.max() <= 63
    assert (np.abs(c.values[:, SDF]) <= 511 * weight).all()
    assert (c.values[:, NEAR] <= weight).all()
    assert (c.values[:, GREEN] == 100 * c.values[:, NEAR]).all()
    assert len(np.unique(c.voxel)) == len(c.voxel)
    assert len(np.unique(c.label_cell.astype(np.int64) * 64 + c.label)) == len(c.label) > 0
    assert (np.diff(c.keys) > 0).all() and len(set((c.voxel // VOXELS).tolist())) > 0.9 * len(c.keys)


def test_weight_of_a_pixel():
    assert pixel_weight(1 / np.float32([1, 2, 4, 0.1, 100]), 255).tolist() == [16, 8, 4, 63, 1]
    assert pixel_weight(np.float32([1, 1]), np.uint8([128, 1])).tolist() == [8, 1]


def test_confidence_zero_and_far_depth_are_not_used():
    T = pose()
    o = observe([plane((1, 0, 0), 2.0)], T)
    for changed in (replace(o, confidence=np.zeros_like(o.confidence)), replace(o, z=np.full_like(o.z, 60000))):
        pixels = prepare(changed, LAYOUT)
        assert pixels.farthest == 0
        assert not len(contribution(pixels, CameraPose.of(T, T_RIG_CAM), LAYOUT).keys)
        assert not len(free_contribution(pixels, CameraPose.of(T, T_RIG_CAM), LAYOUT).keys)


def test_pixels_hanging_between_front_and_back_are_dropped():
    depth = np.full((9, 9), 3.0, np.float32)
    depth[:, :4] = 1.0
    assert not hanging(depth).any()
    depth[4, 4] = 2.0
    assert np.argwhere(hanging(depth)).tolist() == [[4, 4]]
    ramp = np.tile(np.linspace(1, 1.3, 9, dtype=np.float32), (9, 1))
    assert not hanging(ramp).any()


def test_tangent_slope_on_planes():
    rays = SMALL.rays(unit=False)
    for n in ([0, 0, 1], [0.6, 0, 0.8], [0.3, -0.5, 0.8]):
        n = np.array(n) / np.linalg.norm(n)
        depth = (2.0 / (rays @ n)).astype(np.float32)
        slope = tangent_slope(1 / depth, VIEW)
        true = np.clip(rays @ n, 0.3, 1.5)
        assert slope.shape == depth.shape
        # within a tile of 4 pixels the true value goes on changing
        assert np.abs(slope - true)[4:-4, 4:-4].max() < 0.05


def test_tangent_slope_does_not_reach_across_an_edge():
    depth = np.full((60, 80), 3.0, np.float32)
    depth[:, :42] = 1.0  # within a tile
    assert np.abs(tangent_slope(1 / depth, VIEW) - 1).max() < 1e-5


def test_stride_uses_the_same_rays():
    T = pose()
    o = observe([plane((1, 0.2, 0), 1.8)], T)
    half = Layout.of(FusionConfig(voxel_size=0.05, stride=2))
    pixels = prepare(o, half)
    assert pixels.depth.shape == (30, 40)
    c = contribution(pixels, CameraPose.of(T, T_RIG_CAM), half)
    value = c.values[:, SDF] / c.values[:, WEIGHT] / 511 * half.truncation
    true = 1.8 - voxel_centres(c) @ (np.array([1, 0.2, 0]) / np.sqrt(1.04))
    close = np.abs(true) < 0.08
    assert np.median(np.abs(value - true)[close]) < 0.005


def test_scale_of_the_pose():
    """A camera whose unit is 0.5 m sees the same map as one in metres."""
    T = pose(0.2, 0, 0.3, 0.1)
    o = observe(ROOM, T)
    small = replace(o, z_step=2 * o.z_step, T_rig_cam=T_RIG_CAM.copy())
    small.T_rig_cam[:3, 3] *= 2
    scaled = T.copy()
    scaled[:3, :3] *= 0.5
    layout = replace(LAYOUT, max_depth=100.0)
    a = contribution(prepare(o, layout), CameraPose.of(T, o.T_rig_cam), layout)
    b = contribution(prepare(small, layout), CameraPose.of(scaled, small.T_rig_cam), layout)
    assert len(np.setxor1d(a.keys, b.keys)) <= 2
    both = np.intersect1d(a.keys, b.keys)
    assert len(both) > 50
    a, b = (contribution(prepare(x, layout), CameraPose.of(t, x.T_rig_cam), layout, both)
            for x, t in ((o, T), (small, scaled)))
    assert abs(len(a.voxel) - len(b.voxel)) < 0.001 * len(a.voxel)
    sdf = [np.zeros(len(both) * VOXELS) for _ in range(2)]
    for s, c in zip(sdf, (a, b), strict=True):
        s[c.voxel] = c.values[:, SDF] / c.values[:, WEIGHT]
    assert np.mean(np.abs(sdf[0] - sdf[1]) > 2) < 0.001


def test_free_cells_are_free_and_reach_far():
    T = pose(z=0.8, pitch=0.1)
    free = free_contribution(prepare(observe(ROOM, T), LAYOUT), CameraPose.of(T, T_RIG_CAM), LAYOUT)
    block, inner = np.nonzero(free.weights[free.rows])
    ijk = unpack_keys(free.keys)[block] * 8 + np.stack(np.unravel_index(inner, (8, 8, 8)), -1)
    centre = (ijk + 0.5) * LAYOUT.free_cell
    reach = 0.5 * np.sqrt(3) * LAYOUT.free_cell
    assert len(centre) > 100 and len(np.unique(ijk, axis=0)) == len(ijk)
    gap = np.min([centre[:, 2], 2.6 - centre[:, 0], 1.7 - np.abs(centre[:, 1]),
                  np.linalg.norm(centre - [1.7, 0.2, 0.5], axis=1) - 0.35], axis=0)
    assert gap.min() > reach * 0.5  # no cell touches a surface
    assert centre[:, 0].max() > 1.8
    assert free.weights.max() <= 63 and (np.diff(free.keys) > 0).all()
    assert len(np.delete(free.weights, free.rows, 0).nonzero()[0]) == 0


def test_hidden_cells_are_not_free():
    T = pose(z=0.5)
    pixels = prepare(observe([plane((1, 0, 0), 1.0), plane((1, 0, 0), 3.0)], T), LAYOUT)
    free = free_contribution(pixels, CameraPose.of(T, T_RIG_CAM), LAYOUT)
    block, inner = np.nonzero(free.weights[free.rows])
    index = unpack_keys(free.keys)[block] * 8 + np.stack(np.unravel_index(inner, (8,) * 3), -1)
    assert len(index) and (index[:, 0] + 1).max() * LAYOUT.free_cell <= 1.0


@pytest.mark.parametrize(("spoil", "match"), [
    (lambda T: T[:3], "shape"),
    (lambda T: T * np.nan, "finite"),
    (lambda T: T @ np.diag([1, 1, -1, 1]), "mirrored"),
    (lambda T: T @ np.diag([1, 1, 0, 1]), "singular"),
    (lambda T: T @ np.diag([1, 1, 1.1, 1]), "no rotation"),
    (lambda T: T @ np.diag([1, 1, 1, 2]), "last row"),
    (lambda T: "here", "transform"),
])
def test_bad_poses(spoil, match):
    with pytest.raises(ValueError, match=match):
        check_pose(spoil(pose(1, 2, 3, 0.4)), "T_map_rig")
