# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Readings of an inertial sensor on their way from files and bags to frame sets."""
import numpy as np
import pytest

from lsm_ros.datasets import open_source
from lsm_ros.datasets.imu import ImuData, every_nth, read_imu
from lsm_ros.datasets.record import record
from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.types import Frame, FrameSet, ImuSample
from lsm_sim.export import export
from lsm_sim.source import SimSource

S = 1_000_000_000
T_RIG_IMU = make_se3(so3_exp([0.1, 0.2, 0.3]), [0.1, 0.0, 0.2])
pytest.importorskip("rosbags", reason="rosbags is not installed (pip install rosbags)")


def stamps_of(frame_sets):
    return [[s.stamp_ns for s in f.imu] for f in frame_sets]


@pytest.fixture(scope="module")
def source():
    """Five frame sets, and an inertial sensor that starts before them."""
    out = SimSource(1, "room", frames=5, width=32, height=24, rate_hz=10.0, depth=False, labels=False, imu=True)
    out.imu = ImuData(out.imu.stamps_ns, out.imu.angular_velocity, out.imu.specific_force, T_RIG_IMU)
    return out


def test_a_simulated_source_hands_on_the_readings_since_the_last_frame(source):
    frame_sets = list(source)
    assert stamps_of(frame_sets)[0] == [0]
    for before, frame_set in zip(frame_sets[:-1], frame_sets[1:], strict=True):
        assert len(frame_set.imu) == 20
        assert before.stamp_ns < frame_set.imu[0].stamp_ns <= frame_set.imu[-1].stamp_ns <= frame_set.stamp_ns
        np.testing.assert_array_equal(frame_set.T_rig_imu, T_RIG_IMU)
    assert stamps_of([source.frame_set(3)]) == stamps_of(frame_sets[3:4])


@pytest.mark.parametrize("form", ["tum", "bag"])
def test_the_way_over_disk(source, tmp_path, form):
    export(source, tmp_path / form, form)
    back = open_source(tmp_path / form)
    shift = int(getattr(back, "stamp_offset_ns", 0))
    frame_sets = list(back)
    assert [[s - shift for s in stamps] for stamps in stamps_of(frame_sets)] == stamps_of(source)
    for got, wanted in zip(frame_sets, source, strict=True):
        np.testing.assert_allclose(got.T_rig_imu, T_RIG_IMU, atol=1e-8)
        for a, b in zip(got.imu, wanted.imu, strict=True):
            np.testing.assert_allclose(a.angular_velocity, b.angular_velocity, rtol=1e-8)
            np.testing.assert_allclose(a.specific_force, b.specific_force, rtol=1e-8)
    assert stamps_of(back) == stamps_of(frame_sets)  # read again, the same


@pytest.mark.parametrize("text, line", [("1,0,0,0,0,0,9\n99999999999999999999,0,0,0,0,0,9", 2), ("1,nan,0,0,0,0,0", 1),
                                        ("# T_rig_imu: 1 2 3", 1), ("# T_rig_imu: " + "inf " * 16, 1),
                                        ("# T_rig_imu: 2 0 0 0 0 2 0 0 0 0 2 0 0 0 0 1", 1), ("1e400,0,0,0,0,0,0", 1)])
def test_lines_that_are_no_readings_are_named(tmp_path, text, line):
    (tmp_path / "imu.csv").write_text(text)
    with pytest.raises(ValueError, match=f"imu.csv, line {line}: expected"):
        read_imu(tmp_path / "imu.csv")


def test_each_nth_frame_set_has_the_readings_of_those_left_out(source):
    every = [s for stamps in stamps_of(source) for s in stamps]
    thinned = list(every_nth(source, 2))
    assert [f.stamp_ns for f in thinned] == [f.stamp_ns for f in list(source)[::2]]
    assert [s for stamps in stamps_of(thinned) for s in stamps] == every
    assert list(every_nth(source, 1)) == list(source)


def test_readings_need_their_place():
    sample = ImuSample(0, np.zeros(3), np.zeros(3))
    frame = Frame(0, "c", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="T_rig_imu"):
        FrameSet(0, (frame,), imu=(sample,))
    with pytest.raises(ValueError, match="3 and 3 numbers"):
        ImuSample(0, np.zeros(2), np.zeros(3))


class TestBag:
    @pytest.fixture
    def bag(self, source, tmp_path):
        record(source, tmp_path / "bag")
        return tmp_path / "bag"

    def test_the_only_one_is_taken_and_said(self, bag):
        back = open_source(bag)
        assert any("IMU /imu is taken, the only one in the bag" in w for w in back.warnings)
        assert next(iter(back)).T_rig_imu is not None

    def test_one_that_is_named(self, bag):
        back = open_source(bag, imu="/imu")
        assert not back.warnings and sum(map(len, stamps_of(back))) == 81

    def test_none_where_none_is_wanted(self, bag):
        back = open_source(bag, imu="")
        assert not back.warnings and stamps_of(back) == [[]] * 5 and next(iter(back)).T_rig_imu is None

    @pytest.mark.parametrize("topic", ["/imu/data", "/front/image"])
    def test_a_topic_that_is_none(self, bag, topic):
        with pytest.raises(ValueError, match=f"no IMU topic '{topic}'; it has .*/imu \\(Imu, 81\\)"):
            open_source(bag, imu=topic)
