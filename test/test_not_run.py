# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The summary of what a run left out, and runs without ROS and without the data that the repository may not hold."""
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import not_run, outside

ROOT = Path(__file__).resolve().parents[1]
WITHOUT_ROS = "import sys; sys.modules['rclpy'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"


def run(*arguments, code="import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))", **environment):
    """Exit status and output of pytest in a process of its own, without the options of the run around it."""
    done = subprocess.run([sys.executable, "-c", code, "-q", "-p", "no:cacheprovider", *map(str, arguments)], cwd=ROOT,
                          env={**os.environ, "PYTEST_ADDOPTS": "", **environment}, capture_output=True, text=True, timeout=250)
    return done.returncode, done.stdout + done.stderr


def skipped(reason, nodeid="test/x.py::test_y"):
    return SimpleNamespace(longrepr=("file", 1, f"Skipped: {reason}"), nodeid=nodeid)


@pytest.mark.parametrize(("reason", "title"), [
    ("the sequence RedKitchen is not here", "the RedKitchen sequence"), ("no CUDA GPU", "a CUDA GPU"),
    ("no CUDA here", "a CUDA GPU"), ("needs rclpy, lsm_ros.msg", "ROS 2"), ("needs launch_ros", "ROS 2's launch"),
    ("could not import 'evo': No module named 'evo'", "an optional package"), ("no C compiler (apt-get ...)", "a C compiler"),
    ("needs /dev/full", "something else")])
def test_a_reason_is_filed_under_what_is_missing(reason, title):
    lines = not_run.summary([skipped(reason), skipped(reason)], [])
    assert lines[0].startswith(f"    2  for want of {title}: ")


def test_a_file_that_is_left_out_counts_all_its_tests():
    path = Path(__file__).relative_to(ROOT).as_posix()
    own = Path(__file__).read_text().count("\ndef test_")
    lines = not_run.summary([skipped("could not import 'evo'", path)], [])
    assert lines[0].split()[0] == str(own)


def test_nothing_to_say_where_everything_ran():
    assert not_run.summary([], []) == []


def test_missing_data_is_named_with_the_way_to_get_it(tmp_path):
    status, text = run("test/models/test_golden.py", "-m", "not slow", LSM_TEST_DATA=str(tmp_path))
    assert status == 0
    assert "tests that were not run" in text
    assert "for want of the golden vectors of the networks" in text
    assert "LSM_TEST_DATA=<folder" in text


def test_data_is_found_where_the_variable_points(tmp_path, monkeypatch):
    monkeypatch.setenv(outside.VARIABLE, str(tmp_path))
    assert outside.find("redkitchen", "rgb.txt", "shared/data/redkitchen") is None
    (tmp_path / "redkitchen").mkdir()
    (tmp_path / "redkitchen" / "rgb.txt").touch()
    assert outside.find("redkitchen", "rgb.txt", "shared/data/redkitchen") == tmp_path / "redkitchen"
    monkeypatch.setenv(outside.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="LSM_TEST_DATA=.*none is no folder"):
        outside.find("redkitchen", "rgb.txt", "shared/data/redkitchen")


FOLDERS = [f"test/{name}" for name in not_run.ROS_FOLDERS]


@pytest.mark.slow
def test_without_ros_its_tests_are_skipped_one_by_one():
    status, text = run(*FOLDERS, code=WITHOUT_ROS)
    functions = sum(1 for name in not_run.ROS_FOLDERS for file in (ROOT / "test" / name).rglob("test_*.py")
                    for _ in not_run.functions(file))
    assert status == 0, text
    assert f"{functions} skipped" in text
    assert "for want of ROS 2: `make setup`" in text


def test_without_ros_nothing_is_left_of_them_under_the_marker():
    status, text = run(*FOLDERS, "test/test_build.py", "--collect-only", "-m", "not ros", code=WITHOUT_ROS)
    assert status == 0, text
    collected = [line for line in text.splitlines() if "::" in line]
    assert collected and all(line.startswith("test/test_build.py") for line in collected)
    assert "deselected, marked ros" in text


@pytest.mark.slow
def test_every_test_in_the_folders_of_ros_has_the_marker():
    pytest.importorskip("rclpy")
    status, text = run(*FOLDERS, "--collect-only", "-m", "not ros")
    assert status == 5, text  # nothing collected
