# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Texts as the 64 numbers that the network regresses and a voxel stores.

A text's embedding e goes through a fixed linear bottleneck: z = unit(basis (e - mean)). The basis is that of the principal
components of the classes' texts, so distances between them are kept as well as 64 numbers can. Where features are themselves
embeddings in a space that the basis spans, a last number holds what the basis leaves of a text: cosines are then exact.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsm_ros.semantics.text_encoder import TextEncoder
from lsm_ros.types import UNLABELLED

SMALLEST_LENGTH = 1e-6


@dataclass(frozen=True)
class TextCodec:
    """The bottleneck. mean (D,), basis (C, D) float32 with orthonormal rows. encoder: identity of the text encoder.

    names, ids: the classes that were trained, and their ids in the label space; targets (n, C) float32 their unit vectors, or
    (0, C) where they are embedded when they are needed. complete: a text has one number more than the basis has rows, for the
    part of it that lies outside of the basis; features have zero there.
    """

    encoder: str
    mean: np.ndarray
    basis: np.ndarray
    names: tuple[str, ...]
    ids: tuple[int, ...]
    targets: np.ndarray
    complete: bool = False

    @property
    def channels(self) -> int:
        """Number of values that represent a text."""
        return len(self.basis) + self.complete

    def project(self, embeddings: np.ndarray) -> np.ndarray:
        """(n, D) embeddings -> (n, C) float32 of unit length; an embedding without content in these numbers is zero."""
        centred = np.asarray(embeddings, np.float32) - self.mean
        z = centred @ self.basis.T
        if self.complete:
            rest = (centred ** 2).sum(-1) - (z ** 2).sum(-1)
            z = np.concatenate([z, np.sqrt(np.maximum(rest, 0))[..., None]], -1)
        length = np.linalg.norm(z, axis=-1, keepdims=True)
        return np.where(length > SMALLEST_LENGTH, z / np.maximum(length, SMALLEST_LENGTH), 0).astype(np.float32)

    def embed(self, texts: Sequence[str], encoder: TextEncoder) -> np.ndarray:
        """(n, C) unit vectors of texts. ValueError for another encoder than the one that was trained with."""
        self.check(encoder.identity)
        return self.project(encoder.encode(list(texts)))

    def check(self, encoder: str) -> None:
        """ValueError unless this is the text encoder of the weights."""
        if encoder != self.encoder:
            raise ValueError(f"these weights answer to the text encoder {self.encoder!r}, not to {encoder!r}")

    def state(self) -> dict[str, Any]:
        """Plain values and tensors, for a checkpoint."""
        return {"encoder": self.encoder, "names": list(self.names), "ids": list(self.ids), "complete": self.complete,
                **{k: torch.from_numpy(getattr(self, k)) for k in ("mean", "basis", "targets")}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TextCodec:
        """The inverse of `state`."""
        arrays = (state[k].numpy().astype(np.float32) for k in ("mean", "basis", "targets"))
        mean, basis, targets = arrays
        return cls(state["encoder"], mean, basis, tuple(state["names"]), tuple(int(i) for i in state["ids"]), targets,
                   bool(state.get("complete", False)))

    def same_as(self, other: TextCodec) -> bool:
        """True if both give the same numbers for the same classes."""
        return (self.encoder, self.names, self.ids, self.complete) == (
            other.encoder, other.names, other.ids, other.complete) and all(
            a.shape == b.shape and np.allclose(a, b, atol=1e-3)
            for a, b in ((self.basis, other.basis), (self.mean, other.mean), (self.targets, other.targets)))


def read_codec(path: str | Path) -> TextCodec:
    """The codec in a language.safetensors. FileNotFoundError; ValueError for a file without a codec."""
    from lsm_ros.models.tensor_files import read_safetensors

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: the weights beside it come without language")
    tensors, meta = read_safetensors(path)
    missing = [k for k in ("mean", "basis", "targets", "ids") if k not in tensors] + [
        k for k in ("encoder", "names") if k not in meta]
    if missing:
        raise ValueError(f"{path} describes no language features: it lacks {', '.join(missing)}")
    codec = TextCodec.from_state({**{k: v.clone() for k, v in tensors.items()}, "encoder": meta["encoder"],
                                  "names": meta["names"].split("\n"), "ids": tensors["ids"].flatten().tolist(),
                                  "complete": meta.get("complete") == "yes"})
    n, ids = len(codec.names), codec.ids
    if (codec.basis.ndim != 2 or codec.mean.shape != codec.basis.shape[1:] or len(ids) != n
            or codec.targets.shape not in ((n, codec.channels), (0, codec.channels))
            or not all(0 <= i < UNLABELLED for i in ids)
            or not all(np.isfinite(a).all() for a in (codec.mean, codec.basis, codec.targets))):
        raise ValueError(f"{path} is damaged: its {n} names, ids {len(ids)}, targets {codec.targets.shape}, basis "
                         f"{codec.basis.shape} and mean {codec.mean.shape} do not fit each other, or are no numbers")
    return codec


def codec_tensors(codec: TextCodec) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata for `write_safetensors`, as `read_codec` reads them."""
    state = codec.state()
    tensors = {k: state[k] for k in ("mean", "basis", "targets")} | {"ids": torch.tensor(codec.ids)}
    meta = {"encoder": codec.encoder, "names": "\n".join(codec.names)}
    return tensors, meta | ({"complete": "yes"} if codec.complete else {})
