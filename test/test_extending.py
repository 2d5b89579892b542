# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A network, a tracker, a source and a segmenter of other authors: one file and one line in the registry each, no other edit.

The files are written into a temporary folder, and what is added then runs through the pipeline or the command line.
"""
from pathlib import Path

import numpy as np
import pytest
import torch

from lsm_ros import cli, models
from lsm_ros.config import Config, choices_of, from_dict, walk
from lsm_ros.datasets import open_source
from lsm_ros.geometry import se3_inverse
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.registry import NETWORKS, PAIR_MODELS, SEGMENTERS, SOURCES, TRACKERS
from lsm_ros.training.checkpoints import export_weights
from lsm_ros.types import UNLABELLED
from lsm_sim.source import RoomSource

TRACKER = """
from dataclasses import replace

import numpy as np

from lsm_ros.geometry import se3_inverse
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView, motion
from lsm_ros.slam.pose import RigPose
from lsm_ros.slam.trackers import FrameDepth, KeyframeDepth, Start, TrackedFrame, Tracker
from lsm_ros.slam.trackers.progress import PoseStamp


class OdometryTracker(Tracker):
    '''Believes the wheels.'''

    def __init__(self, config, model):
        super().__init__(config, model, KeyframeGraph(config.keyframes, config.tracking))
        self._waiting, self._T_map_odom = [], np.eye(4)

    @staticmethod
    def suits(model):
        return model.uses_depth

    def track(self, frame_set):
        frames = {f.camera: f for f in frame_set.frames if f.intrinsics is not None}
        tokens = dict(zip(frames, self.model.encode(list(frames.values())), strict=True))
        new = TrackedFrame(frame_set.stamp_ns, tokens, {c: f.intrinsics for c, f in frames.items()}, frame_set.T_rig_cam,
                           frame_set.T_odom_base, frames=frames)
        if not self.graph.keyframes:
            return self.progress.lose("no map yet"), new
        new.pose = RigPose(self._T_map_odom @ new.T_odom_base, np.eye(6) * 1e-4, [])
        return self.progress.accept(PoseStamp(new.stamp_ns, new.pose.T_map_rig, new.T_odom_base), np.eye(6) * 1e-4, 1.0), new

    def can_start(self, new):
        return new.T_odom_base is not None

    def start(self, new, T_map_rig):
        if not self.can_start(new):
            return Start(None, "no odometry")
        self._T_map_odom = T_map_rig @ se3_inverse(new.T_odom_base)
        return Start(self.add_keyframe(new, T_map_rig)[0])

    def wants_keyframe(self, new):
        distance, angle = motion(self.graph.newest.T_map_rig, new.pose.T_map_rig)
        return distance > 0.2 or angle > 0.2

    def add_keyframe(self, new, T_map_rig):
        nothing = np.zeros((0, 2))
        views = {c: KeyframeView(c, t, new.intrinsics[c], new.T_rig_cam[c], nothing, np.zeros((0, 3)), np.zeros(0), np.zeros(0))
                 for c, t in new.tokens.items()}
        keyframe = Keyframe(self.graph.next_id, new.stamp_ns, T_map_rig, views)
        self.graph.add(keyframe)
        self._waiting.append((keyframe.id, new))
        self.progress.keyframe_added(keyframe.id, PoseStamp(new.stamp_ns, T_map_rig, new.T_odom_base))
        return keyframe, ()

    def frame_depth(self, new):
        return {c: FrameDepth(f, new.intrinsics[c], f.depth, (f.depth > 0).astype(np.float32), True)
                for c, f in new.frames.items() if f.depth is not None}

    def take_depth(self, everything=False):
        waiting, self._waiting = self._waiting, []
        return [KeyframeDepth(i, new.T_rig_cam[c], view) for i, new in waiting for c, view in self.frame_depth(new).items()]

    def depth_ratio(self, keyframe, camera, depth):
        return 1.0

    def finish(self):
        pass
"""
SEGMENTER = """
import numpy as np

from lsm_ros.semantics.segmenters.base import Segmenter
from lsm_ros.types import LabelSpace


class BrightSegmenter(Segmenter):
    '''Separates bright pixels from dark ones.'''

    label_space = LabelSpace({1: "dark", 2: "bright"})

    def __init__(self, config):
        self.seen = 0

    def segment(self, frame):
        self.seen += 1
        return np.where(frame.image.mean(2) > 127, 2, 1).astype(np.uint16)
"""
SOURCE = """
from pathlib import Path

import numpy as np

from lsm_ros.types import Frame, FrameSet


class NpzSource:
    '''Grey images in one npz file.'''

    @staticmethod
    def recognizes(path: Path) -> bool:
        return path.suffix == ".npz"

    def __init__(self, path, *, camera="camera"):
        self.name, self.cameras, self.ground_truth_frame = path.stem, [camera], "rig"
        self._images = np.load(path)["images"]
        self.ground_truth, self.warnings = None, []

    def __len__(self):
        return len(self._images)

    def __iter__(self):
        for n, image in enumerate(self._images):
            stamp = 10**9 + n * 10**8
            yield FrameSet(stamp, (Frame(stamp, self.cameras[0], np.repeat(image[..., None], 3, 2)),))

    def close(self):
        pass
"""
NETWORK = """
from lsm_ros.models.mast3r import MASt3R


class Pocket(MASt3R):
    '''MASt3R that fits into a pocket.'''

    scale_std = 0.25

    def __init__(self, *, dec_depth=3, feature_dim=16, last_dim=16, layer_dims=(8, 8, 8, 8), **config):
        super().__init__(img_size=64, enc_embed_dim=32, enc_depth=2, enc_num_heads=2, dec_embed_dim=32, dec_depth=dec_depth,
                         dec_num_heads=2, feature_dim=feature_dim, last_dim=last_dim, layer_dims=layer_dims,
                         hooks=(0, 1, 2, 3), **config)
