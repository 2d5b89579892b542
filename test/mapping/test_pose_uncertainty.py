# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Poses are as wrong as their covariances say: normalised errors in simulated rooms."""
import numpy as np
import pytest

from lsm_ros.config import Config
from lsm_ros.geometry import se3_inverse, so3_log
from lsm_ros.pipeline import MappingPipeline
from lsm_sim.source import RoomSource


def normalised(T, T_expected, covariance):
    error = np.r_[T[:3, 3] - T_expected[:3, 3], so3_log(T[:3, :3] @ T_expected[:3, :3].T)]
    return error @ np.linalg.solve(covariance, error)


def drive(seed, frames):
    """Normalised errors in a room: of poses in the map, the same by what each has of its own, and of steps from frame to
    frame."""
    source = RoomSource(frames=frames, labels=False, odometry=False, seed=seed)
    pipeline, T_map_world, last = MappingPipeline(Config()), None, None
    in_map, alone, steps = [], [], []
    for frame_set, truth in zip(source, source.ground_truth, strict=True):
        found, T_world = pipeline.process(frame_set).tracking, truth.T_map_rig
        T = found.T_map_rig
        if T_map_world is None:
            T_map_world = T @ se3_inverse(T_world)
        if found.own_covariance is None:
            last = None
            continue
        in_map.append(normalised(T, T_map_world @ T_world, found.covariance))
        alone.append(normalised(T, T_map_world @ T_world, found.own_covariance))
        if last is not None and found.new_keyframe is None:
            T_last, T_world_last, own = last
            steps.append(normalised(T, T_last @ se3_inverse(T_world_last) @ T_world, own + found.own_covariance))
        last = None if found.new_keyframe is not None else (T, T_world, found.own_covariance)
    return np.mean(in_map), np.mean(alone), np.mean(steps)


@pytest.mark.parametrize(("seeds", "frames"), [((3,), 40), pytest.param(range(100, 120), 60, marks=pytest.mark.slow)])
def test_normalised_errors_are_those_of_six_degrees_of_freedom(seeds, frames):
    runs = [drive(seed, frames) for seed in seeds]
    print("in the map, alone, steps:", np.round(runs, 1))
    in_map, alone, steps = np.mean(runs, axis=0)
    # 6 each if all was known; errors of a run have causes in common, so that a run counts about as one error
    assert 6 / 4 < in_map < 6 * 2.5
    assert alone > 2 * in_map  # what comes from the keyframes is the larger part
    assert 6 / 4 < steps < 6 * 2.5
