# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""All tests and benches that need a GPU, one part after another, each with its own time limit, in at most 9 minutes.

    bench/gpu_check.sh FOLDER [--only PART ...] [--seconds N]

Parts: the tests marked gpu; the benches of voxel map, networks, renderer and solvers; a short training. A part that fails or
takes too long does not keep the next from running. Needed: Python 3.10 or later with numpy, scipy, opencv, PyYAML, psutil,
torch, pytest and, for the voxel map on the GPU, CuPy; not ROS, not an installation of this package, no other files.

FOLDER/summary.json has the machine and, for each part, status, seconds and results; it is rewritten after each part.
FOLDER/PART.log has what a part printed, FOLDER/PART.json what a bench measured. Without a GPU, parts that need one are
skipped and the others run on the CPU with smaller sizes. Exit status: 0 if all parts passed, 1 if any failed, 3 if none
failed but some were skipped, 2 on bad input.
"""
from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_check_machine
import gpu_check_results

ROOT = Path(__file__).resolve().parent.parent
TOTAL_SECONDS = 540
GRACE_SECONDS = 3  # between asking a part to end and making it end
NO_GPU = "skipped: no CUDA GPU"
_MACHINE_SECONDS = 40
_TRAINING_MINUTES = 0.6

TRAINING = {"objective": "pairs", "log_every": 5, "save_every": 1_000_000, "language": {"encoder": ""},
            "validation": {"every": 0}, "optim": {"steps": 100_000, "warmup": 30, "lr": 5e-4},
            "loss": {"metric": False, "scale": 0.3, "alpha": 0.5},
            "data": {"batch": 48, "worlds": 8, "batches_each": 64, "builders": 4, "kinds": ["room"]}}
SMALL_TRAINING = {**TRAINING, "log_every": 1, "precision": "float32",
                  "model": {"options": {"enc_embed_dim": 64, "enc_depth": 2, "enc_num_heads": 2, "dec_embed_dim": 64,
                                        "dec_depth": 2, "dec_num_heads": 2, "feature_dim": 16, "last_dim": 16,
                                        "layer_dims": [8, 16, 32, 32], "output_mode": "pts3d+desc8"}},
                  "data": {"width": 64, "height": 48, "batch": 4, "worlds": 1, "kinds": ["room"], "seeds": [0, 1]}}


@dataclass(frozen=True)
class Part:
    """A command (without the interpreter) and its limit in seconds. read: results from the file or folder that the command
    wrote, ValueError where they are not what they must be; None: no results."""

    name: str
    seconds: float
    command: tuple[str, ...]
    needs_gpu: bool = False
    read: Callable[[], dict[str, Any]] | None = None


def parts_for(gpu: bool, out: Path, work: Path) -> list[Part]:
    """The parts for this machine; they write to `out`, and temporary files to `work`."""
    config = work / "training.yaml"
    config.write_text(json.dumps(TRAINING if gpu else SMALL_TRAINING))  # JSON is YAML

    def bench(name: str, seconds: float, script: str, arguments: Sequence[str]) -> Part:
        path = out / f"{name}.json"
        return Part(name, seconds, (f"bench/{script}.py", "--quick", "--json", str(path), *arguments),
                    read=lambda: gpu_check_results.measured(path))

    return [
        Part("tests", 160, ("-m", "pytest", "-m", "gpu", "-v", "-p", "no:cacheprovider", "--tb=short",
                            f"--junitxml={work / 'tests.xml'}", "test"),
             needs_gpu=True, read=lambda: gpu_check_results.tests(work / "tests.xml")),
        bench("fusion", 80, "fusion", ["--peer", "cpu", "--backend", "cuda"] if gpu
              else ["--peer", "cpu", "--backend", "cpu", "--frames", "6"]),
        bench("networks", 90, "networks", ["--size", "512x384", "--repeats", "10", "--models", "linear", "mast3r"] if gpu
              else ["--size", "96x64", "--repeats", "1", "--models", "linear"]),
        bench("renderer", 55, "sim", ["--only", "cuda/" if gpu else "cpu/rooms/224x160"]),
        Part("training", 75, ("-m", "lsm_ros.cli", "train", str(config), "--out", str(work / "training"), "--minutes",
                              str(_TRAINING_MINUTES)),
             read=lambda: gpu_check_results.training(work / "training" / "log.jsonl")),
        bench("solvers", 25, "solvers", []),
    ]


def run_part(part: Part, out: Path, gpu: bool, left: float) -> dict[str, Any]:
    """Runs one part for at most its own seconds and those that are left. Status: passed, failed: why, skipped: why."""
    log = out / f"{part.name}.log"
    if part.needs_gpu and not gpu:
        return {"status": NO_GPU, "seconds": 0.0}
    limit, start = min(part.seconds, left), time.monotonic()
    if limit <= 0:
        return {"status": "failed: no time was left", "seconds": 0.0}
    code = _run((sys.executable, *part.command), log, limit)
    result: dict[str, Any] = {"status": "passed", "seconds": round(time.monotonic() - start, 1), "exit_status": code}
    if code is None:
        result["status"] = f"failed: took longer than {limit:.0f} s"
    elif code:
        result["status"] = f"failed: exit status {code}"
    if part.read is not None:
        try:
            result["results"] = part.read()
        except (OSError, ValueError, KeyError) as error:
            if result["status"] == "passed":
                result["status"] = f"failed: {error}"
    if result["status"] != "passed":
        result["log_tail"] = log.read_text(errors="replace").splitlines()[-40:]
    return result


def _run(command: Sequence[str], log: Path, limit: float) -> int | None:
    """Exit status of a command, None if it took too long: then it ends with all that it started."""
    with log.open("wb") as sink:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end_group(process)


def _end_group(process: subprocess.Popen) -> None:
    """Ends the rest of a command and of its children: by SIGTERM, then by SIGKILL."""
    for way, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
        try:
            os.killpg(process.pid, way)
        except ProcessLookupError:
            return
        end = time.monotonic() + patience
        while time.monotonic() < end and process.poll() is None:
            time.sleep(0.05)


def run_all(parts: Sequence[Part], out: Path, machine: dict[str, Any], seconds: float) -> int:
    """Runs the parts within `seconds` from now, keeps summary.json up to date, prints the table; returns the exit status."""
    start, results = time.monotonic(), {}
    for part in parts:
        print(f"{part.name} ...", flush=True)
        left = seconds - (time.monotonic() - start) - 2 * GRACE_SECONDS
        results[part.name] = run_part(part, out, bool(machine.get("gpu")), left)
        whole = {"machine": machine, "seconds": round(time.monotonic() - start, 1), "parts": results}
        (out / "summary.json").write_text(json.dumps(whole, indent=1))
    print(f"\n{'part':12}{'seconds':>9}  status")
    for name, result in results.items():
        print(f"{name:12}{result['seconds']:>9.1f}  {result['status']}{gpu_check_results.remark(result)}")
    states = [r["status"].split(":")[0] for r in results.values()]
    return 1 if "failed" in states else 3 if "skipped" in states else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for results; made if it does not exist")
    parser.add_argument("--only", nargs="+", metavar="PART", help="these parts alone")
    parser.add_argument("--seconds", type=float, default=TOTAL_SECONDS, help=f"for all parts together ({TOTAL_SECONDS})")
    args = parser.parse_args(arguments)
    start, out = time.monotonic(), args.folder.resolve()
    out.mkdir(parents=True, exist_ok=True)
    machine = gpu_check_machine.described(min(_MACHINE_SECONDS, args.seconds))
    (out / "machine.json").write_text(json.dumps(machine, indent=1))
    print(gpu_check_machine.lines(machine), flush=True)
    with tempfile.TemporaryDirectory() as work:
        parts = parts_for(bool(machine.get("gpu")), out, Path(work))
        unknown = set(args.only or ()) - {p.name for p in parts}
        if unknown:
            parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(p.name for p in parts)}")
        chosen = [p for p in parts if not args.only or p.name in args.only]
        return run_all(chosen, out, machine, args.seconds - (time.monotonic() - start))


if __name__ == "__main__":
    sys.exit(main())
