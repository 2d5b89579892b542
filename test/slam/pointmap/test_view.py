# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of a keyframe's pointmap: what is fused, what is believed, and what the map gets."""
from types import SimpleNamespace

import numpy as np
import pytest

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.models.preprocess import Crop
from lsm_ros.pairs.dense import CONFIDENT
from lsm_ros.slam.pointmap.view import (
    MOST_CONFIDENT,
    PointmapView,
    find_focal,
    frame_depth,
    on_rays,
    pinhole_error,
    sane_confidence,
    why_not_a_camera,
)

CROP = Crop(32, 24, (32, 26), 0, 1, (64, 52))  # half the size, one row off at the top and at the bottom
FRAME = CameraIntrinsics(64, 52, 60.0, 60.0, 31.5, 25.5)
PINHOLE = CROP.intrinsics(FRAME)
NAN = np.float32(np.nan)


def wall(z=2.0):
    """(24, 32, 3) points of a wall straight ahead."""
    return on_rays(np.full((24, 32, 3), z, np.float32), PINHOLE)


def view(points=None, confidence=None, calibrated=False, step=1):
    points = wall() if points is None else points
    confidence = np.full(points.shape[:2], 4.0, np.float32) if confidence is None else confidence
    corners = CROP.to_image(np.array([[4.0, 4.0], [20.0, 12.0]]))
    out = PointmapView("front", SimpleNamespace(nbytes=0, intrinsics=PINHOLE, crop=CROP), FRAME, np.eye(4), corners,
                       FRAME.unproject(corners), np.zeros(2), np.zeros(2), crop=CROP, points_cam=points, confidence=confidence,
                       calibrated=calibrated, step=step)
    out.refresh()
    return out


def ones(value):
    return np.full((24, 32), value, np.float32)


# fusing

def test_predictions_count_by_their_confidence_and_landmarks_follow():
    one = view()
    assert one.inverse_depth == pytest.approx(0.5)
    one.fuse(wall(4.0), ones(12.0))
    assert one.points_cam[..., 2] == pytest.approx(3.5) and one.confidence == pytest.approx(16.0)
    assert one.count == 2 and one.mean_confidence == pytest.approx(8.0)
    assert one.inverse_depth == pytest.approx(1 / 3.5) and np.array_equal(one.inverse_depth, one.measured)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_not_fused(value):
    one, points, confidence = view(), wall(4.0), ones(4.0)
    points[0, 0], confidence[0, 1], confidence[0, 2], confidence[0, 3] = value, np.nan, 0.0, -3.0
    one.fuse(points, confidence)
    assert one.points_cam[0, :4, 2] == pytest.approx(2.0) and one.confidence[0, :4] == pytest.approx(4.0)
    assert one.points_cam[0, 4, 2] == pytest.approx(3.0) and one.confidence[0, 4] == pytest.approx(8.0)


def test_what_was_unknown_takes_what_comes_and_stays_unknown_otherwise():
    points, confidence = wall(), ones(4.0)
    points[0, 0], points[0, 1], confidence[0, 2] = NAN, NAN, 0.0
    one, news = view(points, confidence), ones(4.0)
    news[0, 1] = 0.0
    one.fuse(wall(4.0), news)
    assert one.points_cam[0, 0, 2] == one.points_cam[0, 2, 2] == 4.0 and np.isnan(one.points_cam[0, 1]).all()
    assert one.confidence[0, 0] == one.confidence[0, 2] == 4.0


def test_one_prediction_that_is_too_sure_does_not_decide_for_ever():
    one = view()
    one.fuse(wall(4.0), ones(1e30))
    assert one.confidence == pytest.approx(MOST_CONFIDENT + 4.0)
    assert sane_confidence(np.array([np.nan, -1.0, 2.0, np.inf], np.float32)).tolist() == [0.0, 0.0, 2.0, MOST_CONFIDENT]


@pytest.mark.parametrize("calibrated", [True, False])
def test_points_of_a_calibrated_camera_stay_on_their_rays(calibrated):
    one, aside = view(calibrated=calibrated), wall(4.0) + np.float32([0.3, 0.0, 0.0])
    one.fuse(aside, ones(4.0))
    expected = wall(3.0) if calibrated else wall(3.0) + [0.15, 0.0, 0.0]
    assert np.allclose(one.points_cam, expected, atol=1e-6)


