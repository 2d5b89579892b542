# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import runpy
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


@pytest.mark.parametrize("name", ["lsm", "mapping_node"])
def test_a_process_that_imports_the_script_does_not_run_it_again(name):
    """multiprocessing imports the main file of its parent, as __mp_main__; `lsm train` builds worlds in such processes."""
    if name == "mapping_node":
        pytest.importorskip("rclpy")
    assert callable(runpy.run_path(str(SCRIPTS / name), run_name="__mp_main__")["main"])
