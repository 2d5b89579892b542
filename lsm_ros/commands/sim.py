# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""render a simulated world as a dataset with known ground truth

A camera on a robot, or in a hand, goes through furnished rooms made from the seed. Writes a TUM RGB-D folder with labels,
odometry and IMU, a ROS 2 bag, or both, into OUT, which appears when it is complete.
"""
from __future__ import annotations

import argparse
import re
import sys
from argparse import BooleanOptionalAction
from pathlib import Path
from typing import Any

from lsm_ros.commands.options import positive, positive_float
from lsm_ros.commands.progress import progress_bar

_EVENT = re.compile(r"(?P<kind>\w+)@(?P<start>[\d.]+)(\+(?P<duration>[\d.]+))?(:(?P<camera>\w+))?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm sim`."""
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the dataset; must not exist, or be empty")
    parser.add_argument("--format", choices=("tum", "bag", "both"), default="tum",
                        help="a TUM RGB-D folder, a bag, or OUT/tum and OUT/bag")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap", help="storage of the bag")
    parser.add_argument("--jpeg", metavar="QUALITY", type=int, help="write images as JPEG of this quality (1 to 100)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    world = parser.add_argument_group("world")
    world.add_argument("--seed", metavar="N", type=int, default=0, help="world, path and noise; the same gives the same")
    world.add_argument("--world", metavar="KIND", default="room",
                       help="room, corridor, rooms (2 to 5 with doorways), loop (a ring), lookalike (alike rooms)")
    world.add_argument("--world-size", metavar="LxW[xH]", help="metres; by default the seed's")
    world.add_argument("--change", metavar="N", type=int, default=0, help="another day: plan, doors, path and events are the "
                       "seed's, but some furniture has moved, gone or come, and the light is another; 0: the seed's own day")
    world.add_argument("--clutter", metavar="0..1", type=float, default=0.5, help="amount of small things")
    world.add_argument("--movers", metavar="N", type=int, default=0, help="people that walk around")
    path = parser.add_argument_group("path")
    path.add_argument("--path", metavar="KIND", default="robot", help="robot, hand, look_around, shuttle, tour "
                      "(from place to place, in a loop too), both_ways (rounds, half of them against the first)")
    path.add_argument("--frames", metavar="N", type=positive, help="number of frames; at most that of the path if one of "
                      "the next three is given")
    path.add_argument("--length", metavar="M", type=positive_float, help="length of the path in metres")
    path.add_argument("--duration", metavar="S", type=positive_float, help="duration of the path in seconds")
    path.add_argument("--rounds", metavar="N", type=positive, help="rounds of the ring of a world of kind loop")
    path.add_argument("--events", metavar="KIND@START[+SECONDS][:CAMERA],...", action="append", default=[],
                      help="kidnap, covered_lens, blank_wall, pure_rotation, fast_rotation, pause; times in s of the path")
    camera = parser.add_argument_group("cameras and sensors")
    camera.add_argument("--rig", metavar="NAME", default="front", help="front, front_rear, stereo, ring3, ring4, mast")
    camera.add_argument("--size", metavar="WxH", default="640x480", help="size of the images (640x480)")
    camera.add_argument("--fov", metavar="DEG", type=float, default=75.0, help="horizontal angle of view (75)")
    camera.add_argument("--distortion", metavar="NAME", default="none", help="none, plumb_bob, rational, fisheye")
    camera.add_argument("--rate", metavar="HZ", type=positive_float, default=10.0, help="frames a second (10)")
    noise = camera.add_mutually_exclusive_group()
    noise.add_argument("--noise", dest="noise", action="store_true", default=True,
                       help="images, depth and labels as of real sensors (default)")
    noise.add_argument("--clean", dest="noise", action="store_false", help="the pure truth")
    for name, default, text in (("depth", True, "depth images"), ("labels", True, "images of class ids"),
                                ("odometry", None, "wheel odometry that drifts (by default on a robot)"),
                                ("imu", False, "an inertial sensor")):
        camera.add_argument(f"--{name}", action=BooleanOptionalAction, default=default, help=text)
    camera.add_argument("--classes", metavar="NAME,...", help="label only these; by default all")
    camera.add_argument("--device", metavar="NAME", default="cpu", help="device that renders: cpu, cuda")


def run(args: argparse.Namespace) -> int:
    """Renders and writes the dataset, and prints a summary."""
    from lsm_sim.export import export, free_target
    from lsm_sim.source import SimSource

    free_target(args.out)  # before the work
    source = SimSource(args.seed, args.world, args.path, **_options(args))
    try:
        with progress_bar(total=len(source), desc="rendering", unit="frame", disable=args.quiet) as bar:
            summary = export(source, args.out, args.format, storage=args.storage, jpeg_quality=args.jpeg,
                             progress=lambda done, _: bar.update(done - bar.n))
    finally:
        source.close()
    for warning in summary.warnings:
        print(f"lsm: warning: {warning}", file=sys.stderr)
    print(source.describe())
    print(f"{summary.path}: {summary.frame_sets} frames, {summary.bytes / 1e6:.1f} MB")
    return 0


def _options(args: argparse.Namespace) -> dict[str, Any]:
    width, height = _numbers(args.size, "--size", int, (2,))
    size = None if args.world_size is None else _numbers(args.world_size, "--world-size", float, (2, 3))
    specs = [s for text in args.events for s in text.split(",") if s]
    return {"frames": args.frames, "length_m": args.length, "duration_s": args.duration, "rounds": args.rounds,
            "width": width, "height": height, "fov_deg": args.fov, "distortion": args.distortion, "rate_hz": args.rate,
            "depth": args.depth, "labels": args.labels, "odometry": args.odometry, "imu": args.imu, "noise": args.noise,
            "rig": args.rig, "movers": args.movers, "clutter": args.clutter, "size": size, "device": args.device,
            "change": args.change, "events": [_event(s) for s in specs],
            "classes": None if args.classes is None else args.classes.split(",")}


def _numbers(text: str, option: str, kind: type, counts: tuple[int, ...]) -> tuple:
    """`640x480` as numbers; ValueError names a text of another form."""
    try:
        values = tuple(kind(v) for v in text.lower().split("x"))
    except ValueError as error:
        raise ValueError(f"{option} {text!r}: expected numbers with x between them") from error
    if len(values) not in counts:
        raise ValueError(f"{option} {text!r}: expected {' or '.join(map(str, counts))} numbers with x between them")
    return values


def _event(text: str) -> Any:
    from lsm_sim.events import Event

    match = _EVENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"--events {text!r}: expected KIND@START[+SECONDS][:CAMERA], such as covered_lens@8+2")
    duration = {} if match["duration"] is None else {"duration_s": float(match["duration"])}
    return Event(match["kind"], float(match["start"]), camera=match["camera"], **duration)
