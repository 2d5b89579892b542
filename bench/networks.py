# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The networks: time and memory of encoding a frame and of predicting a pair, against plain float32 eager in the same run.

    python bench/networks.py [--quick] [--models linear dpt mast3r] [--size WxH ...] [--precision auto]
                             [--clock wall|processor] [--json FILE]

Official widths with random weights. Plain: the same weights in float32, attention as product, softmax, product, the DPT
head's layers in the order of the paper, both images encoded anew for each pair. Floor: the arithmetic of a new frame
against a cached keyframe, at the speed of a large product on this machine.
"""
from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
import torch

from lsm_ros import models
from lsm_ros.config import PairConfig
from lsm_ros.models import blocks, dpt
from lsm_ros.pairs.network import NetworkPairModel, NetworkTokens
from lsm_ros.pairs.precision import synchronize
from lsm_ros.types import Frame

MODELS = {"linear": ("dust3r", {"head_type": "linear"}), "dpt": ("dust3r", {"head_type": "dpt"}), "mast3r": ("mast3r", {})}
COLUMNS = [  # heading, width, key, format
    ("encode", 9, "encode_ms", ".1f"), ("predict", 9, "predict_ms", ".1f"), ("both ways", 11, "both_ms", ".1f"),
    ("new", 9, "new_ms", ".1f"), ("whole", 9, "whole_ms", ".1f"), ("plain encode", 14, "plain_encode_ms", ".1f"),
    ("plain pair", 12, "plain_ms", ".1f"), ("floor of new", 14, "floor_ms", ".1f"),
    ("plain/whole", 13, "plain_over_whole", ".2f"), ("plain/new", 11, "plain_over_new", ".2f"),
    ("whole/new", 11, "whole_over_new", ".2f"),
    ("new/floor", 11, "new_over_floor", ".2f"), ("peak MB", 9, "peak_mb", ".0f"), ("plain peak", 12, "plain_peak_mb", ".0f"),
    ("weights", 9, "weights_mb", ".0f"), ("error", 9, "error", ".1e")]
WANTED = {"linear": 1.45, "dpt": 1.3, "mast3r": 1.27}  # a new frame against a cached keyframe, over a whole pair, on a CPU


def random_network(name: str, config: dict) -> torch.nn.Module:
    """Official widths, weights drawn so that activations keep their size."""
    with torch.device("meta"):
        model = models.build(name, **config)
    model = model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.uniform_(-1, 1, generator=generator).mul_(parameter[0].numel() ** -0.5)
        else:
            parameter.data.fill_(0.0)
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.weight.data.fill_(1.0)
    return model


def plain_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return (((q @ k.mT) * q.shape[-1] ** -0.5).softmax(-1) @ v).transpose(1, 2).flatten(2)


def plain_fusion(self: dpt.FusionBlock, x: torch.Tensor, skip: torch.Tensor | None = None) -> torch.Tensor:
    if skip is not None:
        x = x + self.resConfUnit1(skip)
    return self.out_conv(dpt.upsample(self.resConfUnit2(x)))


@contextmanager
def plainly() -> Iterator[None]:
    """The networks as they are usually written, without TF32."""
    kept = blocks.attend, dpt.FusionBlock.forward
    precision = torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn.allow_tf32
    blocks.attend, dpt.FusionBlock.forward = plain_attention, plain_fusion
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        blocks.attend, dpt.FusionBlock.forward = kept
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = cudnn


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def seconds(function: Callable[[], object], device: torch.device, clock: str = "wall") -> float:
    """Duration of a call; clock 'processor': of all threads of this process, which others on the machine do not change."""
    synchronize(device)
    start = CLOCKS[clock]()
    function()
    synchronize(device)
    return CLOCKS[clock]() - start


class PeakMemory:
    """Largest memory of the process (CPU) or of the allocator (GPU) while it is open, in MB."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.peak_mb, self._open = device, 0.0, True
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        process = psutil.Process()
        while self._open:
            self.peak_mb = max(self.peak_mb, process.memory_info().rss / 1e6)
            time.sleep(0.005)

    def __enter__(self) -> PeakMemory:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        if self.device.type == "cuda":
            self.peak_mb = torch.cuda.max_memory_allocated(self.device) / 1e6
        else:
            self._thread.join()


