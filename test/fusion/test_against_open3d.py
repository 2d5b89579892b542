# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The surface of a simulated room against its exact geometry, beside Open3D's; with the functions of bench/fusion.py."""
import importlib.util
from pathlib import Path

import pytest
from helpers.optional import imported

from lsm_ros.config import FusionConfig
from lsm_sim.source import SimSource

pytestmark = pytest.mark.slow
BENCH = Path(__file__).resolve().parent.parent.parent / "bench" / "fusion.py"


@pytest.fixture(scope="module")
def bench():
    imported("open3d")
    spec = importlib.util.spec_from_file_location("bench_fusion", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def room():
    return SimSource(3, frames=10, noise=False, rate_hz=1.0, width=320, height=240)


@pytest.mark.parametrize("voxel", [0.05, 0.1])
def test_surface_is_no_worse(bench, room, voxel):
    r = bench.accuracy(room.world, bench.views_of(room, 10), voxel, FusionConfig())
    assert r["here_points"] > 1000
    for what in ("mean_mm", "median_mm", "95_mm"):
        assert r[f"here_{what}"] <= r[f"peer_{what}"], what
    assert r["here_gap_mean_mm"] <= 1.1 * r["peer_gap_mean_mm"]
    assert r["here_median_mm"] < 0.05 * 1e3 * voxel


def test_figures_of_speed_are_complete(bench, room):
    r = bench.speed(bench.views_of(room, 3), 0.1, FusionConfig())
    assert all(r[f"{name}_{what}"] > 0 for name in ("color", "labels", "features", "peer") for what in ("ms", "bytes"))
