# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Knowledge of classes by their names, whatever ids they have: group, colour, whether they move, names that mean the same."""
from __future__ import annotations

import colorsys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from lsm_ros.reading import read_yaml_file
from lsm_ros.semantics.label_spaces import plain

VOCABULARY = Path(__file__).with_name("vocabulary.yaml")
VOID, GROUND = "void", "ground"
COUNTED = ("opening", "furniture", "appliance", "object", "person", "animal", "vehicle")
MOVING = ("person", "animal", "vehicle")
GROUPS = (VOID, GROUND, "structure", "nature", *COUNTED)


@dataclass(frozen=True)
class ClassAbout:
    """name: the one that all synonyms share. group: one of `GROUPS`. dynamic: it moves by itself. color: RGB, 0 to 255.
    cost: 0 (free to drive over or near) to 100 (keep out), for masks of costmaps."""

    name: str
    group: str
    dynamic: bool
    color: tuple[int, int, int]
    cost: int = 0

    @property
    def is_counted(self) -> bool:
        """True for things, of which there can be several, each an object of its own."""
        return self.group in COUNTED


class Classes:
    """Knowledge of classes. changes: by name, keys `group`, `dynamic`, `color`, `cost`, `synonyms`, over the vocabulary of
    the package; where: how errors call them. ValueError that names what is wrong."""

    def __init__(self, changes: Mapping[str, Any] | None = None, where: str = "classes") -> None:
        self._about, self._name_of = dict(_vocabulary()[0]), dict(_vocabulary()[1])
        for name, values in (changes or {}).items():
            self._change(str(name), values, where)

    def _change(self, name: str, values: Any, where: str) -> None:
        keys = ("group", "dynamic", "color", "cost", "synonyms")
        if not isinstance(values, Mapping) or set(values) - set(keys):
            raise ValueError(f"{where}: class {name!r} may have {', '.join(keys)}, got {str(values)[:80]}")
        known = self.about(name)
        group = str(values.get("group", known.group))
        if group not in GROUPS:
            raise ValueError(f"{where}: the group of {name!r} is {group!r}, which is none of {', '.join(GROUPS)}")
        color, cost = values.get("color", known.color), values.get("cost", known.cost)
        if not (isinstance(color, (list, tuple)) and len(color) == 3 and all(type(c) is int and 0 <= c <= 255 for c in color)):
            raise ValueError(f"{where}: the color of {name!r} must be three numbers from 0 to 255, got {color}")
        if type(cost) is not int or not 0 <= cost <= 100:
            raise ValueError(f"{where}: the cost of {name!r} must be a whole number from 0 to 100, got {cost!r}")
        dynamic = values.get("dynamic", known.dynamic if group == known.group else group in MOVING)
        if not isinstance(dynamic, bool):
            raise ValueError(f"{where}: dynamic of {name!r} must be true or false, got {dynamic!r}")
        own = plain(name)
        self._about[own] = replace(known, name=own, group=group, dynamic=dynamic, color=tuple(color), cost=cost)
        synonyms = values.get("synonyms", [])
        if not isinstance(synonyms, list):
            raise ValueError(f"{where}: synonyms of {name!r} must be a list of names, got {str(synonyms)[:80]}")
        self._name_of.update({plain(str(n)): own for n in (name, *synonyms)})

    def about(self, name: str) -> ClassAbout:
        """Knowledge of a class; one that nobody knows is an object."""
        common = self.common_name(name)
        return self._about.get(common) or ClassAbout(common, "object", False, color_of(common))

    def common_name(self, name: str) -> str:
        """The name that all synonyms share; of an unknown one, itself."""
        own = plain(name)
        for candidate in (own, own.removesuffix("s"), own.removesuffix("es")):
            if candidate in self._name_of:
                return self._name_of[candidate]
        return own


def color_of(name: str) -> tuple[int, int, int]:
    """A colour (R, G, B) that is the same for the same name everywhere."""
    number = zlib.crc32(plain(name).encode())
    parts = colorsys.hsv_to_rgb(number % 360 / 360, 0.45 + number // 360 % 4 * 0.15, 0.7 + number // 1440 % 3 * 0.15)
    r, g, b = (round(255 * c) for c in parts)
    return r, g, b


def read_classes(path: str) -> Classes:
    """Knowledge of classes, with the changes in a YAML file of `name: {group: ..., color: [...]}`; empty: none.
    FileNotFoundError, ValueError that names the file."""
    if not path:
        return Classes()
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"classes {path} does not exist")
    values = read_yaml_file(file, str(file)) or {}
    if not isinstance(values, dict):
        raise ValueError(f"{file}: expected `name: {{group: ...}}`, got {type(values).__name__}")
    return Classes(values, str(file))


@lru_cache(maxsize=1)
def _vocabulary() -> tuple[dict[str, ClassAbout], dict[str, str]]:
    about, name_of = {}, {}
    for group, classes in read_yaml_file(VOCABULARY).items():
        for name, synonyms in classes.items():
            about[name] = ClassAbout(name, group, group in MOVING, color_of(name), KEEP_OUT.get(name, 0))
            name_of.update({plain(n): name for n in (name, *synonyms)})
    return about, name_of


KEEP_OUT = {"stairs": 100, "escalator": 100, "water": 100}
"""Costs of classes that robots on wheels cannot drive on."""
