# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Keyframes that look alike, by signatures: adding, removing, asking, and the same for every kind of signature."""
import types

import numpy as np
import pytest
import torch

from lsm_ros.config import PairConfig
from lsm_ros.models.retrieval import LocalFeatures
from lsm_ros.pairs.depth import DepthPairModel
from lsm_ros.pairs.retrieval import AsmkRetrieval, MeanTokens
from lsm_ros.pairs.vlad import signature_of
from lsm_ros.slam.places import Places


class Dots:
    """A model whose signatures are vectors (3,), alike by their dot product; zeros show nothing."""

    name = "dots"

    def __init__(self):
        self.asked = []

    def signature(self, tokens):
        return np.asarray(tokens[0], float)

    def alike(self, tokens, signatures):
        own = tokens if isinstance(tokens, np.ndarray) else self.signature(tokens)
        self.asked.append(signatures)
        return np.array([np.nan if s.shape != own.shape else s @ own if s.any() and own.any() else -np.inf
                         for s in signatures])


@pytest.fixture
def places():
    made = Places(Dots())
    for i, x in ((4, 0.1), (7, 0.9), (2, 0.5), (9, -0.3)):
        made.add(i, np.array([x, 1.0, 0.0]))
    return made


HERE = np.array([1.0, 0.0, 0.0])


def test_candidates_come_best_first(places):
    assert places.candidates(HERE, 3) == [(7, 0.9), (2, 0.5), (4, 0.1)]
    assert places.candidates([HERE], 10) == [(7, 0.9), (2, 0.5), (4, 0.1), (9, -0.3)]
    assert places.candidates(HERE, 2, exclude=[7, 100]) == [(2, 0.5), (4, 0.1)]
    assert places.candidates(HERE, 2, exclude=iter((7, 2))) == [(4, 0.1), (9, -0.3)]
    assert places.candidates(HERE, 2, exclude=range(10)) == []
    assert len(places) == 4 and 7 in places and 8 not in places


def test_of_equal_ones_the_newest_comes_first():
    places = Places(Dots())
    for i in (3, 8, 5, 1):
        places.add(i, HERE)
    places.add(2, 2 * HERE)
    assert [i for i, _ in places.candidates(HERE, 3)] == [2, 8, 5]


def test_nothing_is_like_a_keyframe_or_an_image_that_shows_nothing(places):
    places.add(11, np.zeros(3))
    assert 11 not in [i for i, _ in places.candidates(HERE, 10)] and len(places) == 5
    assert places.candidates(np.zeros(3), 10) == []
    assert Places(Dots()).candidates(HERE, 3) == []


def test_nothing_stays_of_what_is_removed(places):
    for i in (4, 7, 2, 9):
        places.remove(i)
    assert places.nbytes == 0 and places.candidates(np.ones(4), 3) == []
    places.add(7, np.ones(4))
    assert places.candidates(np.ones(4), 3) == [(7, 4.0)]


def test_what_is_found_is_what_a_plain_search_finds():
    """After any adding and removing, in any order, and whatever is excluded."""
    rng = np.random.default_rng(0)
    places, plain = Places(Dots()), {}
    for step in range(400):
        if plain and rng.random() < 0.4:
            gone = int(rng.choice(list(plain)))
            places.remove(gone)
            del plain[gone]
        else:
            i = int(rng.integers(1000))
            if i in plain:
                continue
            plain[i] = rng.integers(-3, 4, 3).astype(float)  # equal ones and zeros are among them
            places.add(i, plain[i])
        if step % 7 == 0:
            own, skip, count = rng.integers(-2, 3, 3).astype(float), rng.integers(0, 1000, 100), int(rng.integers(1, 9))
            expected = sorted(((float(s @ own), i) for i, s in plain.items() if s.any() and own.any() and i not in skip),
                              reverse=True)[:count]
            assert places.candidates(own, count, exclude=skip.tolist()) == [(i, s) for s, i in expected]
    assert len(places) == len(plain) > 20 and all(np.array_equal(places.signature(i), s) for i, s in plain.items())


def test_what_is_kept_is_a_copy():
    places, signature = Places(Dots()), HERE.copy()
    places.add(0, signature)
    signature[:] = 5
    places.signature(0)[:] = 6
    assert np.array_equal(places.signature(0), HERE)


def test_the_matrix_doubles_and_is_not_made_again_when_asked():
    model = Dots()
    places, sizes = Places(model), set()
    for i in range(200):
        places.add(i, np.array([i, 1.0, 0.0]))
        sizes.add(places.nbytes)
        assert places.nbytes <= 2 * max(i + 1, 16) * 32
    assert len(sizes) == 5  # 16, 32, ... 256 rows
    model.asked.clear()
    places.candidates(HERE, 3)
    places.candidates(HERE, 3)
    assert len(model.asked) == 2 and np.shares_memory(*model.asked) and model.asked[0].shape == (200, 3)


