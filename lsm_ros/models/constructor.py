# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Reads the Python expression by which a checkpoint names its network. It is parsed; nothing in it runs."""
from __future__ import annotations

import ast
import math
from typing import Any

from lsm_ros.registry import NETWORKS

OFFICIAL = {"CroCoNet": "croco", "AsymmetricCroCo3DStereo": "dust3r", "AsymmetricMASt3R": "mast3r", "LSM_Dust3R": "lsm"}
_NAMES = {"inf": math.inf}
_LONGEST = 10000


class UnknownClassError(ValueError):
    """An expression of a class that is not known here. name: of the class; config: its keywords."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        super().__init__(f"the checkpoint is of {name!r}, none of {', '.join(class_names())}")
        self.name, self.config = name, config


def class_names() -> dict[str, str]:
    """Networks by the names of classes under which checkpoints know them: those of our classes, and those of official files."""
    return {**{entry.partition(":")[2]: name for name, entry in NETWORKS.items()}, **OFFICIAL}


def parse_constructor(text: str) -> tuple[str, dict[str, Any]]:
    """('dust3r', keywords) from "AsymmetricCroCo3DStereo(pos_embed='RoPE100', ...)".

    Values are literals, with `inf` and `-inf`, also in lists and dicts. ValueError for anything else: calls, attributes, other
    names, positional arguments; `UnknownClassError` for classes that are not known.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise ValueError(f"a constructor must be a string of at most {_LONGEST} characters, got {str(text)[:60]!r}")
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"the constructor {text[:80]!r} is no Python expression") from error
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        raise ValueError(f"the constructor {text[:80]!r} is not a class with keywords")
    known = class_names()
    config: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in config:
            raise ValueError(f"the constructor {text[:80]!r} has unnamed or repeated keywords")
        config[keyword.arg] = _value(keyword.value, keyword.arg)
    if call.func.id not in known:
        raise UnknownClassError(call.func.id, config)
    return known[call.func.id], config


def _value(node: ast.expr, name: str) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float, str, type(None))):
        return node.value
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return _NAMES[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand, name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return -value
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(_value(e, name) for e in node.elts)
    if isinstance(node, ast.Dict) and all(isinstance(k, ast.Constant) and isinstance(k.value, str) for k in node.keys):
        return {k.value: _value(v, name) for k, v in zip(node.keys, node.values, strict=True)}
    raise ValueError(f"the constructor's keyword {name!r} is refused: {ast.unparse(node)[:80]!r} is not a plain value")