def operations(function: Callable[[], object]) -> float:
    """Floating-point operations of a call, two for each multiplication with addition."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, plainly():
        function()
    return float(counter.get_total_flops())


def device_speed(dtype: torch.dtype, device: torch.device, clock: str) -> float:
    """Operations per second of a large product."""
    n = 8192 if device.type == "cuda" else 1536
    a = torch.ones(n, n, dtype=dtype, device=device)
    return 2 * n ** 3 / min(seconds(lambda: a @ a, device, clock) for _ in range(5))


def measure(kind: str, size: tuple[int, int], precision: str, repeats: int, device: str, clock: str) -> dict[str, float]:
    """Milliseconds (medians of interleaved repeats), MB, ratios for one network; size (width, height)."""
    name, config = MODELS[kind]
    network = random_network(name, config)
    ours = NetworkPairModel(PairConfig(model=name, precision=precision), network, device)
    plain = network.float() if ours.dtype == torch.float32 else random_network(name, config).to(ours.device)
    rng = np.random.default_rng(0)
    width, height = size
    frames = [Frame(n, "bench", rng.integers(0, 255, (height, width, 3), np.uint8)) for n in range(2)]
    ours.image_size = max(size)
    images = torch.rand(2, 1, 3, height, width, device=ours.device) * 2 - 1

    def whole() -> None:
        ours.predict([tuple(ours.encode(frames))])

    @torch.inference_mode()
    def plain_pair() -> tuple:
        return plain(images[0], images[1])

    @torch.inference_mode()
    def plain_encode() -> torch.Tensor:
        return plain.encode(images[0])[0]

    def as_usual(function: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            with plainly():
                function()
        return run

    key = ours.encode(frames[:1])[0]
    if key.size != (height, width):
        raise ValueError(f"size {width}x{height} is not one that the network sees; take multiples of 16 that are not square")
    runs = {"plain": as_usual(plain_pair), "plain_encode": as_usual(plain_encode), "whole": whole,
            "encode": lambda: ours.encode(frames[1:]),
            "predict": lambda: ours.predict([(key, key)]), "both": lambda: ours.predict([(key, key), (key, key)]),
            "new": lambda: ours.predict([(ours.encode(frames[1:])[0], key)])}
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {k: [] for k in runs}
    speed = 0.0
    for _ in range(repeats):
        speed = max(speed, device_speed(ours.dtype, ours.device, clock))
        for k, run in runs.items():
            times[k].append(seconds(run, ours.device, clock) * 1e3)
    row = {f"{k}_ms": float(np.median(v)) for k, v in times.items()}
    for name, run in (("peak_mb", "new"), ("plain_peak_mb", "plain")):
        with PeakMemory(ours.device) as memory:
            runs[run]()
        row[name] = memory.peak_mb
    row["weights_mb"] = ours.weight_megabytes
    pair, encoder = operations(plain_pair), operations(plain_encode)
    row["floor_ms"] = (pair - encoder) / speed * 1e3
    # ratios of neighbours in time: the machine's other work changes both
    row["plain_over_whole"] = float(np.median(np.array(times["plain"]) / times["whole"]))
    row["plain_over_new"] = float(np.median(np.array(times["plain"]) / times["new"]))
    row["whole_over_new"] = float(np.median(np.array(times["whole"]) / times["new"]))
    row["new_over_floor"] = row["new_ms"] / row["floor_ms"]
    row["error"] = difference(ours, plain, key)
    return row


@torch.inference_mode()
def difference(ours: NetworkPairModel, plain: torch.nn.Module, key: NetworkTokens) -> float:
    """Largest difference of the points to plain float32 from the same tokens, over the largest coordinate."""
    from lsm_ros.models.positions import patch_positions

    tokens = key.tokens[None].float()
    positions = patch_positions(key.size[0] // 16, key.size[1] // 16, 1, ours.device)
    with plainly():
        expected = plain.predict(tokens, positions, key.size, tokens, positions, key.size)[0]["pts3d"][0]
    got = ours.predict([(key, key)])[0].points_a
    return float((got - expected).abs().max() / expected.abs().max())


def main() -> None:
    """Measures and prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small images, at most 3 minutes")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--size", nargs="+", help="WxH of the network's image, one or several")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--repeats", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--clock", default="wall", choices=list(CLOCKS),
                        help="processor: for a machine that does other things too, with OMP_NUM_THREADS=1")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sizes = [tuple(map(int, s.split("x"))) for s in args.size or ("160x128" if args.quick else "512x384",)]
    repeats = args.repeats or (30 if args.device.startswith("cuda") else 3 if args.quick else 5)
    print(f"{args.device}, {torch.get_num_threads()} threads, {args.clock} time in ms, torch {torch.__version__}")
    print(f"{'model':8}{'size':>9}" + "".join(f"{name:>{width}}" for name, width, _, _ in COLUMNS))
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for size in sizes:
        for kind in args.models:
            with get_context("spawn").Pool(1) as fresh:  # a process of its own, so that its memory is that of one network
                row = fresh.apply(measure, (kind, size, args.precision, repeats, args.device, args.clock))
            rows.setdefault(f"{size[0]}x{size[1]}", {})[kind] = row
            print(f"{kind:8}{size[0]:>5}x{size[1]}" + "".join(f"{row[key]:{width}{form}}" for _, width, key, form in COLUMNS),
                  flush=True)
    for name, found in rows.items():
        print(*(f"{name} {kind}: {verdict(kind, row, args.device)}" for kind, row in found.items()), sep="\n")
    if args.json:
        args.json.write_text(json.dumps({"device": args.device, "clock": args.clock, "sizes": rows}, indent=1))


def verdict(kind: str, row: dict[str, float], device: str) -> str:
    """The three ratios beside their targets."""
    wanted = [("plain/whole", row["plain_over_whole"], 1.0)]
    wanted += [("plain/new", row["plain_over_new"], 4.0)] if device.startswith("cuda") else \
        [("whole/new", row["whole_over_new"], WANTED[kind])]
    said = [f"{name} {value:.2f}, wanted at least {least:g}: {'yes' if value >= least else 'NO'}"
            for name, value, least in wanted]
    return "; ".join([*said, f"new/floor {row['new_over_floor']:.2f}, the nearer to 1 the better"])


if __name__ == "__main__":
    main()
