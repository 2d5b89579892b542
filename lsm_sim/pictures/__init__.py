# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The pictures that surfaces of simulated worlds wear: a library made by rule, the same in every process."""
from __future__ import annotations

import zlib
from functools import lru_cache

import cv2
import numpy as np

from lsm_sim.pictures import appliances, devices, fabrics, fronts, matter, prints, scenery, shelves, walls, woods
from lsm_sim.pictures.canvas import NEUTRAL_MEAN, SIZE, Maker, forget_fields

__all__ = ["NEUTRAL_MEAN", "SIZE", "PictureLibrary", "library"]

_REPEATED = (woods, fabrics, walls, matter)
_FITTED = (prints, scenery, shelves, fronts, appliances, devices)
_FITTED_FAMILIES = {name for group in _FITTED for name in group.MAKERS} | {"rug"}
_MAKERS: dict[str, tuple[Maker, int]] = {name: m for group in (*_REPEATED, *_FITTED) for name, m in group.MAKERS.items()}


class PictureLibrary:
    """All pictures, by family and variant.

    families: names in order. pictures: (N, SIZE, SIZE, 3) uint8, linear reflectance * 255; row 0 is the top of an
    upright face, columns run to the right as one looks at it; wood's grain runs along the columns' axis. Pictures of
    families that repeat go on without a seam on all sides. Neutral ones have a mean of NEUTRAL_MEAN, to be tinted.
    """

    def __init__(self, makers: dict[str, tuple[Maker, int]]) -> None:
        self.families = tuple(makers)
        self._count = {name: count for name, (_, count) in makers.items()}
        starts = np.cumsum([0, *self._count.values()])
        self._start = dict(zip(makers, starts[:-1].tolist(), strict=True))
        self.pictures = np.empty((int(starts[-1]), SIZE, SIZE, 3), np.uint8)
        for name, (make, count) in makers.items():
            for k in range(count):
                rng = np.random.default_rng([zlib.crc32(name.encode()), k])
                self.pictures[self._start[name] + k] = make(rng, k)
        self.pictures.setflags(write=False)
        forget_fields()
        self._mips: list[np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    def variants(self, family: str) -> int:
        """Number of pictures of a family; ValueError if there is no such family."""
        if family not in self._count:
            raise ValueError(f"no pictures of {family!r}; there are {', '.join(self.families)}")
        return self._count[family]

    def index(self, family: str, variant: int = 0) -> int:
        """Row of `pictures` of a variant, taken modulo the family's number; ValueError if there is no such family."""
        return self._start[family] + variant % self.variants(family) if family in self._count else self.variants(family)

    def fitted(self, family: str) -> bool:
        """True if one picture spans a face; otherwise it repeats. ValueError if there is no such family."""
        self.variants(family)
        return family in _FITTED_FAMILIES

    def mips(self) -> list[np.ndarray]:
        """The pictures (N, s, s, 3) uint8 at s = SIZE, SIZE / 2, ... 1; each texel the mean of four of the level before."""
        if self._mips is None:
            levels = [self.pictures]
            while levels[-1].shape[1] > 1:
                s = levels[-1].shape[1] // 2
                smaller = np.stack([cv2.resize(p, (s, s), interpolation=cv2.INTER_AREA) for p in levels[-1]])
                smaller.setflags(write=False)
                levels.append(smaller)
            self._mips = levels
        return list(self._mips)


@lru_cache(maxsize=1)
def library() -> PictureLibrary:
    """The library, made once in a process (about two seconds)."""
    return PictureLibrary(_MAKERS)