def test_signatures_of_several_shapes_are_kept_side_by_side():
    """A rig that lost a camera: what it sees still compares with what all cameras saw."""
    model = DepthPairModel(PairConfig())
    images = [np.random.default_rng(k).integers(0, 256, (200, 128)).astype(np.uint8) for k in range(6)]
    places = Places(model)
    places.add(0, signature_of([images[0], images[1]]))
    places.add(1, signature_of([images[1]]))
    places.add(2, signature_of([images[2], images[3]]))
    places.add(3, signature_of([images[4]]))
    (first, best), (second, equal), *others = places.candidates(signature_of([images[1]]), 4)
    assert {first, second} == {0, 1} and best == equal == pytest.approx(1.0)
    assert {i for i, _ in others} == {2, 3} and all(s < 0.9 for _, s in others)
    assert {i for i, _ in places.candidates(signature_of([images[1]]), 4, exclude=iter((0, 1)))} == {2, 3}
    places.remove(1)
    assert places.candidates(signature_of([images[1]]), 1) == [(0, pytest.approx(1.0))]


@pytest.mark.parametrize(("signature", "reason"), [
    (np.zeros((0, 3)), "not empty, got of shape"), ([1.0, 0.0], "not empty, got list")])
def test_what_is_no_signature_is_refused(places, signature, reason):
    with pytest.raises(ValueError, match=reason):
        places.add(50, signature)
    assert 50 not in places


def test_errors(places):
    with pytest.raises(ValueError, match="keyframe 7 has a place already"):
        places.add(7, HERE)
    with pytest.raises(ValueError, match="keyframe 8 has no place"):
        places.remove(8)
    with pytest.raises(ValueError, match="keyframe 8 has no place"):
        places.signature(8)
    with pytest.raises(ValueError, match="at least 1 candidate must be asked for, got 0"):
        places.candidates(HERE, 0)
    with pytest.raises(ValueError, match="not empty"):
        places.candidates(np.zeros(0), 3)
    with pytest.raises(ValueError, match=r"shape \(4,\).* compares with none of the 4 signatures"):
        places.candidates(np.ones(4), 3)
    with pytest.raises(ValueError, match="these tokens give compares with none"):
        places.candidates([np.ones(4)], 3)


def test_signatures_of_another_kind_are_refused_by_name():
    places = Places(DepthPairModel(PairConfig()))
    with pytest.raises(ValueError, match=r"shape \(300,\) and type float64 is not a signature of pair model 'depth'"):
        places.add(0, np.ones(300))
    assert len(places) == 0


def depth_model():
    """Signatures by visual words of the package."""
    return DepthPairModel(PairConfig()), lambda k: np.random.default_rng(k).integers(0, 256, (150, 128)).astype(np.uint8)


def pointmap_model(retrieval):
    """A pair model as a network has it: its tokens are arrays of numbers."""
    common = 5 * np.random.default_rng(99).standard_normal(24)
    return (types.SimpleNamespace(name="network", signature=retrieval.signature, alike=retrieval.alike),
            lambda k: torch.from_numpy(common + np.random.default_rng(k).standard_normal((20 + k, 24))).half())


MODELS = {"words": depth_model, "means": lambda: pointmap_model(MeanTokens()), "asmk": lambda: pointmap_model(AsmkRetrieval(
    LocalFeatures(24, prewhiten=False), (5 * np.random.default_rng(99).standard_normal(24)
                                         + np.random.default_rng(3).standard_normal((40, 24))).astype(np.float32)))}


@pytest.mark.parametrize("kind", list(MODELS))
def test_every_kind_of_signature(kind, tmp_path):
    """What is kept is found again first; neither the order of adding, nor what came and went, nor a file changes that."""
    model, image = MODELS[kind]()
    made = [signature_of([image(k)]) if kind == "words" else model.signature([image(k)]) for k in range(12)]
    places, other, again = Places(model), Places(model), Places(model)
    for k in range(12):
        places.add(k, made[k])
    for k in (5, 3, 11, 0, 7, 1, 10, 2, 9, 4, 8, 6):
        other.add(k, made[k])
        if k % 3 == 0:
            other.add(k + 100, made[k])
    for k in (0, 9, 3, 6):
        other.remove(k + 100)
    np.savez(tmp_path / "map.npz", **{str(k): places.signature(k) for k in range(12)})
    with np.load(tmp_path / "map.npz") as parts:
        for name in parts.files:
            again.add(int(name), parts[name])
    for k in range(12):
        found = places.candidates(made[k], 4)
        assert found[0][0] == k and found[0][1] > found[1][1]
        assert [i for i, _ in other.candidates(made[k], 4)] == [i for i, _ in found]
        assert again.candidates(made[k], 4) == found
        if kind != "words":
            assert places.candidates([image(k)], 1)[0][0] == k
