# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Finds assertions that cannot fail: an expression compared with itself, a constant, a tuple, `or True`."""
from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent
FILES = sorted(ROOT.rglob("*.py"))


def same(a: ast.expr, b: ast.expr) -> bool:
    return ast.dump(a) == ast.dump(b)


def compares_with_itself(node: ast.Compare) -> bool:
    """One side is the other, or stands in the other where that is a literal dictionary. `is` may ask for a kept object."""
    sides = [node.left, *node.comparators]
    for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
        literals = [(left, right), (right, left)]
        if not isinstance(operator, ast.Is) and same(left, right):
            return True
        if any(isinstance(d, ast.Dict) and any(same(part, other) for v in d.values for part in ast.walk(v))
               for d, other in literals):
            return True
    return False


def idle(test: ast.expr) -> Iterator[str]:
    """Reasons why this condition of an assert cannot fail."""
    if isinstance(test, ast.Tuple | ast.JoinedStr) or (isinstance(test, ast.Constant) and test.value):
        yield "is always true"
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and compares_with_itself(node):
            yield "compares with itself"
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and any(
                isinstance(v, ast.Constant) and v.value for v in node.values):
            yield "has an `or` with a true constant"


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_every_assertion_can_fail(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = [f"line {node.lineno}: {ast.unparse(node.test)[:80]} {why}" for node in ast.walk(tree)
             if isinstance(node, ast.Assert) for why in idle(node.test)]
    assert found == []


@pytest.mark.parametrize("text", ["f(x) == f(x)", "a < b == b", "True", "(a, 'said')", "f'{a}'", "a or True", "a and 3 == 3",
                                  "by_name(bad) == {'x': False, 'y': by_name(bad)['y']}"])
def test_the_scan_finds_what_cannot_fail(text):
    assert list(idle(ast.parse(text, mode="eval").body))


@pytest.mark.parametrize("text", ["f(x) == f(y)", "a.read() is a.read()", "a or b", "x == {'y': z}", "not a"])
def test_the_scan_leaves_what_can_fail(text):
    assert not list(idle(ast.parse(text, mode="eval").body))
