# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from helpers.semantic_parts import DIM, Words, codec_of

from lsm_ros.semantics.label_spaces import check_space, find_label_space, space_of
from lsm_ros.semantics.language import LONGEST_QUERY, Language, read_language
from lsm_ros.types import UNLABELLED, LabelSpace, NameVectors

WORDS = ("wall", "floor", "red", "chair", "void")


@pytest.fixture
def language():
    words = Words(WORDS)
    made = []
    language = Language(codec_of({1: "wall", 2: "floor"}, Words(WORDS)), lambda name: made.append(name) or words)
    language.made, language.words = made, words
    return language


def test_the_encoder_is_loaded_for_new_names_only(language):
    names = language.names(LabelSpace({9: "Floor", 3: "wall", 0: "void"}), 0.2)
    assert names.ids.tolist() == [3, 9] and names.least == 0.2 and np.allclose(names.vectors, np.eye(DIM)[[0, 1]])
    assert np.allclose(language.sentence(" WALL\n").vector, np.eye(DIM)[0]) and not language.made
    names = language.names(LabelSpace({3: "wall", 4: "red_chair"}), 0.2)
    assert np.allclose(names.vectors[1], (np.eye(DIM)[2] + np.eye(DIM)[3]) / np.sqrt(2)) and language.made == ["words"]
    language.names(LabelSpace({4: "red_chair"}), 0.9)
    assert language.words.asked == ["red chair"] and language.trained_space.names == {1: "wall", 2: "floor"}


def test_sentences_say_what_was_not_taken_in(language):
    assert language.sentence("red chair").remarks == ()
    assert "1 of 3 words are unknown" in language.sentence("the red chair").remarks[0]
    assert language.sentence("red " * 20).remarks == ("only the first 6 of 20 word pieces count",)
    long = language.sentence("chair " * LONGEST_QUERY)
    assert f"first {LONGEST_QUERY} characters" in long.remarks[0] and np.allclose(long.vector, np.eye(DIM)[3])


@pytest.mark.parametrize("ask", [lambda language, n: language.sentence(f"red {n}"),
                                 lambda language, n: language.names(LabelSpace({n: f"red {n}"}), 0.2)], ids=["texts", "names"])
def test_two_that_ask_at_once_load_one_encoder_and_use_it_in_turn(language, ask):
    """A tokenizer and a network keep what they work on between calls."""
    inside, together = [], []

    def encode(texts, encode=language.words.encode):
        inside.append(texts)
        together.append(len(inside))
        time.sleep(0.02)
        inside.pop()
        return encode(texts)

    language.words.encode = encode
    make = language._make
    language._make = lambda name: time.sleep(0.02) or make(name)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: ask(language, n), range(1, 5)))
    assert language.made == ["words"] and together == [1] * 4


@pytest.mark.parametrize(("text", "said"), [("", "empty"), (" \t\n", "empty"), ("стул", "knows no word"),
                                            ("💡", "knows no word")])
def test_queries_without_words(language, text, said):
    with pytest.raises(ValueError, match=said):
        language.sentence(text)


def test_another_or_no_encoder():
    codec = codec_of({1: "wall"}, Words(WORDS))
    wrong = Language(codec, lambda name: Words(WORDS, "others"))
    with pytest.raises(ValueError, match="answer to the text encoder 'words', not to 'others'"):
        wrong.sentence("red")
    with pytest.raises(ValueError, match="text encoder 'words' does not exist"):
        Language(codec).sentence("red")


def test_language_goes_through_a_file(language, tmp_path):
    language.write(tmp_path / "language.safetensors")
    back = read_language(tmp_path / "language.safetensors")
    assert back.codec.same_as(language.codec) and back.digest == language.digest
    other = replace(language.codec, basis=np.flipud(language.codec.basis).copy())
    assert Language(other).digest != language.digest
    with pytest.raises(FileNotFoundError):
        read_language(tmp_path / "none")


def test_the_nearest_name_and_its_probability():
    names = NameVectors(np.array([3, 7], np.uint16), np.eye(4, dtype=np.float32)[:2], 0.5)
    features = np.array([[5, 1, 0, 0], [0, 2, 0, 0], [1, 1, 0, 0], [0, 0, 9, 0], [0, 0, 0, 0]], np.int32)
    labels, probability = names.nearest(features)
    assert labels.tolist() == [3, 7, 3, UNLABELLED, UNLABELLED]  # the smaller id where two are equal
    cosine = np.array([5, 1]) / np.sqrt(26)
    assert probability[0] == pytest.approx(1 / (1 + np.exp((cosine[1] - cosine[0]) / 0.1)), rel=1e-5)
    assert probability[2] == pytest.approx(0.5) and (probability[3:] == 0).all()
    with pytest.raises(ValueError, match="do not fit"):
        names.nearest(features[:, :3])


@pytest.mark.parametrize(("ids", "vectors", "said"), [
    ([2, 1], np.eye(3)[:2], "ascending"), ([1, 1], np.eye(3)[:2], "ascending"), ([1, 65535], np.eye(3)[:2], "below 65535"),
    ([1], np.eye(3)[:2], "needs an id"), ([1, 2], 2 * np.eye(3)[:2], "unit length"), ([], np.zeros((0, 3)), "needs an id")])
def test_vectors_that_are_none(ids, vectors, said):
    with pytest.raises(ValueError, match=said):
        NameVectors(np.array(ids, np.uint16), vectors.astype(np.float32))


@pytest.mark.parametrize(("pairs", "said"), [
    ([], "no names"), ([(1, "a"), (1, "b")], "label id 1 comes twice"), ([(1, "red chair"), (2, "Red_Chair")], "comes twice"),
    ([(1, "\n")], "is empty"), ([(1, "x" * 10000)], "10000 characters"), ([(70000, "a")], "outside"),
    ([(i, f"n{i}") for i in range(5000)], "more than 4096")])
def test_names_that_cannot_be_used(pairs, said):
    with pytest.raises(ValueError, match=said):
        space_of(pairs)


def test_label_spaces_by_name():
    assert find_label_space("indoor").names[8] == "chair"
    assert check_space(LabelSpace({1: "a"}), "here").names == {1: "a"}
    with pytest.raises(FileNotFoundError, match="one of .*indoor"):
        find_label_space("indor")
