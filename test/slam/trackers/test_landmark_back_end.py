# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""New keyframes are linked and optimised at once, or while frames go on."""
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.geometry import se3_inverse, so3_log
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.pairs.depth import DepthPairModel
from lsm_ros.slam.graph import uncertainty
from lsm_ros.slam.graph.keyframes import Link
from lsm_ros.slam.trackers.landmark_back_end import MOST_WAITING, LandmarkBackEnd, Tidied
from lsm_sim.source import RoomSource

CONFIG = from_dict({"fusion.voxel_size": 0.06, "keyframes.max_translation": 0.1})
FRAMES = 50


@pytest.fixture(scope="module")
def source():
    return RoomSource(seed=1, frames=150)


@pytest.fixture(scope="module")
def frame_sets(source):
    return [source.frame_set(i) for i in range(FRAMES)]


class Gate:
    """Holds the back end's thread until it is opened. done: its jobs so far."""

    def __init__(self, monkeypatch):
        self.open, self.threads = threading.Event(), []
        tidy = LandmarkBackEnd._tidy

        def held(back, graph, new):
            self.threads.append(threading.current_thread())
            if threading.current_thread() is not threading.main_thread():
                assert self.open.wait(60)
            return tidy(back, graph, new)

        monkeypatch.setattr(LandmarkBackEnd, "_tidy", held)


def feed(pipeline, frames, keyframes):
    """Sends frames until the map has so many keyframes."""
    while len(pipeline.tracker.graph.keyframes) < keyframes:
        pipeline.process(next(frames))


def linked_with(graph, i):
    """Older keyframes whose landmarks a keyframe shows, and that show its own."""
    return {k for k in graph.linked(i) if k < i and any(x.anchor == i and x.observer == k for x in graph.links_of(i))}


def error(pipeline, source):
    """Most metres and radians by which a pose is off the truth, both from the first frame on."""
    truth = {p.stamp_ns: p.T_map_rig for p in source.ground_truth}
    ours = pipeline.trajectory()
    d = [se3_inverse(se3_inverse(truth[ours[0].stamp_ns]) @ truth[p.stamp_ns]) @ se3_inverse(ours[0].T_map_rig) @ p.T_map_rig
         for p in ours]
    return max(np.linalg.norm(x[:3, 3]) for x in d), max(np.linalg.norm(so3_log(x[:3, :3])) for x in d)


def test_a_map_made_in_the_background_is_as_good(source, frame_sets):
    pipeline = MappingPipeline(CONFIG, background=True)
    for frame_set in frame_sets:
        assert pipeline.process(frame_set).tracking.T_map_rig is not None
    pipeline.settle()
    graph = pipeline.tracker.graph
    assert len(pipeline.trajectory()) == FRAMES and len(graph.keyframes) > 5
    assert all(linked_with(graph, i) for i in sorted(graph.keyframes)[1:]), "all were linked both ways"
    assert all(x.anchor != x.observer for x in graph.links.values())
    assert len(graph.places) == len(graph.keyframes)
    metres, radians = error(pipeline, source)
    assert metres < 0.03 and radians < 0.01


def test_frames_and_new_keyframes_do_not_wait_until_there_are_many(frame_sets, monkeypatch):
    gate, pipeline = Gate(monkeypatch), MappingPipeline(CONFIG, background=True)
    graph = pipeline.tracker.graph
    frames = iter(frame_sets)
    feed(pipeline, frames, MOST_WAITING + 1)
    assert len(gate.threads) == 1, "one job at a time"
    assert len(graph.keyframes) == MOST_WAITING + 1 and not linked_with(graph, 2) and not len(graph.places)

    def open_once_there_are_many():
        while len(pipeline.tracker._back._waiting) <= MOST_WAITING:
            time.sleep(0.001)
        gate.open.set()

    threading.Thread(target=open_once_there_are_many, daemon=True).start()
    feed(pipeline, frames, MOST_WAITING + 2)
    assert gate.open.is_set(), "one more had to wait for the thread"
    assert len(gate.threads) == 2 and threading.main_thread() not in gate.threads, "which goes on with all that waited"
    assert 0 in graph.places and not pipeline.tracker._back._waiting
    pipeline.tracker.catch_up()
    assert linked_with(graph, 2) and 2 in graph.places


def test_without_a_background_all_is_done_at_once_in_the_same_thread(frame_sets, monkeypatch):
    gate, pipeline = Gate(monkeypatch), MappingPipeline(CONFIG)
    graph = pipeline.tracker.graph
    for frame_set in frame_sets[:25]:
        pipeline.process(frame_set)
        assert len(graph.places) == len(graph.keyframes)
    assert len(gate.threads) == len(graph.keyframes) > 2 and set(gate.threads) == {threading.main_thread()}


def test_what_moves_or_saves_the_map_waits_for_the_background(frame_sets, monkeypatch, tmp_path):
    for n, act in enumerate([lambda p: p.tracker.move_map(np.eye(4)), lambda p: p.save(tmp_path / "map"), lambda p: p.settle(),
                             lambda p: p.tracker.split(2, None)]):
        with monkeypatch.context() as patch:
            gate, pipeline = Gate(patch), MappingPipeline(CONFIG, background=True)
            feed(pipeline, iter(frame_sets), 3)
            graph = pipeline.tracker.graph
            newest = max(graph.keyframes)
            assert newest not in graph.places, n
            threading.Timer(0.1, gate.open.set).start()
            act(pipeline)
            assert gate.open.is_set() and newest in graph.places, n


def test_a_keyframe_that_left_is_not_worked_on(frame_sets, monkeypatch):
    gate, pipeline = Gate(monkeypatch), MappingPipeline(CONFIG, background=True)
    feed(pipeline, iter(frame_sets), 3)
    pipeline.tracker.graph.remove(1)
    gate.open.set()
    pipeline.tracker.catch_up()
    assert sorted(pipeline.tracker.graph.keyframes) == [0, 2] and len(pipeline.tracker.graph.places) == 2


