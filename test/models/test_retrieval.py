# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import argparse
import os
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from helpers.golden_cases import relative_error
from helpers.optional import needs_safe_reader

from lsm_ros import models
from lsm_ros.models.retrieval import (
    AsmkDatabase,
    LocalFeatures,
    global_feature,
    load_codebook,
    load_local_features,
    pca_whitening,
    similarity_matrix,
)


@needs_safe_reader
def test_golden(golden, tmp_path):
    case, weights = golden("retrieval"), golden("dust3r_linear")
    backbone = models.build("dust3r", **case.cfg)
    backbone.load_state_dict(weights.sd)
    args = argparse.Namespace(hdims="64", residual=True, nfeat=10, featweights="l2norm", imsize=512)
    sd = {k: v for k, v in case.sd.items()}
    torch.save({"args": args, "model": sd}, tmp_path / "r.pth")
    head = load_local_features(tmp_path / "r.pth")
    with torch.no_grad():
        tokens, _ = backbone.encode(case.inp["img"])
        features, attention = head(tokens)
        local, local_attention, index = head.strongest(tokens)
        head.residual = False
        plain, plain_attention = head(tokens)
    assert torch.equal(index, case.out["local_idx"])
    for got, name in ((features, "feat"), (attention, "attn"), (local, "local"), (local_attention, "local_attn"),
                      (global_feature(features, attention), "glob"), (plain, "feat_nores"), (plain_attention, "attn_nores")):
        assert relative_error(got, case.out[name]) < 1e-4, name


def test_golden_whitening(golden):
    case = golden("retrieval")
    mean, projection = pca_whitening(case.inp["pca_x"].numpy())
    assert np.allclose(mean, case.out["pca_m"].numpy())
    assert np.allclose(np.abs(projection), case.out["pca_P_abs"].numpy())


def test_whitened_data_is_white():
    x = np.random.default_rng(0).normal(size=(500, 5)) @ np.random.default_rng(1).normal(size=(5, 5)) + 3
    mean, projection = pca_whitening(x)
    assert np.allclose(np.cov(((x - mean) @ projection).T, bias=True), np.eye(5))


def scene(rng, centroids, words):
    return np.concatenate([centroids[w] + rng.normal(scale=0.3, size=(6, centroids.shape[1])) for w in words])


def test_images_that_share_words_are_found():
    rng = np.random.default_rng(0)
    centroids = rng.normal(size=(40, 32)).astype(np.float32) * 3
    patches = [scene(rng, centroids, range(0, 10)), scene(rng, centroids, range(20, 30))]
    again = [p + rng.normal(scale=0.05, size=p.shape) for p in patches]
    scores = similarity_matrix([patches[0], patches[1], again[0], again[1]], centroids)
    off = scores - np.diag(np.full(4, np.inf))
    assert off.argmax(1).tolist() == [2, 3, 0, 1]
    assert scores[0, 2] > 3 * scores[0, 1]


def test_score_by_hand():
    centroids = np.array([[0.0, 0], [10, 10]], np.float32)
    database = AsmkDatabase(centroids)
    database.add(np.array([[1.0, 1], [11, 9]]))  # words 0 (+ +) and 1 (+ -)
    database.add(np.array([[1.0, -1]]))  # word 0 (+ -)
    # the query has both words: residual sums (2, 2) + ... of one feature against both centroids
    scores = database.query(np.array([[1.0, 2.0]]))  # word 0: (+ +), word 1: (- -)
    assert scores == pytest.approx([(1 + 0) / np.sqrt(2) / np.sqrt(2), 0])


def scored(query, image, centroids):
    """The score of an image, word by word (Tolias et al., 2013)."""
    def words(features, assignments):
        found = {}
        for f in features:
            for n in np.argsort(((f - centroids) ** 2).sum(1), kind="stable")[:assignments]:
                found[n] = found.get(n, 0) + f - centroids[n]
        return {n: v > 0 for n, v in found.items()}

    asked, kept, total = words(query, 5), words(image, 1), 0.0
    for n in asked.keys() & kept.keys():
        likeness = 1 - 2 * np.mean(asked[n] != kept[n])
        total += likeness ** 3 if likeness >= 0 else 0
    return total / np.sqrt(len(kept)) / np.sqrt(len(asked))


