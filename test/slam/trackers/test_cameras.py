# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Knowledge about cameras: what is guessed, corrected, reported and kept."""
import numpy as np
import pytest

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.slam.trackers.cameras import CameraKnowledge, with_focal
from lsm_ros.types import Frame

GIVEN = CameraIntrinsics(320, 240, 200.0, 220.0, 160.0, 118.0)


def frame(camera="front", intrinsics=None):
    return Frame(1, camera, np.zeros((240, 320, 3), np.uint8), intrinsics)


def test_a_camera_without_calibration_gets_a_common_focal_length_until_one_is_found():
    known = CameraKnowledge()
    k = known.guess(frame())
    assert (k.width, k.height, k.fx, k.fy, k.cx, k.cy) == (320, 240, 272.0, 272.0, 159.5, 119.5)
    assert known.uncalibrated == {"front"}
    known.focal_px["front"] = 300.0
    assert known.guess(frame()).fx == known.guess(frame()).fy == 300.0
    assert known.guess(frame("rear")).fx == 272.0 and known.uncalibrated == {"front", "rear"}


def test_frames_are_corrected_where_a_focal_length_was_found():
    known = CameraKnowledge(focal_px={"front": 300.0})
    k = known.corrected(frame(intrinsics=GIVEN)).intrinsics
    assert (k.fx, k.fy, k.cx, k.cy) == pytest.approx((300.0, 330.0, 160.0, 118.0))
    assert known.corrected(frame("rear", GIVEN)).intrinsics == GIVEN
    assert known.corrected(frame()).intrinsics is None
    assert with_focal(GIVEN, 300.0) == k


@pytest.mark.parametrize(("found", "std", "wrong"), [(220.0, 2.0, False), (223.0, 2.0, True), (182.0, 2.0, False),
                                                     (180.0, 2.0, True), (150.0, None, False)])
def test_a_calibration_that_is_a_tenth_off_is_reported(found, std, wrong):
    known = CameraKnowledge(focal_px={"front": found, "rear": 90.0}, given_px={"front": 200.0},
                            focal_std_px={"rear": 1.0} if std is None else {"front": std})
    assert known.wrong_calibration() == ({"front": (200.0, found, std)} if wrong else {})


def test_what_is_sure_is_kept_for_the_next_session():
    known = CameraKnowledge({"front": 300.0, "rear": 250.0}, {"front": 3.0}, {"front": 0.1}, {"front", "rear"}, {"side": 1.0})
    kept = known.to_dict()
    assert kept == {"focal_px": {"front": 300.0}, "focal_std_px": {"front": 3.0}, "off_pinhole": {"front": 0.1},
                    "uncalibrated": ["front", "rear"]}
    again = CameraKnowledge()
    again.recall(kept)
    assert again == CameraKnowledge({"front": 300.0}, {"front": 3.0}, {"front": 0.1}, {"front", "rear"})
    again.recall({})  # a map from before cameras were known
    assert again.to_dict() == kept


def test_a_focal_length_is_the_median_of_what_images_imply():
    known = CameraKnowledge()
    known.learn("front", np.nan, 320)
    assert known.focal_px["front"] == 272.0 and known.focal_std_px["front"] == pytest.approx(27.2)  # nothing is known
    for focal in (300.0, 310.0, np.nan, 400.0):
        known.learn("front", focal, 320)
    assert known.focal_px["front"] == 310.0
    assert known.focal_std_px["front"] == pytest.approx(1.4826 * 10 / np.sqrt(3))
    for _ in range(60):
        known.learn("front", 350.0, 320)
    assert known.focal_std_px["front"] == pytest.approx(0.005 * 350)  # never surer


def test_what_a_session_before_found_counts_as_three_images():
    known = CameraKnowledge(focal_px={"front": 300.0})
    known.learn("front", 400.0, 320)
    known.learn("front", 400.0, 320)
    assert known.focal_px["front"] == 300.0
    for _ in range(2):
        known.learn("front", 400.0, 320)
    assert known.focal_px["front"] == 400.0


def test_old_focal_lengths_are_forgotten():
    known = CameraKnowledge()
    for focal in (*[300.0] * 60, *[400.0] * 26):
        known.learn("front", focal, 320)
    assert known.focal_px["front"] == 400.0
