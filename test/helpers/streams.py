# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Streams of messages as two cameras with depth and labels send them, with everything that happens to stamps on the way."""
import random

from lsm_ros.live.items import DEPTH, IMAGE, LABELS, Group, Item, TimeJump

MS = 1_000_000
S = 1_000_000_000
CAMERAS = ("left", "right")
SLOP_NS = 12 * MS
PERIOD_NS = 33 * MS


def stream(seed, frames=60, jump=False, mistakes=True):
    """Items of two cameras at 30 Hz with the seconds of their arrival, in the order of arrival.

    The cameras are some milliseconds apart; depth comes for every second image, labels for every third, 0.2 s late.
    Within one input messages stay in order, between inputs they do not. mistakes: stamps that repeat, and lone ones that
    leap. jump: in the middle time goes back by a minute.
    """
    rng = random.Random(seed)
    inputs = {}
    for camera in CAMERAS:
        shift = 0 if camera == "left" else rng.randint(-5, 5) * MS
        for kind, every, offset, delays in ((IMAGE, 1, 0, (0.0, 0.06)), (DEPTH, 2, rng.randint(-7, 7), (0.01, 0.09)),
                                            (LABELS, 3, 0, (0.2, 0.3))):
            inputs[camera, kind] = [(k * 0.033 + rng.uniform(*delays),
                                     100 * S + k * PERIOD_NS + shift + offset * MS + rng.randint(-MS, MS) * (kind != LABELS))
                                    for k in range(0, frames, every)]
    for camera in CAMERAS:  # labels have the stamps of their images
        stamps = [stamp_ns for _, stamp_ns in inputs[camera, IMAGE]]
        inputs[camera, LABELS] = [(t, stamps[3 * k]) for k, (t, _) in enumerate(inputs[camera, LABELS])]
    out = []
    for (camera, kind), messages in inputs.items():
        arrived = 0.0
        for n, (t, stamp_ns) in enumerate(messages):
            arrived = max(arrived + 1e-4, t)
            back_ns = 60 * S if jump and stamp_ns >= 100 * S + frames // 2 * PERIOD_NS - PERIOD_NS // 2 else 0
            out.append((arrived, camera, kind, stamp_ns - back_ns))
            if mistakes and n > 2 and rng.random() < 0.05:
                out.append((arrived + 5e-5, camera, kind, stamp_ns - back_ns))  # sent twice
            elif mistakes and n > 2 and rng.random() < 0.03:
                out.append((arrived + 5e-5, camera, kind, rng.choice((1, 9000, 10**6)) * S))
    return [(Item(camera, kind, stamp_ns, 100), arrived) for arrived, camera, kind, stamp_ns in sorted(out)]


def summary(outs):
    """Groups and jumps as plain values, to compare."""
    return [("jump", round(x.seconds, 3)) if isinstance(x, TimeJump) else plain(x) for x in outs]


def plain(group: Group):
    parts = (group.images, group.depth, group.labels)
    return group.stamp_ns, *({c: i.stamp_ns for c, i in sorted(part.items())} for part in parts)


def live_groups(assembler, items, slow=1):
    """Groups and events that a live assembler makes of a stream; it is asked for groups after every `slow` items."""
    out, events = [], []

    def expect(now):
        for camera in CAMERAS:
            for kind in (IMAGE, DEPTH, LABELS):
                assembler.expect(camera, kind, now)

    def take(now):
        while (x := assembler.pop(now)) is not None:
            out.append(x)
            if isinstance(x, TimeJump):
                expect(now)

    expect(0.0)
    now = 0.0
    for n, (item, now) in enumerate(items):
        events += assembler.add(item, now)
        if n % slow == 0:
            take(now)
    take(now)
    take(now + 1e6)
    return out, events + assembler.poll(1e12)


def recorded_groups(assembler, items):
    """Groups and events that the assembler of bags makes of a stream."""
    out, events = [], []
    for item, arrived in items:
        events += assembler.add(item, arrived)
        while (x := assembler.pop()) is not None:
            out.append(x)
    events += assembler.end()
    while (x := assembler.pop()) is not None:
        out.append(x)
    return out, events
