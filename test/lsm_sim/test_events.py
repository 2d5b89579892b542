# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Scripted events: what happens on the path is what it says about it."""
import numpy as np
import pytest
from helpers.hand_made import furnished

from lsm_sim.events import EVENT_KINDS, FAST_RATE, WALL_DISTANCE, Event
from lsm_sim.paths import check_free, plan_path
from lsm_sim.solids import signed_distance


def motion(path, event):
    """Way of each step and unwrapped heading during an event."""
    rows = (path.times >= event.start_s - 1e-6) & (path.times <= event.start_s + event.duration_s + 1e-6)
    T = path.T_world_base[rows]
    return np.linalg.norm(np.diff(T[:, :2, 3], axis=0), axis=1), np.unwrap(np.arctan2(T[:, 1, 0], T[:, 0, 0])), T


def with_event(kind, duration_s, path_kind="robot"):
    path = plan_path(furnished(), path_kind, length_m=15.0, events=[Event(kind, 8.0, duration_s)], seed=2)
    assert len(path.events) == 1 and path.events[0].kind == kind
    return path, path.events[0]


class TestKidnap:
    def test_jumps_once_and_returns(self):
        path, event = with_event("kidnap", 1.0)
        (jump,) = path.jumps
        assert path.times[jump] == pytest.approx(event.start_s, abs=0.011)
        xy = path.T_world_base[:, :2, 3]
        steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
        assert steps[jump - 1] > 1.0 and np.delete(steps, jump - 1).max() < 0.01
        # It goes back to where it was taken from.
        assert np.linalg.norm(xy[jump + 100:] - xy[jump - 1], axis=1).min() < 0.02

    def test_nothing_lies_between_the_places(self):
        path, _ = with_event("kidnap", 1.0)
        (jump,) = path.jumps
        before, after = path.T_world_base[jump - 1], path.T_world_base[jump]
        np.testing.assert_allclose(path.at(np.array([path.times[jump] - 0.004]))[0], before, atol=1e-12)
        np.testing.assert_allclose(path.at(path.times[[jump]])[0], after, atol=1e-9)

    def test_in_the_hand_too(self):
        path, _ = with_event("kidnap", 1.0, "hand")
        steps = np.linalg.norm(np.diff(path.T_world_base[:, :3, 3], axis=0), axis=1)
        assert np.delete(steps, path.jumps[0] - 1).max() < 0.02 < steps[path.jumps[0] - 1]


