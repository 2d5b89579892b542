# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pair geometry from a network: DUSt3R, MASt3R, LSM or lsm_small. A frame is encoded once, a pair costs decoders and heads."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from lsm_ros.config import PairConfig
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.models.blocks import PATCH
from lsm_ros.models.known import LANGUAGE_FILE, SHIPPED
from lsm_ros.models.positions import patch_positions
from lsm_ros.models.preprocess import Crop, resize
from lsm_ros.pairs.base import GAUSSIANS, PointmapPairModel
from lsm_ros.pairs.graphs import GraphedFunction
from lsm_ros.pairs.masks import cropped, masked, packed, unpacked
from lsm_ros.pairs.precision import choose_precision
from lsm_ros.pairs.retrieval import load_retrieval
from lsm_ros.registry import NETWORKS
from lsm_ros.types import Frame, PairPrediction

Size = tuple[int, int]
Views = dict[str, torch.Tensor]


@dataclass
class NetworkTokens:
    """A frame as it is kept for pairing it with others.

    tokens: (N, D) fp16 on the model's device, of the image as the network saw it, `size` (H, W). crop: how pixels of the
    frame became those of the network. intrinsics: of the network's image, None while unknown. mask: (H, W) bool of the
    network's image, where predictions have no confidence, or None.
    """

    camera: str
    stamp_ns: int
    tokens: torch.Tensor
    size: Size
    crop: Crop
    intrinsics: CameraIntrinsics | None = None
    mask: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        return self.tokens.numel() * self.tokens.element_size()


