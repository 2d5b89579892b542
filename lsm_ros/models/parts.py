# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Parts of a network that checkpoints may leave out, or that may come from files of their own."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Part:
    """A part of a network. prefix: of its keys in the network; in_file: prefix of the same keys in a file of its own, where
    that has one; default: name of the checkpoint that is taken when there is no other, or empty."""

    prefix: str
    in_file: str = ""
    default: str = ""


def with_parts(path: Path, known: Mapping[str, Part], state: State, given: Mapping[str, str | Path],
               read: Callable[[str], State]) -> State:
    """`state` of the checkpoint `path` with each part: that which is `given` by name, or its own, or the default.

    read: gives the state dict of a path or name. ValueError for a part that does not exist or that nothing gives;
    FileNotFoundError, which says how to give it, when the default is not on this machine.
    """
    for name in given:
        if name not in known:
            raise ValueError(f"{path}: part {name!r} does not exist" + (f"; there are: {', '.join(known)}" if known else ""))
    for name, part in known.items():
        source = given.get(name, "" if any(k.startswith(part.prefix) for k in state) else part.default)
        if not source:
            if not any(k.startswith(part.prefix) for k in state):
                raise ValueError(f"{path} comes without its {name} part; give it: parts={{{name!r}: CHECKPOINT}}")
            continue
        try:
            other = read(str(source))
        except FileNotFoundError as error:
            if name in given:
                raise
            raise FileNotFoundError(f"{path} comes without its {name} part; give it: parts={{{name!r}: CHECKPOINT}}, "
                                    f"or: {error}") from error
        if part.in_file and any(k.startswith(part.in_file) for k in other):
            other = {k.removeprefix(part.in_file): v for k, v in other.items() if k.startswith(part.in_file)}
        state = {k: v for k, v in state.items() if not k.startswith(part.prefix)} | {
            part.prefix + k: v for k, v in other.items()}
    return state
