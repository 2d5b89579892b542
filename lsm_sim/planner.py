# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Plans of a base in a world: curves on the free floor, made into drives, turns and waits."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsm_sim.bodies import Body
from lsm_sim.clearance import ClearanceMap
from lsm_sim.curves import Curve, repeated, smooth_way
from lsm_sim.driving import Drive, Limits, Segment, Turn, Wait, drives, ends, turn_to
from lsm_sim.routes import RouteGraph, corridor_mask, tour
from lsm_sim.world import World

SMALLEST_AREA = 0.25
"""Square metres of connected floor that the middle of the body must be able to reach."""

_SHORTEST = 0.15
_TIGHTEST = 8.0  # radians per metre
_SHARP = np.radians(70)
_COMFORT = 0.3
_SLACK = 0.012  # metres: the balls that stand for the body in checks, and the step of the map
_ROUNDINGS = ((0.16, 1.0), (0.1, 0.8), (0.06, 0.5), (0.03, 0.3))


class BlockedError(ValueError):
    """No way here with this clearance."""


class Planner:
    """Makes plans of one world for one body; margin: metres of clearance to keep besides its radius."""

    def __init__(self, world: World, clearance: ClearanceMap, body: Body, limits: Limits, margin: float) -> None:
        self.world, self.clearance, self.body, self.limits = world, clearance, body, limits
        self.radius = body.radius + margin
        self.free = clearance.reachable(self.radius)
        self.area = float(self.free.sum()) * clearance.resolution**2
        if self.area < SMALLEST_AREA:
            low, high = world.bounds
            raise BlockedError(f"world {world.seed} ({world.kind!r}), {high[0] - low[0]:.1f} x {high[1] - low[1]:.1f} m, is "
                               f"too small for a path: a body of {body.radius} m radius that keeps {margin:.2f} m off can "
                               f"reach {self.area:.2f} m^2 of its floor, at least {SMALLEST_AREA} m^2 are needed")
        self.graph = RouteGraph(clearance, self.free)

    def curve(self, way: np.ndarray, closed: bool = False) -> Curve:
        """A smooth curve along a way (M, 2) that keeps clear; BlockedError if none does."""
        least, bend = np.inf, 0.0
        for sigma, comfort in _ROUNDINGS:
            curve = smooth_way(way, self.clearance, self.radius + comfort * _COMFORT, closed, sigma)
            s = np.linspace(0, curve.length, max(8, int(curve.length / 0.01)))
            least, bend = float(self.clearance.at(curve.at(s)).min()), float(np.abs(curve.curvature(s)).max())
            if least >= self.body.radius + _SLACK and bend < _TIGHTEST:
                return curve
        raise BlockedError(f"a curve comes within {least:.3f} m of an obstacle where {self.body.radius + _SLACK:.3f} m are "
                           f"needed, or bends by {bend:.1f} rad/m where at most {_TIGHTEST} are driven")

    def _curves(self, ways: Sequence[np.ndarray]) -> list[Curve]:
        """One curve along ways that follow each other, or where none goes through, a curve along each."""
        if len(ways) > 1:
            try:
                return [self.curve(np.concatenate([ways[0], *(w[1:] for w in ways[1:])]))]
            except BlockedError:
                half = len(ways) // 2
                return [*self._curves(ways[:half]), *self._curves(ways[half:])]
        return [self.curve(ways[0])]

    def between(self, start: np.ndarray, goal: np.ndarray) -> list[Curve]:
        """Curves (none or one) from one point (2,) of the free floor to another."""
        if np.hypot(*(goal - start)) < 1e-6:
            return []
        _, before = self.graph.from_cells(np.array(self.graph.nearest(start)))
        way = self.graph.way(before, self.graph.nearest(goal))
        return [self.curve(np.concatenate([start[None], way[1:-1], goal[None]]))]

    def tour(self, length_m: float, rng: np.random.Generator, full_turns: bool = False) -> list[Segment]:
        """From place to place and back for a length, with a turn on the spot where the way bends sharply.

        full_turns: turns once round at each place.
        """
        ways = [w for w in tour(self.graph, length_m, rng) if _length(w) > _SHORTEST]
        if not ways:
            raise BlockedError(f"the free floor of {self.area:.2f} m^2 has no two places to go between")
        groups = [[w] for w in ways] if full_turns else _joined(ways)
        plan = drives([c for group in groups for c in self._curves(group)], self.limits)
        plan = shorten(plan, length_m)
        return self._with_turns(plan, rng) if full_turns else plan

    def shuttle(self, length_m: float, rng: np.random.Generator) -> list[Segment]:
        """To and fro along one way, the longest there is or half of the length."""
        cells, costs, before = self.graph.places(4, rng)
        source, goal = np.unravel_index(int(np.argmax(costs[:, cells])), (len(cells), len(cells)))
        curve = self.curve(self.graph.way(before[source], int(cells[goal])))
        if curve.length > length_m / 2:
            curve = curve.part(0, max(length_m / 2, _SHORTEST))
        back = curve.back()
        times = int(np.ceil(length_m / curve.length - 1e-6))
        return shorten(drives([(curve, back)[k % 2] for k in range(times)], self.limits), length_m)

    def ring(self) -> Curve:
        """A closed curve round the ring of corridors, or round the largest block if there are none; ValueError if none."""
        floor = self.free & corridor_mask(self.world, self.clearance)
        way = RouteGraph(self.clearance, floor).ring() if floor.any() else None
        if way is None:
            way = self.graph.ring()
        if way is None:
            raise BlockedError(f"world {self.world.seed} ({self.world.kind!r}) has no ring to go round: no block stands free "
                               f"in its {self.area:.1f} m^2 of floor")
        return self.curve(way, closed=True)

    def rounds(self, count: int, rng: np.random.Generator, both_ways: bool = False) -> list[Segment]:
        """Whole rounds of the ring, starting somewhere on it; it ends with the pose that it started with.

        both_ways: the last count // 2 of them against the direction of the first, after a turn on the spot.
        """
        ring = self.ring()
        points = ring.sampled()[:-1]
        points = np.roll(points, -int(rng.integers(len(points))), axis=0)
        if rng.random() < 0.5:
            points = points[::-1]
        against = count // 2 if both_ways else 0
        there = repeated(Curve(np.concatenate([points, points[:1]])), count - against)
        if not against:
            return [Drive(there, self.limits)]
        back = np.roll(points[::-1], 1, axis=0)  # from the same point
        return drives([there, repeated(Curve(np.concatenate([back, back[:1]])), against)], self.limits)

    def _with_turns(self, plan: Sequence[Segment], rng: np.random.Generator) -> list[Segment]:
        out: list[Segment] = []
        for segment in plan:
            if isinstance(segment, Drive):
                pose = ends(segment)[0]
                out += [Turn.within(pose[:2], pose[2], float(rng.choice((-1, 1))) * 2 * np.pi, self.limits), segment]
            else:
                out.append(segment)
        return out

    def detour(self, pose: np.ndarray, spot: np.ndarray, stay: Sequence[Segment]) -> tuple[list[Segment], list[Segment]]:
        """From a pose (3,) to a spot (3,), what is done there, and back to the pose: the way there, and the rest."""
        there = self.between(pose[:2], spot[:2])
        out = drives(there, self.limits, pose)
        out += turn_to(ends(out[-1])[1] if out else pose, spot[2], self.limits)
        after = ends(stay[-1])[1]
        back = drives([c.back() for c in there], self.limits, after)
        rest = [*stay, *back]
        return out, rest + turn_to(ends(rest[-1])[1], pose[2], self.limits)


