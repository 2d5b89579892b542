# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Worlds built ahead in other processes, so that a GPU does not wait for them; and whole batches, for a CPU with two cores."""
from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from lsm_sim.generator import build_world
from lsm_sim.renderer import Renderer
from lsm_sim.sampler import PairBatch, PairSampler
from lsm_sim.viewpoints import Viewpoints
from lsm_sim.world import World


class AheadSampler(PairSampler):
    """A `PairSampler` with the same batches, whose next worlds are built in `builders` processes meanwhile."""

    def __init__(self, builders: int, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if builders < 1:
            raise ValueError(f"builders must be at least 1, got {builders}")
        # forked processes would share the state of CUDA and of threads
        self._pool = ProcessPoolExecutor(builders, multiprocessing.get_context("spawn"), _quiet)
        self._coming: dict[int, list[Future[tuple[World, Viewpoints]]]] = {}

    def close(self) -> None:
        """Forgets the worlds and ends the processes; no batch is available afterwards."""
        super().close()
        self._coming.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _ready(self, group: int) -> tuple[Renderer, list[Viewpoints], list[World]]:
        if self._group[0] != group:
            try:
                found = [f.result() for f in self._coming.pop(group, None) or self._order(group)]
                self._coming = {group + 1: self._coming.get(group + 1) or self._order(group + 1)}
            except BrokenProcessPool as error:
                raise _ended() from error
            worlds = [w for w, _ in found]
            self._group = (group, Renderer(worlds, self.device), [v for _, v in found], worlds)
        _, renderer, viewpoints, worlds = self._group
        assert renderer is not None
        return renderer, viewpoints, worlds

    def _order(self, group: int) -> list[Future[tuple[World, Viewpoints]]]:
        numbers = range(group * self._worlds, (group + 1) * self._worlds)
        return [self._pool.submit(_build, self.seeds[k % len(self.seeds)], self.kinds[k % len(self.kinds)]) for k in numbers]


class AheadBatches:
    """The batches of a `PairSampler` on the CPU, rendered by another process while this one trains."""

    def __init__(self, *args: Any, ahead: int = 32, **options: Any) -> None:
        """ahead: batches that wait; the rest are the sampler's own arguments."""
        PairSampler(*args, **options)  # raises at once when an argument is wrong
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _own_sampler, (args, options))
        self._ahead = ahead
        self._coming: dict[int, Future[dict[str, np.ndarray]]] = {}

    def sample(self, n: int) -> PairBatch:
        """Batch number n >= 0. ChildProcessError when the process was ended from outside."""
        if n not in self._coming:
            self._coming.clear()
        try:
            for k in range(n, n + 1 + self._ahead):
                if k not in self._coming:
                    self._coming[k] = self._pool.submit(_render, k)
            arrays = self._coming.pop(n).result()
        except BrokenProcessPool as error:
            raise _ended() from error
        return PairBatch(**{k: torch.from_numpy(a) for k, a in arrays.items()})

    def close(self) -> None:
        """Ends the process; no batch is available afterwards."""
        self._coming.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)


_sampler: PairSampler | None = None  # of a process that renders


def _own_sampler(args: tuple[Any, ...], options: dict[str, Any]) -> None:
    global _sampler
    _quiet()
    torch.set_num_threads(1)
    _sampler = PairSampler(*args, **options)


def _render(n: int) -> dict[str, np.ndarray]:
    assert _sampler is not None
    batch = _sampler.sample(n)
    return {f.name: getattr(batch, f.name).numpy() for f in fields(batch)}


def _build(seed: int, kind: str) -> tuple[World, Viewpoints]:
    world = build_world(seed, kind)
    return world, Viewpoints(world)


def _quiet() -> None:
    """Ctrl-C and SIGTERM, which often go to all processes of a group, are for the training itself: it ends its builders, and
    they end when it is gone. Each of them computes on one core."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _ended() -> ChildProcessError:
    return ChildProcessError("a process that builds worlds or renders batches ahead was ended, perhaps for lack of memory; "
                             "data.builders: 0 does without them, --resume goes on from the last saved state")
