# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Services around a pipeline that maps nothing: errors of any kind, calls at once, names, and what waits."""
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from helpers.harness import image_message
from helpers.runtime_node import Running
from std_srvs.srv import Trigger
from vision_msgs.msg import VisionClass

from lsm_ros.config import from_dict
from lsm_ros.mapping import store
from lsm_ros.ros.input.transforms import OdometryState
from lsm_ros.ros.map_files import resolve_map
from lsm_ros.ros.mapper import MAX_LATE_LABELS
from lsm_ros.ros.node import SAME_JUMP_S, MappingNode
from lsm_ros.srv import LoadMap, QueryText, SaveMap, SetLabels
from lsm_ros.types import OccupancyMap


@pytest.fixture
def running(monkeypatch, tmp_path):
    made = Running(from_dict({"node.map_directory": str(tmp_path / "maps"), "node.service_timeout": 5.0}), monkeypatch)
    made.said = []
    logger = made.node.get_logger()
    for level in ("info", "warning", "error"):
        setattr(logger, level, lambda text, **_: made.said.append(text))
    made.node.get_logger = lambda: logger
    yield made
    made.mapper.worker.stop()


def load(running, name):
    return running.node.services["~/load_map"](LoadMap.Request(name=name), LoadMap.Response())


def save(running, name, overwrite=False):
    return running.node.services["~/save_map"](SaveMap.Request(name=name, overwrite=overwrite), SaveMap.Response())


@pytest.mark.parametrize("error", [AttributeError("no such thing"), KeyError("next_observation"), ZeroDivisionError("0"),
                                   AssertionError(), MemoryError(), RecursionError("deep"), StopIteration()])
def test_no_error_leaves_a_service(running, error):
    def fail(*_args, **_options):
        raise error

    running.pipeline.load = fail
    answer = load(running, "kitchen")
    assert not answer.success and answer.message
    assert str(error) in answer.message or type(error).__name__ in answer.message
    del running.pipeline.load
    assert load(running, "kitchen").success, "the next call works"


def test_an_unexpected_error_is_in_the_log_with_its_place(running):
    running.pipeline.load = None
    assert "TypeError" in load(running, "kitchen").message
    assert any("Traceback" in line and "mapper.py" in line for line in running.said)


