# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A camera that turns past a chequered wall: the pose that is a period off shows little of what the map promises."""
import numpy as np
import pytest
from helpers.textured import CAMERA, Board, picture, see

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, se3_inverse, so3_exp
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.slam.trackers import landmark
from lsm_ros.types import Frame, FrameSet, TrackingState

X, Y, AHEAD = np.eye(3)
WALL = 2.0  # metres away


def chequered(period):
    """A wall of 4 x 4 m with a pattern of that period, metres, and a poster on it."""
    at = np.arange(1024) * 4.0 // (1024 * period / 2)
    pattern = np.where((at + at[:, None]) % 2, 190.0, 70.0) + np.random.default_rng(1).normal(0.0, 3.0, (1024, 1024))
    return [Board(np.array([-2.0, -2.0, WALL]), 4.0 * X, 4.0 * Y, pattern.astype(np.uint8)),
            Board(np.array([0.45, -0.7, WALL - 0.05]), 0.5 * X, 1.4 * Y, picture(3))]


def second_of(period, turn):
    """The pipeline after two frames, between which the camera turns, and metres by which the second pose is off."""
    boards, pipeline = chequered(period), MappingPipeline(from_dict({"fusion.voxel_size": 0.1}))
    true = [np.eye(4), make_se3(so3_exp(turn * Y), [0.0] * 3)]
    found = []
    for n, T in enumerate(true):
        gray, depth = see(boards, T)
        stamp = 10**9 + n * 10**8
        frame = Frame(stamp, "camera", np.repeat(gray[..., None], 3, 2), CAMERA, depth)
        found.append(pipeline.process(FrameSet(stamp, (frame,), {"camera": np.eye(4)})).tracking)
    assert found[1].state is TrackingState.TRACKING
    off = se3_inverse(true[1]) @ se3_inverse(found[0].T_map_rig) @ found[1].T_map_rig
    return pipeline, float(np.linalg.norm(off[:3, 3]))


@pytest.mark.parametrize(("period", "part"), [(0.2, 0.95), (0.3, 0.6), (0.3, 0.8)])
def test_where_little_of_the_map_is_found_another_pose_is_looked_for(period, part, monkeypatch):
    pipeline, off = second_of(period, part * period / WALL)
    assert off < 0.01 and pipeline.tracker._pose.share_in_view(pipeline.tracker._newest) > 0.7
    monkeypatch.setattr(landmark, "DOUBTFUL", 0.0)
    pipeline, off = second_of(period, part * period / WALL)
    assert off == pytest.approx(period, abs=0.01), "without the rule it is a period off"


@pytest.mark.parametrize(("factor", "is_taken"), [(0.9, True), (1.1, False)])
def test_another_pose_must_show_clearly_more(factor, is_taken, monkeypatch):
    period, part = 0.3, 0.8
    monkeypatch.setattr(landmark, "DOUBTFUL", 0.0)
    pipeline, _ = second_of(period, part * period / WALL)
    share = pipeline.tracker._pose.share_in_view(pipeline.tracker._newest)
    monkeypatch.setattr(landmark, "DOUBTFUL", 0.4)
    pipeline, _ = second_of(period, part * period / WALL)
    monkeypatch.setattr(landmark, "CLEARLY", factor * pipeline.tracker._pose.share_in_view(pipeline.tracker._newest) / share)
    _, off = second_of(period, part * period / WALL)
    assert (off < 0.01) == is_taken


def test_an_equally_good_pose_is_not_taken(monkeypatch):
    monkeypatch.setattr(landmark, "DOUBTFUL", 2.0)
    taken = []
    monkeypatch.setattr(landmark, "take", lambda new, other: taken.append(other))
    _, off = second_of(0.2, 0.02)
    assert off < 0.01 and not taken
