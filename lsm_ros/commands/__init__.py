# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The commands of `lsm`, one file each: `add_arguments(parser)` and `run(args) -> exit status`; the first line of the
module's docstring is its help.

The work of four of them is in a file of its own, which is imported when the command runs, so that `lsm --help` is quick:
`map` (arguments) and `mapping_run` (source through pipeline to files), `eval` in `evaluate` and `evaluation_run` (files through
measures to a table), `query` and `querying` (a sentence to places in a map), `objects` and
`objects_run` (objects of a map), `regions` and `regions_run` (its rooms), `render` and `rendering` (Gaussians to a
picture). `serve` has `serve_run` (transports), `serve_protocol` (messages), `serve_tools` (answers) and `serve_map` (the map
in memory). `sfm` has `sfm_run` (photographs to models) and `sfm_output` (models to files).
`options` reads what several commands share.
"""
from __future__ import annotations

from types import ModuleType

from lsm_ros.commands import (
    doctor,
    evaluate,
    export,
    join,
    map,
    objects,
    params,
    query,
    record,
    regions,
    render,
    replay,
    serve,
    sfm,
    sim,
    train,
    weights,
)

COMMANDS: dict[str, ModuleType] = {"map": map, "sfm": sfm, "join": join, "eval": evaluate, "record": record, "replay": replay,
                                   "query": query, "objects": objects, "regions": regions, "serve": serve, "render": render,
                                   "sim": sim, "train": train, "params": params, "weights": weights, "export": export,
                                   "doctor": doctor}
