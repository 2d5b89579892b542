# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Simulated worlds: colour alone becomes metric by odometry, and an IMU makes the map level."""
import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.geometry import umeyama
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_sim.source import SimSource


def mapped(source, **config):
    """A settled pipeline, and its status after each frame set."""
    pipeline, history = MappingPipeline(from_dict(config)), []
    for frame_set in source:
        pipeline.process(frame_set)
        history.append(pipeline.status())
    pipeline.settle()
    return pipeline, history


def similarity(source, pipeline):
    """T_truth_map (4, 4), a similarity."""
    truth = {p.stamp_ns: p.T_map_rig for p in source.ground_truth}
    poses = pipeline.trajectory()
    return umeyama(np.stack([p.T_map_rig[:3, 3] for p in poses]), np.stack([truth[p.stamp_ns][:3, 3] for p in poses]),
                   with_scale=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_colour_alone_becomes_metric_by_odometry():
    source = SimSource(20003, "rooms", duration_s=60.0, width=320, height=240, depth=False, labels=False)
    pipeline, history = mapped(source, **{"pairs.model": "two_view"})
    locked = next(k for k, s in enumerate(history) if s.scale_is_metric)
    status = pipeline.status()
    error = np.log(np.cbrt(np.linalg.det(similarity(source, pipeline)[:3, :3])))
    print(f"metric after {locked / 10:.1f} s, scale off by {error:+.2%}, said to be sure to {status.scale_std:.2%} by "
          f"{status.scale_source}")
    assert all(s.scale_is_metric for s in history[locked:]) and status.scale_is_metric
    assert {s.map_epoch for s in history[:locked]} == {0} and history[locked].map_epoch == 1
    assert abs(error) < 3 * status.scale_std < 0.06


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("pairs", ["depth", "two_view"])
def test_an_imu_makes_the_map_of_a_hand_held_camera_level(pairs):
    source = SimSource(20007, "room", "hand", duration_s=25.0, width=320, height=240, labels=False, imu=True)
    pipeline, history = mapped(source, **{"pairs.model": pairs})
    levelled = next(k for k, s in enumerate(history) if s.gravity_known)
    up = similarity(source, pipeline)[:3, 2]
    truth = {p.stamp_ns: p.T_map_rig for p in source.ground_truth}
    by_turns = np.mean([truth[p.stamp_ns][:3, :3] @ p.T_map_rig[2, :3] for p in pipeline.trajectory()], axis=0)
    off = [np.degrees(np.arccos(v[2] / np.linalg.norm(v))) for v in (up, by_turns)]
    print(f"{pairs}: level after {levelled / 10:.1f} s, off by {off[0]:.2f} degrees by the path, {off[1]:.2f} by the turns")
    assert pipeline.status().gravity_source == "imu" and off[1] < 1.0
    if pairs == "depth":
        floor = pipeline.snapshot().points_map
        floor = floor[floor[:, 2] < np.percentile(floor[:, 2], 2) + 0.1]
        normal = np.linalg.svd(floor - np.median(floor, axis=0), full_matrices=False)[2][2]
        assert np.degrees(np.arccos(abs(normal[2]))) < 1.0
