# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""How good a match is believed to be: as good as the newest poses show, within limits."""
from dataclasses import replace

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.slam.graph.noise import FEWEST, LEAST_PX, REMEMBERED, MatchNoise
from lsm_sim.source import RoomSource

CONFIG = from_dict({"fusion.voxel_size": 0.1})
MOST = CONFIG.tracking.sigma_px


def noise_of(*seen):
    noise = MatchNoise()
    for px in seen:
        noise.add(px)
    return noise.sigma_px(MOST)


def test_a_match_is_as_good_as_the_newest_poses_show_and_errors_that_hide_are_allowed_for():
    assert noise_of(*[0.3] * FEWEST) == pytest.approx(1.2)
    assert noise_of(*[0.01] * FEWEST) == LEAST_PX
    assert noise_of(*[3.0] * FEWEST) == MOST
    assert noise_of(*[0.3] * (FEWEST - 1)) == MOST, "too few to say"
    assert noise_of(*[0.3] * (FEWEST - 1), np.nan) == MOST
    assert noise_of(*[0.3] * 9, 5.0, 5.0) == pytest.approx(1.2), "single poses do not count"
    assert noise_of(*[0.5] * 200, *[0.2] * (REMEMBERED - 5)) == pytest.approx(0.8), "old ones are forgotten"


@pytest.mark.parametrize(("focal", "low", "high"), [(1.0, LEAST_PX, 0.9), (1.1, 1.1, MOST)])
def test_an_exact_calibration_is_believed_and_a_wrong_one_is_not(focal, low, high):
    source, pipeline = RoomSource(seed=3, frames=150, width=320, height=240, labels=False), MappingPipeline(CONFIG)
    assert pipeline.tracker.graph.match_sigma_px == MOST
    for i in range(0, 60, 2):
        frame_set = source.frame_set(i)
        frames = tuple(replace(f, intrinsics=replace(f.intrinsics, fx=focal * f.intrinsics.fx, fy=focal * f.intrinsics.fy))
                       for f in frame_set.frames)
        pipeline.process(replace(frame_set, frames=frames, T_odom_base=None))
    assert low <= pipeline.tracker.graph.match_sigma_px <= high


def test_matches_that_are_farther_off_than_is_usual_are_not_lost(monkeypatch):
    """Neither by a pose nor by bundle adjustment: what is 3 px off may be right, for the first poses did not know better."""
    source, pipeline, shifted = RoomSource(seed=3, frames=150, width=320, height=240, labels=False), MappingPipeline(CONFIG), {}
    tracker = pipeline.tracker
    match = tracker.model.match

    def with_errors(*args):
        found = match(*args)
        found.pixels_a[::8] += (3.0, 0.0)
        shifted[id(args[1])] = len(found)
        return found

    for i in range(0, 24, 2):
        pipeline.process(replace(source.frame_set(i), T_odom_base=None))
    assert tracker.graph.sigma_px < 0.8
    monkeypatch.setattr(tracker.model, "match", with_errors)
    before = len(tracker.graph.keyframes)
    _, tracked = tracker.track(replace(source.frame_set(24), T_odom_base=None))
    asked = sum(shifted[id(tracker.graph.keyframes[i].views[camera].tokens)] for i, camera in tracked.matches)
    kept = sum(len(m) for m in tracked.matches.values())
    assert kept > 0.86 * asked > 200
    keyframe, _ = tracker.add_keyframe(tracked, tracked.pose.T_map_rig)
    links = [x for x in tracker.graph.links_of(keyframe.id) if x.observer == keyframe.id and x.anchor < before]
    assert links and sum(len(x.matches) for x in links) > 0.95 * kept
