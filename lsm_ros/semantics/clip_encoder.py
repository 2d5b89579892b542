# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""CLIP's text tower (Radford et al., 2021) from a folder as Hugging Face lays it out. The network and its tokens are computed
here, so that transformers is not needed."""
from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from lsm_ros.models.architecture import OFFICIAL_HEAD_DIM
from lsm_ros.models.clip import CONTEXT, Clip
from lsm_ros.models.hub import find_known, weights_folder, where
from lsm_ros.models.known import CLIP
from lsm_ros.models.tensor_files import read_pickle, read_safetensors
from lsm_ros.semantics.reading import Reading

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
_BATCH = 64
_WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+")
_LAYER = re.compile(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_NAMES = {"self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc",
          "mlp.fc2": "mlp.c_proj"}


def find_clip() -> Path:
    """The folder with CLIP's text tower. ImportError that says how to get it, or where to put it."""
    known = find_known(CLIP)
    place = None if known is None else where(known)
    if place is None:
        raise ImportError(f"texts are compared with features of LSM by CLIP's text tower: `lsm weights --download {CLIP}` "
                          f"fetches it; or put its folder (config.json, model.safetensors, vocab.json, merges.txt) at "
                          f"{weights_folder() / CLIP}")
    return place


class ClipText:
    """The encoder with the weights in `folder`, on the CPU. FileNotFoundError or ValueError for a folder without them."""

    identity = CLIP

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        for name in ("vocab.json", "merges.txt"):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} has no {name}: it is no complete folder of {CLIP}")
        self._tokens = BytePairs(json.loads((folder / "vocab.json").read_text(encoding="utf-8")),
                                 (folder / "merges.txt").read_text(encoding="utf-8").splitlines())
        state = text_state(_weights(folder))
        try:
            vocabulary, width = state["token_embedding.weight"].shape
            depth = 1 + max(int(k.split(".")[2]) for k in state if k.startswith("transformer.resblocks."))
            with torch.device("meta"):
                self._model = Clip(text_dim=width, text_depth=depth, text_heads=max(1, width // OFFICIAL_HEAD_DIM),
                                   vocabulary=vocabulary, out=state["text_projection"].shape[1], image_dim=0)
            self._model.load_state_dict(state, assign=True)
        except (KeyError, ValueError, RuntimeError) as error:
            raise ValueError(f"{folder} holds no text tower of CLIP: {str(error)[:300]}") from error
        if len(self._tokens.vocabulary) > vocabulary:
            raise ValueError(f"{folder}: {len(self._tokens.vocabulary)} word pieces for {vocabulary} embeddings")
        self._model.eval()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, 512) float32 of unit length. What exceeds 77 tokens is left out."""
        ids = [self._tokens(t) for t in texts]
        rows: list[torch.Tensor] = []
        for begin in range(0, len(ids), _BATCH):
            some = ids[begin:begin + _BATCH]
            longest = max(map(len, some))
            rows.append(self._model.encode_text(torch.tensor([i + [0] * (longest - len(i)) for i in some])))
        return normalize(torch.cat(rows), dim=-1).numpy()

    def reading(self, text: str) -> Reading:
        """Count of the words and word pieces of a text that are understood: all words are, as pieces down to single bytes."""
        words = split_words(text)
        count = sum(len(self._tokens.pieces(w)) for w in words)
        return Reading(len(words), 0, count, min(count, CONTEXT - 2))


def _weights(folder: Path) -> Mapping[str, torch.Tensor]:
    if (folder / "model.safetensors").is_file():
        return read_safetensors(folder / "model.safetensors")[0]
    if (folder / "pytorch_model.bin").is_file():
        return read_pickle(folder / "pytorch_model.bin")
    raise FileNotFoundError(f"{folder} has neither model.safetensors nor pytorch_model.bin")


def text_state(stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """State dict of `Clip` without its image tower, float32, from the names that transformers gives the weights."""
    state: dict[str, torch.Tensor] = {}
    own = {"text_projection.weight": "text_projection", "logit_scale": "logit_scale",
           "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
           "text_model.embeddings.position_embedding.weight": "positional_embedding",
           "text_model.final_layer_norm.weight": "ln_final.weight", "text_model.final_layer_norm.bias": "ln_final.bias"}
    for key, value in stored.items():
        match = _LAYER.fullmatch(key.removeprefix("text_model.")) if key.startswith("text_model.") else None
        if key in own:
            state[own[key]] = value.float().T if key == "text_projection.weight" else value.float()
        elif match and match[2] in _NAMES:
            state[f"transformer.resblocks.{match[1]}.{_NAMES[match[2]]}.{match[3]}"] = value.float()
        elif match and match[2] == "self_attn.q_proj":
            parts = [stored[key.replace("q_proj", f"{p}_proj")] for p in "qkv"]
            state[f"transformer.resblocks.{match[1]}.attn.in_proj_{match[3]}"] = torch.cat(parts).float()
    return state


class BytePairs:
    """Token ids of a text: bytes of words, joined in pairs in the order of the merges (Sennrich et al., 2016)."""

    def __init__(self, vocabulary: Mapping[str, int], merges: Sequence[str]) -> None:
        self.vocabulary = vocabulary
        missing = [w for w in (BEGIN, END) if w not in vocabulary]
        if missing:
            raise ValueError(f"the vocabulary lacks {', '.join(missing)}")
        pairs = (line.split() for line in merges if line and not line.startswith("#version"))
        self._rank = {(p[0], p[1]): n for n, p in enumerate(pairs) if len(p) == 2}

    def __call__(self, text: str) -> list[int]:
        """Ids with the marks at both ends, at most 77."""
        ids = [i for word in split_words(text) for i in self.pieces(word)]
        return [self.vocabulary[BEGIN], *ids[:CONTEXT - 2], self.vocabulary[END]]

    def pieces(self, word: str) -> list[int]:
        """Ids of a word's pieces. ValueError if the vocabulary has no piece for one of its bytes."""
        signs = byte_signs()
        parts = [signs[b] for b in word.encode("utf-8")]
        parts[-1] += "</w>"
        while len(parts) > 1:
            pairs = zip(parts, parts[1:], strict=False)
            rank, at = min((self._rank.get(pair, len(self._rank)), n) for n, pair in enumerate(pairs))
            if rank == len(self._rank):
                break
            parts[at:at + 2] = ["".join(parts[at:at + 2])]
        unknown = [p for p in parts if p not in self.vocabulary]
        if unknown:
            raise ValueError(f"the vocabulary has no piece for {unknown[0]!r} in {word[:40]!r}")
        return [self.vocabulary[p] for p in parts]


def split_words(text: str) -> list[str]:
    """Lower-case words, digits one by one, and runs of signs."""
    return _WORDS.findall(unicodedata.normalize("NFC", text).lower())


@cache
def byte_signs() -> dict[int, str]:
    """A visible character for each byte: itself where it is one, else one beyond the first 256."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in visible]
    return {b: chr(b) for b in visible} | {b: chr(256 + n) for n, b in enumerate(hidden)}
