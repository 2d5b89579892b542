# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Features from keyframes to voxels, names that change at run time, queries. The features are made from true labels."""
import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.semantic_parts import TrueFeatures, Words, codec_of  # noqa: E402

from lsm_ros import cli
from lsm_ros.commands.querying import ask, cloud_of
from lsm_ros.config import from_dict
from lsm_ros.fusion.files.feature_file import FILE, write_features
from lsm_ros.fusion.publish.replica import MapReplica
from lsm_ros.fusion.publish.updates import UpdateStream
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.models.known import LANGUAGE_FILE
from lsm_ros.semantics import language as language_module
from lsm_ros.semantics.describing import Describer
from lsm_ros.types import UNLABELLED, Frame, LabelSpace
from lsm_sim.source import RoomSource

CONFIG = from_dict({"fusion.voxel_size": 0.06, "fusion.budget_ms": 1000.0, "semantics.features": "always"})
FRAMES = 6
WORDS = ("wall", "floor", "ceiling", "door", "window", "table", "surface", "chair", "thing", "sofa", "bed", "shelf")


@pytest.fixture(scope="module")
def room():
    """Frame sets without labels, the labels by stamp, and the names of those that are seen."""
    source = RoomSource(seed=1, frames=150, width=320, height=240, odometry=True)
    frame_sets = [source.frame_set(3 * i) for i in range(FRAMES)]
    labels = {f.stamp_ns: f.frames[0].labels for f in frame_sets}
    names = source.world.label_space.names
    seen = {i: names[i] for i in np.unique(np.stack(list(labels.values()))).tolist() if names.get(i) in WORDS}
    bare = [replace(f, frames=(replace(f.frames[0], labels=None, label_space=None),)) for f in frame_sets]
    return bare, labels, seen, frame_sets


@pytest.fixture
def mapped(room, monkeypatch):
    return make(room, monkeypatch)


def make(room, monkeypatch, config=CONFIG, frames=FRAMES):
    """A pipeline that has mapped the room, with its stand-in for the network."""
    bare, labels, seen, _ = room
    eyes = TrueFeatures(labels, codec_of(seen, Words(WORDS)))
    monkeypatch.setattr(Describer, "load", lambda weights, precision: eyes)
    monkeypatch.setattr(language_module, "make_text_encoder", encoder_of)
    pipeline = MappingPipeline(config)
    for frame_set in bare[:frames]:
        pipeline.process(frame_set)
    pipeline.settle()
    return pipeline, eyes


def encoder_of(identity):
    if identity != "words":
        raise ValueError(f"text encoder {identity!r} does not exist")
    return Words(WORDS)


def shares(labels):
    """Share of each label that voxels have."""
    ids, counts = np.unique(labels, return_counts=True)
    return dict(zip(ids.tolist(), (counts / len(labels)).tolist(), strict=True))


def test_voxels_are_called_what_their_features_say(room, mapped):
    pipeline, eyes = mapped
    snapshot = pipeline.snapshot()
    assert eyes.described == len(pipeline.keyframe_trajectory()) >= 2
    assert pipeline.label_space.names == room[2]
    truth = MappingPipeline(from_dict({"semantics.features": "never"}, CONFIG))
    for frame_set in room[3]:
        truth.process(frame_set)
    truth.settle()
    exact = truth.snapshot().labels
    assert len(exact) == len(snapshot.labels)  # the same depth and poses
    known = np.isin(exact, list(room[2])) & (snapshot.labels != UNLABELLED)
    assert known.mean() > 0.4
    assert np.mean(exact[known] == snapshot.labels[known]) > 0.85  # cells of 16 pixels do not follow edges
    assert truth.semantics.names is None and not truth.map.has_features


def test_other_names_reach_all_that_shows_the_map(room, mapped):
    pipeline, _ = mapped
    stream, replica = UpdateStream(lambda: 1000), MapReplica()

    def follow():
        stream.follow(pipeline.map, pipeline.map_epoch)
        sent = 0
        while (update := stream.next()) is not None:
            replica.apply(update)
            sent += len(update.data)
        return sent

    first = follow()
    mesh = pipeline.map.mesh()
    seq, blocks = pipeline.map.seq, pipeline.map.block_count
    floor = next(i for i, n in room[2].items() if n == "floor")
    assert shares(pipeline.snapshot().labels)[floor] > 0.05
    pipeline.set_labels(LabelSpace({7: "floor", 9: "table thing", 11: "ceiling"}))
    labels = pipeline.snapshot().labels
    assert set(np.unique(labels)) <= {7, 9, 11, UNLABELLED} and pipeline.label_space.names[9] == "table thing"
    assert shares(labels)[7] > 0.05 and shares(labels)[UNLABELLED] > 0.05  # walls are like none of these
    assert 0 < follow() <= first and pipeline.map.seq == seq and pipeline.map.block_count == blocks
    assert np.array_equal(replica.cloud().labels, pipeline.map.published_cloud().labels)
    assert np.array_equal(np.sort(np.unique(replica.cloud().labels)), np.unique(labels))
    assert set(np.unique(pipeline.map.mesh().labels)) <= {7, 9, 11, UNLABELLED} and len(mesh.labels) == len(
        pipeline.map.mesh().labels)
    pipeline.set_labels(None)
    assert np.array_equal(pipeline.map.mesh().labels, mesh.labels) and pipeline.label_space.names == room[2]
    assert follow() > 0 and follow() == 0


