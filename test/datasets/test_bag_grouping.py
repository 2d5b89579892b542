# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A bag on disk gives the groups that the running node makes of the same messages."""
import re
from itertools import takewhile

import numpy as np
import pytest
from helpers.streams import CAMERAS, MS, SLOP_NS, S, live_groups, stream

from lsm_ros.datasets import open_source
from lsm_ros.datasets.bag_grouping import BagGroups, Recorded
from lsm_ros.datasets.bag_messages import MessageMaker
from lsm_ros.datasets.bagfile import typestore
from lsm_ros.datasets.base import WarningLog
from lsm_ros.live.grouping import Assembler
from lsm_ros.live.items import DEPTH, IMAGE, LABELS, Group

STORE = typestore()
TYPE, TF = "sensor_msgs/msg/Image", "tf2_msgs/msg/TFMessage"


def write(folder, items):
    """Writes a stream as a bag: every depth and label image holds its own number."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    make = MessageMaker(STORE)
    with Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP) as bag:
        tf = bag.add_connection("/tf_static", TF, typestore=STORE)
        edges = make.transforms([make.transform(0, "base_link", camera, np.eye(4)) for camera in CAMERAS])
        bag.write(tf, 1, STORE.serialize_cdr(edges, TF))
        topics = {(c, k): bag.add_connection(f"/{c}/{k}", TYPE, typestore=STORE) for c in CAMERAS
                  for k in (IMAGE, DEPTH, LABELS)}
        for n, (item, arrived) in enumerate(items):
            if item.kind == IMAGE:
                message = make.image(item.stamp_ns, item.camera, np.full((4, 6, 3), n % 256, np.uint8), "rgb8")
            else:
                message = make.image(item.stamp_ns, item.camera, np.full((4, 6), n + 1, np.uint16), "16UC1")
            bag.write(topics[item.camera, item.kind], 100 * S + round(arrived * S), STORE.serialize_cdr(message, TYPE))
    return folder


def frames_of(groups, numbers):
    """Frames that a source should make of groups: by camera the stamp of the image, the numbers of its depth and labels."""
    return [(g.stamp_ns, [(c, g.images[c].stamp_ns, numbers.get(g.depth.get(c)), numbers.get(g.labels.get(c)))
                          for c in CAMERAS if c in g.images]) for g in groups]


def frames_from(source):
    def number(array, unit):
        return None if array is None else round(float(array[0, 0]) / unit)

    return [(fs.stamp_ns, [(f.camera, f.stamp_ns, number(f.depth, 0.001), number(f.labels, 1)) for f in fs.frames])
            for fs in source]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("jump", [False, True])
def test_a_bag_gives_the_groups_of_the_node(tmp_path, seed, jump):
    items = stream(seed, jump=jump)
    numbers = {None: None}
    for n, (item, _) in enumerate(items):
        numbers.setdefault(item, n + 1)  # of two that are equal the first one counts
    out, _ = live_groups(Assembler(CAMERAS, slop_ns=SLOP_NS, wait_s=100.0, stale_s=1e9, capacity_bytes=10**9), items)
    before = list(takewhile(lambda x: isinstance(x, Group), out))  # the source goes on in the same time only
    source = open_source(write(tmp_path / "bag", items), sync_slop_ms=SLOP_NS / MS)
    read = frames_from(source)
    assert source.cameras == list(CAMERAS) and source.odom_frame == ""
    assert len(before) in range(28 if jump else 58, 36 if jump else 66)
    assert read == frames_of(before, numbers)
    assert any("stamps jump back" in w for w in source.warnings) is jump
    assert sum(bool(d) for _, frames in read for _, _, d, _ in frames) >= len(before) - 8


class Message:
    data = bytes(100)


def test_every_loss_is_counted():
    log = WarningLog()
    groups = BagGroups(CAMERAS, SLOP_NS, 500 * MS, log)
    items = stream(3)
    got = []
    for item, arrived in items:
        groups.add(item.camera, item.kind, item.stamp_ns, Recorded(Message(), round(arrived * S)))
        got += groups.ready()
    groups.end()
    got += groups.ready()
    counts = [int((re.findall(r"\((\d+) times\)", line) or [1])[0]) for line in log.lines()]
    assert sum(counts) == len(items) - sum(len(g.items()) for g in got) > 5


def test_an_image_that_no_other_follows_goes_on_when_time_is_over():
    groups = BagGroups(("left",), SLOP_NS, 500 * MS, WarningLog())
    groups.add("left", IMAGE, 10 * S, Recorded(Message(), 0))
    groups.close_before(10 * S)
    assert list(groups.ready()) == []
    groups.close_before(10 * S + 1)
    assert [g.stamp_ns for g in groups.ready()] == [10 * S]


@pytest.mark.parametrize(("offset_ms", "is_far"), [(5, False), (60, True)])
def test_depth_is_far_only_where_most_images_lack_it(offset_ms, is_far):
    log = WarningLog()
    groups = BagGroups(("left",), SLOP_NS, 500 * MS, log)
    for k in range(12):
        stamp_ns = (10 + k) * S // 10
        groups.add("left", IMAGE, stamp_ns, Recorded(Message(), stamp_ns))
        shift = 60 if k % 3 == 0 else offset_ms  # every third is always far
        groups.add("left", DEPTH, stamp_ns + shift * MS, Recorded(Message(), stamp_ns))
        list(groups.ready())
    groups.end()
    list(groups.ready())
    assert any("depth of camera 'left' finds no image" in line for line in log.lines()) == is_far
    assert any("no image within sync_slop_ms" in line for line in log.lines())
