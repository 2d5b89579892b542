# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A network of the CroCo family from the two ONNX files that `lsm export` writes, in place of its weights."""
from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from lsm_ros.models.onnx_engine import Engine

ENCODER, DECODER = "_encoder.onnx", "_decoder.onnx"
Size = tuple[int, int]
View = dict[str, torch.Tensor]


class OnnxNetwork(nn.Module):
    """The files NAME_encoder.onnx and NAME_decoder.onnx as a network that `NetworkPairModel` can use; path: of one of them.
    Images have the size that was exported. Errors as of `Engine`, ValueError for files that do not belong together."""

    records = records_encoder = False  # other code than torch's is no part of a CUDA graph

    def __init__(self, path: Path) -> None:
        super().__init__()
        stem = path.name.removesuffix(ENCODER).removesuffix(DECODER)
        if stem == path.name:
            raise ValueError(f"{path}: expected one of the two files NAME{ENCODER} and NAME{DECODER} that `lsm export` writes")
        self._encoder, self._decoder = (Engine(path.with_name(stem + end)) for end in (ENCODER, DECODER))
        said, other = self._encoder.details, self._decoder.details
        differ = [k for k in said if k != "part" and said[k] != other.get(k)]
        if said.get("part") != "encoder" or other.get("part") != "decoder" or "enc_dim" not in said or differ:
            raise ValueError(f"{path.with_name(stem)}{ENCODER} and {DECODER} are not the parts of one network "
                             f"({', '.join(differ) or 'part'}); export both again")
        self.network = said["network"]
        (width, height), trained = ([int(n) for n in said[k].split("x")] for k in ("size", "img_size"))
        self.size = height, width
        self.img_size = (max(self.size),) * 2 if trained[0] == trained[1] else self.size
        self.enc_dim, self.feature_channels = int(said["enc_dim"]), int(said["feature_channels"])
        self.is_metric, self.scale_std = said["is_metric"] == "1", float(said["scale_std"])

    def encode(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, N, enc_dim) of images (B, 3, H, W) in [-1, 1]; positions are constants of the decoder."""
        self._fits(tuple(image.shape[-2:]))
        tokens = [self._encoder.run({"image": one.float().cpu().numpy()})["tokens"] for one in image.split(1)]
        found = torch.cat([torch.from_numpy(t) for t in tokens]).to(image.device)
        return found, torch.zeros(len(image), 0, 2, device=image.device)

    def predict(self, tokens1: torch.Tensor, _positions1: torch.Tensor, size1: Size, tokens2: torch.Tensor,
                _positions2: torch.Tensor, size2: Size) -> tuple[View, View]:
        """Predictions for both images, in the camera of the first."""
        for size in (size1, size2):
            self._fits(size)
        out = [self._decoder.run({"tokens_1": a.float().cpu().numpy(), "tokens_2": b.float().cpu().numpy()})
               for a, b in zip(tokens1.split(1), tokens2.split(1), strict=True)]
        together = {name: torch.cat([torch.from_numpy(o[name]) for o in out]).to(tokens1.device) for name in out[0]}
        names = {"points": "pts3d", "confidence": "conf", "descriptors": "desc", "descriptor_confidence": "desc_conf",
                 "features": "features"}
        first, second = ({names[k[:-2]]: v for k, v in together.items() if k.endswith(f"_{n}")} for n in (1, 2))
        second["pts3d_in_other_view"] = second.pop("pts3d")
        return first, second

    def _fits(self, size: tuple[int, ...]) -> None:
        if tuple(size) != self.size:
            raise ValueError(f"{self._encoder.path.name} was exported for images of {self.size[1]}x{self.size[0]}, this one is "
                             f"{size[1]}x{size[0]}: export the network again with --size {size[1]}x{size[0]}")
