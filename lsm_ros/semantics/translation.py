# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Labels of one label space as those of another, by names and synonyms, or as a file of groups says."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsm_ros.reading import read_yaml_file, reading
from lsm_ros.semantics.classes import Classes
from lsm_ros.semantics.label_spaces import find_label_space, plain, space_of
from lsm_ros.types import LabelSpace


@dataclass(frozen=True)
class Translation:
    """space: of the new labels. ids: new label id by old one; those that are not in it have no counterpart."""

    space: LabelSpace
    ids: dict[int, int]


def translation(source: LabelSpace, target: str, classes: Classes) -> Translation:
    """From a label space to another: a name in config/label_spaces, a YAML file of names, or one of groups (`groups: [{name,
    labels}]` and `offset`, as semantic_inference has them), whose numbers are the new ids. Several names may become one.
    FileNotFoundError, ValueError for files that are none, and where no name has a counterpart."""
    groups = _groups(Path(target).expanduser())
    if groups is not None:
        return Translation(groups.space, {i: g for i, g in groups.ids.items() if i in source.names})
    space = find_label_space(target)
    new: dict[str, int] = {}
    for i, name in sorted(space.names.items()):  # of several with one meaning, the one that has its name
        common = classes.common_name(name)
        if common not in new or common == name:
            new[common] = i
    exact = {plain(name): i for i, name in space.names.items()}
    ids = {i: exact.get(plain(name), new.get(classes.common_name(name), -1)) for i, name in source.names.items()}
    ids = {i: j for i, j in ids.items() if j >= 0}
    if not ids:
        raise ValueError(f"none of the names {', '.join(list(source.names.values())[:5])}, ... has a counterpart in {target}")
    return Translation(space, ids)


def _groups(path: Path) -> Translation | None:
    """A file of groups; None for any other file."""
    values: Any = read_yaml_file(path) if path.suffix in (".yaml", ".yml") and path.is_file() else None
    if not isinstance(values, Mapping) or "groups" not in values:
        return None
    ids: dict[int, int] = {}
    with reading(path):
        offset = int(values.get("offset", 0))
        for number, group in enumerate(values["groups"]):
            for label in group["labels"]:
                if ids.setdefault(int(label) + offset, number) != number:
                    raise ValueError(f"label {label} is in two groups, the second of which is {group['name']!r}")
        return Translation(space_of([(n, str(g["name"])) for n, g in enumerate(values["groups"])]), ids)
