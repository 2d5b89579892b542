# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Texts as the 64 numbers that the network regresses and a voxel stores.

A text's embedding e goes through a fixed linear bottleneck: z = unit(basis (e - mean)). The basis is that of the principal
components of the classes' texts, so distances between them are kept as well as 64 numbers can.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsm_ros.training.text_encoder import TextEncoder
from lsm_ros.types import UNLABELLED, LabelSpace

LANGUAGE_FILE = "language.safetensors"
TEXTS = Path(__file__).with_name("texts_indoor.yaml")
_SMALL = 1e-6


@dataclass(frozen=True)
class TextCodec:
    """The bottleneck. mean (D,), basis (C, D) float32 with orthonormal rows. encoder: identity of the text encoder.

    names, ids: the classes that were trained, and their ids in the label space; targets (n, C) float32 their unit vectors.
    """

    encoder: str
    mean: np.ndarray
    basis: np.ndarray
    names: tuple[str, ...]
    ids: tuple[int, ...]
    targets: np.ndarray

    @property
    def channels(self) -> int:
        """How many numbers a text becomes."""
        return len(self.basis)

    def project(self, embeddings: np.ndarray) -> np.ndarray:
        """(n, D) embeddings -> (n, C) float32 of unit length; one that says nothing in these numbers is zero."""
        z = (np.asarray(embeddings, np.float32) - self.mean) @ self.basis.T
        length = np.linalg.norm(z, axis=-1, keepdims=True)
        return np.where(length > _SMALL, z / np.maximum(length, _SMALL), 0).astype(np.float32)

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
        return {"encoder": self.encoder, "names": list(self.names), "ids": list(self.ids),
                **{k: torch.from_numpy(getattr(self, k)) for k in ("mean", "basis", "targets")}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TextCodec:
        """The inverse of `state`."""
        arrays = (state[k].numpy().astype(np.float32) for k in ("mean", "basis", "targets"))
        mean, basis, targets = arrays
        return cls(state["encoder"], mean, basis, tuple(state["names"]), tuple(int(i) for i in state["ids"]), targets)

    def same_as(self, other: TextCodec) -> bool:
        """Whether both give the same numbers for the same classes."""
        return (self.encoder, self.names, self.ids) == (other.encoder, other.names, other.ids) and all(
            a.shape == b.shape and np.allclose(a, b, atol=1e-3)
            for a, b in ((self.basis, other.basis), (self.mean, other.mean), (self.targets, other.targets)))


def read_codec(path: str | Path) -> TextCodec:
    """The codec in a language.safetensors. FileNotFoundError; ValueError when it is none."""
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
                                  "names": meta["names"].split("\n"), "ids": tensors["ids"].flatten().tolist()})
    n, ids = len(codec.names), codec.ids
    if (codec.basis.ndim != 2 or codec.mean.shape != codec.basis.shape[1:] or codec.targets.shape != (n, codec.channels)
            or len(ids) != n or not all(0 <= i < UNLABELLED for i in ids)
            or not all(np.isfinite(a).all() for a in (codec.mean, codec.basis, codec.targets))):
        raise ValueError(f"{path} is damaged: its {n} names, ids {len(ids)}, targets {codec.targets.shape}, basis "
                         f"{codec.basis.shape} and mean {codec.mean.shape} do not fit each other, or are no numbers")
    return codec


def codec_tensors(codec: TextCodec) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata for `write_safetensors`, as `read_codec` reads them."""
    state = codec.state()
    tensors = {k: state[k] for k in ("mean", "basis", "targets")} | {"ids": torch.tensor(codec.ids)}
    return tensors, {"encoder": codec.encoder, "names": "\n".join(codec.names)}


def read_texts(path: str | Path, space: LabelSpace) -> dict[str, list[str]]:
    """What a YAML file says about classes, by name: a list of synonyms and descriptions each.

    ValueError for a class that does not exist in the label space, and for anything else than lists of texts.
    """
    import yaml

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"texts of classes {path} do not exist")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"texts of classes {path} are not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected class names with lists of texts")
    check_classes(content, space, str(path))
    for name, texts in content.items():
        if not isinstance(texts, list) or not all(isinstance(t, str) and t.strip() for t in texts):
            raise ValueError(f"{path}: {name}: expected a list of texts, got {texts!r}")
    return content


def check_classes(names: Sequence[str] | Mapping[str, Any], space: LabelSpace, where: str) -> None:
    """ValueError naming the first class that the label space does not have."""
    import difflib

    known = list(space.names.values())
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            raise ValueError(f"{where}: class {name!r} does not exist" + (f"; did you mean {close[0]!r}?" if close else ""))


def fit_codec(encoder: TextEncoder, space: LabelSpace, texts: Mapping[str, Sequence[str]], channels: int = 64,
              classes: Sequence[str] = ()) -> TextCodec:
    """The bottleneck of these classes (all but `void` when none are named) and their targets.

    A class's target is the mean of the unit vectors of its name, which counts twice, its synonyms and descriptions. Where
    there are fewer texts than channels, the basis is completed by directions at random, the same ones each time.
    """
    check_classes(classes, space, "classes")
    pairs = [(i, n) for i, n in sorted(space.names.items()) if (n in classes if classes else n != "void")]
    said = [[name, name, *texts.get(name, ())] for _, name in pairs]
    flat = sorted({t for group in said for t in group})
    embeddings = dict(zip(flat, encoder.encode(flat), strict=True))
    every = np.stack([embeddings[t] for t in flat]).astype(np.float64)
    if channels > every.shape[1]:
        raise ValueError(f"{channels} channels are more than the {every.shape[1]} of text encoder {encoder.identity!r}")
    mean = every.mean(0)
    _, sizes, rows = np.linalg.svd(every - mean, full_matrices=False)
    rows = rows[:channels][sizes[:channels] > 1e-6]
    rows *= np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(1)])[:, None]  # LAPACK leaves the signs open
    filling = np.random.default_rng(0).standard_normal((channels - len(rows), every.shape[1]))
    basis = np.linalg.qr(np.concatenate([rows, filling]).T)[0].T
    basis[:len(rows)] = rows
    codec = TextCodec(encoder.identity, mean.astype(np.float32), basis.astype(np.float32), tuple(n for _, n in pairs),
                      tuple(int(i) for i, _ in pairs), np.zeros((len(pairs), channels), np.float32))
    targets = np.stack([codec.project(np.stack([embeddings[t] for t in group])).mean(0) for group in said])
    targets /= np.maximum(np.linalg.norm(targets, axis=-1, keepdims=True), _SMALL)
    return TextCodec(codec.encoder, codec.mean, codec.basis, codec.names, codec.ids, targets)


class ClassTargets:
    """Targets of classes as tensors on a device, and which row a label has."""

    def __init__(self, codec: TextCodec, device: torch.device) -> None:
        self.vectors = torch.from_numpy(codec.targets).to(device)
        self.row = torch.full((65536,), -1, dtype=torch.int64, device=device)
        self.row[torch.tensor(codec.ids, device=device)] = torch.arange(len(codec.ids), device=device)

    def rows(self, labels: torch.Tensor) -> torch.Tensor:
        """Row of each label id, -1 where it has no target."""
        return self.row[labels.long().clamp(0, 65535)]
