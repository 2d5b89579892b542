# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Every parameter that may change at run time changes something when it is applied: the same as when it is set at the start."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.semantic_parts import TrueFeatures, Words, codec_of

from lsm_ros.config import Config, from_dict, walk
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.semantics import language
from lsm_ros.semantics.describing import Describer
from lsm_sim.source import RoomSource

BASE = from_dict({"fusion.voxel_size": 0.1})
FRAMES = 3
WORDS = ("wall", "floor", "ceiling", "door", "table", "chair", "bed", "sofa")


class Mapped:
    """A pipeline that has mapped the first frames of a room."""

    def __init__(self, config, room):
        self.room, self.pipeline = room, MappingPipeline(config)
        for n in range(FRAMES):
            self.pipeline.process(self.frame_set(n))

    def frame_set(self, n):
        """A frame set of the room without labels."""
        frame_set = self.room.frame_set(8 * n)
        return replace(frame_set, frames=tuple(replace(f, labels=None, label_space=None) for f in frame_set.frames))

    def apply(self, config):
        self.pipeline.apply_runtime(config)

    def close(self):
        self.pipeline.close()


def voxels(mapped):
    return len(mapped.pipeline.snapshot().points_map)


def backlog(mapped):
    """Observations that are still where they were after all keyframes moved and a frame was processed."""
    T_new_old = np.eye(4)
    T_new_old[0, 3] = 0.3
    mapped.pipeline.tracker.move_map(T_new_old)
    return mapped.pipeline.process(mapped.frame_set(FRAMES)).backlog


def named_voxels(mapped):
    return np.unique(mapped.pipeline.snapshot().labels, return_counts=True)[1].tolist()


def obstacles(mapped):
    return np.count_nonzero(mapped.pipeline.occupancy().grid == 100)


def distances(mapped):
    return int(mapped.pipeline.distance_field().grid.astype(np.int64).sum())


# name: value before, value after, and what it decides
PIPELINE = {
    "fusion.min_weight": (0.15, 20.0, voxels),
    "fusion.budget_ms": (0.0, 10000.0, backlog),
    "semantics.min_similarity": (-1.0, 0.9, named_voxels),
    "grid.min_height": (0.1, 1.0, obstacles),
    "grid.max_height": (1.8, 0.4, obstacles),
    "grid.max_distance": (2.0, 1.0, distances),
}
# name: value before and after; what they decide is in helpers/runtime_node.py
NODE = {
    "node.tf_tolerance": (0.1, 0.5),
    "node.cloud_rate_hz": (10.0, 0.1),
    "node.cloud_stride": (4, 2),
    "node.cloud_min_confidence": (0.1, 0.8),
    "node.map_rate_hz": (1.0, 0.3),
    "node.mesh_rate_hz": (0.2, 1.0),
    "node.map_update_rate_hz": (2.0, 0.3),
    "node.map_update_megabytes_per_s": (10.0, 0.1),
    "node.service_timeout": (0.1, 0.2),
}


@pytest.fixture(scope="module")
def room():
    return RoomSource(seed=1, frames=40, width=160, height=120, odometry=True)


def compare(name, before, after, make, effect, base=BASE):
    """The effect before, after the value was applied, and with the value from the start; the last two must be the same."""
    found = []
    for first, then in ((before, None), (before, after), (after, None)):
        subject = make(from_dict({name: first}, base))
        try:
            if then is not None:
                subject.apply(from_dict({name: then}, base))
            found.append(effect(subject))
        finally:
            subject.close()
    old, applied, new = found
    assert applied != old, f"{name}={after} changes nothing when it is applied"
    assert applied == new, f"{name}={after} does something else when it is applied than at the start"


def test_every_parameter_that_may_change_at_run_time_has_its_effect_here():
    runtime = {name for name, field, _ in walk(Config()) if field.metadata["runtime"]}
    assert set(PIPELINE) | set(NODE) == runtime


@pytest.mark.parametrize("name", PIPELINE)
def test_the_pipeline_follows(name, room, monkeypatch):
    before, after, effect = PIPELINE[name]
    base = BASE
    if name.startswith("semantics."):
        sets = [room.frame_set(8 * n) for n in range(FRAMES)]
        labels = {f.stamp_ns: f.frames[0].labels for f in sets}
        names = {i: n for i, n in room.world.label_space.names.items() if n in WORDS}
        words = Words(WORDS)
        eyes = TrueFeatures(labels, codec_of(names, words))
        monkeypatch.setattr(Describer, "load", lambda weights, precision: eyes)
        monkeypatch.setattr(language, "make_text_encoder", lambda identity: words)
        base = from_dict({"semantics.features": "always"}, BASE)
    compare(name, before, after, lambda config: Mapped(config, room), effect, base)


@pytest.mark.ros
@pytest.mark.parametrize("name", NODE)
def test_the_node_follows(name, monkeypatch):
    pytest.importorskip("rclpy")
    from helpers.runtime_node import EFFECTS, Running

    assert set(EFFECTS) == set(NODE)
    compare(name, *NODE[name], lambda config: Running(config, monkeypatch), EFFECTS[name])
