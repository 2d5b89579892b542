# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Of the images that a map keeps, the one that shows a thing largest and most whole."""
import numpy as np
import pytest

from lsm_ros.geometry import CameraIntrinsics, make_se3
from lsm_ros.semantics.objects import Box
from lsm_ros.semantics.objects.picture import find_picture
from lsm_ros.types import Observation

K = CameraIntrinsics(160, 120, 100.0, 100.0, 79.5, 59.5)
BOX = Box(np.array([0.0, 0.0, 3.0]), np.array([0.6, 0.4, 0.4]), 0.0)  # in front of a camera at the origin, 3 m away


def seen(number, x=0.0, z=0.0, depth=None):
    """An observation from a place, in which all is at the depth of the box, or at another."""
    there = abs(3.0 - z) if depth is None else depth
    rgb = np.full((120, 160, 3), number, np.uint8)
    return Observation(number, number, number, "c", np.eye(4), np.full((120, 160), round(there / 0.001), np.uint16), 0.001,
                       np.full((120, 160), 255, np.uint8), rgb, K), make_se3(np.eye(3), [x, 0.0, z])


def best(*views):
    found = find_picture(BOX, BOX.centre, views)
    return None if found is None else found[1].id


def test_near_is_better_than_far_and_whole_better_than_cut_off():
    assert best(seen(1), seen(2, z=1.0), seen(3, z=0.5)) == 2
    assert best(seen(1, z=1.0), seen(2, x=1.4, z=1.0)) == 1
    assert best(seen(1, x=1.95, z=0.5), seen(2)) == 2, "one of which half is cut off"


def test_the_part_around_the_box_is_shown():
    image, of = find_picture(BOX, BOX.centre, [seen(7)])
    wide, high = (100 * s / 2.8 * 1.4 for s in (0.6, 0.4))  # of the near face, and a fifth more on each side
    assert of.id == 7 and (image == 7).all() and image.shape[1] == pytest.approx(wide, abs=2)
    assert image.shape[0] == pytest.approx(high, abs=2)


@pytest.mark.parametrize("view", [seen(1, depth=1.5), seen(1, depth=6.0), seen(1, depth=0.0), seen(1, z=4.0), seen(1, z=3.1),
                                  seen(1, x=9.0)], ids=["hidden", "gone", "unknown", "behind", "within", "beside"])
def test_what_an_image_does_not_show_is_no_picture(view):
    assert best(view) is None and best() is None


def test_a_thing_of_a_few_pixels_is_no_picture():
    assert best(seen(1, z=-7.0)) is None and best(seen(1, z=-1.0)) == 1
