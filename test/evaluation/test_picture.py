# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.evaluation.picture import BACKGROUND, View, label_color, label_colors, look_at, render, standard_views
from lsm_ros.types import MapSnapshot

UP = np.array([0.0, 0, 1])


def snapshot(points, colors, normals, voxel=0.05):
    n = len(points)
    return MapSnapshot(np.array(points, np.float32).reshape(-1, 3), np.array(colors, np.uint8).reshape(-1, 3),
                       np.full(n, 65535, np.uint16), np.ones(n, np.float32), np.ones(n, np.float32),
                       np.array(normals, np.float32).reshape(-1, 3), voxel, 1.0)


def patch(x, color, half=0.5, normal=(-1, 0, 0)):
    """A square at right angles to the x axis."""
    y, z = np.meshgrid(np.arange(-half, half, 0.05), np.arange(-half, half, 0.05))
    points = np.column_stack([np.full(y.size, x), y.ravel(), z.ravel()])
    return points, np.tile(color, (y.size, 1)), np.tile(normal, (y.size, 1))


def merge(*patches):
    return snapshot(*(np.concatenate(p) for p in zip(*patches, strict=True)))


FORWARD = View("forward", look_at(np.zeros(3), np.array([1.0, 0, 0]), UP), 80, 60, 60.0)


class TestLookAt:
    def test_axes(self):
        T = look_at(np.array([1.0, 2, 3]), np.array([5.0, 2, 3]), UP)
        assert np.allclose(T[:3, 2], [1, 0, 0]) and np.allclose(T[:3, 1], [0, 0, -1])  # forward, and down is down
        assert np.linalg.det(T[:3, :3]) == pytest.approx(1) and np.allclose(T[:3, 3], [1, 2, 3])

    def test_straight_down(self):
        T = look_at(np.array([0.0, 0, 5]), np.zeros(3), UP)
        assert np.allclose(T[:3, 2], [0, 0, -1]) and np.linalg.det(T[:3, :3]) == pytest.approx(1)


class TestRender:
    def test_patch_where_it_belongs(self):
        image = render(merge(patch(2.0, (200, 0, 0))), FORWARD)
        assert image.shape == (60, 80, 3) and image.dtype == np.uint8
        r, g, b = image[30, 40].astype(int)
        assert r > 150 and g < 10 and b < 10
        # half a metre at two metres with 60 px of focal length is 15 px
        red = (image[..., 0].astype(int) - image[..., 1]) > 60
        columns, rows = np.flatnonzero(red.any(0)), np.flatnonzero(red.any(1))
        assert columns[0] == pytest.approx(25, abs=3) and columns[-1] == pytest.approx(54, abs=3)
        assert rows[0] == pytest.approx(15, abs=3) and rows[-1] == pytest.approx(44, abs=3)
        assert tuple(image[2, 2]) == BACKGROUND

    @pytest.mark.parametrize("order", [1, -1])
    def test_near_hides_far_whatever_the_order(self, order):
        parts = [patch(2.0, (200, 0, 0)), patch(3.0, (0, 0, 200))][::order]
        r, _, b = render(merge(*parts), FORWARD)[30, 40].astype(int)
        assert r > 150 and b < 10

    def test_back_of_a_wall_is_not_seen(self):
        away = patch(2.0, (200, 0, 0), normal=(1, 0, 0))
        assert tuple(render(merge(away), FORWARD)[30, 40]) == BACKGROUND
        r, _, b = render(merge(away, patch(3.0, (0, 0, 200))), FORWARD)[30, 40].astype(int)
        assert b > 150 and r < 10

    def test_behind_the_camera_and_too_near(self):
        assert tuple(render(merge(patch(-2.0, (200, 0, 0), normal=(1, 0, 0))), FORWARD)[30, 40]) == BACKGROUND
        near = View("near", FORWARD.T_map_view, 80, 60, 60.0, near=2.5)
        assert tuple(render(merge(patch(2.0, (200, 0, 0))), near)[30, 40]) == BACKGROUND

    def test_no_holes_at_any_distance(self):
        for x in (0.3, 0.7, 2.0, 6.0):
            image = render(merge(patch(x, (200, 0, 0), half=0.25)), FORWARD)
            extent = max(1, int(0.15 * 60 / x))
            centre = image[max(0, 30 - extent):30 + extent, max(0, 40 - extent):40 + extent].astype(int)
            assert (centre[..., 0] - centre[..., 1] > 100).all(), x

    def test_line_is_drawn(self):
        line = np.array([[2.0, -0.5, 0], [2.0, 0.5, 0]])
        image = render(merge(patch(3.0, (200, 0, 0))), FORWARD, lines=[(line, (0, 200, 0))]).astype(int)
        green = (image[..., 1] - image[..., 0]) > 50
        assert green[28:33, 30:50].any() and not green[:20].any() and not green[40:].any()

    def test_empty_map(self):
        assert (render(snapshot([], [], []), FORWARD) == BACKGROUND).all()


def test_standard_views_show_the_map():
    room = merge(patch(2.0, (200, 0, 0), half=1.0), patch(-2.0, (0, 0, 200), half=1.0, normal=(1, 0, 0)))
    views = standard_views(room, np.stack([FORWARD.T_map_view]), 120, 90)
    assert len(views) == 4 and len({v.name for v in views}) == 4
    for view in views:
        painted = (np.abs(render(room, view).astype(int) - BACKGROUND).sum(2) > 30).mean()
        assert painted > (0.01 if view.orthographic else 0.03), view.name  # from above, walls are thin
    assert len(standard_views(room, np.zeros((0, 4, 4)))) == 3


def test_label_colors():
    assert label_color(3) == (225, 87, 89) and label_color(65535) == (176, 180, 186)
    assert len({label_color(i) for i in range(150)}) > 140
    ids = np.array([[0, 7], [65535, 300]], np.uint16)
    assert label_colors(ids).shape == (2, 2, 3) and tuple(label_colors(ids)[0, 1]) == label_color(7)
