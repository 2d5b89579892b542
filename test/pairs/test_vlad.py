# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Signatures of images by visual words: their parts, how they compare, and the words that come with the package."""
import numpy as np
import pytest
from helpers.textured import room, see

from lsm_ros.config import PairConfig
from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.pairs.corners import root_sift
from lsm_ros.pairs.depth import DepthPairModel
from lsm_ros.pairs.two_view import TwoViewPairModel
from lsm_ros.pairs.vlad import (
    TAG_BYTES,
    WORDS_FILE,
    Vocabulary,
    compare_signatures,
    load_vocabulary,
    nearest_word,
    product,
    signature_of,
)
from lsm_ros.types import Frame

COUNT, DIM = 16, 8


@pytest.fixture(scope="module")
def words():
    """A small vocabulary whose words lie apart."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((128, DIM)))[0]
    return Vocabulary(*(a.astype(np.float32) for a in (np.full(128, 128.0), axes, 150 * rng.standard_normal((COUNT, DIM)))))


def image(seed, count=30):
    """Descriptors of an image that shows some things."""
    return np.random.default_rng(seed).integers(0, 256, (count, 128)).astype(np.uint8)


def unpacked(row):
    """(K, D) signs, 0 for words that are not shown."""
    signs = np.unpackbits(row[:COUNT * DIM // 8]).reshape(COUNT, DIM).astype(float) * 2 - 1
    return signs * np.unpackbits(row[COUNT * DIM // 8:-TAG_BYTES])[:, None]


def by_hand(a, b):
    """The similarity of two cameras as the docstring has it."""
    a, b = unpacked(a), unpacked(b)
    shown = [np.count_nonzero(x.any(1)) for x in (a, b)]
    return np.sum(a * b) / DIM / np.sqrt(shown[0] * shown[1])


def test_signs_are_those_of_the_sums_of_residuals(words):
    descriptors = image(1)
    x = (descriptors.astype(float) - words.mean) @ words.axes
    nearest = np.linalg.norm(x[:, None] - words.words, axis=2).argmin(1)
    expected = np.zeros((COUNT, DIM))
    for k in set(nearest):
        expected[k] = np.where((x[nearest == k] - words.words[k]).sum(0) > 0, 1, -1)
    row = signature_of([descriptors], words)[0]
    assert np.array_equal(unpacked(row), expected) and 3 < len(set(nearest)) < COUNT
    assert row.dtype == np.uint8 and len(row) == words.row_bytes == 16 + 2 + TAG_BYTES


def test_similarity_is_the_product_of_signs_over_common_words(words):
    rows = [signature_of([image(k, n)], words) for k, n in enumerate((30, 5, 100, 2))]
    for a in rows:
        assert np.allclose(compare_signatures(a, rows, words), [by_hand(a[0], b[0]) for b in rows])
    assert 0 < compare_signatures(rows[0], rows[2:3], words)[0] < 1 or by_hand(rows[0][0], rows[2][0]) <= 0


def test_an_image_is_itself_and_comparing_is_symmetric(words):
    rows = np.stack([signature_of([image(k)], words) for k in range(8)])
    table = np.stack([compare_signatures(r, rows, words) for r in rows])
    assert np.allclose(np.diag(table), 1.0) and np.allclose(table, table.T) and table.min() >= -1
    assert table[~np.eye(8, dtype=bool)].max() < 0.7


def test_the_order_of_descriptors_does_not_matter(words):
    descriptors = image(3, 60)
    turned = descriptors[np.random.default_rng(0).permutation(60)]
    assert compare_signatures(signature_of([descriptors], words), [signature_of([turned], words)], words)[0] > 0.95


@pytest.mark.parametrize("as_array", [True, False])
def test_an_image_without_features_matches_nothing(words, as_array):
    blank, some = signature_of([image(0, 0)], words), signature_of([image(1)], words)
    others = np.stack([some, blank]) if as_array else [some, blank]
    assert np.isneginf(compare_signatures(blank, others, words)).all()
    found = compare_signatures(some, others, words)
    assert np.isclose(found[0], 1.0) and np.isneginf(found[1])


def test_any_camera_of_a_rig_matches_any(words):
    front, rear, other, blank = (signature_of([image(k, n)], words)[0] for k, n in ((1, 30), (2, 30), (3, 30), (4, 0)))

    def alike(own, there):
        return compare_signatures(np.stack(own), [np.stack(there)], words)[0]

    assert np.isclose(alike([front, rear], [rear, front]), 1.0)
    expected = (1.0 + max(by_hand(rear, front), by_hand(rear, other))) / 2
    assert np.isclose(alike([front, rear], [other, front]), expected) and expected < 0.9
    assert np.isclose(alike([front, blank], [rear, front]), 1.0), "a camera that shows nothing does not count"
    assert np.isclose(alike([front], [blank, rear, front]), 1.0)
    assert np.isneginf(alike([front, rear], [blank, blank]))


def test_signatures_come_as_a_list_of_any_sizes_or_as_one_array(words):
    rigs = [signature_of([image(2 * k), image(2 * k + 1)], words) for k in range(5)]
    own = signature_of([image(0), image(3)], words)
    together = compare_signatures(own, np.stack(rigs), words)
    assert np.array_equal(together, compare_signatures(own, rigs, words))
    single = signature_of([image(4)], words)
    mixed = compare_signatures(own, [single, *rigs], words)
    assert np.array_equal(mixed[1:], together)
    assert np.isclose(mixed[0], np.mean([by_hand(own[0], single[0]), by_hand(own[1], single[0])]))
    assert compare_signatures(own, [], words).shape == (0,)


def test_signatures_of_another_kind_are_seen(words):
    rng = np.random.default_rng(5)
    another = Vocabulary(words.mean, words.axes, words.words + rng.standard_normal(words.words.shape).astype(np.float32))
    own, foreign = signature_of([image(0)], words), signature_of([image(0)], another)
    strange = [foreign, np.zeros(300), own[0], own[:, :-1], own.astype(np.int16), np.zeros((0, own.shape[1]), np.uint8)]
    assert np.isnan(compare_signatures(own, strange, words)).all()
    for s in strange:
        assert np.isnan(compare_signatures(own, s[None], words)).all()
        assert np.isnan(compare_signatures(s, [own], words)).all()
    for mixed in ([foreign, own], np.stack([foreign, own])):
        found = compare_signatures(own, mixed, words)
        assert np.isnan(found[0]) and np.isclose(found[1], 1.0)


@pytest.mark.parametrize("rows", [0, 1, 7, 2000])
def test_products_in_pieces_are_products(rows):
    rng = np.random.default_rng(rows)
    a, b = rng.standard_normal((rows, 64)).astype(np.float32), rng.standard_normal((64, 48)).astype(np.float32)
    assert np.allclose(product(a, b), a @ b, atol=1e-4)
    centres = np.ascontiguousarray(b.T)
    distances = np.linalg.norm(a[:, None].astype(float) - centres, axis=2)
    nearest = nearest_word(a, centres)
    assert np.allclose(distances[np.arange(rows), nearest], distances.min(1, initial=np.inf), atol=1e-4)


def test_the_words_of_the_package():
    vocabulary = load_vocabulary()
    assert WORDS_FILE.stat().st_size < 500_000 and vocabulary.row_bytes <= 2000
    assert all(np.isfinite(a).all() for a in (vocabulary.mean, vocabulary.axes, vocabulary.words))
    assert np.allclose(vocabulary.axes.T @ vocabulary.axes, np.eye(vocabulary.axes.shape[1]), atol=2e-3)
    assert load_vocabulary() is vocabulary


def test_bad_files(tmp_path, words):
    with pytest.raises(FileNotFoundError, match="absent.npz is missing"):
        load_vocabulary(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_bytes(b"no vocabulary at all")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "cut.npz").write_bytes(WORDS_FILE.read_bytes()[:5000])
    np.savez(tmp_path / "parts.npz", mean=words.mean, words=words.words)
    np.savez(tmp_path / "shapes.npz", mean=words.mean[:5], axes=words.axes, words=words.words)
    for name in ("text", "empty", "cut", "parts", "shapes"):
        with pytest.raises(ValueError, match=f"{name}.npz (is no vocabulary|cannot be read)"):
            load_vocabulary(tmp_path / f"{name}.npz")
    with pytest.raises(ValueError, match="multiples of 8"):
        Vocabulary(words.mean, words.axes, words.words[:12])
    with pytest.raises(ValueError, match="at least one camera"):
        signature_of([], words)


@pytest.fixture(scope="module")
def scene():
    """Function (seed of a room, heading, step aside) -> grey image."""
    rooms = {seed: room(seed) for seed in range(4)}

    def seen(seed, heading, aside=0.0):
        return see(rooms[seed], make_se3(so3_exp([0.0, heading, 0.0]), [aside, 0.0, 0.3 * aside]))[0]

    return seen


@pytest.mark.parametrize("model", [DepthPairModel, TwoViewPairModel], ids=lambda m: m.name)
def test_a_view_from_elsewhere_is_most_like_its_own(model, scene):
    """Of headings in several rooms, none of which was trained on."""
    model = model(PairConfig())

    def tokens(gray):
        return model.encode([Frame(0, "camera", np.repeat(gray[..., None], 3, 2))])

    places = [(seed, 1.5 * k) for seed in range(4) for k in range(4)]
    kept = [model.signature(tokens(scene(*p))) for p in places]
    assert all(k.nbytes <= 2000 for k in kept)
    right = 0
    for n, (seed, heading) in enumerate(places):
        seen = tokens(scene(seed, heading + 0.15, 0.25))
        scores = model.alike(seen, kept)
        assert np.array_equal(scores, model.alike(model.signature(seen), np.stack(kept)))
        right += int(np.argmax(scores)) == n
    assert right >= 15


def test_a_rig_of_a_model_has_a_row_for_each_camera(scene):
    model = DepthPairModel(PairConfig())
    tokens = [model.encode([Frame(0, "c", np.repeat(scene(s, 0.0)[..., None], 3, 2))])[0] for s in (0, 1)]
    both = model.signature(tokens)
    assert np.array_equal(both, np.concatenate([model.signature([t]) for t in tokens]))
    assert np.array_equal(both, signature_of([root_sift(t.gray, 800)[1] for t in tokens]))
