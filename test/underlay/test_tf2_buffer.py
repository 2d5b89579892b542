# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""tf2_py.BufferCore: what a lookup gives and what it refuses."""

import math

import numpy as np
import pytest

pytest.importorskip("rclpy")
tf2_py = pytest.importorskip("tf2_py")

from builtin_interfaces.msg import Time as TimeMessage  # noqa: E402
from geometry_msgs.msg import TransformStamped  # noqa: E402
from rclpy.duration import Duration  # noqa: E402
from rclpy.time import Time  # noqa: E402

HALF = math.sqrt(0.5)
QUARTER_TURN_Z = (0.0, 0.0, HALF, HALF)
LATEST = Time()


def transform(parent, child, time_s=0.0, xyz=(0.0, 0.0, 0.0), q=(0.0, 0.0, 0.0, 1.0)):
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = parent, child
    message.header.stamp = Time(nanoseconds=round(time_s * 1e9)).to_msg()
    t, r = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = xyz
    r.x, r.y, r.z, r.w = q
    return message


def xyz(message):
    t = message.transform.translation
    return np.array([t.x, t.y, t.z])


def quaternion(message):
    r = message.transform.rotation
    return np.array([r.x, r.y, r.z, r.w])


def at(time_s):
    return Time(nanoseconds=round(time_s * 1e9))


@pytest.fixture
def core():
    return tf2_py.BufferCore()


@pytest.fixture
def moving(core):
    """map -> base moves from x=0 at 10 s to x=4 at 12 s and turns by 90 degrees about z."""
    core.set_transform(transform("map", "base", 10.0), "test")
    core.set_transform(transform("map", "base", 12.0, (4.0, 0.0, 0.0), QUARTER_TURN_Z), "test")
    return core