class Network(Protocol):
    """The part of a network (`lsm_ros.models`) that pairing uses, besides attributes that not every network has. img_size:
    (H, W) of the images that it was trained on; enc_dim: numbers of a token."""

    img_size: Size
    enc_dim: int

    def encode(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, N, enc_dim) of images (B, 3, H, W) in [-1, 1], and their positions."""

    def predict(self, tokens1: torch.Tensor, positions1: torch.Tensor, size1: Size, tokens2: torch.Tensor,
                positions2: torch.Tensor, size2: Size) -> tuple[Views, Views]:
        """Predictions for both images, in the camera of the first."""

    def to(self, *to: torch.device | torch.dtype) -> Network:
        """As of `torch.nn.Module`."""

    def eval(self) -> Network:
        """As of `torch.nn.Module`."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """As of `torch.nn.Module`."""

    def requires_grad_(self, requires_grad: bool = True) -> Network:
        """As of `torch.nn.Module`."""


class NetworkPairModel(PointmapPairModel):
    """Pair model of a network of the CroCo family; predictions are at the size of the network's image (see
    `NetworkTokens.crop`). The network says itself whether it is metric and whether it gives language features.

    network: used as it is; else the checkpoint that config.weights names is loaded, or the one that comes with the package.
    language_file: what the features mean; else the file of that name beside the weights, if there is one.
    ValueError or FileNotFoundError when there are no weights, ValueError when they are of another network.
    """

    def __init__(self, config: PairConfig, network: Network | None = None, device: str | torch.device | None = None,
                 language_file: Path | None = None) -> None:
        self.name, self.config = config.model, config
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.device = torch.device("cuda", torch.cuda.current_device()) if str(chosen) == "cuda" else chosen
        self.dtype = choose_precision(config.precision, self.device)
        if network is None:
            network = _load(config, self.device, self.dtype)
            language_file = find_language_file(weights_of(config))
        self.is_metric = getattr(network, "is_metric", False)
        if self.is_metric:
            self.scale_source, self.scale_std = "model", getattr(network, "scale_std", float("nan"))
        self.feature_dim = getattr(network, "feature_channels", 0)
        self.language_file = language_file if self.feature_dim else None
        self.model = network.to(self.device, self.dtype).eval().requires_grad_(False)
        for weight in self.model.parameters():
            if weight.dim() == 4:  # tokens become maps with the channels last in memory; convolutions then need no copies
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        if self.feature_dim and self.language_file is None and hasattr(network, "language_basis"):
            self.language_basis, self.text_encoder = network.language_basis(), str(getattr(network, "text_encoder", ""))
        self.with_features = self.has_language
        if hasattr(network, "gaussians_of"):
            self.gives = self.gives | {GAUSSIANS}
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        self.image_size = max(self.model.img_size)
        self._described = getattr(network, "retrieval_dim", self.model.enc_dim)
        self._retrieval = load_retrieval(config.retrieval, self._described)
        self._whole = self.model.img_size[0] != self.model.img_size[1]  # was trained on images that are no squares
        self._square_ok = 3 * self.image_size // 4 % PATCH != 0  # three quarters of a square would be no whole patches
        self._encode = GraphedFunction(self._run_encoder, record=getattr(network, "records_encoder", True))
        self._predict = GraphedFunction(self._run_decoders, record=getattr(network, "records", True))
        if self.device.type == "cuda" and getattr(network, "records_encoder", True):
            # record what most cameras need, so that their first frame waits for nothing
            self.warm_up(3 * self.image_size // 4, self.image_size)

    def _run_encoder(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, H, W, 3) uint8 -> (B, N, D) fp16."""
        image = pixels.permute(0, 3, 1, 2).to(self.dtype) / 127.5 - 1
        return self.model.encode(image)[0].half()

    def _run_decoders(self, a: torch.Tensor, b: torch.Tensor, size_a: Size, size_b: Size) -> tuple[Views, Views]:
        """(B, N, D) fp16 twice -> views, descriptors in fp16."""
        positions = (patch_positions(h // PATCH, w // PATCH, len(a), a.device) for h, w in (size_a, size_b))
        decode = self.model.predict if self.with_features else getattr(self.model, "predict_geometry", self.model.predict)
        views = decode(a.to(self.dtype), next(positions), size_a, b.to(self.dtype), next(positions), size_b)
        for view in views:
            if "desc" in view:
                view["desc"] = view["desc"].half()
        return views

    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame]) -> list[NetworkTokens]:
        """Tokens of each frame; frames of one size go through the encoder together. ValueError for an image too narrow."""
        resized = [resize(f.image, self.image_size, square_ok=self._square_ok, whole=self._whole) for f in frames]
        tokens: dict[int, torch.Tensor] = {}
        for group in _groups([pixels.shape for pixels, _ in resized]):
            batch = torch.from_numpy(np.stack([resized[n][0] for n in group])).to(self.device)
            for n, t in zip(group, self._encode(batch), strict=True):
                tokens[n] = t.clone() if len(group) > 1 else t  # a batch's memory would live as long as its longest frame
        found = []
        for n, (frame, (_, crop)) in enumerate(zip(frames, resized, strict=True)):
            camera = None if frame.intrinsics is None else crop.intrinsics(frame.intrinsics)
            found.append(NetworkTokens(frame.camera, frame.stamp_ns, tokens[n], (crop.height, crop.width), crop, camera,
                                       cropped(frame.mask, crop)))
        return found

    @torch.inference_mode()
    def predict(self, pairs: Sequence[tuple[NetworkTokens, NetworkTokens]],
                priors: Sequence[np.ndarray | None] | None = None) -> list[PairPrediction]:
        """Predictions for pairs (a, b), and for (b, a) where they are among them; pairs of the same sizes as one batch.

        priors are not needed and not used. Points are in camera a, metres where `is_metric`.
        """
        found: dict[int, PairPrediction] = {}
        for group in _groups([(a.size, b.size) for a, b in pairs]):
            a, b = (torch.stack([pairs[n][side].tokens.to(self.device) for n in group]) for side in (0, 1))
            first, second = pairs[group[0]]
            fields = ("desc", "desc_conf", "features") if self.with_features else ("desc", "desc_conf")
            view_a, view_b = self._predict(a, b, extra=(first.size, second.size))
            for k, n in enumerate(group):
                local = {f"{field}_{side}": view[field][k] for side, view in (("a", view_a), ("b", view_b))
                         for field in fields if field in view}
                conf_a, conf_b = (masked(view["conf"][k], t.mask) for view, t in zip((view_a, view_b), pairs[n], strict=True))
                found[n] = PairPrediction(view_a["pts3d"][k], view_b["pts3d_in_other_view"][k], conf_a, conf_b,
                                          is_metric=self.is_metric, **local)
        return [found[n] for n in range(len(pairs))]

    @torch.inference_mode()
    def gaussians(self, pairs: Sequence[tuple[NetworkTokens, NetworkTokens]]) -> list[dict[str, np.ndarray]]:
        """3D Gaussians of image a for pairs (a, b), where the network predicts some; see `GaussianPairModel`."""
        found = []
        for pair in pairs:
            (own, at, size), (other, there, other_size) = ((t.tokens.to(self.device, self.dtype)[None], patch_positions(
                t.size[0] // PATCH, t.size[1] // PATCH, 1, self.device), t.size) for t in pair)
            view = self.model.predict(own, at, size, other, there, other_size)[0]
            parts = {**{k: view[k] for k in ("means", "scales", "rotations")}, "opacities": view["opacities"][..., 0],
                     "colours": view["sh_coeffs"][..., 0, :]}
            found.append({k: v[0].float().cpu().numpy() for k, v in parts.items()})
        return found

    def signature(self, tokens: Sequence[NetworkTokens]) -> np.ndarray:
        """Array that is kept of a frame set for `alike`."""
        return self._retrieval.signature([t.tokens[:, :self._described] for t in tokens])

    def alike(self, tokens: Sequence[NetworkTokens] | np.ndarray, signatures: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """(S,) similarity of a frame set, by tokens or signature, to others by their signatures."""
        own = tokens if isinstance(tokens, np.ndarray) else [t.tokens[:, :self._described] for t in tokens]
        return self._retrieval.alike(own, signatures)

    def pack(self, tokens: NetworkTokens) -> dict[str, np.ndarray]:
        """Tokens as arrays, for a map on disk."""
        c = tokens.crop
        return {"tokens": tokens.tokens.cpu().numpy(),
                "crop": np.array([c.width, c.height, *c.resized, c.left, c.top, *c.source]), **packed(tokens.mask)}

    def unpack(self, camera: str, stamp_ns: int, intrinsics: CameraIntrinsics, parts: Mapping[str, np.ndarray]
               ) -> NetworkTokens:
        """Tokens from what `pack` gave; intrinsics: of the frame. ValueError when they are of another network."""
        width, height, w, h, left, top, *source = parts["crop"].tolist()
        crop = Crop(width, height, (w, h), left, top, tuple(source))
        if parts["crop"].dtype.kind not in "iu" or min(width, height, w, h) < 1 or tuple(source) != intrinsics.shape[::-1]:
            raise ValueError(f"the network's image is cut as {parts['crop'].tolist()}, which no image of "
                             f"{intrinsics.width}x{intrinsics.height} is")
        tokens = torch.from_numpy(parts["tokens"]).to(self.device)
        wanted = (height // PATCH * (width // PATCH), self.model.enc_dim)
        if tuple(tokens.shape) != wanted:
            raise ValueError(f"tokens of shape {tuple(tokens.shape)}, where this network has {wanted}")
        return NetworkTokens(camera, stamp_ns, tokens, (height, width), crop, crop.intrinsics(intrinsics),
                             unpacked(parts, (height, width)))

    def warm_up(self, height: int, width: int, pairs: Sequence[int] = (1, 2)) -> None:
        """Runs everything once for images of this size and these numbers of pairs, so that the first frame costs no more."""
        image = np.zeros((height, width, 3), np.uint8)
        tokens = self.encode([Frame(0, "warm_up", image)])[0]
        for count in pairs:
            self.predict([(tokens, tokens)] * count)

    @property
    def weight_megabytes(self) -> float:
        """Memory of the weights."""
        return sum(p.numel() * p.element_size() for p in self.model.parameters()) / 1e6


def _groups(keys: Sequence[Any]) -> list[list[int]]:
    """Indices of equal keys, in order of appearance."""
    groups: dict[Any, list[int]] = {}
    for n, key in enumerate(keys):
        groups.setdefault(key, []).append(n)
    return list(groups.values())


def weights_of(config: PairConfig) -> str:
    """The checkpoint that a config means. ValueError when it names none and none comes with the package;
    FileNotFoundError when the package came without the one that it should have."""
    if config.weights:
        return config.weights
    shipped = SHIPPED.get(config.model)
    if shipped is None:
        raise ValueError(f"pair model {config.model!r} needs weights: set pairs.weights to a checkpoint; `lsm weights` lists "
                         "those that are known")
    if not (shipped / "config.json").is_file():
        raise FileNotFoundError(f"this package has no weights of {config.model} ({shipped} is missing): train some with "
                                f"`lsm train config/train_{config.model}.yaml --out DIR` and name DIR/weights (--weights, "
                                "pairs.weights)")
    return str(shipped)


def find_language_file(weights: str) -> Path | None:
    """File that says what the features of weights in a folder mean; None when there is no such file beside them: they were
    trained without language."""
    path = Path(weights).expanduser()
    path = (path if path.is_dir() else path.parent) / LANGUAGE_FILE
    return path if path.is_file() else None


def _load(config: PairConfig, device: torch.device, dtype: torch.dtype) -> Network:
    from lsm_ros import models

    weights = weights_of(config)
    if weights.endswith(".onnx"):
        return _from_onnx(Path(weights).expanduser(), config.model)
    # what a module says of itself is no more than that it is one
    loaded: Any = models.load(weights, name=config.model, device=device, dtype=dtype)
    return loaded


def _from_onnx(path: Path, name: str) -> Network:
    """The parts that `lsm export` wrote of a network of this name. ValueError for those of another."""
    from lsm_ros.models.onnx_network import OnnxNetwork

    network: Any = OnnxNetwork(path)
    wanted = NETWORKS[name].rpartition(":")[2]
    if network.network != wanted:
        raise ValueError(f"{path} is of {network.network}, where pair model {name!r} needs {wanted}")
    return network