"""


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Writes a file and enters it in a registry."""
    (tmp_path / "code").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "code"))

    def one_file_one_line(name, text, registry, cls):
        (tmp_path / "code" / f"added_{name}.py").write_text(text)
        monkeypatch.setitem(registry, name, f"added_{name}:{cls}")

    return one_file_one_line


def choices(parameter: str) -> tuple[str, ...]:
    return choices_of(next(f for name, f, _ in walk(Config()) if name == parameter))


@pytest.fixture(scope="module")
def room():
    source = RoomSource(seed=1, frames=40, width=160, height=120, odometry=True)
    return [source.frame_set(2 * i) for i in range(12)]


def test_a_tracker(add, room):
    with pytest.raises(ValueError, match="tracking.tracker: 'odometry' is none of"):
        from_dict({"tracking.tracker": "odometry"})
    add("odometry", TRACKER, TRACKERS, "OdometryTracker")
    assert "odometry" in choices("tracking.tracker")
    pipeline = MappingPipeline(from_dict({"tracking.tracker": "odometry", "fusion.voxel_size": 0.1}))
    for frame_set in room:
        update = pipeline.process(frame_set)
    assert len(pipeline.trajectory()) == len(room) and pipeline.map.block_count > 5
    moved = se3_inverse(room[0].T_odom_base) @ room[-1].T_odom_base
    first = pipeline.trajectory()[0].T_map_rig
    assert np.allclose(se3_inverse(first) @ update.tracking.T_map_rig, moved, atol=1e-9)


def test_a_tracker_that_does_not_suit_the_pair_model_is_refused_by_name(add):
    add("odometry", TRACKER, TRACKERS, "OdometryTracker")
    with pytest.raises(ValueError, match="pair model 'two_view' gives depth, matches, which does not suit tracker 'odometry'"):
        MappingPipeline(from_dict({"tracking.tracker": "odometry", "pairs.model": "two_view"}))


def test_a_segmenter(add, room):
    add("bright", SEGMENTER, SEGMENTERS, "BrightSegmenter")
    assert "bright" in choices("semantics.segmenter")
    pipeline = MappingPipeline(from_dict({"semantics.segmenter": "bright", "fusion.voxel_size": 0.1}))
    for frame_set in room:
        frames = tuple(_without_labels(f) for f in frame_set.frames)
        pipeline.process(type(frame_set)(frame_set.stamp_ns, frames, frame_set.T_rig_cam, frame_set.T_odom_base, True))
    labels = pipeline.snapshot().labels
    assert set(np.unique(labels)) <= {1, 2, UNLABELLED} and np.isin(labels, (1, 2)).mean() > 0.5
    assert pipeline.label_space.names == {1: "dark", 2: "bright"}


def test_labels_of_the_camera_come_before_those_of_the_segmenter(add, room):
    add("bright", SEGMENTER, SEGMENTERS, "BrightSegmenter")
    pipeline = MappingPipeline(from_dict({"semantics.segmenter": "bright", "fusion.voxel_size": 0.1}))
    pipeline.process(room[0])
    assert pipeline.semantics._segmenter.seen == 0 and len(np.unique(pipeline.snapshot().labels)) > 3


def _without_labels(frame):
    return type(frame)(frame.stamp_ns, frame.camera, frame.image, frame.intrinsics, frame.depth)


def test_a_source(add, tmp_path, capsys):
    add("npz", SOURCE, SOURCES, "NpzSource")
    path = tmp_path / "film.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 255, (3, 48, 64), np.uint8))
    source = open_source(path, camera="front")
    assert len(source) == 3 and [s.frames[0].image.shape for s in source] == [(48, 64, 3)] * 3
    with pytest.raises(ValueError, match="read by NpzSource, which has no option 'rate_hz'"):
        open_source(path, rate_hz=3.0)
    assert cli.main(["map", str(path), "--out", str(tmp_path / "out"), "--quiet"]) == 2  # nothing to map in noise
    assert "none of 3 frames" in capsys.readouterr().err


def test_a_network_is_one_file_and_two_lines(add, tmp_path):
    add("pocket", NETWORK, NETWORKS, "Pocket")
    PAIR_MODELS["pocket"] = "lsm_ros.pairs.network:NetworkPairModel"
    try:
        network = models.build("pocket", dec_depth=4)
        weights = export_weights(tmp_path / "weights", "pocket", {"dec_depth": 4}, network.state_dict(), None, {})
        loaded = models.load(weights)
        assert type(loaded).__name__ == "Pocket"
        assert torch.equal(loaded.state_dict()["enc_norm.weight"], network.state_dict()["enc_norm.weight"].half().float())
        config = from_dict({"pairs.model": "pocket", "pairs.weights": str(weights), "pairs.precision": "float32"})
        pipeline = MappingPipeline(config)
        assert pipeline.model.is_metric and pipeline.model.scale_std == 0.25 and pipeline.model.gives == {"points"}
        with pytest.raises(ValueError, match="does not suit tracker 'depth'"):
            MappingPipeline(from_dict({"tracking.tracker": "depth"}, config))
    finally:
        del PAIR_MODELS["pocket"]


def test_the_registries_are_complete():
    """Every entry can be loaded, and every parameter that chooses from a registry offers all of it."""
    for table, parameter in ((PAIR_MODELS, "pairs.model"), (TRACKERS, "tracking.tracker"), (SEGMENTERS, "semantics.segmenter")):
        assert set(table) <= set(choices(parameter))
    assert Path(models.__file__).parent.name == "models" and set(NETWORKS) >= {"croco", "dust3r", "mast3r", "lsm_small"}