@pytest.mark.parametrize("words, dim, features", [(40, 32, 60), (3, 7, 10), (200, 64, 150), (5, 8, 1), (4, 1, 5)])
def test_scores_are_those_of_the_formula(words, dim, features):
    rng = np.random.default_rng(words)
    centroids = rng.normal(size=(words, dim)).astype(np.float32)
    images = [rng.normal(size=(features, dim)).astype(np.float32) for _ in range(4)]
    expected = [[scored(q, i, centroids.astype(float)) for i in images] for q in images]
    assert np.allclose(similarity_matrix(images, centroids), expected, atol=1e-6)


def test_codebook(tmp_path, monkeypatch):
    centroids = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"codebook": {"type": "Codebook", "params": {}, "state": {
        "centroids": centroids}}}))
    assert np.array_equal(load_codebook(tmp_path / "a.pkl"), centroids)
    module = types.ModuleType("asmk.codebook")  # a class that can be written, and not found when it is read
    module.Codebook = type("Codebook", (), {"__module__": "asmk.codebook", "__qualname__": "Codebook"})
    module.Codebook.__init__ = lambda self: self.__dict__.update(centroids=centroids)
    monkeypatch.setitem(sys.modules, "asmk", types.ModuleType("asmk"))
    monkeypatch.setitem(sys.modules, "asmk.codebook", module)
    raw = pickle.dumps({"codebook": module.Codebook()})
    monkeypatch.delitem(sys.modules, "asmk.codebook")
    (tmp_path / "object.pkl").write_bytes(raw)
    assert np.array_equal(load_codebook(tmp_path / "object.pkl"), centroids)
    (tmp_path / "b.pkl").write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(ValueError, match="no centroids"):
        load_codebook(tmp_path / "b.pkl")
    (tmp_path / "c.pkl").write_bytes((tmp_path / "a.pkl").read_bytes()[:-30])
    with pytest.raises(ValueError, match="c.pkl"):
        load_codebook(tmp_path / "c.pkl")
    with pytest.raises(FileNotFoundError, match="d.pkl"):
        load_codebook(tmp_path / "d.pkl")


class Hostile:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_hostile_codebook_is_refused_and_named(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"centroids": Hostile(tmp_path / "owned")}))
    with pytest.raises(ValueError, match=r"a.pkl is refused.*(posix|nt)\.mkdir"):
        load_codebook(tmp_path / "a.pkl")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("protocol", [2, 4])
def test_flags_of_a_codebooks_dtype_do_not_reach_numpy(tmp_path, protocol):
    """NumPy's own reader takes them as they are, after which float32 itself is treated as references."""
    raw = pickle.dumps({"centroids": np.ones((2, 3), np.float32)}, protocol)
    flags = raw.replace(b"K\x00t", b"KAt")
    assert flags != raw
    (tmp_path / "a.pkl").write_bytes(flags)
    assert load_codebook(tmp_path / "a.pkl").tolist() == [[1.0] * 3] * 2 and np.dtype(np.float32).flags == 0
    for array in (np.array([Hostile(tmp_path / "owned")]), np.array(["a"]), np.zeros(2, [("a", "f4")])):
        (tmp_path / "b.pkl").write_bytes(pickle.dumps({"centroids": array}))
        with pytest.raises(ValueError, match="b.pkl is refused"):
            load_codebook(tmp_path / "b.pkl")
    assert not (tmp_path / "owned").exists()


@needs_safe_reader
def test_errors(tmp_path):
    with pytest.raises(ValueError, match="residual"):
        LocalFeatures(8, hidden=(4,), residual=True)
    with pytest.raises(ValueError, match="expected features"):
        AsmkDatabase(np.ones((3, 4))).add(np.ones((2, 5)))
    torch.save({"args": argparse.Namespace(), "model": {"conv.weight": torch.ones(1)}}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="no checkpoint of a retrieval model"):
        load_local_features(tmp_path / "x.pth")
    whitening = {"prewhiten.m": torch.zeros(1, 4, dtype=torch.float64), "prewhiten.p": torch.eye(4, dtype=torch.float64)}
    torch.save({"args": argparse.Namespace(), "model": {**whitening, "head.weight": torch.ones(1)}}, tmp_path / "y.pth")
    with pytest.raises(ValueError, match=r"y.pth does not fit: keys missing \[\], unexpected \['head.weight'\]"):
        load_local_features(tmp_path / "y.pth")
