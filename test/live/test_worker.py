# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import threading
import time
from concurrent.futures import CancelledError

import pytest

from lsm_ros.live.worker import Worker


class Gate:
    """A handler that stops at a gate and records what it did."""

    def __init__(self):
        self.open = threading.Event()
        self.started = threading.Event()
        self.done = []
        self.errors = []
        self.dropped = []

    def __call__(self, item):
        self.started.set()
        assert self.open.wait(5)
        if isinstance(item, Exception):
            raise item
        self.done.append(item)

    def worker(self, capacity=2, block=False):
        return Worker(self, capacity=capacity, block=block, on_error=lambda item, e: self.errors.append(e),
                      on_drop=self.dropped.append)


def test_live_drops_the_oldest_and_counts():
    gate = Gate()
    worker = gate.worker(capacity=2)
    assert worker.submit(0)
    assert gate.started.wait(5)  # 0 is in work, so it cannot be dropped
    assert [worker.submit(i) for i in (1, 2, 3, 4)] == [True, True, False, False]
    assert worker.counts.waiting == 2
    gate.open.set()
    worker.call(lambda: None).result(5)
    assert gate.done == [0, 3, 4]
    assert gate.dropped == [1, 2]
    counts = worker.counts
    assert (counts.submitted, counts.processed, counts.dropped, counts.failed, counts.waiting) == (5, 3, 2, 0, 0)
    worker.stop()


def test_replay_waits_for_room_and_loses_nothing():
    gate = Gate()
    worker = gate.worker(capacity=2, block=True)
    sender = threading.Thread(target=lambda: [worker.submit(i) for i in range(20)])
    sender.start()
    time.sleep(0.05)
    assert sender.is_alive()  # it waits
    assert worker.counts.waiting == 2
    gate.open.set()
    sender.join(5)
    worker.call(lambda: None).result(5)
    assert gate.done == list(range(20))
    assert worker.counts.dropped == 0
    worker.stop()


def test_an_error_of_one_item_is_reported_and_the_thread_lives_on():
    gate = Gate()
    gate.open.set()
    worker = gate.worker(capacity=10)
    for item in (1, ValueError("bad step"), 2, RuntimeError("boom"), KeyError("x"), 3):
        worker.submit(item)
    worker.call(lambda: None).result(5)
    assert gate.done == [1, 2, 3]
    assert [type(e) for e in gate.errors] == [ValueError, RuntimeError, KeyError]
    assert worker.counts.failed == 3
    worker.stop()


def test_commands_keep_their_place_and_are_not_dropped():
    gate = Gate()
    worker = gate.worker(capacity=2)
    worker.submit("a")
    assert gate.started.wait(5)
    worker.submit("b")
    first = worker.call(lambda: list(gate.done))
    worker.submit("c")
    worker.submit("d")  # b is dropped, the command stays
    gate.open.set()
    assert first.result(5) == ["a"]
    assert worker.call(lambda: list(gate.done)).result(5) == ["a", "c", "d"]
    worker.stop()


def test_an_error_of_a_command_belongs_to_its_caller():
    gate = Gate()
    worker = gate.worker()

    def fail():
        raise FileNotFoundError("no map")

    with pytest.raises(FileNotFoundError, match="no map"):
        worker.call(fail).result(5)
    assert gate.errors == []
    assert worker.call(threading.get_ident).result(5) != threading.get_ident()
    worker.stop()


def test_stop_joins_cancels_and_unblocks():
    gate = Gate()
    worker = gate.worker(capacity=1, block=True)
    worker.submit(0)
    assert gate.started.wait(5)
    worker.submit(1)
    command = worker.call(lambda: 1)
    results = []
    sender = threading.Thread(target=lambda: results.append(worker.submit(2)))
    sender.start()
    threading.Timer(0.05, gate.open.set).start()
    worker.stop()
    sender.join(5)
    assert results == [False]
    assert gate.done == [0]
    with pytest.raises(CancelledError):
        command.result(5)
    assert worker.call(lambda: 1).cancelled()
    assert worker.submit(3) is False
    worker.stop()  # twice is fine


def test_discard_waiting():
    gate = Gate()
    worker = gate.worker(capacity=5)
    worker.submit(0)
    assert gate.started.wait(5)
    for i in (1, 2, 3):
        worker.submit(i)
    assert worker.discard_waiting() == 3
    gate.open.set()
    worker.call(lambda: None).result(5)
    assert gate.done == [0]
    assert worker.counts.dropped == 3
    worker.stop()


def test_commands_stay_where_items_are_discarded():
    """A service that waits for its answer must get one."""
    gate, done = Gate(), []
    worker = gate.worker(capacity=5)
    worker.submit(0)
    assert gate.started.wait(5)
    worker.submit(1)
    before = worker.call(lambda: done.append("before"))
    worker.submit(2)
    after = worker.call(lambda: done.append("after") or "answer")
    assert worker.discard_waiting() == 2
    gate.open.set()
    assert before.result(5) is None and after.result(5) == "answer"
    assert gate.done == [0] and done == ["before", "after"]
    worker.stop()


def test_capacity_must_be_positive():
    with pytest.raises(ValueError, match="capacity 0"):
        Worker(print, capacity=0, on_error=lambda item, e: None)