class TestLookup:
    def test_header_and_values(self, core):
        sent = transform("map", "base", 3.25, (1.0, -2.0, 0.5), QUARTER_TURN_Z)
        core.set_transform(sent, "test")
        found = core.lookup_transform_core("map", "base", at(3.25))
        assert found.header == sent.header
        assert found.child_frame_id == "base"
        np.testing.assert_allclose(xyz(found), xyz(sent))
        np.testing.assert_allclose(quaternion(found), quaternion(sent))

    def test_inverse_direction(self, core):
        core.set_transform(transform("map", "base", 1.0, (1.0, 2.0, 3.0), QUARTER_TURN_Z), "test")
        found = core.lookup_transform_core("base", "map", at(1.0))
        np.testing.assert_allclose(xyz(found), [-2.0, 1.0, -3.0], atol=1e-15)
        np.testing.assert_allclose(quaternion(found), [0.0, 0.0, -HALF, HALF])

    def test_accepts_message_times(self, moving):
        assert xyz(moving.lookup_transform_core("map", "base", TimeMessage(sec=11)))[0] == pytest.approx(2.0)
        with pytest.raises(TypeError, match="sec and nanosec"):
            moving.lookup_transform_core("map", "base", 11.0)

    def test_same_frame_is_identity_even_if_unknown(self, core):
        found = core.lookup_transform_core("nowhere", "nowhere", at(2.0))
        assert found.header.stamp.sec == 2
        np.testing.assert_array_equal(quaternion(found), [0, 0, 0, 1])

    def test_interpolates_line_and_arc(self, moving):
        found = moving.lookup_transform_core("map", "base", at(10.5))
        np.testing.assert_allclose(xyz(found), [1.0, 0.0, 0.0])
        angle = math.radians(22.5)
        np.testing.assert_allclose(quaternion(found), [0, 0, math.sin(angle / 2), math.cos(angle / 2)])

    def test_interpolates_along_the_shorter_arc(self, core):
        # From 110 to -110 degrees about z leads through 180, not through 0.
        half = math.radians(55)
        for time_s, sign in ((1.0, 1), (2.0, -1)):
            core.set_transform(
                transform("map", "base", time_s, q=(0, 0, sign * math.sin(half), math.cos(half))), "test"
            )
        found = core.lookup_transform_core("map", "base", at(1.5))
        np.testing.assert_allclose(quaternion(found), [0, 0, 1, 0], atol=1e-15)

    @pytest.mark.parametrize(
        "q", [(0.0, 0.0, HALF, HALF), (1.0, 0.0, 0.0, 0.0), (-0.6, 0.8, 0.0, 0.0), (math.sqrt(0.84), 0.0, 0.0, -0.4)]
    )
    def test_sign_of_the_quaternion_is_that_of_tf2(self, core, q):
        core.set_transform(transform("map", "plus", 1.0, q=q), "test")
        core.set_transform(transform("map", "minus", 1.0, q=tuple(-c for c in q)), "test")
        for frame in ("plus", "minus"):
            np.testing.assert_allclose(quaternion(core.lookup_transform_core("map", frame, at(1.0))), q)

    def test_arrival_out_of_order(self, core):
        for time_s in (3.0, 1.0, 2.0):
            core.set_transform(transform("map", "base", time_s, (time_s**2, 0.0, 0.0)), "test")
        assert xyz(core.lookup_transform_core("map", "base", at(1.5)))[0] == pytest.approx(2.5)
        assert xyz(core.lookup_transform_core("map", "base", LATEST))[0] == pytest.approx(9.0)

    def test_random_tree_agrees_with_matrices(self, core):
        rng = np.random.default_rng(4)
        T_root = {"f0": np.eye(4)}
        for i in range(1, 12):
            parent = f"f{rng.integers(i)}"
            q = rng.normal(size=4)
            q /= np.linalg.norm(q)
            t = rng.normal(size=3)
            core.set_transform(transform(parent, f"f{i}", 1.0, t.tolist(), q.tolist()), "test")
            T_root[f"f{i}"] = T_root[parent] @ matrix(t, q)
        for target, T_root_target in T_root.items():
            for source, T_root_source in T_root.items():
                found = core.lookup_transform_core(target, source, at(1.0))
                expected = np.linalg.inv(T_root_target) @ T_root_source
                np.testing.assert_allclose(matrix(xyz(found), quaternion(found)), expected, atol=1e-12)

    def test_two_times_through_a_fixed_frame(self, moving):
        found = moving.lookup_transform_full_core("base", at(12.0), "base", at(11.0), "map")
        # Where base was at 11 s, seen from base at 12 s: 2 m behind it in map, which is -x turned by -90 degrees.
        np.testing.assert_allclose(xyz(found), [0.0, 2.0, 0.0], atol=1e-15)
        angle = math.radians(-45)
        np.testing.assert_allclose(quaternion(found), [0, 0, math.sin(angle / 2), math.cos(angle / 2)])
        assert found.header.stamp.sec == 12

    def test_changed_parent_is_not_interpolated(self, core):
        core.set_transform(transform("map", "cup", 1.0, (1.0, 0.0, 0.0)), "test")
        core.set_transform(transform("hand", "cup", 2.0, (5.0, 0.0, 0.0)), "test")
        assert xyz(core.lookup_transform_core("map", "cup", at(1.9)))[0] == 1.0
        assert xyz(core.lookup_transform_core("hand", "cup", at(2.0)))[0] == 5.0


