# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Dense depth of keyframes: from whom, when, at once or in a thread, and what of it still holds when it comes."""
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.geometry import CameraIntrinsics, make_se3, so3_exp
from lsm_ros.pairs.dense import DenseDepth
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView
from lsm_ros.slam.trackers.base import TrackedFrame
from lsm_ros.slam.trackers.keyframe_dense import KeyframeDense, partners
from lsm_ros.types import Frame

CONFIG = from_dict({"pairs.model": "two_view"})
CAMERA, INVERSE, TYPICAL = CameraIntrinsics(16, 12, 12.0, 12.0, 7.5, 5.5), 0.25, 0.5


class Tokens:
    """Tokens with two corners, of which dense depth gives the inverse depth."""

    def __init__(self, number):
        self.number, self.corners, self.inverse_depth = number, np.array([[3.0, 3.0], [8.0, 8.0]]), np.full(2, np.nan)

    def adopt(self, dense, sure):
        self.inverse_depth = np.full(2, float(dense.inverse_depth[3, 3]))


class Model:
    """Sees a wall wherever it is asked. asked: (keyframe, its partners), threads: in which. hold: it waits for it."""

    depth_prior = None

    def __init__(self):
        self.asked, self.threads, self.hold, self.error = [], [], None, None

    def dense(self, tokens, pairs, typical, quick=False):
        self.asked.append((tokens.number, [t.number for t, _ in pairs]))
        self.threads.append(threading.current_thread())
        if self.hold is not None:
            assert self.hold.wait(20)
        if self.error is not None:
            raise self.error
        return DenseDepth(np.full((12, 16), INVERSE, np.float32), np.full((12, 16), 0.01, np.float32))


def waiting(count=5, step=0.2, background=True):
    """A model, a graph of keyframes that moved sideways, and their frame sets, which wait for their depth."""
    model, graph = Model(), KeyframeGraph(CONFIG.keyframes, CONFIG.tracking)
    dense = KeyframeDense(model, graph)
    for i in range(count):
        tokens, T = Tokens(i), make_se3(np.eye(3), [step * i, 0.0, 0.0])
        frame = Frame(10**9 * (i + 1), "front", np.zeros((12, 16, 3), np.uint8), CAMERA)
        new = TrackedFrame(frame.stamp_ns, {"front": tokens}, {"front": CAMERA}, {"front": np.eye(4)}, None,
                           frames={"front": frame})
        view = KeyframeView("front", tokens, CAMERA, np.eye(4), tokens.corners, CAMERA.unproject(tokens.corners),
                            np.full(2, 0.4), np.array([np.nan, 0.4]))
        keyframe = Keyframe(i, frame.stamp_ns, T, {"front": view})
        graph.add(keyframe)
        dense.add(keyframe, new, background)
    return model, graph, dense


def take(dense, until=2, background=True, everything=False):
    return dense.take(CONFIG, until, TYPICAL, background, everything)


def take_all(dense, until, seconds=20.0):
    """All that a thread finds, in its order."""
    got, end = [], time.monotonic() + seconds
    while [n for n in dense.frame_sets if n.stamp_ns <= 10**9 * (until + 1)]:
        got += take(dense, until)
        assert time.monotonic() < end
        time.sleep(0.001)
    return got


def test_at_once_all_that_are_old_enough_get_their_depth_in_the_callers_thread():
    model, graph, dense = waiting()
    got = take(dense, background=False)
    assert [d.keyframe for d in got] == [0, 1, 2] and len(dense.frame_sets) == 2
    assert set(model.threads) == {threading.current_thread()}
    assert all((d.view.depth == 4.0).all() for d in got)
    assert [n for n, _ in model.asked] == [0, 1, 2] and all(len(p) == 2 for _, p in model.asked)
    assert np.array_equal(graph.keyframes[1].views["front"].inverse_depth, [INVERSE, 0.4]), "what is known stays"
    assert [d.keyframe for d in take(dense, background=False, everything=True)] == [3, 4] and not dense.frame_sets


def test_in_the_background_the_same_is_found_one_after_the_other_and_no_frame_waits():
    at_once = take(waiting()[2], background=False)
    model, _, dense = waiting()
    model.hold = threading.Event()
    assert take(dense) == [] and take(dense) == []
    model.hold.set()
    got = take_all(dense, 2)
    assert [d.keyframe for d in got] == [0, 1, 2]
    assert threading.current_thread() not in model.threads and len(model.threads) == 3
    for one, other in zip(got, at_once, strict=True):
        assert np.array_equal(one.view.depth, other.view.depth)


def test_everything_is_found_at_once_also_while_a_thread_works():
    model, _, dense = waiting()
    model.hold = threading.Event()
    take(dense)
    threading.Timer(0.1, model.hold.set).start()
    assert [d.keyframe for d in take(dense, everything=True)] == [0, 1, 2, 3, 4]
    assert take(dense) == [] and not dense.frame_sets, "none is given twice"


def test_depth_that_was_found_while_the_map_grew_grows_too():
    model, graph, dense = waiting()
    model.hold = threading.Event()
    take(dense)
    graph.keyframes[0].size = 2.0
    model.hold.set()
    first, *others = take_all(dense, 2)
    assert (first.view.depth == 8.0).all() and all((d.view.depth == 4.0).all() for d in others)


def test_depth_of_another_focal_length_is_found_anew():
    model, _, dense = waiting()
    model.hold = threading.Event()
    take(dense)
    dense.forget_running()
    model.hold.set()
    assert [d.keyframe for d in take_all(dense, 2)] == [0, 1, 2]
    assert [n for n, _ in model.asked] == [0, 0, 1, 2]


def test_keyframes_that_left_the_map_are_not_waited_for():
    model, graph, dense = waiting()
    model.hold = threading.Event()
    take(dense)
    for i in (0, 1):
        graph.remove(i)
    model.hold.set()
    assert [d.keyframe for d in take_all(dense, 2)] == [2] and len(dense.frame_sets) == 2


def test_an_error_of_the_thread_comes_up_where_depth_is_taken():
    model, _, dense = waiting()
    model.error = ZeroDivisionError("seen")
    with pytest.raises(ZeroDivisionError, match="seen"):
        take_all(dense, 2)


def test_partners_are_near_the_wished_baseline_and_turned_little():
    def at(x, turn=0.0, stamp=0):
        return SimpleNamespace(stamp_ns=stamp), make_se3(so3_exp([0.0, turn, 0.0]), [x, 0.0, 0.0])

    here, best, second = at(0.0, stamp=7), at(0.21, stamp=1), at(0.3, stamp=2)
    known = [here, at(0.05, stamp=3), at(1.1, stamp=4), at(0.2, turn=0.7, stamp=5), second, best, at(0.21, stamp=7)]
    found = partners(known, 7, np.eye(4), 0.1, 2.0, 3)
    assert [o for o, _ in found] == [best[0], second[0]]
    assert partners(known, 7, np.eye(4), 0.1, 2.0, 1)[0][0] is best[0]
