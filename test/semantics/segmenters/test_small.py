# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The segmenter that stands on the small network of the package."""
from dataclasses import replace

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.models.known import OWN_WEIGHTS
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.semantics.segmenters import make_segmenter
from lsm_ros.types import UNLABELLED
from lsm_sim.source import RoomSource

CONFIG = {"semantics.segmenter": "lsm_small", "pairs.precision": "float32", "semantics.features": "never"}
pytestmark = pytest.mark.skipif(not (OWN_WEIGHTS / "config.json").is_file(), reason="the package came without its weights")


@pytest.fixture(scope="module")
def room():
    """Two frame sets of a room that was not trained on."""
    source = RoomSource(seed=10001, frames=60)
    return [source.frame_set(n) for n in (10, 14)]


def test_labels_of_single_frames(room):
    segmenter = make_segmenter(from_dict(CONFIG))
    right = []
    for frame_set in room:
        frame = frame_set.frames[0]
        labels = segmenter.segment(frame)
        assert labels.shape == frame.image.shape[:2] and labels.dtype == np.uint16
        assert set(np.unique(labels)) <= {*segmenter.label_space.names, UNLABELLED}
        known = np.isin(frame.labels, list(segmenter.label_space.names))
        right.append(np.mean(labels[known] == frame.labels[known]))
    assert np.mean(right) > 0.4, right  # by chance: below 0.1


@pytest.mark.parametrize("name", ["semantics.segmenter_model", "semantics.segmenter_labels"])
def test_settings_of_other_segmenters_are_refused_by_name(name):
    with pytest.raises(ValueError, match=rf"has no use for {name} \('voc'\).*semantics.label_space"):
        make_segmenter(from_dict({**CONFIG, name: "voc"}))


def test_other_names_and_what_is_unlike_all_of_them(room, tmp_path):
    space = tmp_path / "two.yaml"
    space.write_text("3: floor\n9: wall\n")
    labels = make_segmenter(from_dict({**CONFIG, "semantics.label_space": str(space)})).segment(room[0].frames[0])
    assert set(np.unique(labels)) <= {3, 9, UNLABELLED} and {3, 9} & set(np.unique(labels))
    strict = make_segmenter(from_dict({**CONFIG, "semantics.label_space": str(space), "semantics.min_similarity": 1.0}))
    assert (strict.segment(room[0].frames[0]) == UNLABELLED).all()


def test_similarity_may_change_while_the_map_is_made(room):
    pipeline = MappingPipeline(from_dict({**CONFIG, "semantics.min_similarity": -1.0}))
    bare = replace(room[0].frames[0], labels=None, label_space=None)
    assert (pipeline.semantics.labelled(bare).labels != UNLABELLED).all()
    pipeline.apply_runtime(from_dict({"semantics.min_similarity": 1.0}, pipeline.config))
    assert (pipeline.semantics.labelled(bare).labels == UNLABELLED).all()


def test_in_the_map(room):
    pipeline = MappingPipeline(from_dict({**CONFIG, "fusion.voxel_size": 0.1}))
    frame_set = room[0]
    bare = tuple(type(f)(f.stamp_ns, f.camera, f.image, f.intrinsics, f.depth) for f in frame_set.frames)
    pipeline.process(type(frame_set)(frame_set.stamp_ns, bare, frame_set.T_rig_cam, None, True))
    labels = pipeline.snapshot().labels
    assert np.mean(labels != UNLABELLED) > 0.3 and set(np.unique(labels)) <= {*pipeline.label_space.names, UNLABELLED}
