# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tracking with pointmaps in the real kitchen: its measured depth at its true poses, spoiled as a network's would be."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.pointmaps import FakePairModel

from lsm_ros.config import from_dict
from lsm_ros.datasets import open_source
from lsm_ros.evaluation import trajectory
from lsm_ros.mapping.pipeline import MappingPipeline

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class MeasuredPairModel(FakePairModel):
    """Predicts what a depth camera has measured; `measured` by stamp."""

    measured = {}

    def depth(self, frame, crop, _pinhole, _T):
        full = self.measured[frame.stamp_ns]
        x = crop.to_image(np.stack([np.arange(crop.width), np.zeros(crop.width)], 1))[:, 0]
        y = crop.to_image(np.stack([np.zeros(crop.height), np.arange(crop.height)], 1))[:, 1]
        rows, columns = (np.clip(np.rint(v).astype(int), 0, n - 1) for v, n in zip((y, x), full.shape, strict=True))
        near = full[rows][:, columns].astype(np.float64)
        return np.where((near > 0.2) & (near < 6.0), near, 0.0)


def test_a_sequence_from_pointmaps_of_any_unit(sequence):
    source = open_source(sequence)
    step = max(1, len(source) // 160)
    sets = [s for n, s in enumerate(source) if n % step == 0 and s.frames[0].depth is not None]
    truth = {p.stamp_ns: p.T_map_rig for p in source.ground_truth}
    stamps, (T_rig_cam,) = np.array(sorted(truth)), sets[0].T_rig_cam.values()

    def pose(stamp_ns):
        T = truth[stamps[np.abs(stamps - stamp_ns).argmin()]]
        return T @ T_rig_cam if source.ground_truth_frame == "rig" else T

    camera = sets[0].frames[0].intrinsics
    model = MeasuredPairModel(None, pose, size=256, ray_noise=0.002, depth_noise=0.03, unit_spread=0.3, camera=camera)
    model.measured = {s.stamp_ns: s.frames[0].depth for s in sets}
    pipeline = MappingPipeline(from_dict({"fusion.stride": 2}), model)
    for s in sets:
        pipeline.process(replace(s, frames=(replace(s.frames[0], depth=None, intrinsics=None),), T_odom_base=None))
    pipeline.settle()
    poses = pipeline.trajectory()
    assert len(sets) >= 30 and len(poses) == len(sets)
    assert trajectory.evaluate(poses, source.ground_truth, alignments=("sim3",)).ate_m["sim3"].rmse < 0.01
    status = pipeline.status()
    assert status.focal_px[sets[0].frames[0].camera] == pytest.approx(camera.fx, rel=0.01)
    assert 3 < status.keyframes < 40
