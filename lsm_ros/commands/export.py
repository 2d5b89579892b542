# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""write a network as ONNX graphs, for TensorRT and other runtimes

Without --part two graphs are written, NAME_encoder.onnx (image -> tokens) and NAME_decoder.onnx (tokens of two images ->
points, confidences, descriptors), each with its weights in a .data file beside it. Each is run and compared with torch, and
so is each engine that opens it later, by the answers in .check.npz. `lsm map --pairs mast3r --weights NAME_encoder.onnx` maps
with them. --part depth writes a depth prior of the package transformers, with the YAML file that depth prior onnx needs.
"""
from __future__ import annotations

import argparse
import re
from pathlib import Path

from lsm_ros.commands.options import positive, positive_float
from lsm_ros.files import making_parents


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm export`."""
    parser.add_argument("weights", metavar="WEIGHTS", help="checkpoint of DUSt3R, MASt3R or lsm_small: a file, a folder, or a "
                        "name that `lsm weights` lists; with --part depth: folder or name of a depth prior")
    parser.add_argument("out", metavar="OUT.onnx", type=Path, help="file to write")
    parser.add_argument("--size", metavar="WxH", type=image_size, default=(512, 384),
                        help="size of the network's image, multiples of 16 (default: 512x384)")
    parser.add_argument("--part", choices=("encoder", "decoder", "depth"), help="write this part only, as OUT.onnx itself")
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
    tolerance = None if args.no_check else args.tolerance or onnx_export.TOLERANCE
    with making_parents(args.out):
        if args.part == "depth":
            from lsm_ros.pairs.depth_priors.exporting import export_prior

            print(_line(args.out, "depth prior", args.size, export_prior(args.weights, args.out, args.size[::-1], tolerance)))
            return 0
        model = models.load(args.weights)
        for part in (args.part,) if args.part else onnx_export.PARTS:
            path = args.out if args.part else args.out.with_name(f"{args.out.stem}_{part}{args.out.suffix}")
            errors = onnx_export.export(model, path, part, args.size[::-1], args.batch, tolerance)
            print(_line(path, part, args.size, errors))
    return 0


def _line(path: Path, part: str, size: tuple[int, int], errors: dict[str, float]) -> str:
    checked = f"differs from torch by {max(errors.values()):.1e} at most" if errors else "not checked"
    return f"{path}: {part} at {size[0]}x{size[1]}, {checked}"