def test_an_error_of_the_thread_is_raised_by_a_later_frame(frame_sets, monkeypatch):
    def fail(self, tokens):
        raise RuntimeError("no signature today")

    pipeline = MappingPipeline(CONFIG, background=True)
    pipeline.process(frame_sets[0])
    pipeline.tracker.catch_up()
    monkeypatch.setattr(DepthPairModel, "signature", fail)
    with pytest.raises(RuntimeError, match="no signature today"):
        for frame_set in frame_sets[1:]:
            pipeline.process(frame_set)
        pipeline.tracker.catch_up()
    monkeypatch.undo()
    assert pipeline.process(frame_sets[-1]).tracking.T_map_rig is not None


def test_the_newest_poses_follow_the_newest_keyframe(frame_sets, monkeypatch):
    pipeline = MappingPipeline(CONFIG, background=True)
    for frame_set in frame_sets[:10]:
        pipeline.process(frame_set)
    pipeline.tracker.catch_up()
    before = [p.T_map_rig for p in pipeline.tracker.progress.poses]
    shift = np.eye(4)
    shift[:3, 3] = 0.3, 0.0, 0.1
    monkeypatch.setattr(LandmarkBackEnd, "take", lambda self, wait: Tidied((), shift))
    pipeline.tracker.catch_up()
    for old, new in zip(before, pipeline.tracker.progress.poses, strict=True):
        assert np.allclose(new.T_map_rig, shift @ old)


def test_corrections_follow_each_other():
    a, b = np.diag([2.0, 2.0, 2.0, 1.0]), np.eye(4)
    b[:3, 3] = 1.0, 0.0, 0.0
    both = Tidied((1,), a).then(Tidied((2,), b))
    assert both.loops == (1, 2) and np.allclose(both.correction, b @ a)
    assert Tidied().then(Tidied((), b)).correction is b and Tidied((), a).then(Tidied()).correction is a


def test_a_loop_makes_poses_surer(frame_sets, monkeypatch):
    pipeline = MappingPipeline(CONFIG)
    for frame_set in frame_sets[:20]:
        update = pipeline.process(frame_set).tracking
    tracker, graph = pipeline.tracker, pipeline.tracker.graph
    first, newest = graph.keyframes[0], graph.newest
    for key in [k for k in graph.links if {k[0], k[2]} == {first.id, newest.id}]:
        graph.disconnect(key)
    tracker._uncertainty.renumbered()
    chain = tracker._uncertainty.of(newest.id)
    assert update.covariance.trace() > update.own_covariance.trace()
    matches = next(x.matches for x in graph.links_of(newest.id) if x.observer == newest.id)
    nowhere = replace(matches, index_b=0 * matches.index_b, pixels_a=0 * matches.pixels_a)
    link = Link(first.id, "front", newest.id, "front", nowhere)

    def covariance(views, *rest, exact=uncertainty.covariance_at):
        return 1e-9 * np.eye(6) if not views[0].pixels.any() else exact(views, *rest)

    monkeypatch.setattr(uncertainty, "covariance_at", covariance)
    monkeypatch.setattr(tracker._back, "take", lambda wait: graph.connect(link) or Tidied((first.id,)))
    tracker.catch_up()
    assert tracker._uncertainty.of(newest.id).trace() < 0.8 * chain.trace()


def test_what_is_asked_of_the_graph_is_done_after_what_waits_and_ends_with_the_merge(frame_sets, monkeypatch):
    for background in (False, True):
        with monkeypatch.context() as patch:
            gate, pipeline = Gate(patch), MappingPipeline(CONFIG, background=background)
            frames = iter(frame_sets)
            gate.open.set()
            feed(pipeline, frames, 3)
            pipeline.tracker.catch_up()
            gate.open.clear()
            back, original, seen = pipeline.tracker._back, pipeline.tracker.graph, []

            def work(graph, seen=seen, original=original):
                seen.append((graph is original, threading.current_thread() is threading.main_thread()))
                graph.keyframes[1].T_map_rig = graph.keyframes[1].T_map_rig @ np.diag([-1.0, -1.0, 1.0, 1.0])
                return lambda: seen.append(bool(original.keyframes[1].T_map_rig[0, 0] < 0))

            back.ask(work)
            threading.Timer(0.1, gate.open.set).start()
            back.take(wait=not background)
            assert seen == ([] if background else [(True, True), True])
            pipeline.tracker.catch_up()
            assert seen == [(not background, not background), True], "it was done once, in the merged graph at last"


def test_in_the_end_all_that_see_the_same_are_linked_and_adjusted_once(frame_sets, monkeypatch):
    config = {"fusion.voxel_size": 0.06, "keyframes.max_translation": 0.1, "keyframes.neighbours": 1}
    pipeline = MappingPipeline(from_dict(config))
    for frame_set in frame_sets[:30]:
        pipeline.process(frame_set)
    tracker, graph = pipeline.tracker, pipeline.tracker.graph
    before, adjusted = set(graph.links), []
    adjust_all = graph.adjust_all
    monkeypatch.setattr(graph, "adjust_all", lambda: adjusted.append(len(graph.links)) or adjust_all())
    tracker.finish()
    assert len(graph.links) > len(before) and len(adjusted) >= 2, (len(before), len(graph.links), adjusted)
    assert adjusted[0] > len(before) and graph.adjusted_at == graph.next_id
    for key in set(graph.links) - before:
        graph.disconnect(key)
    tracker._back.link_all()
    assert set(graph.links) <= before, "what was looked at is not looked at again"
