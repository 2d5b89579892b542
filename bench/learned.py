# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Learned geometry on this machine: milliseconds and memory for each keyframe of depth priors, points and multi-view networks.

    python bench/learned.py [--fastdepth FILE.onnx] [--only NAME,...] [--quick] [--json FILE]

An image of 640x480. Each runs in a process of its own; memory is what that grows by, from before the model is made to its peak.
Milliseconds are of wall clock, the median of several runs, and of the processor. Floor: the arithmetic of the network in torch,
at the speed of a large product on this machine; none for ONNX files. Depth Anything 3 and V2 have their official sizes and
random weights, since time and memory do not depend on them. What is not installed is left out, and said. xfeat_lightglue is
the match of two images with up to 1000 points each; milliseconds of views are by one keyframe of those that are seen at once.
"""
from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from lsm_ros.config import PairConfig
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.models.tensor_files import write_safetensors
from lsm_ros.pairs import make_pair_model
from lsm_ros.pairs.depth_priors import make_depth_prior
from lsm_ros.pairs.point_features import make_point_features
from lsm_ros.types import Frame

CAMERA = CameraIntrinsics(640, 480, 525.0, 525.0, 319.5, 239.5)
COLUMNS = ("wall ms", "processor ms", "floor ms", "ms / floor", "memory MB")
Job = Callable[[], Any]


def frame(n: int) -> Frame:
    """A picture with something to see."""
    y, x = np.mgrid[:480, :640]
    gray = 120 + 50 * np.sin(x / (7 + n)) + 50 * np.sin(y / 11 + x / 31) + np.random.default_rng(n).normal(0, 5, x.shape)
    return Frame(n, "camera", np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[..., None], 3, 2), CAMERA)


def fastdepth(file: str) -> tuple[Job, int]:
    prior = make_depth_prior(PairConfig(depth_prior="onnx", depth_prior_model=file))
    assert prior is not None
    return lambda: prior.depth(frame(0)), 1


def depth_anything_v2_small(_file: str) -> tuple[Job, int]:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, DPTImageProcessor

    with tempfile.TemporaryDirectory() as folder:
        DepthAnythingForDepthEstimation(DepthAnythingConfig()).save_pretrained(folder)
        DPTImageProcessor(size={"height": 518, "width": 518}, keep_aspect_ratio=True,
                          ensure_multiple_of=14).save_pretrained(folder)
        prior = make_depth_prior(PairConfig(depth_prior="transformers", depth_prior_model=folder))
    assert prior is not None
    return lambda: prior.depth(frame(0)), 1


def xfeat(_file: str) -> tuple[Job, int]:
    features = make_point_features("xfeat")
    return lambda: features.detect(frame(0).image[..., 0]), 1


def xfeat_lightglue(_file: str) -> tuple[Job, int]:
    features = make_point_features("xfeat_lightglue")
    a, b = (features.detect(frame(n).image[..., 0]) for n in range(2))
    return lambda: features.match(a, b), 1


def lsm_small(_file: str) -> tuple[Job, int]:
    model = make_pair_model(PairConfig(model="lsm_small"))
    before = model.encode([frame(0)])[0]
    return lambda: model.predict([(model.encode([frame(1)])[0], before)]), 1


def _views(count: int) -> tuple[Job, int]:
    from depth_anything_3.cfg import create_object, load_config
    from depth_anything_3.registry import MODEL_REGISTRY

    with tempfile.TemporaryDirectory() as folder:
        network = create_object(load_config(MODEL_REGISTRY["da3-small"]))
        write_safetensors(Path(folder) / "model.safetensors", {f"model.{k}": v for k, v in network.state_dict().items()})
        (Path(folder) / "config.json").write_text('{"model_name": "da3-small"}')
        del network
        model = make_pair_model(PairConfig(model="depth_anything3", weights=folder))
    tokens = model.encode([frame(n) for n in range(count)])
    return lambda: model.predict([(tokens[-1], t) for t in tokens[:-1]]), count


def da3_small_2_views(_file: str) -> tuple[Job, int]:
    return _views(2)


def da3_small_4_views(_file: str) -> tuple[Job, int]:
    return _views(4)


KINDS = {f.__name__: f for f in (fastdepth, depth_anything_v2_small, xfeat, xfeat_lightglue, lsm_small, da3_small_2_views,
                                 da3_small_4_views)}


def measured(name: str, file: str, runs: int, queue: Any) -> None:
    """Puts the figures of one of them into a queue, or why there are none. Runs in a process of its own."""
    try:
        queue.put(_figures(KINDS[name], file, runs))
    except (ImportError, FileNotFoundError, ValueError) as error:
        queue.put(f"{name} is left out: {' '.join(str(error).split())}")


def _figures(make: Callable[[str], tuple[Job, int]], file: str, runs: int) -> dict[str, float]:
    from torch.utils.flop_counter import FlopCounterMode

    before = psutil.Process().memory_info().rss
    job, frames = make(file)
    with FlopCounterMode(display=False) as counter:
        job()
    wall, processor = [], []
    for _ in range(runs):
        start, cpu = time.perf_counter(), time.process_time()
        job()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    each = 1e3 / frames
    flops = float(counter.get_total_flops())
    floor = each * flops / _speed() if flops else float("nan")
    ms = each * float(np.median(processor))
    return dict(zip(COLUMNS, (each * float(np.median(wall)), ms, floor, ms / floor, (peak - before) / 1e6), strict=True))


def _speed() -> float:
    """Operations per second of processor time of a large product."""
    a = torch.randn(1024, 1024)
    best = 0.0
    for _ in range(5):
        start = time.process_time()
        a @ a
        best = max(best, 2 * 1024**3 / (time.process_time() - start))
    return best


def main() -> int:
    """Prints the table; exit status 2 and one line on bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fastdepth", default="", help="fastdepth_7.onnx, with its YAML file beside it (docs/two_view.md)")
    parser.add_argument("--only", default=",".join(KINDS), help=f"some of {', '.join(KINDS)}")
    parser.add_argument("--quick", action="store_true", help="fewer runs (at most 3 minutes)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    names = options.only.split(",")
    unknown = [n for n in names if n not in KINDS]
    if unknown:
        print(f"bench/learned.py: --only {', '.join(unknown)} is none of {', '.join(KINDS)}", file=sys.stderr)
        return 2
    context, rows = get_context("spawn"), {}
    print(f"{'':26s}" + "".join(f"{c:>14s}" for c in COLUMNS))
    for name in names:
        queue = context.Queue()
        process = context.Process(target=measured, args=(name, options.fastdepth, 2 if options.quick else 7, queue))
        process.start()
        found = queue.get()
        process.join()
        if isinstance(found, str):
            print(found, file=sys.stderr)
            continue
        rows[name] = found
        print(f"{name:26s}" + "".join(f"{found[c]:14.1f}" for c in COLUMNS), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
