# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Training of visual words: the same descriptors give the same words, which lie where the descriptors are."""
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from lsm_ros.pairs.vlad import load_vocabulary

FILE = Path(__file__).resolve().parents[2] / "tools" / "train_words.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("train_words", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def heaps():
    """Descriptors (800, 128) uint8 in 8 heaps, and the heaps' middles."""
    rng = np.random.default_rng(0)
    middles = rng.uniform(60, 190, (8, 128))
    return np.clip(np.repeat(middles, 100, 0) + 3 * rng.standard_normal((800, 128)), 0, 255).astype(np.uint8), middles


def test_words_are_the_middles_of_heaps(tool, heaps):
    made = tool.train(heaps[0], 16, 8, seed=1)
    there = made.reduce(heaps[1])
    assert np.linalg.norm(there[:, None] - made.words, axis=2).min(1).max() < 5.0
    assert np.linalg.norm(there[:, None] - there, axis=2)[~np.eye(8, dtype=bool)].min() > 100.0


def test_the_same_descriptors_give_the_same_words(tool, heaps):
    a, b, other = (tool.train(heaps[0], 16, 8, seed=s) for s in (1, 1, 2))
    assert all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("mean", "axes", "words"))
    assert not np.array_equal(a.words, other.words)
    with pytest.raises(ValueError, match="800 descriptors are too few for 808 words"):
        tool.train(heaps[0], 808, 8)


def test_a_word_that_lost_all_its_points_starts_again(tool):
    x = np.repeat(np.eye(8, dtype=np.float32)[:4], 50, 0)
    words = tool.k_means(x, 8, np.random.default_rng(0))
    assert {tuple(w) for w in words} == {tuple(p) for p in x}


@pytest.mark.slow
def test_the_file_of_one_world(tool, tmp_path, monkeypatch):
    out = tmp_path / "words.npz"
    monkeypatch.setattr(sys, "argv", ["train_words.py", "--out", str(out), "--worlds", "1"])
    assert tool.main() == 0
    made, shipped = load_vocabulary(out), load_vocabulary()
    assert made.words.shape == shipped.words.shape and not np.array_equal(made.tag, shipped.tag)
