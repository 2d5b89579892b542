# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.evaluation import geometry
from lsm_ros.evaluation.geometry import DepthView, depth_views, seen_by, surface_points
from lsm_ros.geometry import CameraIntrinsics, se3_exp, se3_inverse, transform_points
from lsm_ros.types import Frame, FrameSet, TrajectoryPose

CAMERA = CameraIntrinsics(256, 192, 200.0, 200.0, 127.5, 95.5)
T_WORLD_CAM = se3_exp([0.4, -0.2, 1.0, 0.3, 0.2, -0.5])


def wall(depth=2.0):
    """A view of a wall at right angles to the camera."""
    return DepthView(np.full(CAMERA.shape, depth, np.float32), CAMERA, T_WORLD_CAM)


def wall_points(depth=2.0, n=60):
    """Points of the same wall in the world, inside the picture."""
    x, y = np.meshgrid(np.linspace(-1.0, 1.0, n), np.linspace(-0.7, 0.7, n))
    return transform_points(T_WORLD_CAM, np.column_stack([x.ravel(), y.ravel(), np.full(n * n, depth)]))


def test_surface_points_lie_on_the_wall():
    points, labels = surface_points([wall()], cell=0.001, stride=1)
    assert len(points) == 256 * 192 and np.all(labels == 65535)
    assert np.allclose(transform_points(se3_inverse(T_WORLD_CAM), points)[:, 2], 2.0, atol=1e-6)


def test_a_cell_gives_one_point():
    assert len(surface_points([wall(), wall()], cell=0.001, stride=1)[0]) == 256 * 192
    assert len(surface_points([wall()], cell=100.0, stride=1)[0]) <= 8


def test_shifted_map_is_as_far_off_as_it_was_shifted():
    errors = geometry.evaluate(wall_points(2.03), [wall()], np.eye(4))
    assert errors.map_to_depth.median == pytest.approx(0.03, abs=0.003)
    assert errors.map_to_depth.below_2cm < 0.05 and errors.map_to_depth.below_5cm > 0.95
    exact = geometry.evaluate(wall_points(2.0), [wall()], np.eye(4))
    assert exact.map_to_depth.median < errors.map_to_depth.median / 1.5


def test_map_in_its_own_frame():
    T_world_map = se3_exp([1.0, 2.0, 3.0, 0.1, -0.7, 0.3])
    here = transform_points(se3_inverse(T_world_map), wall_points())
    there = geometry.evaluate(wall_points(), [wall()], np.eye(4)).map_to_depth
    again = geometry.evaluate(here, [wall()], T_world_map).map_to_depth
    assert again.mean == pytest.approx(there.mean, abs=1e-6) and again.points == there.points


def test_incomplete_map_shows_in_depth_to_map():
    half = wall_points()
    half = half[transform_points(se3_inverse(T_WORLD_CAM), half)[:, 0] < 0]
    errors = geometry.evaluate(half, [wall()], np.eye(4))
    assert errors.map_to_depth.below_5cm == 1.0 and errors.depth_to_map.below_5cm < 0.6


def test_only_what_depth_saw_counts():
    def at(*xyz):
        return transform_points(T_WORLD_CAM, np.array([xyz]))

    points = np.concatenate([at(0, 0, 1.0), at(0, 0, 2.05), at(0, 0, 2.5), at(9, 0, 2.0), at(0, 0, -1.0)])
    # in front of the wall and just behind it are judged; hidden, beside the picture and behind the camera are not
    assert seen_by(points, [wall()]).tolist() == [True, True, False, False, False]
    holes = DepthView(np.zeros(CAMERA.shape, np.float32), CAMERA, T_WORLD_CAM)
    assert not seen_by(points, [holes]).any()


def test_icp_undoes_a_small_shift():
    pytest.importorskip("open3d")
    corner = np.full(CAMERA.shape, 2.0, np.float32)
    corner[:, 160:] = 1.5
    corner[120:] = 1.2
    view = DepthView(corner, CAMERA, T_WORLD_CAM)
    points = surface_points([view], stride=1)[0] + [0.03, -0.02, 0.03]
    errors = geometry.evaluate(points, [view], np.eye(4), surface_points([view], stride=1)[0], icp=True)
    assert errors.map_to_depth_icp.median < 0.25 * errors.map_to_depth.median


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="nothing to compare: 0 map points"):
        geometry.evaluate(np.zeros((0, 3)), [wall()], np.eye(4))


class TestDepthViews:
    def frames(self, n=10, depth=2.0):
        image = np.zeros((192, 256, 3), np.uint8)
        d = np.full(CAMERA.shape, depth, np.float32)
        frames = [Frame(i * 10**8, "c", image, CAMERA, d if i % 2 == 0 else None) for i in range(n)]
        return [FrameSet(f.stamp_ns, (f,)) for f in frames]

    def poses(self, n=10):
        return [TrajectoryPose(i * 10**8, se3_exp([0.1 * i, 0, 0, 0, 0, 0])) for i in range(n)]

    def test_takes_frames_with_depth_at_their_own_pose(self):
        views = depth_views(self.frames(), self.poses())
        assert len(views) == 5 and [v.T_world_cam[0, 3] for v in views] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])

    def test_every_and_limit(self):
        assert len(depth_views(self.frames(), self.poses(), every=2)) == 3
        views = depth_views(self.frames(40), self.poses(40), limit=4)
        assert len(views) == 4 and views[0].T_world_cam[0, 3] == 0 and views[-1].T_world_cam[0, 3] > 2.5

    def test_far_depth_is_dropped(self):
        assert not depth_views(self.frames(depth=7.0), self.poses(), max_depth=5.0)[0].depth.any()

    def test_no_pose_near(self):
        with pytest.raises(ValueError, match="no depth image has both"):
            depth_views(self.frames(), [TrajectoryPose(10**15, np.eye(4))])
