# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Images of a camera are counted by callbacks, the feeder and the worker at the same time: none is lost. Without a node."""
import threading

import pytest

from lsm_ros.ros.input.cameras import Camera

COUNTS = {"received": lambda camera: camera.count_image(1.0), "depths": Camera.count_depth, "labels": Camera.count_labels,
          "dropped": Camera.count_dropped, "invalid": Camera.count_invalid}


class Interrupted(int):
    """A number during whose addition another thread counts too, if nothing keeps it from that."""

    def __new__(cls, other):
        made = super().__new__(cls, 0)
        made.thread = threading.Thread(target=other)
        return made

    def __add__(self, more):
        self.thread.start()
        self.thread.join(0.3)  # it ends only if it is not made to wait
        return int(self) + more


@pytest.mark.parametrize("name", COUNTS)
def test_two_threads_count_two(name):
    camera = Camera("front")
    number = Interrupted(lambda: COUNTS[name](camera))
    setattr(camera, name, number)
    COUNTS[name](camera)
    number.thread.join(10)
    assert getattr(camera, name) == 2


def test_the_first_image_is_one_only():
    camera = Camera("front")
    assert [camera.count_image(t) for t in (5.0, 6.0, 7.0)] == [True, False, False]
    assert camera.first_image == 5.0


def test_a_camera_that_forgets_counts_from_zero_and_keeps_its_calibration():
    camera = Camera("front", info=object())
    for count in COUNTS.values():
        count(camera)
    info = camera.info
    camera.forget()
    assert [getattr(camera, name) for name in COUNTS] == [0] * len(COUNTS)
    assert camera.info is info and camera.first_image is None
    assert camera.count_image(1.0)
