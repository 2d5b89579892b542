# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Targets of the language head: a `TextCodec` fitted to the texts of the classes, and a vector for each class."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsm_ros.reading import read_yaml_file
from lsm_ros.semantics.codec import SMALLEST_LENGTH, TextCodec
from lsm_ros.semantics.text_encoder import TextEncoder
from lsm_ros.types import LabelSpace

TEXTS = Path(__file__).with_name("texts_indoor.yaml")


def read_texts(path: str | Path, space: LabelSpace) -> dict[str, list[str]]:
    """Texts about classes from a YAML file, by name: a list of synonyms and descriptions each.

    ValueError for a class that does not exist in the label space, and for anything else than lists of texts.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"texts of classes {path} do not exist")
    content = read_yaml_file(path, f"texts of classes {path}") or {}
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
    targets /= np.maximum(np.linalg.norm(targets, axis=-1, keepdims=True), SMALLEST_LENGTH)
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