def test_a_compact_view_keeps_every_second_pixel_of_what_comes():
    slope = wall(2.0)
    slope[..., 2] += np.arange(24)[:, None] + 0.01 * np.arange(32)
    one = view(slope)
    one.compact()
    assert one.step == 2 and one.points_cam.shape == (12, 16, 3)
    one.compact()
    assert one.points_cam.shape == (12, 16, 3), "once"
    confidence = ones(4.0)
    confidence[::2, ::2] = 12.0
    one.fuse(slope, confidence)
    assert np.allclose(one.points_cam, slope[::2, ::2]) and one.confidence == pytest.approx(16.0)
    index = np.array([3 * 32 + 5, 4 * 32 + 4])
    assert np.allclose(one.points_at(index), slope[[2, 4], [4, 4]])
    rays, distances = one.rays_at(np.array([[4.0, 4.0], [31.0, 23.0]]))
    assert np.allclose(rays[0] * distances[0], slope[4, 4], atol=1e-5) and distances[1] == pytest.approx(
        np.linalg.norm(slope[22, 30]), rel=1e-5)
    with pytest.raises(ValueError, match="made compact"):
        one.dense(1.0)


def test_rays_lie_between_those_of_pixels_or_are_the_cameras():
    between = np.array([[10.5, 7.0]])
    rays, _ = view().rays_at(between)
    assert np.linalg.norm(rays) == pytest.approx(1.0) and np.allclose(rays[0] / rays[0, 2], PINHOLE.unproject(between)[0],
                                                                        atol=1e-3)
    bent = view(wall() + np.float32([0.2, 0.0, 0.0]), calibrated=True)
    rays, _ = bent.rays_at(between)
    assert np.allclose(rays[0] / rays[0, 2], PINHOLE.unproject(between)[0], atol=1e-9)
    assert np.isfinite(view().rays_at(np.array([[31.9, 23.9], [-0.4, -0.4]]))[1]).all()  # at the border


def test_landmarks_behind_the_camera_or_unknown_have_no_depth():
    points = wall()
    points[4, 4], points[12, 20] = (0.0, 0.0, -2.0), NAN
    assert np.isnan(view(points).inverse_depth).all()


def test_growth_takes_landmarks_along():
    one = view()
    one.resize(2.0)
    assert one.points_cam[..., 2] == pytest.approx(4.0) and one.inverse_depth == pytest.approx(0.25) == one.measured


@pytest.mark.parametrize("calibrated", [True, False])
def test_a_view_that_was_kept_is_the_same_and_an_uncalibrated_one_is_predicted_as_such(calibrated):
    one = view(calibrated=calibrated)
    one.fuse(wall(4.0), ones(4.0))
    one.compact()
    tokens = SimpleNamespace(intrinsics=PINHOLE, crop=CROP)
    again = PointmapView.unpack("front", tokens, FRAME, None, one.pack())
    assert (again.count, again.step, again.calibrated) == (2, 2, calibrated)
    assert np.array_equal(again.points_cam, one.points_cam) and np.array_equal(again.confidence, one.confidence)
    assert (tokens.intrinsics is None) == (not calibrated)


# depth of the frame

def test_depth_of_a_frame_is_that_of_confident_pixels_inside_the_crop():
    points, confidence = wall(), ones(5.0)
    confidence[10:14, 10:14], points[4:8, 4:8, 0], points[16:20, 20:24, 2] = 1.4, NAN, -2.0
    dense, off = frame_depth(points, confidence, CROP, FRAME, 1.5)
    known = dense.inverse_depth > 0
    assert dense.inverse_depth.shape == (52, 64) and np.allclose(dense.inverse_depth[known], 0.5)
    assert not known[:2].any() and not known[-2:].any(), "outside the crop"
    assert not known[22:30, 20:28].any() and not known[10:18, 8:16].any() and not known[34:42, 40:48].any()
    assert known[20, 10] and known[44, 40] and not known[21, 21], "pixels beside unknown ones are mixed"
    assert np.allclose(dense.relative_sigma[known], CONFIDENT / 2.0) and off == 0.0
    assert np.isinf(dense.relative_sigma[~known]).all()


def test_depth_of_what_is_hardly_confident_has_a_bounded_deviation():
    dense, _ = frame_depth(wall(), ones(1.0), CROP, FRAME, 0.5)
    known = dense.inverse_depth > 0
    assert known.any() and np.allclose(dense.relative_sigma[known], 10 * CONFIDENT)
    view_of = view(confidence=ones(8.0))
    view_of.fuse(wall(), ones(0.0))  # an average of 4 in two
    assert not (view_of.dense(5.0)[0].inverse_depth > 0).any() and (view_of.dense(3.0)[0].inverse_depth > 0).any()


