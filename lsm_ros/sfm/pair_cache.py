# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Predictions of pairs on the disk: an interrupted run goes on from them, and the memory holds a few images only.

What is kept of an image grows with its pixels, not with its pairs: the sums of its canonical pointmap. Of a pair are kept its
matches and a point of each block.
"""
from __future__ import annotations

import hashlib
import json
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from lsm_ros.files import replacing_file, write_text
from lsm_ros.reading import open_arrays
from lsm_ros.sfm.canonical import BLOCK, Canonical, CanonicalSum
from lsm_ros.sfm.predictor import SymmetricPrediction

KEPT = 32  # images whose sums stay in memory
ABOUT = "about.json"


class PairCache:
    """The kept part of pairs, in a folder that is made. identity: of everything that the predictions depend on. ValueError when
    the folder holds something else than a cache, or one of another run."""

    def __init__(self, folder: Path, sizes: list[tuple[int, int]], identity: str) -> None:
        self.folder, self.sizes = folder, sizes
        self._sums: OrderedDict[int, CanonicalSum] = OrderedDict()
        about = {"lsm_ros": "predictions of an unfinished lsm sfm", "identity": hashlib.sha256(identity.encode()).hexdigest(),
                 "sizes": [list(s) for s in sizes]}
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            known = folder / ABOUT
            try:
                found = json.loads(known.read_text()) if known.is_file() else None
            except ValueError:
                found = None
            if not isinstance(found, dict) or found.get("lsm_ros") != about["lsm_ros"]:
                raise ValueError(f"{folder} exists and holds no predictions of an unfinished run; give another --cache")
            if found != about:
                raise ValueError(f"{folder} holds predictions of an unfinished run with other images, weights or options; "
                                 "remove it, or give another --cache")
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / ABOUT, json.dumps(about))

    def has(self, i: int, j: int) -> bool:
        """True for a pair that is complete."""
        return self._pair(i, j).is_file()

    def add(self, i: int, j: int, p: SymmetricPrediction) -> None:
        """Adds a pair. Interrupted at any point, it is added again in full by the next run, and nothing counts twice."""
        for own, partner, points, confidence in ((i, j, p.own[0], p.other_conf[0]), (j, i, p.own[1], p.other_conf[1])):
            total = self._sum(own)
            if partner not in total.partners:
                total.add(partner, points, confidence)
                self._save(own, total)
        corners = {f"{name}_{side}": value[::BLOCK, ::BLOCK].numpy() for side, (points, confidence) in
                   enumerate(zip(p.other, p.other_conf, strict=True)) for name, value in (("X", points), ("C", confidence))}
        with replacing_file(self._pair(i, j)) as file:
            np.savez(file, pixels_i=p.pixels_i.numpy().astype(np.int16), pixels_j=p.pixels_j.numpy().astype(np.int16),
                     confidence=p.confidence.numpy().astype(np.float32), **corners)

    def matches(self, i: int, j: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pixels (N, 2) of both images and confidence (N,)."""
        with open_arrays(self._pair(i, j)) as parts:
            return (torch.from_numpy(parts["pixels_i"].astype(np.int64)), torch.from_numpy(parts["pixels_j"].astype(np.int64)),
                    torch.from_numpy(parts["confidence"]))

    def fallback(self, i: int, j: int) -> dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]]:
        """For (i, j) and (j, i): points and confidence of the blocks of the first in the camera of the second."""
        with open_arrays(self._pair(i, j)) as parts:
            return {pair: (torch.from_numpy(parts[f"X_{n}"]), torch.from_numpy(parts[f"C_{n}"]))
                    for n, pair in enumerate(((i, j), (j, i)))}

    def canonical(self, i: int) -> Canonical:
        """Of an image with complete pairs. ValueError, naming it, for predictions that imply no camera."""
        try:
            return self._sum(i).result()
        except ValueError as error:
            raise ValueError(f"image {i}: {error}") from error

    def remove(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self.folder)

    def _pair(self, i: int, j: int) -> Path:
        return self.folder / f"pair_{i}_{j}.npz"

    def _sum(self, i: int) -> CanonicalSum:
        if i not in self._sums:
            self._sums[i] = self._load(i)
        self._sums.move_to_end(i)
        while len(self._sums) > KEPT:
            self._sums.popitem(last=False)
        return self._sums[i]

    def _load(self, i: int) -> CanonicalSum:
        total, path = CanonicalSum(*self.sizes[i]), self.folder / f"sum_{i}.npz"
        if path.is_file():
            with open_arrays(path) as parts:
                for name in CanonicalSum.FIELDS:
                    setattr(total, name, torch.from_numpy(parts[name]))
                total.partners = parts["partners"].tolist()
        return total

    def _save(self, i: int, total: CanonicalSum) -> None:
        with replacing_file(self.folder / f"sum_{i}.npz") as file:
            np.savez(file, partners=np.array(total.partners, np.int64),
                     **{name: getattr(total, name).numpy() for name in CanonicalSum.FIELDS})