class TestOthers:
    def test_blank_wall_is_all_that_is_ahead(self):
        world = furnished()
        path, event = with_event("blank_wall", 3.0)
        steps, _, T = motion(path, event)
        assert steps.max() < 1e-9 and event.duration_s == 3.0
        walls = np.array([world.things[i] == "wall" for i in world.instance])
        ahead = T[10, :3, 3] + (WALL_DISTANCE - 0.01) * T[10, :3, 0]
        views = ahead + np.array([[0, 0, z] for z in (0.6, 1.1, 1.6)]) + np.linspace(-0.4, 0.4, 5)[:, None, None] * T[10, :3, 1]
        near = signed_distance(world, views.reshape(-1, 3), parts=walls)
        np.testing.assert_allclose(near, 0.01, atol=0.005)

    @pytest.mark.parametrize(("kind", "least", "most"), [("pure_rotation", 0.5, 0.85),
                                                         ("fast_rotation", 2.0, 1.05 * FAST_RATE)])
    @pytest.mark.parametrize("duration_s", [1.5, 6.0])
    def test_rotations_do_not_move(self, kind, least, most, duration_s):
        path, event = with_event(kind, duration_s)
        steps, yaw, _ = motion(path, event)
        assert steps.max() < 1e-6
        assert least < np.abs(np.diff(yaw)).max() * 100 <= most
        assert event.duration_s == pytest.approx(duration_s, rel=0.45)
        assert (yaw[-1] - yaw[0] + np.pi) % (2 * np.pi) - np.pi == pytest.approx(0, abs=0.02)

    def test_pause(self):
        path, event = with_event("pause", 5.0)
        steps, yaw, _ = motion(path, event)
        assert steps.max() < 1e-9 and np.ptp(yaw) < 1e-9 and event.duration_s == 5.0

    def test_covered_lens_leaves_the_motion_alone(self):
        plain = plan_path(furnished(), "robot", length_m=15.0, seed=2)
        path = plan_path(furnished(), "robot", length_m=15.0, seed=2, events=[Event("covered_lens", 3, 2, "rear")])
        np.testing.assert_array_equal(plain.T_world_base, path.T_world_base)
        assert path.events == (Event("covered_lens", 3, 2, "rear"),)

    def test_all_at_once_without_collision(self):
        events = [Event(kind, 4.0 + 9 * k, 2.0) for k, kind in enumerate(EVENT_KINDS)]
        path = plan_path(furnished(), "robot", length_m=40.0, events=events)
        assert check_free(furnished(), path).min() > 0
        reported = {e.kind: e for e in path.events}
        assert set(reported) == set(EVENT_KINDS)
        for event in events:
            assert abs(reported[event.kind].start_s - event.start_s) < (30 if event.kind == "blank_wall" else 8)
        for kind in ("blank_wall", "pause", "pure_rotation", "fast_rotation"):
            steps, yaw, _ = motion(path, reported[kind])
            assert steps.max() < 1e-6, kind
            assert (np.ptp(yaw) > 0.3) == kind.endswith("rotation")
        assert path.times[path.jumps[0]] == pytest.approx(reported["kidnap"].start_s, abs=0.011)

    def test_reported_times_follow_what_is_put_before_them(self):
        # The way to the wall takes longer than until the pause, which then comes on that way.
        path = plan_path(furnished(), "robot", length_m=20.0, seed=2, events=[Event("blank_wall", 6, 3), Event("pause", 8, 5)])
        reported = {e.kind: e for e in path.events}
        for kind, seconds in (("blank_wall", 3), ("pause", 5)):
            steps, yaw, _ = motion(path, reported[kind])
            assert len(steps) == pytest.approx(100 * seconds, abs=2) and steps.max() < 1e-9 and np.ptp(yaw) < 1e-9
        assert reported["pause"].start_s < reported["blank_wall"].start_s

    def test_events_at_the_same_time_follow_each_other(self):
        events = [Event("pure_rotation", 5, 3), Event("pause", 6, 4), Event("fast_rotation", 6, 2)]
        path = plan_path(furnished(), "robot", length_m=10.0, events=events)
        for event in path.events:
            steps, yaw, _ = motion(path, event)
            assert steps.max() < 1e-6 and (np.ptp(yaw) < 1e-9) == (event.kind == "pause")
        ends = [(e.start_s, e.start_s + e.duration_s) for e in sorted(path.events, key=lambda e: e.start_s)]
        assert all(a[1] <= b[0] + 1e-6 for a, b in zip(ends[:-1], ends[1:], strict=True))

    def test_fit_into_a_duration(self):
        path = plan_path(furnished(), "robot", duration_s=40.0, events=[Event("pause", 5, 10)])
        assert path.duration_s == pytest.approx(40.0, abs=0.011) and path.events[0].duration_s == 10


class TestBadInput:
    @pytest.mark.parametrize(("args", "message"), [(("storm", 1.0), "storm"), (("pause", -1.0), "start_s"),
                                                   (("pause", 1.0, 0.0), "duration_s"), (("pause", float("nan")), "start_s")])
    def test_bad_events(self, args, message):
        with pytest.raises(ValueError, match=message):
            Event(*args)

    def test_after_the_end(self):
        with pytest.raises(ValueError, match="after the end"):
            plan_path(furnished(), length_m=3.0, events=[Event("pause", 500.0)])
