# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""train a network on simulated rooms or on RGB-D folders

CONFIG is YAML (docs/training.md, config/train_*.yaml). DIR gets checkpoint.pt (or legs), log.jsonl, log.csv, curves.png and
weights/, the averaged weights as other commands load them. Ctrl-C and SIGTERM save first; --resume goes on.
"""
from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path

from lsm_ros.commands.options import assignments, positive_float
from lsm_ros.files import replacing

_EXIT = {None: 0, signal.SIGINT: 130, signal.SIGTERM: 143}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm train`."""
    parser.add_argument("config", metavar="CONFIG", type=Path, help="YAML file of the training")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of the training")
    parser.add_argument("--resume", action="store_true", help="go on with the training in DIR")
    parser.add_argument("--weights-only", action="store_true",
                        help="leave half-precision legs of at most 15 MB a file, which start the optimiser again")
    parser.add_argument("--minutes", metavar="N", type=positive_float, help="save and end after so many minutes")
    parser.add_argument("--init", metavar="PATH", help="weights to start from, instead of model.init")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="a field of CONFIG: optim.lr=1e-4")
    parser.add_argument("--export", action="store_true",
                        help="write DIR/weights from the last checkpoint or leg in DIR, and end")
    parser.add_argument("--language-only", action="store_true",
                        help="write the language targets to DIR/language.safetensors, for language.codec, and end")


def run(args: argparse.Namespace) -> int:
    """Trains, and prints the result."""
    from lsm_ros.training.config import load_train_config

    changes = assignments(args.set, "--set") | ({} if args.init is None else {"model.init": args.init})
    config = load_train_config(args.config, changes)
    if args.language_only:
        return _write_language(config, args.out)
    from lsm_ros.training.trainer import Trainer

    trainer = Trainer(config, args.out, resume=args.resume or args.export, weights_only=args.weights_only,
                      seconds=float("inf") if args.minutes is None else 60 * args.minutes,
                      say=lambda text: print(text, flush=True))
    if args.export:
        print(f"{trainer.export()}: the averaged weights of step {trainer.step}")
        return 0
    print(f"{config.model.name}: {sum(p.numel() for p in trainer.model.parameters()) / 1e6:.2f} million weights, "
          f"{trainer.device}, {str(trainer.format).removeprefix('torch.')}, from step {trainer.step} of {config.optim.steps}",
          flush=True)
    done = trainer.run()
    if done.finished:
        print(f"{done.weights}: trained for {done.step} steps")
    else:
        why = "the time is over" if done.signal is None else "stopped"
        options = "".join(f" --set {shlex.quote(s)}" for s in args.set) + (" --weights-only" if args.weights_only else "")
        config_file, out = (shlex.quote(str(p)) for p in (args.config, args.out))
        print(f"{why} after step {done.step} of {config.optim.steps}; saved; `lsm train {config_file} --out {out} "
              f"--resume{options}` goes on", file=sys.stderr)
    return _EXIT[done.signal]


def _write_language(config: object, out: Path) -> int:
    from lsm_ros.models import build
    from lsm_ros.models.known import LANGUAGE_FILE
    from lsm_ros.models.tensor_files import write_safetensors
    from lsm_ros.semantics.codec import codec_tensors
    from lsm_ros.training.starting import make_codec

    channels = getattr(build(config.model.name, **config.model.options), "feature_channels", 0)
    codec = make_codec(config, channels) if channels else None
    if codec is None:
        raise ValueError("this config trains no language features")
    with replacing(out / LANGUAGE_FILE) as part:
        write_safetensors(part, *codec_tensors(codec))
    print(f"{out / LANGUAGE_FILE}: {len(codec.names)} classes, {codec.channels} numbers, of {codec.encoder}")
    return 0
