# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import sys

import numpy as np
import pytest
import torch

from lsm_ros.evaluation.cost import StageTimes, peak_gpu_bytes, peak_rss_bytes


def test_summary_of_known_times():
    times = StageTimes()
    for i in range(1, 101):
        times.add({"track": float(i), **({"fuse": 10.0} if i % 10 == 0 else {})})
    summary = times.summary()
    assert list(summary) == ["track", "fuse"] and times.frames == 100
    track = summary["track"]
    assert (track.mean, track.p50, track.total, track.count) == (50.5, 50.5, 5050.0, 100)
    assert track.p95 == pytest.approx(np.percentile(np.arange(1, 101), 95))
    assert summary["fuse"].count == 10 and summary["fuse"].mean == 10.0
    assert len(times.series("fuse")) == 10 and len(times.series("none")) == 0


def test_peak_memory_grows_with_what_is_held():
    before = peak_rss_bytes()
    assert before > 10 * 2**20  # an interpreter with NumPy
    block = np.ones(before + 64 * 2**20, np.uint8)
    assert peak_rss_bytes() > before + 32 * 2**20 and block[-1] == 1


def test_peak_gpu_memory_is_the_sum_over_the_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda i: (5, 700)[i])
    assert peak_gpu_bytes() == 705
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert peak_gpu_bytes() == 0


def test_peak_gpu_memory_does_not_load_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert peak_gpu_bytes() == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_peak_gpu_memory_covers_what_is_held():
    block = torch.zeros(2**24, dtype=torch.uint8, device="cuda")
    assert peak_gpu_bytes() >= block.numel()
