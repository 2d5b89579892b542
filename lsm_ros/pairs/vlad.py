# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Signatures of images from local descriptors: sums of residuals to a few visual words, of which the signs are kept.

VLAD (Jegou et al., Aggregating local descriptors into a compact image representation, CVPR 2010), in signs as ASMK has them
(Tolias et al., ICCV 2013). Words that one of two images does not show do not count.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np

from lsm_ros.reading import open_arrays

WORDS_FILE = Path(__file__).resolve().parents[1] / "weights" / "places" / "words.npz"
TAG_BYTES = 4  # at the end of a signature: which vocabulary it was made with
SMALL_PRODUCT = 200_000  # multiplications of a matrix product for which no BLAS starts threads


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Visual words in a reduced space of RootSIFT descriptors (values 0 to 255).

    mean (128,) and axes (128, D): a descriptor x becomes (x - mean) @ axes. words (K, D). All float32; K and D are multiples
    of 8. ValueError for other shapes.
    """

    mean: np.ndarray
    axes: np.ndarray
    words: np.ndarray

    def __post_init__(self) -> None:
        shapes = self.mean.shape, self.axes.shape, self.words.shape
        if len(shapes[2]) != 2 or shapes[:2] != ((128,), (128, shapes[2][1])):
            raise ValueError(f"mean, axes and words of a vocabulary have shapes (128,), (128, D) and (K, D), got {shapes}")
        if not self.words.size or any(n % 8 for n in self.words.shape):
            raise ValueError(f"the number of words and their dimension must be multiples of 8, got {self.words.shape}")

    @property
    def sign_bytes(self) -> int:
        """Bytes of a signature's signs."""
        return self.words.size // 8

    @property
    def row_bytes(self) -> int:
        """Bytes of the signature of one camera: signs, words that it shows, and the vocabulary's tag."""
        return self.sign_bytes + len(self.words) // 8 + TAG_BYTES

    @cached_property
    def tag(self) -> np.ndarray:
        """(TAG_BYTES,) uint8, other than that of another vocabulary."""
        content = b"".join(p.astype("<f4").tobytes() for p in (self.mean, self.axes, self.words))
        return np.frombuffer(crc32(content).to_bytes(TAG_BYTES, "little"), np.uint8)

    def reduce(self, descriptors: np.ndarray) -> np.ndarray:
        """(M, D) float32 of descriptors (M, 128) uint8."""
        return product(descriptors.astype(np.float32) - self.mean, self.axes)

    def sums(self, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sum of residuals (K, D) float32 to each word, and (K,) bool: words that descriptors (M, 128) uint8 show."""
        x = self.reduce(descriptors)
        nearest = nearest_word(x, self.words)
        order = np.argsort(nearest, kind="stable")
        shown, begin = np.unique(nearest[order], return_index=True)
        sums, present = np.zeros_like(self.words), np.zeros(len(self.words), bool)
        if len(shown):
            sums[shown] = np.add.reduceat((x - self.words[nearest])[order], begin, axis=0)
            present[shown] = True
        return sums, present

    def row(self, descriptors: np.ndarray) -> np.ndarray:
        """(row_bytes,) uint8: the signature of one camera."""
        sums, present = self.sums(descriptors)
        return np.concatenate([np.packbits(sums > 0), np.packbits(present), self.tag])


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, K) float32: a (N, D) times b (D, K) in pieces that one thread does, so that none of BLAS's wait for the others."""
    out = np.empty((len(a), b.shape[1]), np.float32)
    ends = np.linspace(0, len(a), 1 + -(-len(a) * b.size // SMALL_PRODUCT)).astype(int)
    for begin, end in zip(ends[:-1], ends[1:], strict=True):
        np.matmul(a[begin:end], b, out=out[begin:end])
    return out


def nearest_word(x: np.ndarray, words: np.ndarray) -> np.ndarray:
    """(N,) int64: the word (K, D) nearest to each x (N, D)."""
    return np.argmin((words ** 2).sum(1) - 2 * product(x, np.ascontiguousarray(words.T)), axis=1)


@cache
def load_vocabulary(path: Path = WORDS_FILE) -> Vocabulary:
    """The vocabulary that comes with the package, or another. FileNotFoundError, ValueError when it is none."""
    if not path.is_file():
        raise FileNotFoundError(f"this package has no visual words ({path} is missing); make them with tools/train_words.py")
    with open_arrays(path) as parts:
        return Vocabulary(**{name: parts[name].astype(np.float32) for name in ("mean", "axes", "words")})


def signature_of(descriptors: Sequence[np.ndarray], vocabulary: Vocabulary | None = None) -> np.ndarray:
    """(cameras, bytes) uint8 of RootSIFT descriptors (M, 128) uint8 of each camera. ValueError without any camera."""
    if not len(descriptors):
        raise ValueError("a signature needs the descriptors of at least one camera")
    vocabulary = vocabulary or load_vocabulary()
    return np.stack([vocabulary.row(d) for d in descriptors])


def compare_signatures(own: np.ndarray, signatures: Sequence[np.ndarray] | np.ndarray,
                       vocabulary: Vocabulary | None = None) -> np.ndarray:
    """(S,) similarity, -1 to 1, of a signature to others: of each camera to the other's camera that is most like it, the mean
    over those cameras that show something. -inf where one of the two shows nothing, nan for what is no signature of this
    vocabulary."""
    vocabulary = vocabulary or load_vocabulary()
    scores = np.full(len(signatures), np.nan)
    fits, ours = _those_of(vocabulary, signatures)
    if not fits.any() or not _is_ours(own, vocabulary):
        return scores
    stacked = isinstance(ours, np.ndarray)
    rows = ours.reshape(-1, vocabulary.row_bytes) if isinstance(ours, np.ndarray) else np.concatenate(ours)
    first = np.arange(len(ours)) * ours[0].shape[0] if stacked else np.cumsum([0, *(len(s) for s in ours[:-1])])
    shows = own[own[:, vocabulary.sign_bytes:-TAG_BYTES].any(1)]
    each = [np.maximum.reduceat(_similarity(row, rows, vocabulary), first) for row in shows]
    scores[fits] = np.mean(each, axis=0) if each else -np.inf
    return scores


def _those_of(vocabulary: Vocabulary, signatures: Sequence[np.ndarray] | np.ndarray
              ) -> tuple[np.ndarray, list[np.ndarray] | np.ndarray]:
    """(S,) bool: the signatures of this vocabulary; and those."""
    if not isinstance(signatures, np.ndarray):
        fits = np.array([_is_ours(s, vocabulary) for s in signatures], bool)
        return fits, [s for s, f in zip(signatures, fits, strict=True) if f]
    if not _has_form(signatures[0] if len(signatures) else signatures, vocabulary):
        return np.zeros(len(signatures), bool), signatures[:0]
    fits = (signatures[:, :, -TAG_BYTES:] == vocabulary.tag).all((1, 2))
    return fits, signatures if fits.all() else signatures[fits]


def _has_form(signature: np.ndarray, vocabulary: Vocabulary) -> bool:
    return (signature.dtype == np.uint8 and signature.ndim == 2 and len(signature) > 0
            and signature.shape[1] == vocabulary.row_bytes)


def _is_ours(signature: np.ndarray, vocabulary: Vocabulary) -> bool:
    return _has_form(signature, vocabulary) and bool((signature[:, -TAG_BYTES:] == vocabulary.tag).all())


def _similarity(own: np.ndarray, rows: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """(N,) of one camera's signature to others (N, bytes): the mean product of signs in each word that both show, summed over
    the words and divided by the root of the numbers of words that each shows; -inf where the other shows none.

    Bits of words that are not shown are 0. With bits a of the one and b of the other, |b & words of a| + |a & words of b| -
    2 |a & b| bits of the words that both show differ, and |a & b| = (|a| + |b| - distance) / 2.
    """
    count, dim = vocabulary.words.shape
    bits, other = own[:vocabulary.sign_bytes], rows[:, :vocabulary.sign_bytes]
    shown, other_shown = own[vocabulary.sign_bytes:-TAG_BYTES], rows[:, vocabulary.sign_bytes:-TAG_BYTES]
    total, number = _distance(other, np.zeros_like(bits)), _distance(other_shown, np.zeros_like(shown))
    mask = np.packbits(np.repeat(np.unpackbits(shown), dim))
    both = (total + _ones(bits) - _distance(other, bits)) // 2
    theirs = (total + _ones(mask) - _distance(other, mask)) // 2
    common = (number + _ones(shown) - _distance(other_shown, shown)) // 2
    per_word = np.unpackbits(bits).reshape(count, dim).sum(1, dtype=np.float32)
    ours = np.einsum("nk,k->n", np.unpackbits(other_shown, axis=1).astype(np.float32), per_word)  # without BLAS's threads
    differing = theirs + ours - 2 * both
    return np.where(number > 0, (common - 2 * differing / dim) / np.sqrt(np.maximum(number * _ones(shown), 1)), -np.inf)


def _ones(bits: np.ndarray) -> int:
    return int(np.unpackbits(bits).sum())


def _distance(rows: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """(N,) int64: bits in which rows (N, B) uint8 differ from `bits` (B,)."""
    return cv2.batchDistance(rows, bits[None], cv2.CV_32S, normType=cv2.NORM_HAMMING, K=1)[0][:, 0].astype(np.int64)
