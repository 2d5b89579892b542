# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A depth prior of the package transformers as an ONNX file of fixed size, for depth prior `onnx`."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lsm_ros.files import replacing_file
from lsm_ros.models.onnx_export import CASES, onnx_name, write
from lsm_ros.pairs.depth_priors.transformers import load_model


class _Depth(nn.Module):
    """image (1, 3, H, W), normalised -> values (1, h, w)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model(pixel_values=image).predicted_depth


def export_prior(name: str, path: Path, size: tuple[int, int], tolerance: float | None) -> dict[str, float]:
    """Writes the prior `name` (a folder, or an id in the local cache) for images (H, W), with its settings beside it as
    PATH.yaml. Returns and raises as `lsm_ros.models.onnx_export.export`; errors as of `load_model`."""
    path = onnx_name(path)
    processor, model, kind = load_model(name)
    graph = _Depth(model.float().cpu().requires_grad_(False)).eval()
    mean, std = (_colours(processor, key, default) for key, default in (("image_mean", 0.0), ("image_std", 1.0)))
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(1, 3, *size, generator=generator) for _ in range(CASES)]
    cases = [((x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None],) for x in images]
    try:
        with torch.no_grad():
            shape = tuple(graph(*cases[0]).shape)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{name} does not run with images of {size[1]}x{size[0]}: {reason}") from error
    errors = write(graph, path, cases, (["image"], ["depth"]), {"part": "depth", "model": Path(name).name,
                   "output": kind, "shape": "x".join(map(str, shape))}, tolerance)
    with replacing_file(path.with_suffix(".yaml")) as out:
        out.write(f"size: {list(size)}\noutput: {kind}\nmean: {mean}\nstd: {std}\n".encode())
    return errors


def _colours(processor: Any, key: str, default: float) -> list[float]:
    """Three numbers of an image processor."""
    found = getattr(processor, key, None)
    return [float(v) for v in np.broadcast_to(default if found is None else found, 3)]
