# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tests that a run left out for want of something, and how to get it."""
import ast
import importlib.util
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
# Folders of tests that talk over ROS, with the modules that they need.
ROS_FOLDERS = {"ros": ("rclpy", "lsm_ros.msg", "tf2_msgs"), "demo": ("rclpy", "lsm_ros.msg", "tf2_msgs"),
               "launch": ("rclpy", "lsm_ros.msg", "tf2_msgs", "launch_ros"), "underlay": ("rclpy", "tf2_msgs")}
MARKERS = ("slow", "gpu", "ros")
# (what is missing, a pattern of the reasons, how to get it); the first that fits counts.
WANTS = (
    ("the RedKitchen sequence", r"RedKitchen", "Microsoft's 7-Scenes page, converted as CONTRIBUTING.md says; "
     "then LSM_TEST_DATA=<folder that holds redkitchen/>"),
    ("the golden vectors of the networks", r"golden vectors", "they are not published; the maintainers run these tests "
     "(LSM_TEST_DATA=<folder that holds golden/>)"),
    ("ROS 2's launch", r"launch_ros", "comes with an installation of ROS 2 (ros2launch), not from PyPI"),
    ("ROS 2", r"rclpy|lsm_ros\.msg|tf2_msgs|tf2_ros|tf2_py|message_filters|cv_bridge|sensor_msgs|colcon",
     "`make setup` and `. tools/env.sh`, or a ROS 2 workspace that is built and sourced"),
    ("a CUDA GPU", r"CUDA|CuPy|cupy|GPU", "a machine with an NVIDIA GPU, torch with CUDA, and cupy"),
    ("a C compiler", r"compiler", "apt-get install gcc libc6-dev"),
    ("an optional package", r"could not import|not installed|NVRTC", "pip install -r requirements/dev.txt -c "
     "requirements/constraints.txt, and -r requirements/no_deps.txt with --no-deps"),
    ("something else", r"", "the reason says it"),
)


def path_of(node: pytest.Item | pytest.Collector) -> Path:
    """File of a test or of a file of tests, in pytest before 7, which Ubuntu 22.04 has, too."""
    return Path(node.path if hasattr(node, "path") else node.fspath)


def missing_modules(path: Path) -> list[str]:
    """Modules of ROS that the tests of this file need and that are not here."""
    folder = ros_folder(path)
    return [name for name in ROS_FOLDERS.get(folder, ()) if not present(name)]


def ros_folder(path: Path) -> str:
    """Folder of the tests that talk over ROS in which the file stands; else empty."""
    part = path.relative_to(TESTS).parts[0] if path.is_relative_to(TESTS) else ""
    return part if part in ROS_FOLDERS else ""


def present(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package is not there
        return False


def functions(path: Path) -> Iterator[tuple[str, set[str]]]:
    """(name, markers) of the tests of a file that cannot be imported. Each counts once, with any number of parameters."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test"))]
    for node in (node for body in bodies for node in body):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            marks = {m for d in node.decorator_list for m in MARKERS if ast.unparse(d).startswith(f"pytest.mark.{m}")}
            yield node.name, marks


class FileNotRun(pytest.File):
    """A file of tests whose imports are missing: each of its tests is skipped, with the reason."""

    def collect(self):
        reason = f"needs {', '.join(missing_modules(path_of(self)))}"
        for name, marks in functions(path_of(self)):
            item = NotRun.from_parent(self, name=name)
            item.reason = reason
            for mark in marks:
                item.add_marker(mark)
            yield item


class NotRun(pytest.Item):
    """One test of such a file."""

    reason = ""

    def runtest(self):
        pytest.skip(self.reason)

    def reportinfo(self):
        return path_of(self), None, self.name


def reason_of(report) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ").strip()


def tests_of(report) -> int:
    """Number of tests that a report stands for: a file that was left out as a whole is one report."""
    path = TESTS.parent / report.nodeid
    return 1 if "::" in report.nodeid or not path.is_file() else sum(1 for _ in functions(path))


def summary(skipped: Iterable, deselected: Iterable[pytest.Item]) -> list[str]:
    """Lines for the end of a run; none where every test ran."""
    counts: dict[str, Counter[str]] = {}
    for report in skipped:
        reason = reason_of(report)
        title = next(title for title, pattern, _ in WANTS if re.search(pattern, reason))
        counts.setdefault(title, Counter())[reason] += tests_of(report)
    lines = []
    for title, _, how in WANTS:
        if title in counts:
            lines.append(f"{sum(counts[title].values()):5d}  for want of {title}: {how}")
            if title in ("an optional package", "something else"):
                lines += [f"       {n:5d}  {reason}" for reason, n in counts[title].most_common()]
    left = Counter("+".join(m for m in MARKERS if item.get_closest_marker(m)) or "other" for item in deselected)
    lines += [f"{n:5d}  deselected, marked {marks}: `make test-all` runs them" for marks, n in sorted(left.items())
              if marks != "other"]
    return lines
