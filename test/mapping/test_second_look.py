# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Frames that got no pose are found in the finished map, from those that have one."""
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.geometry import se3_inverse, se3_log
from lsm_ros.mapping import second_look
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.mapping.second_look import MOST_HELD, SecondLook
from lsm_ros.types import TrajectoryPose
from lsm_sim.source import RoomSource

S = 10**9


class Line:
    """A tracker of frames that stand at their time on a line, found from at most `reach` away, or anywhere if `anywhere`."""

    def __init__(self, reach=1.5, anywhere=(), unusable=(), failing=(), error=None):
        self.error, self.reach, self.anywhere, self.unusable, self.failing = error, reach, anywhere, unusable, failing
        self.graph, self.asked, self.read_ones, self.added = object(), [], [], []

    def read(self, frame_set):
        self.read_ones.append(frame_set.stamp_ns // S)
        if frame_set.stamp_ns // S in self.failing:
            raise self.error
        return None if frame_set.stamp_ns // S in self.unusable else frame_set

    def confirm(self, new, T):
        self.asked.append((new.stamp_ns // S, round(float(T[0, 3]))))
        return self._at(new) if abs(new.stamp_ns / S - T[0, 3]) <= self.reach else None

    def locate(self, new):
        return self._at(new) if new.stamp_ns // S in self.anywhere else None

    def _at(self, new):
        return SimpleNamespace(pose=SimpleNamespace(T_map_rig=at(new.stamp_ns // S)), reference=7)

    def add(self, stamp_ns, T, graph, keyframe, published):  # as a history
        assert graph is self.graph and keyframe == 7 and not published and T[0, 3] == stamp_ns / S
        self.added.append(stamp_ns // S)


def at(x):
    T = np.eye(4)
    T[0, 3] = x
    return T


def look(tracker, known, frames):
    poses = [TrajectoryPose(i * S, at(i)) for i in known]
    second = SecondLook(tracker, tracker, lambda frame_set, _: frame_set, poses)
    return second.look(SimpleNamespace(stamp_ns=i * S, frames=()) for i in frames)


def test_each_frame_is_looked_for_from_the_nearest_pose():
    tracker = Line()
    assert look(tracker, [4, 9], range(12)) == 10
    assert tracker.read_ones == [3, 2, 1, 0, 5, 6, 7, 8, 10, 11]  # from what is known outwards; with a pose: not at all
    assert tracker.added == tracker.read_ones and all(abs(i - j) == 1 for i, j in tracker.asked)


def test_what_is_not_near_may_be_anywhere_and_shows_the_way_to_others():
    tracker = Line(anywhere=[3])
    assert look(tracker, [9], [1, 2, 3, 4, 5, 9]) == 3  # 5 and 4 are too far from 9, and come before 3
    assert tracker.added == [3, 2, 1]


@pytest.mark.parametrize("error", [ValueError("an image that cannot be used"), cv2.error("(-215) sizes differ")])
def test_frames_that_fail_or_cannot_be_used_cost_themselves(error):
    tracker = Line(failing=[2], unusable=[1], reach=5, error=error)
    assert look(tracker, [4], range(5)) == 2 and tracker.added == [3, 0]


def test_long_runs_are_looked_at_in_pieces():
    tracker, given = Line(), []

    def frames():
        for i in range(1, 3 * MOST_HELD):
            given.append((i, len(tracker.read_ones)))
            yield i
    assert look(tracker, [0], frames()) == 3 * MOST_HELD - 1
    assert max(i - done for i, done in given) <= MOST_HELD  # so many are held at most


def test_large_images_are_held_in_smaller_numbers(monkeypatch):
    monkeypatch.setattr(second_look, "MOST_BYTES", 3500)
    tracker, held = Line(), []
    image = SimpleNamespace(image=np.zeros(600, np.uint8), depth=np.zeros(100, np.float32))

    def frames():
        for i in range(1, 20):
            held.append(i - len(tracker.read_ones))
            yield SimpleNamespace(stamp_ns=i * S, frames=[image])
    second = SecondLook(tracker, tracker, lambda frame_set, _: frame_set, [TrajectoryPose(0, at(0))])
    assert second.look(frames()) == 19 and max(held) == 4


def test_without_any_pose_nothing_is_looked_for():
    tracker = Line(anywhere=range(9))
    assert look(tracker, [], range(5)) == 0 and not tracker.read_ones


@pytest.mark.parametrize("lost", [range(5, 8), [0, 1]])
def test_a_covered_lens_costs_no_pose_in_the_end(lost):
    source = RoomSource(seed=2, frames=40, width=240, height=180, noise=False)
    frame_sets = [source.frame_set(i) for i in range(12)]
    pipeline = MappingPipeline(from_dict({"fusion.voxel_size": 0.08}))
    for i, f in enumerate(frame_sets):
        dark = [replace(x, image=np.zeros_like(x.image), depth=None) for x in f.frames]
        pipeline.process(replace(f, frames=tuple(dark)) if i in lost else f)
    pipeline.settle()
    before, online = pipeline.status(), pipeline.online_trajectory()
    assert before.frames_without_pose == len(lost) and len(pipeline.trajectory()) == 12 - len(lost)
    keyframes, version = before.keyframes, pipeline.tracker.graph.version
    assert pipeline.look_again(frame_sets) == len(lost)
    after = pipeline.status()
    assert after.frames_without_pose == 0 and after.keyframes == keyframes and pipeline.tracker.graph.version == version
    assert [p.stamp_ns for p in pipeline.online_trajectory()] == [p.stamp_ns for p in online]
    poses = {p.stamp_ns: p.T_map_rig for p in pipeline.trajectory()}
    assert sorted(poses) == [f.stamp_ns for f in frame_sets]
    truth = {p.stamp_ns: p.T_map_rig for p in source.ground_truth}
    reference = frame_sets[-1].stamp_ns
    for i in lost:
        stamp = frame_sets[i].stamp_ns
        there = se3_inverse(poses[reference]) @ poses[stamp]
        assert np.abs(se3_log(se3_inverse(se3_inverse(truth[reference]) @ truth[stamp]) @ there)).max() < 0.02
    assert pipeline.look_again(frame_sets) == 0
    pipeline._atlas.here.history = type(pipeline._atlas.here.history)()  # as of a map that never saw these frames
    pipeline._atlas.here.history.add(reference, poses[reference], pipeline.tracker.graph, 0)
    assert pipeline.look_again(frame_sets) == 11 and pipeline.status().frames_without_pose == 0
