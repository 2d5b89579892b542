# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Stamps of 0 among others and alone, transforms in another file, and depth that is too far from its images."""
import numpy as np
import pytest
from helpers.bags import CAMERA, IMAGE, INFO, OPTICAL, TF, BagMaker, S, make, shade

from lsm_ros.datasets import open_source
from lsm_ros.datasets.bag_stamps import BagStamps

MS = 1_000_000
WALL = 1_700_000_000 * S


def bag_of(folder, stamps, log=lambda i: WALL + i * S // 10):
    """Images with these stamps in ns, recorded at the times of `log`."""
    with BagMaker(folder) as bag:
        for i, stamp in enumerate(stamps):
            bag.put("/cam/camera_info", INFO, log(i), make.camera_info(stamp, "o", CAMERA))
            bag.put("/cam/image", IMAGE, log(i) + 1, make.image(stamp, "o", shade(i), "rgb8"))
    return open_source(folder)


class TestZeros:
    def test_time_that_begins_at_zero(self, tmp_path):
        source = bag_of(tmp_path / "bag", [i * 100 * MS for i in range(6)])
        assert [fs.stamp_ns for fs in source] == [i * 100 * MS for i in range(6)] and source.warnings == []

    def test_only_where_all_are_zero_the_recording_says_the_time(self, tmp_path):
        source = bag_of(tmp_path / "bag", [0] * 4)
        assert [fs.stamp_ns for fs in source] == [WALL + 1 + i * 100 * MS for i in range(4)]
        assert any("are 0; times of recording are taken (4 times)" in w for w in source.warnings)

    def test_a_zero_before_stamps_of_below_zero_is_none(self, tmp_path):
        source = bag_of(tmp_path / "bag", [0, -2 * S, -1 * S])
        assert [fs.stamp_ns for fs in source] == [-2 * S, -1 * S]

    def test_the_bag_is_looked_through_once(self, tmp_path, monkeypatch):
        looked = []
        judge = BagStamps._judge
        monkeypatch.setattr(BagStamps, "_judge", lambda self, topic: looked.append(topic) or judge(self, topic))
        assert len(list(bag_of(tmp_path / "bag", [0] * 4))) == 4 and looked == ["/cam/image"]

    @pytest.mark.parametrize("at", [0, 2, 5])
    def test_a_lone_zero_costs_itself(self, tmp_path, at):
        stamps = [WALL + i * 100 * MS for i in range(6)]
        stamps[at] = 0
        source = bag_of(tmp_path / "bag", stamps)
        assert [fs.stamp_ns for fs in source] == [s for s in stamps if s]
        assert any("/cam/image dropped: its stamp is 0" in w for w in source.warnings)

    def test_a_driver_that_knew_no_time_at_first(self, tmp_path):
        source = bag_of(tmp_path / "bag", [0, 0, 0, *(WALL + i * 100 * MS for i in range(3, 7))])
        assert [fs.stamp_ns for fs in source] == [WALL + i * 100 * MS for i in range(3, 7)]
        assert any("its stamp is 0, while others have one (3 times)" in w for w in source.warnings)


class TestUnjoined:
    def write(self, folder, edges, frame="cam"):
        with BagMaker(folder) as bag:
            for i in (1, 2):
                for parent, child in edges:
                    bag.put("/tf", TF, S * i, make.transforms([make.transform(S * i, parent, child, OPTICAL)]))
                bag.put("/cam/image", IMAGE, S * i, make.image(S * i, frame, shade(i), "rgb8"))
        return open_source(folder)

    @pytest.mark.parametrize("edges, named", [
        ([("odom", "base_link")], "base_link and odom"), ([("odom", "base_footprint")], "base_footprint and odom"),
        ([("odom", "robot"), ("head", "cam")], "odom"), ([("world", "arm")], "TF"),
    ])
    def test_is_said(self, tmp_path, edges, named):
        source = self.write(tmp_path / "bag", edges)
        assert any(f"not joined to {named}:" in w and "/tf_static" in w and "'cam'" in w for w in source.warnings)

    @pytest.mark.parametrize("edges", [[], [("base_link", "cam")], [("odom", "robot"), ("robot", "cam")]])
    def test_where_nothing_lacks_nothing_is_said(self, tmp_path, edges):
        assert not any("joined" in w for w in self.write(tmp_path / "bag", edges).warnings)


class TestGaps:
    def source(self, folder, late_ms, every=1, per_image=1, slop=None):
        with BagMaker(folder) as bag:
            for i in range(12):
                ns = S + i * 100 * MS
                bag.put("/cam/image", IMAGE, ns, make.image(ns, "o", shade(i), "rgb8"))
                for k in range(per_image if i % every == 0 else 0):
                    at = ns + round(late_ms * MS) + k * 100 * MS // per_image
                    bag.put("/cam/depth", IMAGE, at, make.image(at, "o", np.ones((12, 16), np.uint16), "16UC1"))
        source = open_source(folder, **({} if slop is None else {"sync_slop_ms": slop}))
        return source, [fs.frames[0].depth is not None for fs in source]

    @pytest.mark.parametrize("late_ms, every", [(25, 1), (-25, 1), (25, 2)])
    def test_the_gap_is_named(self, tmp_path, late_ms, every):
        source, paired = self.source(tmp_path / "bag", late_ms, every)
        assert not any(paired)
        line = next(w for w in source.warnings if "finds no image" in w)
        assert "25 ms" in line and "sync_slop_ms is 20" in line and "camera 'cam'" in line

    def test_a_larger_slop_mends_it(self, tmp_path):
        source, paired = self.source(tmp_path / "bag", 25, slop=30)
        assert all(paired) and not any("finds no image" in w for w in source.warnings)

    @pytest.mark.parametrize("late_ms, every, per_image", [(15, 1, 1), (0, 2, 1), (0, 1, 3)])
    def test_what_is_near_slower_or_faster_is_not_spoken_of(self, tmp_path, late_ms, every, per_image):
        source, paired = self.source(tmp_path / "bag", late_ms, every, per_image)
        assert sum(paired) == 12 // every and not any("finds no image" in w for w in source.warnings)
