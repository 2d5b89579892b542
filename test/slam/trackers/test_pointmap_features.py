# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Language features that are predicted with the pointmaps: fused in the keyframe, then in the voxels."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.pointmaps import FakePairModel, frame_set, on_path, walk
from helpers.semantic_parts import DIM, Words, codec_of  # noqa: E402
from helpers.textured import room

from lsm_ros.config import from_dict
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.models.known import LANGUAGE_FILE
from lsm_ros.models.tensor_files import write_safetensors
from lsm_ros.semantics.codec import codec_tensors
from lsm_ros.types import UNLABELLED

BOARDS, PATH = room(), walk(10)


def with_features(prediction, _stamps):
    """Image b is `up` in its upper half and `down` in the other; of image a they say nothing true."""
    height, width = prediction.points_a.shape[:2]
    a, b = torch.zeros(2, height // 8, width // 8, DIM)
    a[..., 2] = 1
    b[:height // 16, :, 0] = 1
    b[height // 16:, :, 1] = 1
    return replace(prediction, features_a=a, features_b=b)


@pytest.fixture
def mapped(tmp_path):
    def run(**config):
        model = FakePairModel(BOARDS, on_path(PATH), size=128, metric=True, ray_noise=0.001, spoil=with_features)
        codec = codec_of({4: "up", 5: "down", 6: "wrong"}, Words(("up", "down", "wrong")))
        model.feature_dim, model.language_file = codec.channels, tmp_path / LANGUAGE_FILE
        write_safetensors(model.language_file, *codec_tensors(codec))
        pipeline = MappingPipeline(from_dict({"fusion.voxel_size": 0.1, "scale.gravity": "none", **config}), model)
        for n in range(len(PATH)):
            pipeline.process(frame_set(BOARDS, PATH, n))
        pipeline.settle()
        return pipeline
    return run


def test_many_predictions_of_a_keyframe_outvote_one(mapped):
    pipeline = mapped()
    snapshot = pipeline.snapshot()
    assert pipeline.label_space.names == {4: "up", 5: "down", 6: "wrong"}
    direction = snapshot.points_map[:, 1] / np.linalg.norm(snapshot.points_map, axis=1)  # y is down
    for label, there in ((4, direction < -0.15), (5, direction > 0.15)):
        told = snapshot.labels[there & (snapshot.labels != UNLABELLED)]
        assert len(told) > 50 and np.mean(told == label) > 0.9
    assert np.mean(snapshot.labels == UNLABELLED) < 0.2
    views = [v for k in pipeline.tracker.graph.keyframes.values() for v in k.views.values()]
    assert all(v.features.nbytes == 0 for v in views)  # the map has them


def test_features_can_be_left_out(mapped):
    pipeline = mapped(**{"semantics.features": "never"})
    assert not pipeline.model.with_features and pipeline.label_space is None
    with pytest.raises(ValueError, match="no language features: set pairs.model"):
        pipeline.texts.sentence("up")
