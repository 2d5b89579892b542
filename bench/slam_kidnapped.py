# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Scenarios `wrong` and `lookalike` of bench/slam.py: robots that are carried off, in ordinary rooms and in copies of rooms."""
from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
from slam_drives import Drive, Recorded, followed, percentiles, play, recorded
from slam_judging import (
    IN_TIME_S,
    Kidnapping,
    Views,
    judge,
    kidnappings,
    longest_stretch_s,
    seconds_after_contradiction,
    sessions,
)
from slam_options import Table, config_of, modes, one_of

KIDNAPPINGS = "kidnap@10+2,kidnap@20+2,kidnap@32+2"
QUICK_KIDNAPPINGS = "kidnap@6+2"
SEEDS = {"rooms": (21, 22, 23), "lookalike": (1, 2, 30021)}
SECONDS = {"rooms": 45.0, "lookalike": 70.0}


def wrong(args: argparse.Namespace) -> dict[str, Any]:
    """Worlds of rooms with kidnappings: poses that are wrong while the state says tracking, and what it takes to come back."""
    return _kidnapped(args, "rooms")


def lookalike(args: argparse.Namespace) -> dict[str, Any]:
    """The same where rooms are copies: what counts is what is still wrong after the first view that contradicts."""
    return _kidnapped(args, "lookalike")


def drives(args: argparse.Namespace, world: str) -> list[Drive]:
    """The drives that the arguments ask for, by default three worlds with three kidnappings each."""
    seeds = one_of(args.seeds, SEEDS[world][:1] if args.quick else SEEDS[world])
    return [Drive(world, seed, size=one_of(args.size, (320, 240)), rate_hz=one_of(args.rate, 5.0 if args.quick else 10.0),
                  duration_s=one_of(args.duration, 14.0 if args.quick else SECONDS[world]), world_size=args.world_size,
                  events=one_of(args.events, QUICK_KIDNAPPINGS if args.quick else KIDNAPPINGS)) for seed in seeds]


def _kidnapped(args: argparse.Namespace, world: str) -> dict[str, Any]:
    """Figures of the drives that the arguments ask for."""
    report = Report(args)
    for drive in drives(args, world):
        record = recorded(drive, args.cache)
        report.add(f"{drive.world} {drive.seed}", record, Views(drive.truth(), record))
    return report.end()


def kidnapped(args: argparse.Namespace) -> dict[str, Any]:
    """Rooms that are known from a tour, then ten kidnappings there, on the same day and on another."""
    report = Report(args)
    tour_s, count = (30.0, 2) if args.quick else (60.0, 10)
    every = 10 if args.quick else 12
    for seed in one_of(args.seeds, [20010] if args.quick else list(range(20010, 20020))):
        tour = Drive("rooms", seed, size=one_of(args.size, (320, 240)), rate_hz=one_of(args.rate, 5.0 if args.quick else 10.0),
                     duration_s=tour_s, world_size=args.world_size)
        events = one_of(args.events, ",".join(f"kidnap@{8 + every * k}+2" for k in range(count)))
        for change in one_of(args.changes, [1] if args.quick else [0, 1]):
            after = replace(tour, duration_s=one_of(args.duration, 8.0 + every * count), events=events, change=change)
            first, second = recorded(tour, args.cache), recorded(after, args.cache)
            both = followed(first, second)
            report.add(f"rooms {seed}, day {change}", both, Views(tour.truth(), both, after.truth(), len(first.stamps)))
    return report.end()


class Report:
    """Prints a row for each drive and mode, a line for each kidnapping, and the sums; collects the figures of all."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args, self.found = args, {}
        self._happened: dict[str, list[Kidnapping]] = {}
        self._table = Table(("world, mode", "<28"), ("frames", "6"), ("poses", "6"), ("wrong", "6"), ("longest s", "6.1f"),
                            ("against s", "6.1f"), ("none", "6"), ("sessions", "3"), ("joined", "3"), ("keyframes", "5"),
                            ("cpu ms p50", "6.0f"), ("p95", "6.0f"))

    def add(self, name: str, record: Recorded, views: Views) -> None:
        """Maps a drive in all modes and judges it."""
        for mode in modes(self._args):
            run = play(record, config_of(self._args, mode), depth=mode == "depth", odometry=self._args.odometry,
                       most=self._args.frames)
            judged = judge(run, record, metric=mode == "depth")
            happened = kidnappings(run, record, judged, views)
            worst, total = seconds_after_contradiction(record, judged, views)
            count, joined = sessions(run)
            longest = longest_stretch_s(judged.wrong, record.drive.rate_hz)
            row = {"frames": len(run), "published": int(judged.published.sum()), "wrong": int(judged.wrong.sum()),
                   "longest_wrong_s": longest, "wrong_after_contradiction_s": worst,
                   "all_wrong_after_contradiction_s": total, "without_pose": int(len(run) - judged.published.sum()),
                   "sessions": count, "joined": joined, "keyframes": run.keyframes,
                   "worst_off_m": float(np.nanmax(judged.off_m)) if judged.published.any() else None,
                   "kidnappings": [{**vars(k), "success": k.success if k.known else None} for k in happened],
                   "stages_ms": run.stages(), "command": f"lsm sim OUT {record.drive.command}"}
            self.found[f"{name}, {mode}"] = row
            self._happened.setdefault(f"{mode}{', changed' if record.drive.change else ''}", []).extend(happened)
            _print(self._table, f"{name}, {mode}", row, happened)

    def end(self) -> dict[str, Any]:
        """All figures, with the sums."""
        return {"drives": self.found, "kidnappings": {mode: summary(k, mode) for mode, k in self._happened.items()}}


def _print(table: Table, name: str, row: dict[str, Any], happened: list[Kidnapping]) -> None:
    names = ("frames", "published", "wrong", "longest_wrong_s", "wrong_after_contradiction_s", "without_pose", "sessions",
             "joined", "keyframes")
    figures = [row[k] for k in names]
    table.row(name, *figures, *row["stages_ms"]["processor"][:2])
    for k in happened:
        place = "into a known place" if k.known else "into a new place"
        print(f"    kidnapped at {k.at_s:5.1f} s {place:18}: known view after {_s(k.view_s)}, right in an earlier map "
              f"{_s(k.right_s)} later; a pose that is not wrong after {_s(k.any_s)}", flush=True)


def summary(happened: list[Kidnapping], mode: str) -> dict[str, Any]:
    """Share of the kidnappings into known places that ended in time, and p50 and p95 of their seconds; prints them."""
    counted = [k for k in happened if k.known]
    seconds = [k.right_s for k in counted if k.right_s is not None]
    p50, p95 = percentiles(seconds)
    good = sum(k.success for k in counted)
    later = [k for k in happened if not k.known and k.view_s is not None]
    good_later = sum(k.success for k in later)
    print(f"{mode}: {good} of {len(counted)} kidnappings into known places ended in {IN_TIME_S:.0f} s (seconds p50 {p50:.1f}, "
          f"p95 {p95:.1f}); of {len(later)} into new places, {good_later} did so after a known view came")
    return {"counted": len(counted), "in_time": good, "seconds_p50": p50, "seconds_p95": p95, "into_new_places": len(later),
            "into_new_places_in_time": good_later}


def _s(value: float | None) -> str:
    return "  never" if value is None else f"{value:5.1f} s"