def test_a_second_call_is_refused_while_one_works(running):
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        begun.set()
        go_on.wait(10)

    running.mapper.worker.call(slow)
    assert begun.wait(5)
    first = []
    caller = threading.Thread(target=lambda: first.append(load(running, "kitchen")))
    caller.start()
    while running.mapper.worker._queue == type(running.mapper.worker._queue)():
        pass
    second = load(running, "kitchen")
    assert not second.success and "another service call" in second.message
    go_on.set()
    caller.join(10)
    assert first[0].success and load(running, "kitchen").success


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x1b[2Jb", "a\0b", "a\u2028b", ""])
def test_names_that_cannot_be_printed_are_refused(running, name):
    with pytest.raises(ValueError, match="cannot be printed"):
        resolve_map(running.mapper.config.node.map_directory, name)
    answer = load(running, name)
    assert not answer.success and "\n" not in answer.message


def test_a_text_with_new_lines_makes_one_line_of_the_log(running):
    def fail(*_args, **_options):
        raise ValueError("first\n[INFO] [mapping]: all is well")

    running.pipeline.load = fail
    load(running, "kitchen")
    assert running.said == ["LoadMap_Response: first [INFO] [mapping]: all is well"]


def test_a_map_that_a_killed_save_moved_away_is_not_replaced_unasked(running, tmp_path):
    work = tmp_path / "maps" / ".kitchen.part-1-abcdefgh"
    old = work / ".kitchen.old-000000"
    old.mkdir(parents=True)
    (old / store.META).write_text("old")
    (work / f"{work.name}.lock").touch()
    answer = save(running, "kitchen")
    assert not answer.success and "exists" in answer.message
    assert (tmp_path / "maps" / "kitchen" / store.META).read_text() == "old" and not work.exists()


def test_a_reset_discards_the_frames_that_wait(running):
    """What was taken before it must not start the new map."""
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        begun.set()
        go_on.wait(10)

    worker = running.mapper.worker
    worker.call(slow)
    assert begun.wait(5)
    worker.submit("a frame of before")
    answers = []
    caller = threading.Thread(
        target=lambda: answers.append(running.node.services["~/reset"](Trigger.Request(), Trigger.Response())))
    caller.start()
    for _ in range(1000):
        if worker.counts.dropped:
            break
        threading.Event().wait(0.005)
    go_on.set()
    caller.join(10)
    assert answers[0].success and worker.counts.dropped == 1 and worker.counts.failed == 0


class TestTextsThatTakeLong:
    """Loading of the text encoder from a slow disk."""

    @pytest.fixture
    def slow(self, running, monkeypatch):
        """An event that lets texts be read."""
        go_on = threading.Event()
        real = running.pipeline.texts.sentence

        def sentence(text):
            go_on.wait(20)
            return real(text)

        monkeypatch.setattr(running.mapper.texts, "sentence", sentence)
        monkeypatch.setattr(running.mapper.texts, "learn", lambda space: go_on.wait(20))
        running.mapper.config = from_dict({"node.service_timeout": 0.3}, running.mapper.config)
        yield go_on
        go_on.set()

    @staticmethod
    def ask(running, kind):
        begin = time.monotonic()
        if kind == "query_text":
            answer = running.node.services["~/query_text"](QueryText.Request(text="chair"), QueryText.Response())
        else:
            request = SetLabels.Request(classes=[VisionClass(class_id=1, class_name="wall")])
            answer = running.node.services["~/set_labels"](request, SetLabels.Response())
        return answer, time.monotonic() - begin

    @pytest.mark.parametrize("kind", ["query_text", "set_labels"])
    def test_the_call_is_answered_in_time(self, running, slow, kind):
        answer, seconds = self.ask(running, kind)
        assert not answer.success and answer.message == "not done after 0.3 s; it goes on" and 0.25 < seconds < 2.0

    @pytest.mark.parametrize("kind", ["query_text", "set_labels"])
    def test_the_next_ones_are_refused_at_once_and_make_no_threads(self, running, slow, kind):
        self.ask(running, "query_text")
        before = threading.active_count()
        for _ in range(5):
            answer, seconds = self.ask(running, kind)
            assert not answer.success and "still being read" in answer.message and seconds < 0.2
        assert threading.active_count() == before and load(running, "kitchen").success  # others work
        slow.set()
        for _ in range(100):
            answer, _ = self.ask(running, kind)
            if answer.success:
                break
            time.sleep(0.02)
        assert answer.success

    def test_the_time_counts_for_all_steps_together(self, running, slow):
        release = threading.Event()
        running.mapper.worker.call(lambda: release.wait(20))
        threading.Timer(0.2, slow.set).start()
        answer, seconds = self.ask(running, "query_text")
        release.set()
        assert not answer.success and "not done after 0.3 s" in answer.message and seconds < 0.45

    def test_an_error_is_the_answer(self, running, monkeypatch):
        def sentence(text):
            raise ImportError("pip install words")

        monkeypatch.setattr(running.mapper.texts, "sentence", sentence)
        answer, _ = self.ask(running, "query_text")
        assert not answer.success and answer.message == "pip install words"
        monkeypatch.undo()
        assert self.ask(running, "query_text")[0].success


class TestTimeThatGoesBack:
    """As with a bag in a loop."""

    def loop(self, running, times):
        folder = running.mapper.config.node.map_directory
        for _ in range(times):
            running.pipeline.stamps = [1, 2]
            running.mapper.time_jumped(Path(folder), "stamps jumped back by 9.0 s")
            yield sorted(p.name for p in Path(folder).iterdir())

    def test_only_so_many_maps_are_kept_and_it_is_said(self, running):
        for n, there in enumerate(self.loop(running, 6)):
            assert [name.split("_")[1] for name in there] == [str(k) for k in range(max(n - 2, 0), n + 1)]
        assert sum("was removed (kept_sessions: 3)" in line for line in running.said) == 3
        assert all("stamps jumped back" in line for line in running.said if "the map so far" in line)

    def test_maps_of_others_stay(self, running, tmp_path):
        for name in ("session_0_20200101_000000", "kitchen"):
            (tmp_path / "maps" / name).mkdir(parents=True)
            (tmp_path / "maps" / name / store.META).write_text("{}")
        *_, there = self.loop(running, 5)
        assert "kitchen" in there and "session_0_20200101_000000" in there and len(there) == 5

    def test_files_of_others_in_them_stay(self, running, tmp_path):
        steps = self.loop(running, 4)
        (first,) = next(steps)
        (tmp_path / "maps" / first / "notes.txt").write_text("theirs")
        *_, there = steps
        assert first in there and [p.name for p in (tmp_path / "maps" / first).iterdir()] == ["notes.txt"]

    def test_none_is_kept_where_none_is_wanted(self, running, tmp_path):
        running.mapper.config = from_dict({"node.kept_sessions": 0}, running.mapper.config)
        running.pipeline.stamps = [1, 2]
        session = running.pipeline.session
        running.mapper.time_jumped(tmp_path / "maps", "stamps jumped back by 9.0 s")
        assert not (tmp_path / "maps").exists() and running.pipeline.session == session + 1
        assert running.pipeline.reason == "stamps jumped back by 9.0 s"


class TestLateLabels:
    ITEM = SimpleNamespace(camera="front", payload=None)

    def test_only_so_many_wait_and_it_is_said(self, running):
        begun, go_on = threading.Event(), threading.Event()
        running.mapper.worker.call(lambda: begun.set() or go_on.wait(10))
        assert begun.wait(5)
        for n in range(MAX_LATE_LABELS + 4):
            running.mapper.late_labels(self.ITEM, n)
        assert len(running.mapper.worker._queue) == MAX_LATE_LABELS
        assert "come faster than they are used" in running.mapper._problems.of("front labels")
        go_on.set()

    def test_those_that_were_used_make_room(self, running):
        used = []
        running.mapper._cameras = {"front": SimpleNamespace(label_info=None, update_labels=lambda *_: None)}
        running.pipeline.add_labels = lambda stamp_ns, *_: used.append(stamp_ns)
        item = SimpleNamespace(camera="front", payload=image_message(np.zeros((2, 2), np.uint16), 0, "lens", "16UC1"))
        for n in range(3 * MAX_LATE_LABELS):
            running.mapper.late_labels(item, n)
            running.mapper.worker.call(lambda: None).result(5)
        assert used == list(range(3 * MAX_LATE_LABELS)) and not running.mapper._problems.of("front labels")


def test_a_new_session_lets_go_of_the_transform_of_the_old_one(running):
    """It would place the new map by the old one's coordinates."""
    eye = np.eye(4)
    running.tf.pose(1, eye, eye, OdometryState.PRESENT, True)
    assert running.tf._T_map_odom is not None
    answer = running.node.services["~/reset"](Trigger.Request(), Trigger.Response())
    assert answer.success and running.tf._T_map_odom is None


def test_the_clock_and_the_stamps_report_one_jump_as_one():
    jumps = []
    worker = SimpleNamespace(config=SimpleNamespace(node=SimpleNamespace(map_directory="/tmp")),
                             command=lambda name, _: jumps.append(name))
    parts = SimpleNamespace(inputs=SimpleNamespace(clear=lambda: None), tf_in=SimpleNamespace(time_jumped=lambda: None))
    node = SimpleNamespace(mapper=worker, connections=parts, report=SimpleNamespace(active=True), _last_jump=-1e9)
    MappingNode._jumped(node, "the clock", True)
    MappingNode._jumped(node, "the stamps", False)
    assert jumps == ["time jump"]
    node._last_jump -= SAME_JUMP_S
    MappingNode._jumped(node, "another one", True)
    assert jumps == ["time jump"] * 2


def test_the_grid_beside_a_map_is_as_map_server_reads_it(running, tmp_path):
    """The northernmost row first, dark where it is occupied, and in the checksums."""
    grid = np.array([[0, 100, -1], [65, 64, 0]], np.int8)  # the first row is the southernmost
    running.pipeline.stamps = [1, 2]
    running.pipeline.occupancy = lambda: OccupancyMap(grid, -1.0, 2.5, 0.05)
    assert save(running, "floor").success
    folder = tmp_path / "maps" / "floor"
    header, pixels = (folder / "occupancy.pgm").read_bytes().split(b"255\n", 1)
    assert header == b"P5\n3 2\n" and list(pixels) == [0, 205, 254, 254, 0, 205]
    told = yaml.safe_load((folder / "occupancy.yaml").read_text())
    assert told["image"] == "occupancy.pgm" and told["resolution"] == 0.05 and told["origin"] == [-1.0, 2.5, 0.0]
    assert {"occupancy.pgm", "occupancy.yaml"} <= {line.split()[-1].lstrip("*") for line in
                                                   (folder / store.SUMS).read_text().splitlines() if line}