def test_labels_that_frames_bring_come_first(room, mapped):
    pipeline, _ = mapped
    last = room[3][FRAMES - 1]
    space = LabelSpace({1: "chair", 2: "sofa", 3: "wall"})
    ones = np.ones(last.frames[0].labels.shape, np.uint16)
    number = max(pipeline.map.observations)
    seen = pipeline.map.observations[number]
    before = pipeline.snapshot().labels
    assert pipeline.add_labels(seen.stamp_ns, seen.camera, ones, space)
    after = pipeline.snapshot().labels
    assert np.count_nonzero(after == 1) > 100
    assert pipeline.label_space.names == space.names  # features are decoded into the same names
    assert np.count_nonzero(after == 3) > 20 and set(np.unique(after)) <= {1, 2, 3, UNLABELLED}
    assert len(before) == len(after)
    with pytest.raises(ValueError, match="label id 2 is 'sofa' in the labels of the cameras"):
        pipeline.set_labels(LabelSpace({2: "bed"}))
    assert np.array_equal(after, pipeline.snapshot().labels)


def test_a_query_finds_the_floor_where_it_is(room, mapped):
    pipeline, _ = mapped
    answer = pipeline.find(pipeline.texts.sentence("the floor").vector, 0.0, 3)
    assert len(answer.places) >= 1 and answer.best > 0.9
    best = answer.places[0]
    assert best.similarity > 0.8 and abs(best.centre[2]) < 0.1 and best.high[2] - best.low[2] < 0.4
    assert (best.high - best.low)[:2].max() > 0.8
    assert np.median(np.abs(answer.points[:, 2])) < 0.1 and (np.diff(answer.similarity) <= 0).all()


@pytest.mark.parametrize(("names", "said"), [
    ({}, "no names"), ({1: "floor", 2: "Floor"}, "comes twice"), ({1: " "}, "is empty"), ({4: "x" * 10000}, "has 10000 char"),
    ({1: "void"}, "no names that features"), ({1: "gnomon"}, "says nothing")])
def test_names_that_cannot_be_used_change_nothing(mapped, names, said):
    pipeline, _ = mapped
    before, space = pipeline.snapshot().labels, pipeline.label_space
    with pytest.raises(ValueError, match=said):
        pipeline.set_labels(LabelSpace(names))
    assert pipeline.label_space == space and np.array_equal(pipeline.snapshot().labels, before)


def test_saved_maps_keep_their_meaning(room, mapped, monkeypatch, tmp_path):
    pipeline, eyes = mapped
    pipeline.set_labels(LabelSpace({5: "floor", 6: "wall"}))
    pipeline.save(tmp_path / "saved")
    plain = MappingPipeline(from_dict({"semantics.features": "auto"}, CONFIG))  # no network, but the map has features
    plain.load(tmp_path / "saved")
    assert np.array_equal(plain.snapshot().labels, pipeline.snapshot().labels)
    assert plain.label_space.names == {5: "floor", 6: "wall"}
    assert plain.find(plain.texts.sentence("floor").vector, 0.0, 1).places
    for change in ({"basis": np.flipud(np.eye(12, dtype=np.float32)).copy()}, {"encoder": "more words"}):
        eyes.codec = replace(codec_of(room[2], Words(WORDS)), **change)
        stranger = MappingPipeline(CONFIG)
        with pytest.raises(ValueError, match="other weights than those in use"):
            stranger.load(tmp_path / "saved")
        assert stranger.map.block_count == 0
    (tmp_path / "saved" / LANGUAGE_FILE).unlink()
    fresh = MappingPipeline(plain.config)
    with pytest.raises(ValueError, match=LANGUAGE_FILE):
        fresh.load(tmp_path / "saved")
    assert not fresh.map.has_features and fresh.semantics.language is None


