# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Label spaces from files, and checks of names."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lsm_ros.datasets.base import read_label_space
from lsm_ros.types import UNLABELLED, LabelSpace

LONGEST_NAME = 200
MOST_NAMES = 4096


def find_label_space(name: str) -> LabelSpace:
    """The label space of a YAML file, or of that name in config/label_spaces. FileNotFoundError when it does not exist."""
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return check_space(read_label_space(path), str(path))
    folders = _folders()
    found = next((f / f"{name}.yaml" for f in folders if (f / f"{name}.yaml").is_file()), None)
    if found is None:
        known = sorted({p.stem for f in folders for p in f.glob("*.yaml")})
        raise FileNotFoundError(f"label space {name!r} is neither a YAML file nor one of {', '.join(known) or 'none'}")
    return check_space(read_label_space(found), str(found))


def _folders() -> list[Path]:
    """config/label_spaces of the source tree and of where the package is installed."""
    package = Path(__file__).resolve().parents[1]
    places = [package.parent, *(p / "share" / "lsm_ros" for p in package.parents)]
    return [p / "config" / "label_spaces" for p in places if (p / "config" / "label_spaces").is_dir()]


def space_of(pairs: Sequence[tuple[int, str]]) -> LabelSpace:
    """A label space of (id, name) pairs. ValueError for an id or a name that comes twice, and as `check_space` says."""
    names: dict[int, str] = {}
    for i, name in pairs:
        if i in names:
            raise ValueError(f"label id {i} comes twice: {_shown(names[i])} and {_shown(name)}")
        names[i] = name
    return check_space(LabelSpace(names), "label names")


def check_space(space: LabelSpace, where: str) -> LabelSpace:
    """The space itself, if features can be decoded into it. ValueError naming a name that is empty, too long, or twice."""
    if not space.names:
        raise ValueError(f"{where}: there are no names")
    if len(space.names) > MOST_NAMES:
        raise ValueError(f"{where}: {len(space.names)} names are more than {MOST_NAMES}")
    seen: dict[str, int] = {}
    for i, name in sorted(space.names.items()):
        if not 0 <= i < UNLABELLED:
            raise ValueError(f"{where}: label id {i} is outside 0..{UNLABELLED - 1}")
        key = plain(name)
        if not key:
            raise ValueError(f"{where}: the name of label id {i} is empty")
        if len(name) > LONGEST_NAME:
            raise ValueError(f"{where}: the name of label id {i} has {len(name)} characters, more than {LONGEST_NAME}: "
                             f"{_shown(name)}")
        if key in seen:
            raise ValueError(f"{where}: name {_shown(name)} comes twice, for label ids {seen[key]} and {i}")
        seen[key] = i
    return space


def plain(name: str) -> str:
    """A name as it is compared: lower case, underscores as spaces, single spaces."""
    return " ".join(name.replace("_", " ").lower().split())


def _shown(name: str) -> str:
    return repr(name if len(name) <= 40 else f"{name[:40]}...")
