# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""DUSt3R and MASt3R as ONNX graphs for other runtimes, such as TensorRT on a Jetson, and a check against torch.

The encoder and the decoders with their heads are graphs of their own, so that tokens may be kept from frame to frame. Shapes
are fixed: positions and sizes are constants of the graph, as a TensorRT engine needs them.
"""
from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Mapping, Sequence
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
from lsm_ros.models.onnx_engine import Engine, difference, store_answer
from lsm_ros.models.positions import patch_positions

OPSET = 18
PARTS = ("encoder", "decoder")
TOLERANCE = 1e-3  # largest difference to torch over the largest value; float32 kernels of two libraries differ by less
_NAMES = {"pts3d": "points", "pts3d_in_other_view": "points", "conf": "confidence", "desc": "descriptors",
          "desc_conf": "descriptor_confidence", "features": "features"}
CASES = 2  # stored inputs and answers


class EncoderGraph(nn.Module):
    """image (B, 3, H, W) from -1 to 1 -> tokens (B, N, D)."""

    def __init__(self, model: DUSt3R) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model.encode(image)[0]


class DecoderGraph(nn.Module):
    """Tokens (B, N, D) of two images of one size -> points (B, H, W, 3), confidence (B, H, W) and, of a network that has
    them, descriptors (B, H, W, C), their confidence (B, H, W) and language features (B, H/8, W/8, F), for image 1, then for
    image 2, all in camera 1."""

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
    kinds = ["points", "confidence", *(["descriptors", "descriptor_confidence"] if model.desc_dim else []),
             *(["features"] if hasattr(model, "feature_channels") else [])]
    return [f"{kind}_{n}" for n in (1, 2) for kind in kinds]


def export(model: nn.Module, path: str | Path, part: str, size: tuple[int, int], batch: int = 1,
           tolerance: float | None = TOLERANCE) -> dict[str, float]:
    """Writes one part of a network as `path`.onnx, its weights beside it in `path`.onnx.data, and the answers of torch that an
    engine is compared with when it opens the file (`lsm_ros.models.onnx_engine`); and checks it.

    part: 'encoder' or 'decoder'. size: (H, W), multiples of 16. Returns the difference of each output to torch's, over the
    largest value; empty with tolerance None, which leaves the check out. ValueError for another network or size, and when a
    difference is above the tolerance: then no file is written. ImportError names what to install.
    """
    path = onnx_name(path)
    if part not in PARTS:
        raise ValueError(f"part {part!r} is none of {', '.join(PARTS)}")
    if not isinstance(model, DUSt3R):
        raise ValueError(f"only DUSt3R and MASt3R can be exported, not {type(model).__name__}")
    if len(size) != 2 or any(s < PATCH or s % PATCH for s in size):
        raise ValueError(f"size {size[1]}x{size[0]}: width and height must be positive multiples of {PATCH}")
    needed("onnx")
    needed("onnxscript")
    model = model.float().eval().requires_grad_(False)
    graph, cases, names = _prepared(model, part, size, batch)
    return write(graph, path, cases, names, _details(model, part, size), tolerance)


def onnx_name(path: str | Path) -> Path:
    """The path of an ONNX file. ValueError for another name."""
    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: the name of an ONNX file ends with .onnx")
    return path


def write(graph: nn.Module, path: Path, cases: Sequence[tuple[torch.Tensor, ...]], names: tuple[list[str], list[str]],
          details: Mapping[str, str], tolerance: float | None) -> dict[str, float]:
    """Writes a network as an ONNX file with stored answers. cases: inputs, the first of which is traced; names: of inputs and
    outputs; details: that the file says of itself. Returns and raises as `export`."""
    onnx = needed("onnx")
    needed("onnxscript")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".onnx-") as folder:
        fresh = Path(folder) / path.name
        with torch.no_grad(), _quiet():
            torch.onnx.export(graph, cases[0], str(fresh), input_names=names[0], output_names=names[1], opset_version=OPSET,
                              dynamo=True, external_data=True, verbose=False)
        _describe(onnx, fresh, details)
        answers = [_answer(graph, inputs, names) for inputs in cases]
        errors = {} if tolerance is None else check(fresh, answers)
        wrong = {n: e for n, e in errors.items() if not e <= (tolerance or 0)}
        if wrong:
            listed = ", ".join(f"{n} {e:.1e}" for n, e in wrong.items())
            raise ValueError(f"the exported {details.get('part', path.name)} differs from torch by more than {tolerance:g}: "
                             f"{listed}")
        store_answer(fresh, answers)
        for file in sorted(Path(folder).iterdir(), reverse=True):  # the weights before the graph that names them
            with replacing(path.with_name(file.name)) as part:
                file.rename(part)
    return errors


Answer = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def _answer(graph: nn.Module, inputs: Sequence[torch.Tensor], names: tuple[list[str], list[str]]) -> Answer:
    """Inputs and outputs of torch by name."""
    with torch.no_grad():
        out = graph(*inputs)
    out = out if isinstance(out, tuple) else (out,)
    return ({n: x.numpy() for n, x in zip(names[0], inputs, strict=True)},
            {n: x.numpy() for n, x in zip(names[1], out, strict=True)})


def check(path: Path, answers: Sequence[Answer]) -> dict[str, float]:
    """Largest difference of each output of the ONNX file to the answer, over the largest value, by ONNX Runtime's CPU."""
    needed("onnxruntime")
    engine = Engine(path, ["cpu"])
    errors: dict[str, float] = {}
    for inputs, outputs in answers:
        for name, got in engine.run(inputs).items():
            errors[name] = max(errors.get(name, 0.0), difference(got, outputs[name]))
    return errors


def needed(name: str) -> ModuleType:
    """An optional module. ImportError that says how to get it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"exporting needs {name}: pip install lsm_ros[onnx]") from error


def _prepared(model: DUSt3R, part: str, size: tuple[int, int], batch: int
              ) -> tuple[nn.Module, list[tuple[torch.Tensor, ...]], tuple[list[str], list[str]]]:
    """The graph's module, inputs to trace and check it with, and the names of inputs and outputs."""
    generator = torch.Generator().manual_seed(0)
    images = [[torch.rand(batch, 3, *size, generator=generator) * 2 - 1 for _ in range(2)] for _ in range(CASES)]
    if part == "encoder":
        return EncoderGraph(model).eval(), [(first,) for first, _ in images], (["image"], ["tokens"])
    with torch.no_grad():
        tokens = [tuple(model.encode(i)[0] for i in pair) for pair in images]
    return DecoderGraph(model, size).eval(), tokens, (["tokens_1", "tokens_2"], output_names(model))


def _details(model: DUSt3R, part: str, size: tuple[int, int]) -> dict[str, str]:
    """Metadata of a file."""
    return {"network": type(model).__name__, "part": part, "size": f"{size[1]}x{size[0]}", "image": "RGB from -1 to 1",
            "patch": str(PATCH), "enc_dim": str(model.enc_dim), "img_size": f"{model.img_size[1]}x{model.img_size[0]}",
            "is_metric": str(int(model.is_metric)), "scale_std": str(getattr(model, "scale_std", float("nan"))),
            "feature_channels": str(getattr(model, "feature_channels", 0))}


def _describe(onnx: ModuleType, path: Path, details: Mapping[str, str]) -> None:
    """Writes the metadata into the file; weights stay where they are."""
    proto = onnx.load(str(path), load_external_data=False)
    onnx.helper.set_model_props(proto, dict(details))
    onnx.save(proto, str(path))


@contextmanager
def _quiet():
    """Context without the exporter's warnings about operators of packages that are not used, and about its own code."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)
