# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Lets the tests of the voxel map share `fusion_scenes` and `fusion_backends`, and run on each backend."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fusion_backends import BACKENDS, make_backend

from lsm_ros.fusion.backends.base import base as backends


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    """Every voxel map of the test uses this backend; the fixture is its name."""
    made = make_backend(request.param)
    monkeypatch.setattr(backends, "_make", lambda kind, threads: made)
    return request.param
