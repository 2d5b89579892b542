# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Run of `lsm objects`: the objects of a saved map, read and changed in its folder."""
from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lsm_ros.files import alone_in
from lsm_ros.mapping import store
from lsm_ros.mapping.objects import FILE, read_objects
from lsm_ros.semantics.objects import Box, MapObject, ObjectKeeper


def listed(folder: Path) -> list[MapObject]:
    """The objects of a result of `lsm map`, or of a saved map. FileNotFoundError for a folder without a map; ValueError for one
    that was saved without objects, or is damaged."""
    return keeper_of(folder).shown()


def change(folder: Path, args: argparse.Namespace) -> list[MapObject]:
    """Makes the changes that the arguments ask for, all or none; returns the objects. Errors as of `listed`; ValueError for
    what cannot be done; TimeoutError while somebody else changes them."""
    with changing_objects(folder) as keeper:
        _change(keeper, args)
    return keeper.shown()


def _change(keeper: ObjectKeeper, args: argparse.Namespace) -> None:
    for number, name in args.rename:
        keeper.rename(_whole(number), name)
    for number in args.lock:
        keeper.lock(number)
    for number in args.unlock:
        keeper.lock(number, False)
    for number in args.delete:
        keeper.delete(number)
    for label, *numbers in args.add:
        try:
            values = [float(n) for n in numbers]
        except ValueError as error:
            raise ValueError(f"--add {label}: {error}") from error
        keeper.add(label, Box(np.array(values[:3]), np.array(values[3:]), 0.0))


@contextmanager
def changing_objects(folder: Path) -> Iterator[ObjectKeeper]:
    """All that is kept of the objects of a map, which is written back when the block ends well. One at a time: others wait
    before they read. Errors as of `listed`; OSError."""
    with alone_in(saved_in(folder)):
        keeper = keeper_of(folder)
        yield keeper
        store.rewrite_file(saved_in(folder), FILE, json.dumps(keeper.to_dict(), indent=1))


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no number of an object") from error


def keeper_of(folder: Path) -> ObjectKeeper:
    """All that is kept of the objects of a map. Errors as of `listed`."""
    saved = saved_in(folder)
    store.read_meta(saved)  # a map that is damaged is refused
    return keeper_in(saved)


def keeper_in(saved: Path) -> ObjectKeeper:
    """The same of a saved map that is known to be whole."""
    if not (saved / FILE).is_file():
        raise ValueError(f"the map in {saved} was saved without objects, by an older version; map anew")
    return read_objects(saved)


def saved_in(folder: Path) -> Path:
    """The saved map in a folder, or the folder itself. FileNotFoundError for one that is none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder of a map")
    return store.saved_map(folder)


def as_json(objects: list[MapObject]) -> str:
    """All that is known of the objects."""
    return json.dumps({"objects": [o.to_dict() for o in objects]}, indent=1)


def as_table(objects: list[MapObject]) -> str:
    """The objects for people."""
    if not objects:
        return "the map has no objects"
    width = max(len(o.shown_name) for o in objects)
    lines = [f"{'id':>4}  {'name':<{max(width, 4)}}  there  {'centre x y z [m]':<21}  size [m]"]
    for o in objects:
        centre, size = (" ".join(f"{v:.2f}" for v in x) for x in (o.box.centre, o.box.size))
        notes = [n for n, on in (("locked", o.locked), ("added", o.origin == "person"), ("stale", o.stale)) if on]
        lines.append(f"{o.id:>4}  {o.shown_name:<{max(width, 4)}}  {o.existence:>5.2f}  {centre:<21}  {size}"
                     + (f"  ({', '.join(notes)})" if notes else ""))
    return "\n".join(lines)
