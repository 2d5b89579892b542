# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The commands of `lsm`, one file each: `add_arguments(parser)` and `run(args) -> exit status`; the first line of the
module's docstring is its help."""
from __future__ import annotations

from types import ModuleType

from lsm_ros.commands import doctor, evaluate, export, map, params, query, record, replay, sim, train, weights

COMMANDS: dict[str, ModuleType] = {"map": map, "eval": evaluate, "record": record, "replay": replay, "query": query, "sim": sim,
                                   "train": train, "params": params, "weights": weights, "export": export, "doctor": doctor}