def shorten(plan: Sequence[Segment], length_m: float) -> list[Segment]:
    """The segments up to a length driven, the last drive cut; all of them if they are shorter."""
    out, left = [], length_m
    for segment in plan:
        if isinstance(segment, Drive):
            if left < _SHORTEST and out:
                break
            if segment.curve.length > left:
                return [*out, Drive(segment.curve.part(0, max(left, _SHORTEST)), segment.limits)]
            left -= segment.curve.length
        out.append(segment)
    while len(out) > 1 and isinstance(out[-1], Turn):
        out.pop()
    return out


def rest(pose: np.ndarray, seconds: float) -> list[Segment]:
    """A wait at a pose (3,), none if it would not last."""
    return [Wait(pose[:2].copy(), float(pose[2]), float(seconds))] if seconds > 0 else []


def _joined(ways: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    """Groups of ways of which each goes on about as the one before it ends, so that no stop is needed between."""
    out = [[ways[0]]]
    for way in ways[1:]:
        a, b = out[-1][-1][-1] - _back(out[-1][-1][::-1]), _back(way) - way[0]
        angle = abs((np.arctan2(b[1], b[0]) - np.arctan2(a[1], a[0]) + np.pi) % (2 * np.pi) - np.pi)
        if angle < _SHARP:
            out[-1].append(way)
        else:
            out.append([way])
    return out


def _back(way: np.ndarray) -> np.ndarray:
    """The point of a way about 0.4 m from its start."""
    far = np.linalg.norm(way - way[0], axis=1) > 0.4
    return way[int(np.argmax(far))] if far.any() else way[-1]


def _length(way: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())
