# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Fixtures that all tests share."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # pytest before 7 does not know `pythonpath` of pyproject.toml
from helpers import not_run, outside  # noqa: E402

if hasattr(pytest.Item, "path"):
    def pytest_pycollect_makemodule(module_path, parent):
        """Stands in for a file whose ROS modules are missing, so that its tests are counted and named instead of an error."""
        return not_run.FileNotRun.from_parent(parent, path=module_path) if not_run.missing_modules(module_path) else None
else:
    def pytest_pycollect_makemodule(path, parent):
        """The same for pytest before 7."""
        return not_run.FileNotRun.from_parent(parent, fspath=path) if not_run.missing_modules(Path(path)) else None


def pytest_itemcollected(item):
    """Marks what stands in the folders of the tests over ROS."""
    if not_run.ros_folder(not_run.path_of(item)):
        item.add_marker("ros")


def pytest_terminal_summary(terminalreporter):
    """States what was not run, why, and how to get what is missing."""
    stats = terminalreporter.stats
    lines = not_run.summary(stats.get("skipped", []), stats.get("deselected", []))
    if lines:
        terminalreporter.section("tests that were not run")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def redkitchen() -> Path:
    """Folder of the real sequence (TUM RGB-D layout); tests that need it are skipped without it."""
    folder = outside.find("redkitchen", "rgb.txt", "shared/data/redkitchen")
    return folder or pytest.skip("the sequence RedKitchen is not here (CONTRIBUTING.md, LSM_TEST_DATA)")


@pytest.fixture(scope="session")
def rendered_sequence(tmp_path_factory) -> Path:
    """Folder of a rendered sequence in the same layout, which every clone can make."""
    from helpers.sequences import render_sequence

    return render_sequence(tmp_path_factory.mktemp("sequence") / "rendered")


@pytest.fixture(params=["rendered", "redkitchen"])
def sequence(request) -> Path:
    """Folder of a sequence in TUM RGB-D layout with depth for every second frame: our own, and the real one."""
    return request.getfixturevalue({"rendered": "rendered_sequence"}.get(request.param, request.param))


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """Folder of the networks' golden vectors; tests that need them are skipped without them."""
    folder = outside.find("golden", "README.md", "shared/golden")
    return folder or pytest.skip("the golden vectors are not here (CONTRIBUTING.md, LSM_TEST_DATA)")


@pytest.fixture(scope="session")
def golden(golden_folder):
    """Loads a golden case by name."""
    from helpers.golden_cases import Case

    return lambda name: Case(golden_folder / f"{name}.npz")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request) -> str:
    """The CPU, and under the marker gpu a CUDA GPU."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    return request.param
