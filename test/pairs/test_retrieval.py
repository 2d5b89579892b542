# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Which images show the same, from tokens: by their mean, and by visual words."""
import argparse
import pickle

import numpy as np
import pytest
import torch
from helpers.optional import needs_safe_reader

from lsm_ros.models.retrieval import AsmkDatabase, LocalFeatures
from lsm_ros.pairs.retrieval import AsmkRetrieval, MeanTokens, load_retrieval

DIM, WORDS = 24, 40


@pytest.fixture
def things():
    """Function (names, seed) -> tokens (N, D) of an image that shows these things, and what all images have in common."""
    rng = np.random.default_rng(0)
    common, kinds = 5 * rng.standard_normal(DIM), rng.standard_normal((60, DIM))

    def show(names, seed):
        noise = np.random.default_rng(seed).standard_normal((6 * len(names), DIM))
        return torch.from_numpy(common + np.repeat(kinds[list(names)], 6, 0) + 0.3 * noise).half()

    return show


@pytest.fixture(params=["mean", "words"])
def retrieval(request):
    if request.param == "mean":
        return MeanTokens()
    centroids = 5 * np.random.default_rng(0).standard_normal(DIM) + np.random.default_rng(3).standard_normal((WORDS, DIM))
    return AsmkRetrieval(LocalFeatures(DIM, prewhiten=False), centroids.astype(np.float32))


def test_images_of_the_same_things_are_the_most_alike(retrieval, things):
    rooms = [range(10 * k, 10 * k + 10) for k in range(6)]
    kept = [retrieval.signature([things(r, k)]) for k, r in enumerate(rooms)]
    for k, r in enumerate(rooms):
        assert int(np.argmax(retrieval.alike([things(list(r)[2:] + [(10 * k + 33) % 60], 100 + k)], kept))) == k


def test_what_a_rig_sees_counts_together(retrieval, things):
    kept = [retrieval.signature([things(range(10), 0), things(range(10, 20), 1)]),
            retrieval.signature([things(range(20, 30), 2), things(range(30, 40), 3)])]
    assert int(np.argmax(retrieval.alike([things(range(18, 28), 4), things(range(30, 40), 5)], kept))) == 1


def test_signatures_are_small_plain_arrays_and_others_are_told_apart(retrieval, things):
    kept = retrieval.signature([things(range(10), 0)])
    assert kept.nbytes < 10_000 and kept.dtype in (np.float32, np.uint8)
    other = np.zeros(7, np.float32)
    scores = retrieval.alike([things(range(10), 1)], [other, kept, kept])
    assert np.isnan(scores).tolist() == [True, False, False] and scores[1] == scores[2]
    assert len(retrieval.alike([things(range(10), 1)], [])) == 0
    assert np.isnan(retrieval.alike(other, [kept, kept])).all(), "nothing kept is of the kind of the one that asks"


def test_words_are_kept_as_the_database_has_them(things):
    rng = np.random.default_rng(1)
    centroids = rng.standard_normal((WORDS, DIM)).astype(np.float32)
    retrieval, database = AsmkRetrieval(LocalFeatures(DIM, prewhiten=False), centroids), AsmkDatabase(centroids)
    images = [things(range(k, k + 12), k) for k in range(4)]
    for image in images:
        database.add(image.float().numpy())
    got = retrieval.alike([images[2]], [retrieval.signature([i]) for i in images])
    assert np.allclose(got, database.query(images[2].float().numpy())) and got.max() > 0


def stored(folder, dim=DIM, codebook_dim=DIM):
    """A retrieval head and its codebook in the official layout."""
    head = LocalFeatures(dim, postwhiten=None)
    args = argparse.Namespace(hdims="", residual=False, nfeat=20)
    torch.save({"args": args, "model": head.state_dict()}, folder / "net_retrieval_trainingfree.pth")
    centroids = np.random.default_rng(0).standard_normal((WORDS, codebook_dim)).astype(np.float32)
    (folder / "net_retrieval_codebook.pkl").write_bytes(pickle.dumps({"centroids": centroids}))
    return str(folder / "net_retrieval_trainingfree.pth")


@needs_safe_reader
def test_is_loaded_from_official_files(tmp_path, things):
    made = load_retrieval(stored(tmp_path), DIM)
    assert isinstance(made, AsmkRetrieval) and made.head.count == 20
    assert made.signature([things(range(4), 0)]).shape[1] == 4 + DIM // 8
    assert isinstance(load_retrieval("", DIM), MeanTokens)


@needs_safe_reader
def test_errors(tmp_path):
    with pytest.raises(ValueError, match="codebook.pkl beside it"):
        load_retrieval(str(tmp_path / "net.pth"), DIM)
    with pytest.raises(FileNotFoundError, match="absent"):
        load_retrieval(str(tmp_path / "absent_trainingfree.pth"), DIM)
    path = stored(tmp_path)
    with pytest.raises(ValueError, match="tokens of 32 channels"):
        load_retrieval(path, 32)
    (tmp_path / "net_retrieval_codebook.pkl").unlink()
    with pytest.raises(FileNotFoundError, match="codebook"):
        load_retrieval(path, DIM)
    with pytest.raises(ValueError, match="its codebook has 16"):
        load_retrieval(stored(tmp_path, codebook_dim=16), DIM)
