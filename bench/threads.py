# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cost of threads of PyTorch, OpenCV and NumPy that spin while they wait, alone and beside busy processes.

    python bench/threads.py [--quick] [--neighbours N ...] [--json FILE]

The same work, some rounds of a small convolutional network, optical flow and a matrix product after each other as tracking and
labelling do them, in processes of its own: with the libraries' defaults, and as lsm_ros sets them (lsm_ros/threads.py). Beside
N other processes that never rest. The two take turns, so that whatever else the machine does meets both. Milliseconds of a
round on the wall, p50 and p95, and of the processor; the last column is defaults / lsm_ros of the p50.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

TURNS = 3


def work(rounds: int) -> list[tuple[float, float]]:
    """Milliseconds of each round, on the wall and of the processor."""
    import cv2
    import torch

    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 255, (480, 640), np.uint8), (0, 0), 3)
    other = np.roll(image, 3, axis=1)
    points = rng.uniform(30, 440, (400, 1, 2)).astype(np.float32)
    net = torch.nn.Sequential(*(m for c in ((3, 32), (32, 64), (64, 64)) for m in
                                (torch.nn.Conv2d(*c, 3, padding=1, stride=2), torch.nn.ReLU())))
    batch, matrix = torch.rand(1, 3, 240, 320), rng.standard_normal((384, 384))
    out = []
    with torch.inference_mode():
        for n in range(rounds + 3):
            wall, busy = time.perf_counter(), time.process_time()
            for _ in range(2):
                net(batch)
                cv2.calcOpticalFlowPyrLK(image, other, points, points.copy())
                np.linalg.solve(matrix @ matrix.T + np.eye(384), matrix)
            if n >= 3:  # the first ones warm up
                out.append(((time.perf_counter() - wall) * 1e3, (time.process_time() - busy) * 1e3))
    return out


def measured(environment: dict[str, str], rounds: int) -> np.ndarray:
    """(rounds, 2) milliseconds of the work in a process of its own."""
    command = [sys.executable, __file__, "--work", str(rounds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return np.array(json.loads(done.stdout))


def compared(neighbours: int, rounds: int) -> dict[str, list[float]]:
    """p50 and p95 on the wall, and p50 of the processor, of both ways, which take turns beside so many busy processes."""
    from lsm_ros.threads import ASLEEP

    defaults = {k: v for k, v in os.environ.items() if k not in ASLEEP and k != "OMP_NUM_THREADS"}
    ways: dict[str, list[np.ndarray]] = {"defaults": [], "lsm_ros": []}
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbours)]
    try:
        for _ in range(TURNS):
            ways["defaults"].append(measured(defaults, rounds))
            ways["lsm_ros"].append(measured(defaults | ASLEEP, rounds))
    finally:
        for process in busy:
            process.kill()
            process.wait()
    return {name: [*np.percentile(np.concatenate(runs)[:, 0], [50, 95]).tolist(),
                   float(np.median(np.concatenate(runs)[:, 1]))] for name, runs in ways.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--neighbours", metavar="N", type=int, nargs="+", default=[0, 1, 2], help="busy processes (0 1 2)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures to this file")
    parser.add_argument("--work", metavar="ROUNDS", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.work is not None:
        print(json.dumps(work(args.work)))
        return 0
    print("neighbours" + "".join(f" {way + ' p50':>13} {'p95':>8} {'cpu':>8}" for way in ("defaults", "lsm_ros")) + "  ratio")
    found = {}
    for count in args.neighbours:
        row = compared(count, 8 if args.quick else 30)
        ratio = row["defaults"][0] / row["lsm_ros"][0]
        found[count] = row | {"ratio": ratio}
        (a, b, c), (d, e, f) = row["defaults"], row["lsm_ros"]
        print(f"{count:10} {a:13.1f} {b:8.1f} {c:8.1f} {d:13.1f} {e:8.1f} {f:8.1f} {ratio:6.2f}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
