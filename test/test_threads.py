# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Threads of libraries sleep while they wait, and are as many as was asked for."""
import os
import subprocess
import sys

import pytest

from lsm_ros.config import from_dict
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.threads import ASLEEP, sleep_while_waiting


def python(code, **environment):
    """What a fresh interpreter prints, without what this one has set."""
    env = {k: v for k, v in os.environ.items() if k not in ASLEEP and k != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], env=env | environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_package_sets_how_threads_wait_before_it_loads_a_library():
    code = ("import sys\nimport lsm_ros, os\n"
            "print(sorted(m for m in ('numpy', 'cv2', 'torch') if m in sys.modules), "
            f"[os.environ.get(n) for n in {list(ASLEEP)}])")
    assert python(code).strip() == f"[] {list(ASLEEP.values())}"


def test_what_a_user_has_set_stays():
    environment = {"OMP_WAIT_POLICY": "active"}
    sleep_while_waiting(environment)
    assert environment == ASLEEP | {"OMP_WAIT_POLICY": "active"}


@pytest.mark.parametrize("first", ["", "import torch; "])
def test_a_pipeline_uses_as_many_threads_as_its_parameter_says(first):
    pytest.importorskip("torch")
    code = (first + "from lsm_ros.config import from_dict; from lsm_ros.mapping.pipeline import MappingPipeline; "
            "MappingPipeline(from_dict({'limits.threads': 1})); import cv2, torch; print(cv2.getNumThreads(), "
            "torch.get_num_threads())")
    assert python(code).split() == ["1", "1"]


def test_without_one_nothing_is_changed(monkeypatch):
    import cv2

    before = cv2.getNumThreads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    MappingPipeline(from_dict({}))
    assert cv2.getNumThreads() == before and "OMP_NUM_THREADS" not in os.environ
