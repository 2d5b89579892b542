# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Types: mypy finds nothing in the packages that pyproject.toml names, and those that use the package are given its types."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHECKED = ("mapping", "slam", "pairs", "ros", "live")


def mypy(*arguments: str) -> subprocess.CompletedProcess:
    pytest.importorskip("mypy")
    return subprocess.run([sys.executable, "-m", "mypy", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=280)


@pytest.mark.slow
def test_mypy_finds_nothing():
    done = mypy()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_pipeline_that_lacks_a_method_is_found(tmp_path):
    file = tmp_path / "lacking.py"
    file.write_text("from lsm_ros.mapping.interface import Pipeline\n"
                    "from lsm_ros.mapping.pipeline import MappingPipeline\n\n\n"
                    "class Half:\n    def reset(self) -> None:\n        pass\n\n\n"
                    "def whole(pipeline: MappingPipeline) -> Pipeline:\n    return pipeline\n\n\n"
                    "def lacking(pipeline: Half) -> Pipeline:\n    return pipeline\n")
    done = mypy(str(file))
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 1 and 'incompatible return value type (got "Half", expected "Pipeline")' in errors[0].replace(
        "Incompatible", "incompatible"), done.stdout


def test_ros_names_the_pipeline_by_its_interface():
    """`MappingPipeline` is imported where the node is made, and nowhere else in ros/."""
    users = {f.name for f in (ROOT / "lsm_ros" / "ros").rglob("*.py") if "MappingPipeline" in f.read_text()}
    assert users == {"node.py"}
    untyped = [f"{f.name}: {line.strip()}" for f in (ROOT / "lsm_ros" / "ros").rglob("*.py")
               for line in f.read_text().splitlines() if re.search(r"(pipeline|voxel_map|mapper): Any", line)]
    assert not untyped


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "lsm_ros" / "py.typed").is_file()
    text = (ROOT / "pyproject.toml").read_text()
    assert '"py.typed"' in text.split("[tool.setuptools.package-data]")[1].split("\n\n")[0]
    listed = text.split("[tool.mypy]")[1].split("]")[0]
    assert [name for name in CHECKED if f'"lsm_ros/{name}"' not in listed] == []


def test_what_is_ignored_has_a_code_and_a_reason():
    bare = [f"{f.relative_to(ROOT)}: {line.strip()}" for name in CHECKED for f in (ROOT / "lsm_ros" / name).rglob("*.py")
            for line in f.read_text().splitlines()
            if "# type: ignore" in line and not re.search(r"# type: ignore\[[\w, -]+\]  # \w+", line)]
    assert not bare