def test_lsm_query(room, mapped, capsys, tmp_path):
    pipeline, _ = mapped
    pipeline.save(tmp_path / "saved")
    result = tmp_path / "result"
    result.mkdir()
    write_features(result / FILE, cloud_of(pipeline.map))
    pipeline.semantics.language.write(result / LANGUAGE_FILE)
    a, b = (ask(p, "the floor", 0.0, 4) for p in (tmp_path / "saved", result))
    assert len(a.answer.places) == len(b.answer.places) and np.allclose(a.answer.places[0].low, b.answer.places[0].low)
    assert cli.main(["query", str(result), "the floor", "--not", "the wall", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["places"]) == len(a.answer.places)
    assert cli.main(["query", str(result), "the floor", "--not", "a wall", "--not", "one floor"]) == 0
    assert "nothing has a similarity of" in capsys.readouterr().out
    assert cli.main(["query", str(result), "the floor", "--not", " "]) == 2 and "is empty" in capsys.readouterr().err
    assert cli.main(["query", str(result), "the  FLOOR", "--json", "--top", "1"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"] == "the FLOOR" and len(answer["places"]) == 1
    assert answer["remarks"] == ["1 of 2 words are unknown to the text encoder"]
    assert answer["places"][0]["voxels"] == a.answer.places[0].voxels and abs(answer["places"][0]["centre"][2]) < 0.1
    assert cli.main(["query", str(tmp_path / "saved"), "floor"]) == 0
    assert "voxels have a similarity of" in capsys.readouterr().out
    assert cli.main(["query", str(result), "thing sofa", "--threshold", "0.99"]) == 0
    assert "nothing has a similarity of 0.99 or more" in capsys.readouterr().out
    for arguments, said in (([str(result), " "], "query is empty"), ([str(result), "椅子"], "knows no word"),
                            ([str(tmp_path / "nothing"), "floor"], "is no folder of a map"),
                            ([str(tmp_path), "floor"], "holds no map"), ([str(result), "floor", "--threshold", "3"], "outside"),
                            ([str(result), "floor", "--top", "0"], "at least 1")):
        assert cli.main(["query", *arguments]) == 2
        assert said in capsys.readouterr().err
    (result / FILE).write_bytes(b"none")
    assert cli.main(["query", str(result), "floor"]) == 2 and FILE in capsys.readouterr().err
    (result / FILE).unlink()
    (result / "map.ply").touch()
    assert cli.main(["query", str(result), "floor"]) == 2 and "has no language features" in capsys.readouterr().err


def test_without_language_a_query_says_what_to_do(room):
    pipeline = MappingPipeline(from_dict({"semantics.features": "auto"}, CONFIG))
    pipeline.process(room[0][0])
    for ask_it in (lambda: pipeline.texts.sentence("floor"), lambda: pipeline.set_labels(LabelSpace({1: "floor"}))):
        with pytest.raises(ValueError, match="set pairs.model to lsm_small"):
            ask_it()


def test_an_empty_map_has_nothing_to_find(room, monkeypatch):
    pipeline, _ = make(room, monkeypatch, frames=0)
    with pytest.raises(ValueError, match="holds no language features"):
        pipeline.find(pipeline.texts.sentence("floor").vector, 0.0, 1)


def test_weights_of_another_text_encoder(room, mapped):
    pipeline, eyes = mapped
    eyes.codec = replace(eyes.codec, encoder="another")
    other = MappingPipeline(CONFIG)  # the classes of the training need no text encoder
    assert other.label_space.names == room[2]
    with pytest.raises(ValueError, match="another text encoder: text encoder 'another' does not exist"):
        other.texts.sentence("something new")


def test_names_of_the_configuration(room, monkeypatch, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("3: floor\n4: thing\n")
    pipeline, _ = make(room, monkeypatch, from_dict({"semantics.label_space": str(file)}, CONFIG), frames=1)
    assert pipeline.label_space.names == {3: "floor", 4: "thing"}
    assert set(np.unique(pipeline.snapshot().labels)) <= {3, 4, UNLABELLED}
    pipeline.apply_runtime(from_dict({"semantics.min_similarity": -1.0}, pipeline.config))
    assert set(np.unique(pipeline.snapshot().labels)) <= {3, 4, UNLABELLED}
    floor = np.count_nonzero(pipeline.snapshot().labels == 3)
    pipeline.apply_runtime(from_dict({"semantics.min_similarity": 0.5}, pipeline.config))
    assert np.count_nonzero(pipeline.snapshot().labels == 3) < floor  # walls were called floor, for want of a name
    file.write_text("3: floor\n4: floor\n")
    with pytest.raises(ValueError, match="mine.yaml.*comes twice"):
        MappingPipeline(pipeline.config)
    with pytest.raises(FileNotFoundError, match="'outdoor' is neither a YAML file nor one of ade20k, .*indoor"):
        MappingPipeline(from_dict({"semantics.label_space": "outdoor"}, CONFIG))


def test_a_segmenter_names_nothing_under_a_mask():
    class Chairs:
        label_space = LabelSpace({0: "chair"})

        def segment(self, frame):
            return np.zeros(frame.image.shape[:2], np.uint16)

        def with_probability(self, frame):
            return self.segment(frame), np.ones(frame.image.shape[:2], np.float32)

    layer = MappingPipeline(from_dict({})).semantics
    layer._segmenter = Chairs()
    mask = np.zeros((4, 6), bool)
    mask[2:] = True
    frame = Frame(0, "c", np.zeros((4, 6, 3), np.uint8), mask=mask)
    labels, probability = layer.segmented(frame)
    for found in (layer.labelled(frame).labels, labels):
        assert (found[2:] == UNLABELLED).all() and not found[:2].any() and found.dtype == np.uint16
    assert not probability[2:].any() and (probability[:2] == 1).all() and probability.dtype == np.float32
