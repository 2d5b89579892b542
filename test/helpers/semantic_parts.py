# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A language of few numbers, a text encoder that knows words by heart, and features made from true labels."""
import tempfile
from pathlib import Path

import numpy as np

from lsm_ros.models.known import LANGUAGE_FILE
from lsm_ros.models.tensor_files import write_safetensors
from lsm_ros.pairs.features import UNIT
from lsm_ros.semantics.codec import TextCodec, codec_tensors
from lsm_ros.semantics.text_encoder import Reading

DIM = 12


class Words:
    """A text encoder: each word has an axis of its own, a text is the unit sum of its words. `asked`: what was encoded."""

    def __init__(self, words, identity="words", dim=DIM):
        self.identity, self.asked, self._dim = identity, [], dim
        self._axis = {w: i for i, w in enumerate(words)}

    def encode(self, texts):
        self.asked += texts
        out = np.zeros((len(texts), self._dim), np.float32)
        for row, text in zip(out, texts, strict=True):
            for word in text.lower().split():
                if word in self._axis:
                    row[self._axis[word]] += 1
            row /= max(np.linalg.norm(row), 1e-9)
        return out

    def reading(self, text):
        words = text.lower().split()
        return Reading(len(words), sum(w not in self._axis for w in words), len(words), min(len(words), 6))


def codec_of(names, encoder):
    """A codec that keeps the encoder's numbers; names: by label id."""
    targets = encoder.encode(list(names.values()))
    return TextCodec(encoder.identity, np.zeros(DIM, np.float32), np.eye(DIM, dtype=np.float32), tuple(names.values()),
                     tuple(names), targets)


class TrueFeatures:
    """Stands in for the network that describes keyframes: a cell's feature is the vector of the true label in its middle.
    labels: by stamp (H, W) uint16; codec: its classes; others have no feature."""

    def __init__(self, labels, codec):
        self.labels, self.codec, self.described = labels, codec, 0
        self._folder = tempfile.TemporaryDirectory()

    @property
    def feature_dim(self):
        return self.codec.channels

    @property
    def language_file(self):
        path = Path(self._folder.name) / LANGUAGE_FILE
        write_safetensors(path, *codec_tensors(self.codec))
        return path

    def describe(self, frame):
        self.described += 1
        small = self.labels[frame.stamp_ns][8::16, 8::16]
        out = np.zeros((*small.shape, self.codec.channels), np.int8)
        for i, vector in zip(self.codec.ids, self.codec.targets, strict=True):
            out[small == i] = np.rint(UNIT * vector)
        return out

    def clear(self):
        self.described = 0