@pytest.mark.parametrize(("pixels", "share"), [(0.08, 0.0), (0.11, 0.25)])
def test_pixels_off_the_pinhole_are_left_out_and_counted(pixels, share):
    """1.5 pixels at a size of 512 are 0.094 at 32."""
    points = wall()
    points[:, :8, 0] += pixels / PINHOLE.fx * 2.0
    confidence = ones(5.0)
    dense, off = frame_depth(points, confidence, CROP, FRAME, 1.5)
    assert off == pytest.approx(share) and (dense.inverse_depth[10:40, 4:12] > 0).all() == (share == 0.0)
    confidence[:, 16:] = 0.0  # of the confident ones
    assert frame_depth(points, confidence, CROP, FRAME, 1.5)[1] == pytest.approx(2 * share)
    assert frame_depth(points, 0 * confidence, CROP, FRAME, 1.5)[1] == 0.0


def test_pinhole_errors_are_infinite_where_there_is_no_point_before_the_camera():
    points = wall()
    points[3, 5, 0] += 2.0 * 3 / PINHOLE.fx
    points[0, 0], points[0, 1], points[0, 2, 2] = NAN, -points[0, 1], 0.0
    error = pinhole_error(points, PINHOLE)
    assert error[3, 5] == pytest.approx(3.0, abs=1e-4) and np.isinf(error[0, :3]).all() and error[8:].max() < 1e-4


# belief

def test_a_focal_length_is_that_of_the_confident_points_in_front():
    points, confidence = wall(), ones(4.0)
    assert find_focal(points, confidence, 1.5) == pytest.approx(30.0, rel=0.01)
    points[:12] = np.random.default_rng(0).standard_normal((12, 32, 3)).astype(np.float32)
    confidence[:12] = 1.0
    assert find_focal(points, confidence, 1.5) == pytest.approx(30.0, rel=0.01)
    behind = wall()
    behind[:10] *= (5.0, 5.0, -1.0)
    assert find_focal(behind, ones(4.0), 1.5) == pytest.approx(30.0, rel=0.01)
    few = ones(0.0)
    few[10, :30], few[11, :30] = 4.0, 4.0
    assert np.isnan(find_focal(wall(), few, 1.5))


@pytest.mark.parametrize("pinhole", [None, PINHOLE])
def test_what_a_camera_sees_is_believed_and_what_is_unsure_is_not(pinhole):
    assert why_not_a_camera(wall(), ones(4.0), 1.5, pinhole) == ""
    unsure = ones(1.0)
    unsure[0] = 4.0  # 4 %
    assert "only 4% of the pixels" in why_not_a_camera(wall(), unsure, 1.5, pinhole)
    unsure[1] = 4.0
    assert why_not_a_camera(np.where(unsure[..., None] > 1.5, wall(), np.float32(7.0)), unsure, 1.5, PINHOLE) == ""
    unknown = wall()
    unknown[1:] = NAN
    assert "only 4% of the pixels" in why_not_a_camera(unknown, ones(4.0), 1.5, pinhole)


@pytest.mark.parametrize(("focal", "believed"), [(9.0, False), (11.0, True), (150.0, True), (180.0, False)])
def test_a_focal_length_that_no_camera_has_is_not_believed(focal, believed):
    k = CameraIntrinsics(32, 24, focal, focal, 15.5, 11.5)
    reason = why_not_a_camera(on_rays(np.full((24, 32, 3), 2.0, np.float32), k), ones(4.0), 1.5, None)
    assert (reason == "") == believed and (believed or "fit no camera" in reason)


@pytest.mark.parametrize(("share", "believed"), [(0.45, True), (0.55, False)])
def test_most_points_lie_where_pixels_look(share, believed):
    """0.64 pixels of 32 are near enough."""
    points, confidence = wall(), ones(4.0)
    rows = round(24 * share)
    points[:rows, :, 0] += 2.0 * 0.8 / PINHOLE.fx
    points[rows:, :, 0] += 2.0 * 0.5 / PINHOLE.fx
    assert (why_not_a_camera(points, confidence, 1.5, PINHOLE) == "") == believed
    confidence[:rows] = 1.0  # who cares where the others lie
    assert why_not_a_camera(points, confidence, 1.5, PINHOLE) == ""
