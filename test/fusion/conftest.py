# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Runs tests of the voxel map on each backend."""
import pytest
from helpers.fusion_backends import BACKENDS, make_backend

from lsm_ros.fusion.backends import base


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    """Every voxel map of the test uses this backend; the fixture is its name."""
    made = make_backend(request.param)
    monkeypatch.setattr(base, "_make", lambda kind, threads: made)
    return request.param
