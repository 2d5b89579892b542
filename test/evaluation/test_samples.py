# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.evaluation.samples import SampleKeeper, depth_picture, shrink
from lsm_ros.types import Frame, FrameSet


def frame_set(i):
    return FrameSet(i, (Frame(i, "c", np.full((48, 64, 3), i % 256, np.uint8)),))


@pytest.mark.parametrize("count", [1, 3, 4, 9, 100, 1001])
def test_samples_are_few_and_spread(count):
    keeper = SampleKeeper(4)
    for i in range(count):
        keeper.add(frame_set(i))
        assert len(keeper._kept) <= 9
    stamps = [s.stamp_ns for s in keeper.samples()]
    assert len(stamps) == min(4, count) and stamps[0] == 0 and stamps == sorted(stamps)
    assert stamps[-1] >= 0.5 * (count - 1)
    assert max(np.diff([0, *stamps, count - 1])) <= max(0.6 * count, 2)


def test_no_frames():
    assert SampleKeeper().samples() == []


def test_shrink_keeps_proportions_and_does_not_invent_labels():
    image = np.full((480, 640, 3), 100, np.uint8)
    labels = np.full((480, 640), 65535, np.uint16)
    labels[:, 320:] = 1
    sample = shrink(Frame(5, "c", image, labels=labels, depth=np.full((480, 640), 2.0, np.float32)), 160)
    assert sample.image.shape == (120, 160, 3) and sample.labels.shape == (120, 160, 3)
    colors = np.unique(sample.labels.reshape(-1, 3), axis=0)
    assert len(colors) == 2 and (sample.labels[0, 10] != sample.labels[0, 150]).any()
    assert shrink(Frame(5, "c", image[:48, :64]), 160).image.shape == (48, 64, 3)


def test_depth_picture():
    depth = np.tile(np.linspace(1, 3, 50, dtype=np.float32), (10, 1))
    depth[0] = 0
    depth[1] = np.nan
    picture = depth_picture(depth)
    assert (picture[:2] == 255).all() and picture[5, 0].sum() > picture[5, -1].sum()  # near is bright
    assert (depth_picture(np.zeros((3, 3), np.float32)) == 255).all()
