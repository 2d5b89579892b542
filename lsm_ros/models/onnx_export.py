# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""DUSt3R and MASt3R as ONNX graphs for other runtimes, such as TensorRT on a Jetson, and a check against torch.

The encoder and the decoders with their heads are graphs of their own, so that tokens may be kept from frame to frame. Shapes
are fixed: positions and sizes are constants of the graph, as a TensorRT engine needs them.
"""
from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import nn

from lsm_ros.files import replacing
from lsm_ros.models.blocks import PATCH
from lsm_ros.models.dust3r import DUSt3R
from lsm_ros.models.positions import patch_positions

OPSET = 18
PARTS = ("encoder", "decoder")
TOLERANCE = 1e-3  # largest difference to torch over the largest value; float32 kernels of two libraries differ by less
_NAMES = {"pts3d": "points", "pts3d_in_other_view": "points", "conf": "confidence", "desc": "descriptors",
          "desc_conf": "descriptor_confidence"}


class EncoderGraph(nn.Module):
    """image (B, 3, H, W) from -1 to 1 -> tokens (B, N, D)."""

    def __init__(self, model: DUSt3R) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model.encode(image)[0]


class DecoderGraph(nn.Module):
    """Tokens (B, N, D) of two images of one size -> points (B, H, W, 3), confidence (B, H, W) and, of a network that has
    them, descriptors (B, H, W, C) and their confidence (B, H, W), for image 1, then for image 2, all in camera 1."""

    def __init__(self, model: DUSt3R, size: tuple[int, int]) -> None:
        super().__init__()
        self.model, self.size = model, size

    def forward(self, tokens_1: torch.Tensor, tokens_2: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rows, columns = self.size[0] // PATCH, self.size[1] // PATCH
        positions = patch_positions(rows, columns, len(tokens_1), tokens_1.device)
        views = self.model.predict(tokens_1, positions, self.size, tokens_2, positions, self.size)
        return tuple(view[key] for view in views for key in _NAMES if key in view)


def output_names(model: DUSt3R) -> list[str]:
    """Names of the outputs of `DecoderGraph`, in order."""
    kinds = ["points", "confidence", *(["descriptors", "descriptor_confidence"] if model.desc_dim else [])]
    return [f"{kind}_{n}" for n in (1, 2) for kind in kinds]


def export(model: nn.Module, path: str | Path, part: str, size: tuple[int, int], batch: int = 1,
           tolerance: float | None = TOLERANCE) -> dict[str, float]:
    """Writes one part of a network as `path`.onnx, its weights beside it in `path`.onnx.data, and checks it.

    part: 'encoder' or 'decoder'. size: (H, W), multiples of 16. Returns the difference of each output to torch's, over the
    largest value; empty with tolerance None, which leaves the check out. ValueError for another network or size, and when a
    difference is above the tolerance: then no file is written. ImportError names what to install.
    """
    path = Path(path)
    if part not in PARTS:
        raise ValueError(f"part {part!r} is none of {', '.join(PARTS)}")
    if not isinstance(model, DUSt3R):
        raise ValueError(f"only DUSt3R and MASt3R can be exported, not {type(model).__name__}")
    if len(size) != 2 or any(s < PATCH or s % PATCH for s in size):
        raise ValueError(f"size {size[1]}x{size[0]}: width and height must be positive multiples of {PATCH}")
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: the name of an ONNX file ends with .onnx")
    onnx = needed("onnx")
    needed("onnxscript")
    model = model.float().eval().requires_grad_(False)
    graph, inputs, names = _prepared(model, part, size, batch)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".onnx-") as folder:
        fresh = Path(folder) / path.name
        with torch.no_grad(), _quiet():
            torch.onnx.export(graph, inputs, str(fresh), input_names=names[0], output_names=names[1], opset_version=OPSET,
                              dynamo=True, external_data=True, verbose=False)
        _describe(onnx, fresh, model, part, size)
        errors = {} if tolerance is None else check(graph, fresh, inputs)
        wrong = {n: e for n, e in errors.items() if not e <= (tolerance or 0)}
        if wrong:
            listed = ", ".join(f"{n} {e:.1e}" for n, e in wrong.items())
            raise ValueError(f"the exported {part} differs from torch by more than {tolerance:g}: {listed}")
        for file in sorted(Path(folder).iterdir(), reverse=True):  # the weights before the graph that names them
            with replacing(path.with_name(file.name)) as part:
                file.rename(part)
    return errors


def check(graph: nn.Module, path: Path, inputs: Sequence[torch.Tensor]) -> dict[str, float]:
    """Largest difference of each output of the ONNX file to that of `graph`, over the largest value, by ONNX Runtime's CPU."""
    runtime = needed("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    got = session.run(None, {i.name: x.numpy() for i, x in zip(session.get_inputs(), inputs, strict=True)})
    with torch.no_grad():
        expected = graph(*inputs)
    expected = expected if isinstance(expected, tuple) else (expected,)
    return {o.name: float(np.abs(g - e.numpy()).max() / max(float(e.abs().max()), 1e-30))
            for o, g, e in zip(session.get_outputs(), got, expected, strict=True)}


def needed(name: str) -> ModuleType:
    """An optional module. ImportError that says how to get it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"exporting needs {name}: pip install lsm_ros[onnx]") from error


def _prepared(model: DUSt3R, part: str, size: tuple[int, int], batch: int
              ) -> tuple[nn.Module, tuple[torch.Tensor, ...], tuple[list[str], list[str]]]:
    """The graph's module, an input to trace and check it with, and the names of inputs and outputs."""
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(batch, 3, *size, generator=generator) * 2 - 1 for _ in range(2)]
    if part == "encoder":
        return EncoderGraph(model).eval(), (images[0],), (["image"], ["tokens"])
    with torch.no_grad():
        tokens = tuple(model.encode(i)[0] for i in images)
    return DecoderGraph(model, size).eval(), tokens, (["tokens_1", "tokens_2"], output_names(model))


def _describe(onnx: ModuleType, path: Path, model: DUSt3R, part: str, size: tuple[int, int]) -> None:
    """Writes the metadata into the file; weights stay where they are."""
    proto = onnx.load(str(path), load_external_data=False)
    onnx.helper.set_model_props(proto, {"network": type(model).__name__, "part": part, "size": f"{size[1]}x{size[0]}",
                                        "image": "RGB from -1 to 1", "patch": str(PATCH)})
    onnx.save(proto, str(path))


@contextmanager
def _quiet():
    """Context without the exporter's warnings about operators of packages that are not used."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
