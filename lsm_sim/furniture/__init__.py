# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Furniture and objects by class name: each builder makes another thing from each state of its generator."""
from __future__ import annotations

import numpy as np

from lsm_sim.furniture import (
    bath,
    beds,
    building,
    decor,
    electronics,
    kitchen,
    lights,
    people,
    plants,
    seating,
    sinks,
    small,
    soft,
    storage,
    tables,
    worn,
)
from lsm_sim.furniture.parts import Builder
from lsm_sim.world import Thing

_MODULES = (seating, tables, beds, storage, kitchen, sinks, bath, lights, electronics, decor, plants, small, soft, worn, people,
            building)

FURNITURE: dict[str, Builder] = {}
"""Builder of each class; see `build`."""

KINDS: dict[str, dict[str, Builder]] = {}
"""Builders of single kinds of a class, for callers that need an office chair and not just any chair."""

for _module in _MODULES:
    FURNITURE.update(_module.BUILDERS)
    KINDS.update(getattr(_module, "KINDS", {}))


def build(name: str, rng: np.random.Generator, kind: str | None = None) -> Thing:
    """One thing of a class (a name of the label space), drawn from rng, of any kind or of one of KINDS[name].

    ValueError for a name without a builder or a kind that the class does not have.
    """
    if name not in FURNITURE:
        raise ValueError(f"no furniture of class {name!r}; there are: {', '.join(sorted(FURNITURE))}")
    if kind is None:
        return FURNITURE[name](rng)
    if kind not in KINDS.get(name, {}):
        raise ValueError(f"no kind {kind!r} of {name!r}; there are: {', '.join(KINDS.get(name, {})) or 'none'}")
    return KINDS[name][kind](rng)
