# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Ways over the free floor of a world: between places spread over it, and round a ring of corridors."""
from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from lsm_sim.clearance import ClearanceMap
from lsm_sim.world import World

_COMFORT = 0.6  # metres of clearance from which on a way costs no more than its length
_SHY = 2.5
_MANY_CELLS = 12_000
_AREA_OF_PLACE = 1.2  # square metres
_DETOURS = 1.2  # how much longer ways over a grid can be than the curves that are made of them
_STEPS = ((1, 0), (0, 1), (1, 1), (1, -1))


class RouteGraph:
    """The cells (n, 2) of free floor, and what it costs to go from one to its neighbours, more near obstacles."""

    def __init__(self, clearance: ClearanceMap, free: np.ndarray) -> None:
        stride = 2 if free.sum() > _MANY_CELLS else 1
        if stride == 2:
            coarse, _ = ndimage.label(free[::2, ::2], np.ones((3, 3)))
            sizes = np.bincount(coarse.ravel())[1:]
            # A coarse grid must not cut a narrow way through.
            stride = 2 if len(sizes) and sizes.max() > 0.97 * free[::2, ::2].sum() else 1
        self.map, self.stride = clearance, stride
        self.free = free[::stride, ::stride]
        parts, _ = ndimage.label(self.free, np.ones((3, 3)))
        self.free = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
        self.cells = np.argwhere(self.free)
        self.points = clearance.point(self.cells * stride)
        self.clearance = clearance.clearance[::stride, ::stride][self.free].astype(float)
        self.index = np.full(self.free.shape, -1)
        self.index[self.free] = np.arange(len(self.cells))
        self.matrix = self._edges()

    def _edges(self, blocked: np.ndarray | None = None) -> csr_matrix:
        """Symmetric costs; `blocked` (n,) bool pairs with cut rows: no edge joins a blocked cell to one that is lower."""
        rows, columns, costs = [], [], []
        shy = 1 + _SHY * np.clip((_COMFORT - self.clearance) / _COMFORT, 0, 1) ** 2
        step = self.map.resolution * self.stride
        padded = np.pad(self.index, 1, constant_values=-1)
        for dx, dy in _STEPS:
            other = padded[1 + dx:1 + dx + self.index.shape[0], 1 + dy:1 + dy + self.index.shape[1]]
            joined = (self.index >= 0) & (other >= 0)
            a, b = self.index[joined], other[joined]
            if blocked is not None and dy != 0:
                upper, lower = (b, a) if dy > 0 else (a, b)
                keep = ~(blocked[upper] & ~blocked[lower] & (self.cells[lower][:, 1] < self.cells[upper][:, 1]))
                a, b = a[keep], b[keep]
            rows.append(a)
            columns.append(b)
            costs.append(step * np.hypot(dx, dy) * 0.5 * (shy[a] + shy[b]))
        n = len(self.cells)
        half = csr_matrix((np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n))
        return half + half.T

    def nearest(self, point: np.ndarray) -> int:
        """Index of the cell that is nearest to a point (2,) in the world."""
        return int(np.argmin(((self.points - point) ** 2).sum(1)))

    def from_cells(self, sources: np.ndarray, matrix: csr_matrix | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Costs (S, n) from each source to all cells, and the cell before each on its way (S, n)."""
        return dijkstra(self.matrix if matrix is None else matrix, indices=sources, return_predecessors=True)

    def places(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`count` cells spread over the floor, with costs (count, n) and predecessors (count, n) from each.

        Each is the farthest, on foot, from those before, where there is room; the first is drawn.
        """
        roomy = self.clearance >= np.quantile(self.clearance, 0.4)
        chosen, costs, before = [int(rng.choice(np.flatnonzero(roomy)))], [], []
        for _ in range(count):
            cost, previous = self.from_cells(np.array(chosen[-1]))
            costs.append(cost)
            before.append(previous)
            far = np.min(costs, axis=0)
            far[~roomy] = 0
            chosen.append(int(np.argmax(far * (1 + 0.15 * rng.random(len(far))))))
        return np.array(chosen[:count]), np.array(costs), np.array(before)

    def way(self, before: np.ndarray, goal: int) -> np.ndarray:
        """Points (M, 2) from the source of `before` (n,) to a cell."""
        track = [goal]
        while before[track[-1]] >= 0:
            track.append(int(before[track[-1]]))
        return self.points[track[::-1]]

    def ring(self, free: np.ndarray | None = None) -> np.ndarray | None:
        """Points (M, 2) of a closed way round the largest block in the floor, counter-clockwise; None if there is none.

        The cut is a line to the right of the block's middle; the way is the cheapest from above it to below it that does
        not cross it, over all cells that lie on it.
        """
        block = self._block()
        if block is None:
            return None
        i0, j0 = block
        on_cut = (self.cells[:, 1] == j0) & (self.cells[:, 0] > i0)
        matrix = self._edges(on_cut)
        starts = np.flatnonzero(on_cut)
        starts = starts[np.argsort(-self.clearance[starts], kind="stable")]
        best, answer = np.inf, None
        for start in starts[:3]:
            below = [self.index[self.cells[start][0] + d, j0 - 1] for d in (-1, 0, 1)
                     if 0 <= self.cells[start][0] + d < self.index.shape[0]]
            cost, before = self.from_cells(np.array(start), matrix)
            for goal in (g for g in below if g >= 0):
                if cost[goal] < best:
                    best, answer = cost[goal], self.way(before, goal)
        return answer

    def _block(self) -> tuple[int, int] | None:
        """The rightmost cell, in its middle row, of the largest hole in the floor: a line to its right cuts the ring."""
        holes, count = ndimage.label(~np.pad(self.free, 1))
        outside = holes[0, 0]
        sizes = np.bincount(holes.ravel(), minlength=count + 1)
        sizes[[0, outside]] = 0
        if count < 2 or sizes.max() == 0:
            return None
        cells = np.argwhere(holes == np.argmax(sizes)) - 1
        row = int(np.median(cells[:, 1]))
        return int(cells[cells[:, 1] == row, 0].max()), row


def number_of_places(graph: RouteGraph) -> int:
    """Number of places to spread so that much of the world is seen from them."""
    area = len(graph.cells) * (graph.map.resolution * graph.stride) ** 2
    return int(np.clip(area / _AREA_OF_PLACE, 3, 20))


def corridor_mask(world: World, clearance: ClearanceMap) -> np.ndarray:
    """Cells (nx, ny) of corridors; of all floor where the world has none."""
    kinds = np.array([z.kind == "corridor" for z in world.zones] + [False])
    return kinds[clearance.zone] if kinds.any() else np.ones(clearance.zone.shape, bool)


def tour(graph: RouteGraph, length_m: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Ways (M, 2) from place to place, so long that curves along them are at least `length_m` long.

    The next place is drawn among those not yet seen, near ones rather than far; when all are seen, it starts again. The
    start is visited again before the length is used up, so that each tour comes back to what it saw first.
    """
    cells, costs, before = graph.places(number_of_places(graph), rng)
    between = costs[:, cells]
    count = len(cells)
    here, seen, ways, done = 0, np.zeros(count, bool), [], 0.0
    seen[0] = True
    home_at = max(length_m, 1.0)
    while done < _DETOURS * length_m:
        fits = ~seen & (done + between[here] + between[:, 0] <= home_at)
        if not fits.any():
            goal = 0 if here != 0 else int(rng.integers(1, count))
            home_at = np.inf if goal == 0 else home_at
            seen[:] = False
            seen[[0, here]] = True
        else:
            weight = np.where(fits, np.exp(-between[here] / (0.4 * between[here][fits].max() + 0.5)), 0)
            goal = int(rng.choice(count, p=weight / weight.sum()))
        seen[goal] = True
        way = graph.way(before[here], int(cells[goal]))
        ways.append(way)
        done += float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())
        here = goal
    return ways