def matrix(t, q):
    x, y, z, w = q
    T = np.eye(4)
    T[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    T[:3, 3] = t
    return T


class TestTimes:
    def test_zero_is_the_latest_common_time(self, moving):
        moving.set_transform(transform("base", "arm", 10.0), "test")
        moving.set_transform(transform("base", "arm", 11.0), "test")
        assert moving.get_latest_common_time("map", "arm") == at(11.0)
        found = moving.lookup_transform_core("map", "arm", LATEST)
        assert found.header.stamp.sec == 11
        assert xyz(found)[0] == pytest.approx(2.0)

    def test_common_time_of_two_branches_ignores_what_lies_above_their_ancestor(self, core):
        core.set_transform(transform("map", "base", 1.0), "test")
        core.set_transform(transform("base", "left", 7.0), "test")
        core.set_transform(transform("base", "right", 5.0), "test")
        core.set_transform(transform("base", "right", 9.0), "test")
        assert core.get_latest_common_time("left", "right") == at(7.0)
        assert core.can_transform_core("left", "right", at(7.0)) == (True, "")

    def test_static_holds_at_all_times(self, core):
        core.set_transform_static(transform("base", "camera", 5.0, (0.0, 0.0, 1.0)), "test")
        for time_s in (0.0, 1.0, 1e9):
            found = core.lookup_transform_core("base", "camera", at(time_s))
            assert xyz(found)[2] == 1.0
            assert found.header.stamp.sec == int(time_s)
        assert core.get_latest_common_time("base", "camera") == at(0.0)

    def test_static_does_not_limit_the_common_time(self, moving):
        moving.set_transform_static(transform("base", "camera", 1.0), "test")
        assert moving.get_latest_common_time("map", "camera") == at(12.0)

    def test_frame_may_turn_static_and_back(self, moving):
        moving.set_transform_static(transform("map", "base", 0.0, (1.0, 0.0, 0.0)), "test")
        assert xyz(moving.lookup_transform_core("map", "base", at(11.0)))[0] == 1.0
        moving.set_transform(transform("map", "base", 5.0), "test")
        assert not moving.can_transform_core("map", "base", at(11.0))[0]

    @pytest.mark.parametrize(
        ("time_s", "words"),
        [(9.0, ["into the past", "9.000000", "10.000000"]), (13.5, ["into the future", "13.500000", "12.000000"])],
    )
    def test_refuses_to_extrapolate(self, moving, time_s, words):
        with pytest.raises(tf2_py.ExtrapolationException) as refusal:
            moving.lookup_transform_core("map", "base", at(time_s))
        for word in [*words, "from frame [base] to frame [map]"]:
            assert word in str(refusal.value)
        assert moving.can_transform_core("base", "map", at(time_s))[0] is False

    def test_single_sample_serves_its_own_time_only(self, core):
        core.set_transform(transform("map", "base", 1.0), "test")
        core.lookup_transform_core("map", "base", at(1.0))
        with pytest.raises(tf2_py.ExtrapolationException, match="only time 1.000000 is in the buffer"):
            core.lookup_transform_core("map", "base", at(1.001))

    def test_keeps_ten_seconds(self, core):
        for time_s in range(1, 31):
            core.set_transform(transform("map", "base", time_s), "test")
        assert core.can_transform_core("map", "base", at(20.0))[0]
        assert not core.can_transform_core("map", "base", at(18.0))[0]

    def test_cache_time_can_be_chosen(self):
        core = tf2_py.BufferCore(Duration(seconds=2))
        for time_s in range(1, 31):
            core.set_transform(transform("map", "base", time_s), "test")
        assert core.can_transform_core("map", "base", at(28.5))[0]
        assert not core.can_transform_core("map", "base", at(26.0))[0]

    def test_ignores_data_older_than_the_cache(self, moving):
        moving.set_transform(transform("map", "base", 1.0), "test")
        assert not moving.can_transform_core("map", "base", at(5.0))[0]

    def test_repeated_sample_is_stored_once(self, core):
        for _ in range(3):
            core.set_transform(transform("map", "base", 1.0), "test")
        assert "rate: 10000.000" in core.all_frames_as_yaml()  # one sample in 100 us, the shortest span reckoned with


class TestErrors:
    def test_unknown_frame_is_named(self, moving):
        with pytest.raises(tf2_py.LookupException, match="gripper"):
            moving.lookup_transform_core("map", "gripper", LATEST)
        with pytest.raises(tf2_py.LookupException, match="world"):
            moving.get_latest_common_time("world", "base")
        possible, reason = moving.can_transform_core("world", "base", LATEST)
        assert not possible
        assert "world" in reason

    @pytest.mark.parametrize("time", [LATEST, at(11.0)])
    def test_unconnected_trees(self, moving, time):
        moving.set_transform_static(transform("table", "cup"), "test")
        with pytest.raises(tf2_py.ConnectivityException, match="'map' and 'cup'"):
            moving.lookup_transform_core("map", "cup", time)

    @pytest.mark.parametrize("name", ["", "/base"])
    def test_names_that_tf2_forbids(self, moving, name):
        for frames in (("map", name), (name, "map")):
            with pytest.raises(tf2_py.InvalidArgumentException):
                moving.lookup_transform_core(*frames, LATEST)
        with pytest.raises(tf2_py.InvalidArgumentException):
            moving.lookup_transform_full_core("map", LATEST, "base", LATEST, name)

    def test_loop(self, core):
        core.set_transform(transform("a", "b", 1.0), "test")
        core.set_transform(transform("b", "a", 1.0), "test")
        core.set_transform(transform("c", "d", 1.0), "test")
        with pytest.raises(tf2_py.LookupException, match="loop"):
            core.lookup_transform_core("d", "a", at(1.0))

    def test_all_errors_are_transform_exceptions(self):
        for name in ("Lookup", "Connectivity", "Extrapolation", "InvalidArgument", "Timeout"):
            assert issubclass(getattr(tf2_py, f"{name}Exception"), tf2_py.TransformException)


class TestInput:
    @pytest.mark.parametrize(
        "bad",
        [
            transform("map", "base", 1.0, (math.nan, 0.0, 0.0)),
            transform("map", "base", 1.0, q=(0.0, 0.0, math.nan, 1.0)),
            transform("map", "base", 1.0, q=(0.0, 0.0, 0.0, 0.0)),
            transform("base", "base", 1.0),
            transform("map", "", 1.0),
            transform("", "base", 1.0),
        ],
    )
    def test_bad_input_is_ignored(self, core, bad):
        core.set_transform(bad, "test")
        core.set_transform_static(bad, "test")
        assert core._getFrameStrings() == []

    def test_quaternion_is_normalised(self, core):
        core.set_transform(transform("map", "base", 1.0, q=(0.0, 0.0, 3.0, 3.0)), "test")
        np.testing.assert_allclose(quaternion(core.lookup_transform_core("map", "base", at(1.0))), QUARTER_TURN_Z)

    def test_leading_slash_of_ros_1_is_dropped(self, core):
        core.set_transform(transform("/map", "/base", 1.0), "test")
        assert core.can_transform_core("map", "base", at(1.0))[0]

    def test_clear_keeps_static_transforms_and_names(self, moving):
        moving.set_transform_static(transform("base", "camera", 0.0), "test")
        moving.clear()
        assert not moving.can_transform_core("map", "base", LATEST)[0]
        assert moving.can_transform_core("base", "camera", LATEST)[0]
        assert moving._frameExists("map")
        moving.set_transform(transform("map", "base", 1.0), "test")  # earlier than all data before
        assert moving.can_transform_core("map", "camera", at(1.0))[0]

    def test_lists_frames(self, moving):
        assert "Frame base exists with parent map." in moving.all_frames_as_string()
        yaml = pytest.importorskip("yaml").safe_load(moving.all_frames_as_yaml())
        assert set(yaml) == {"base"}
        assert yaml["base"]["parent"] == "map"
        assert yaml["base"]["broadcaster"] == "test"
        assert yaml["base"]["rate"] == pytest.approx(1.0)
        assert yaml["base"]["buffer_length"] == pytest.approx(2.0)
        assert tf2_py.BufferCore().all_frames_as_yaml() == "[]"


class TestVelocity:
    def test_of_a_wheel_hub_and_its_rim(self, core):
        for step in range(21):
            time_s, angle = 1.0 + 0.1 * step, 0.05 * step  # 2 m/s along x, 0.5 rad/s about z
            q = (0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2))
            core.set_transform(transform("map", "base", time_s, (2.0 * time_s, 0.0, 0.0), q), "test")
        interval = Duration(seconds=0.2)
        linear, angular = core.lookupVelocityCore("base", "map", at(2.0), interval)
        np.testing.assert_allclose(linear, [2.0, 0.0, 0.0], atol=1e-9)
        np.testing.assert_allclose(angular, [0.0, 0.0, 0.5], atol=1e-9)
        # A point one metre to the left in map, moving along with base: omega x r = -0.5 m/s in x.
        linear, _ = core.lookupVelocityFullCore("base", "map", "map", (4.0, 1.0, 0.0), "map", at(2.0), interval)
        np.testing.assert_allclose(linear, [1.5, 0.0, 0.0], atol=1e-9)
