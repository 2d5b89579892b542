# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""write a network as ONNX graphs, for TensorRT and other runtimes

Without --part two graphs are written, NAME_encoder.onnx (image -> tokens) and NAME_decoder.onnx (tokens of two images ->
points, confidences, descriptors), each with its weights in a .data file beside it. Each is run once and compared with torch.
"""
from __future__ import annotations

import argparse
import re
from pathlib import Path

from lsm_ros.commands.options import positive, positive_float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm export`."""
    parser.add_argument("weights", metavar="WEIGHTS", help="checkpoint of DUSt3R or MASt3R: a file, a folder, or a name that "
                        "`lsm weights` lists")
    parser.add_argument("out", metavar="OUT.onnx", type=Path, help="file to write")
    parser.add_argument("--size", metavar="WxH", type=image_size, default=(512, 384),
                        help="size of the network's image, multiples of 16 (default: 512x384)")
    parser.add_argument("--part", choices=("encoder", "decoder"), help="write this part only, as OUT.onnx itself")
    parser.add_argument("--batch", metavar="N", type=positive, default=1, help="images or pairs at once (default: 1)")
    parser.add_argument("--tolerance", metavar="X", type=positive_float,
                        help="largest difference to torch over the largest value (default: 0.001)")
    parser.add_argument("--no-check", action="store_true", help="do not run the result")


def image_size(text: str) -> tuple[int, int]:
    """(width, height) from WxH, for argparse."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected WxH, such as 512x384, got {text!r}")
    return int(match[1]), int(match[2])


def run(args: argparse.Namespace) -> int:
    """Exports, checks, and prints one line for each file."""
    from lsm_ros import models
    from lsm_ros.models import onnx_export

    for module in ("onnx", "onnxscript", *(() if args.no_check else ("onnxruntime",))):
        onnx_export.needed(module)  # before gigabytes are read
    model = models.load(args.weights)
    tolerance = None if args.no_check else args.tolerance or onnx_export.TOLERANCE
    for part in (args.part,) if args.part else onnx_export.PARTS:
        path = args.out if args.part else args.out.with_name(f"{args.out.stem}_{part}{args.out.suffix}")
        errors = onnx_export.export(model, path, part, args.size[::-1], args.batch, tolerance)
        checked = f"differs from torch by {max(errors.values()):.1e} at most" if errors else "not checked"
        print(f"{path}: {part} at {args.size[0]}x{args.size[1]}, {checked}")
    return 0
