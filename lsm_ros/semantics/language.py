# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Texts as the vectors that the map's language features are compared with. The text encoder is loaded when it is needed."""
from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from lsm_ros.models.known import LANGUAGE_FILE
from lsm_ros.semantics.codec import TextCodec, codec_tensors, read_codec
from lsm_ros.semantics.label_spaces import plain
from lsm_ros.semantics.text_encoder import TextEncoder, make_text_encoder
from lsm_ros.types import LabelSpace, NameVectors

LONGEST_QUERY = 30_000  # characters that are read; an encoder uses far fewer words
NOT_A_NAME = "void"
DEFAULT_CLASSES = ("wall", "floor", "ceiling", "chair", "table", "sofa", "bed", "other")


@dataclass(frozen=True)
class Sentence:
    """A text as a unit vector (C,) float32, and remarks on it, in words."""

    text: str
    vector: np.ndarray
    remarks: tuple[str, ...] = ()


class Language:
    """Meaning of the features of one set of weights. Thread-safe. make_encoder: gives the text encoder of a name."""

    def __init__(self, codec: TextCodec, make_encoder: Callable[[str], TextEncoder] | None = None) -> None:
        self.codec, self._make = codec, make_encoder or make_text_encoder
        self._encoder: TextEncoder | None = None
        self._known: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()
        self._trained = {plain(n): v for n, v in zip(codec.names, codec.targets, strict=len(codec.targets) > 0)}

    @property
    def trained_space(self) -> LabelSpace:
        """The classes that the weights were trained with."""
        return LabelSpace(dict(zip(self.codec.ids, self.codec.names, strict=True)))

    @property
    def digest(self) -> str:
        """Short hash of the meaning of the numbers: features of equal digests may be compared."""
        state = hashlib.sha256(self.codec.encoder.encode())
        for array in (self.codec.mean, self.codec.basis):
            state.update(np.ascontiguousarray(array, np.float32).tobytes())
        return state.hexdigest()[:12]

    def names(self, space: LabelSpace, least: float) -> NameVectors:
        """The vectors of a label space's names, without 'void'. A class of the training has its target; others are embedded,
        for which the text encoder is needed: ImportError that says what to install, ValueError for weights of another one."""
        pairs = [(i, n) for i, n in sorted(space.names.items()) if plain(n) != NOT_A_NAME]
        if not pairs:
            raise ValueError("the label space has no names that features could be called")
        unknown = [n for _, n in pairs if plain(n) not in self._trained and n not in self._known]
        if unknown:
            with self._lock:
                embedded = self.codec.embed([n.replace("_", " ") for n in unknown], self._text_encoder())
            for name, vector in zip(unknown, embedded, strict=True):
                if not vector.any():
                    raise ValueError(f"name {name!r} says nothing to the text encoder {self.codec.encoder!r}")
                self._known[name] = vector
        vectors = np.stack([self._trained[plain(n)] if plain(n) in self._trained else self._known[n] for _, n in pairs])
        return NameVectors(np.array([i for i, _ in pairs], np.uint16), vectors.astype(np.float32), least)

    def sentence(self, text: str) -> Sentence:
        """A query as a vector. The name of a class of the training has its target. ValueError for a text without words, or for
        weights of another text encoder; ImportError that says what to install."""
        words = " ".join(text[:LONGEST_QUERY].split())
        if not words:
            raise ValueError("the query is empty: say what to look for")
        if plain(words) in self._trained:
            return Sentence(words, self._trained[plain(words)])
        with self._lock:
            encoder = self._text_encoder()
            remarks = _remarks(words, encoder)
            vector = self.codec.embed([words], encoder)[0]
        if not vector.any():
            raise ValueError(f"query {words[:60]!r} says nothing to the text encoder {self.codec.encoder!r}")
        if len(text) > LONGEST_QUERY:
            remarks.insert(0, f"only the first {LONGEST_QUERY} characters were read")
        return Sentence(words, vector, tuple(remarks))

    def _text_encoder(self) -> TextEncoder:
        if self._encoder is None:
            try:
                encoder = self._make(self.codec.encoder)
            except ValueError as error:
                raise ValueError(f"the features are of weights that answer to another text encoder: {error}") from error
            self.codec.check(encoder.identity)
            self._encoder = encoder
        return self._encoder

    def write(self, path: Path) -> None:
        """Writes a language.safetensors, so that a map can be searched without the weights."""
        from lsm_ros.models.tensor_files import write_safetensors

        write_safetensors(path, *codec_tensors(self.codec))


def _remarks(text: str, encoder: TextEncoder) -> list[str]:
    """Remarks on parts of a text that are ignored. ValueError when all of it is."""
    read = encoder.reading(text)
    if read.unknown == read.words:
        raise ValueError(f"the text encoder {encoder.identity!r}, which is for English, knows no word of {text[:60]!r}")
    out = [f"only the first {read.taken} of {read.pieces} word pieces count"] if read.taken < read.pieces else []
    if read.unknown:
        out.append(f"{read.unknown} of {read.words} words are unknown to the text encoder")
    return out


class GivesFeatures(Protocol):
    """A model with language features for each pixel; see `PairModel`."""

    feature_dim: int
    language_file: Path | None
    language_basis: np.ndarray | None
    text_encoder: str


def language_of(model: GivesFeatures) -> Language:
    """Language of the features of a model: that of its language file, or of the basis that its weights imply. ValueError
    without either, or for another number of features."""
    if model.language_file is None:
        if model.language_basis is None:
            raise ValueError(f"these weights come without language: there is no {LANGUAGE_FILE} beside them")
        return Language(codec_of_basis(model.language_basis, model.text_encoder))
    language = read_language(model.language_file)
    if language.codec.channels != model.feature_dim:
        raise ValueError(f"the network gives {model.feature_dim} language features, {model.language_file} describes "
                         f"{language.codec.channels}")
    return language


def codec_of_basis(basis: np.ndarray, encoder: str) -> TextCodec:
    """The codec of features that are coordinates along the orthonormal rows of a basis (C, D), in the space of a text encoder's
    embeddings. Its classes are those that the Large Spatial Model was measured with."""
    ids = tuple(range(1, len(DEFAULT_CLASSES) + 1))
    return TextCodec(encoder, np.zeros(basis.shape[1], np.float32), basis.astype(np.float32), DEFAULT_CLASSES, ids,
                     np.zeros((0, len(basis) + 1), np.float32), complete=True)


def read_language(path: Path) -> Language:
    """The language of a language.safetensors. FileNotFoundError; ValueError for another file."""
    return Language(read_codec(path))
