# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Functions on a GPU recorded once for each shape and played again: no time is lost between their many small kernels."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

Key = tuple[Any, ...]
_WARM_UPS = 3


class GraphedFunction:
    """`function(*tensors)` as a CUDA graph for each set of shapes, at most `limit` of them; the oldest makes room.

    The function gives a tuple or nested dicts of tensors, is without side effects, and asks nothing of the CPU. Results are
    copies, which later calls leave alone. On other devices, or with record=False, it is simply called. extra: what else the
    result depends on.
    """

    def __init__(self, function: Callable[..., Any], limit: int = 6, record: bool = True) -> None:
        self.function, self.limit, self.record = function, limit, record
        self._recorded: OrderedDict[Key, tuple[torch.cuda.CUDAGraph, tuple[torch.Tensor, ...], Any]] = OrderedDict()

    def __call__(self, *tensors: torch.Tensor, extra: Key = ()) -> Any:
        """The function's result for tensors on one device."""
        if not tensors[0].is_cuda or not self.record:
            return self.function(*tensors, *extra)
        key = (*(t.shape for t in tensors), *extra)
        if key not in self._recorded:
            if len(self._recorded) >= self.limit:
                self._recorded.popitem(last=False)
            self._recorded[key] = self._record(tensors, extra)
        self._recorded.move_to_end(key)
        graph, inputs, output = self._recorded[key]
        for static, tensor in zip(inputs, tensors, strict=True):
            static.copy_(tensor)
        graph.replay()
        return _copied(output)

    def _record(self, tensors: tuple[torch.Tensor, ...], extra: Key) -> tuple[torch.cuda.CUDAGraph, Any, Any]:
        inputs = tuple(t.clone() for t in tensors)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries choose their kernels and workspaces before anything is recorded
            for _ in range(_WARM_UPS):
                self.function(*inputs, *extra)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = self.function(*inputs, *extra)
        return graph, inputs, output


def _copied(output: Any) -> Any:
    if isinstance(output, torch.Tensor):
        return output.clone()
    if isinstance(output, dict):
        return {k: _copied(v) for k, v in output.items()}
    return tuple(_copied(o) for o in output)
