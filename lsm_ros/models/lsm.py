# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The Large Spatial Model: two images in; geometry, language features and 3D Gaussians out (Fan et al., NeurIPS 2024)."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, normalize, pad, pixel_shuffle, pixel_unshuffle

from lsm_ros.models.backbone import check_images, size_pair
from lsm_ros.models.blocks import PATCH
from lsm_ros.models.dpt import as_map
from lsm_ros.models.dust3r import DUSt3R, Size, View, as_view
from lsm_ros.models.gaussians import GaussianHead, spacing_of
from lsm_ros.models.known import CLIP
from lsm_ros.models.lseg import LSeg
from lsm_ros.models.lsm_shapes import DUST3R, LSEG, keywords_of, official_keywords
from lsm_ros.models.parts import Part
from lsm_ros.models.point_transformer import PointTransformer, merge_points

FEATURE_STRIDE = 8
_CELLS = (PATCH // FEATURE_STRIDE) ** 2
_PIXELS = 3 * PATCH ** 2


class Dust3rPart(nn.Module):
    """DUSt3R under the name that the checkpoints give it."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.dust3r = DUSt3R(**config)


class LSM(nn.Module):
    """DUSt3R's points of both images go, with colours, through a point transformer that looks at DUSt3R's and LSeg's tokens;
    each point becomes a Gaussian with a semantic vector, which expands to one that CLIP's texts are compared with.

    dust3r, lseg, point_transformer: keywords of the parts; semantic_dim: length of the semantic vectors; freeze: parts
    of DUSt3R that are not trained. Each pair of a batch is a cloud of its own: its output does not depend on the others.
    """

    is_metric = False
    completes_images = False
    text_encoder = CLIP
    feature_stride = FEATURE_STRIDE
    records = False  # sizes of the point clouds depend on the points: no CUDA graph can hold that
    parts = {"dust3r": Part(DUST3R, default="DUSt3R_ViTLarge_BaseDecoder_512_dpt"), "lseg": Part(LSEG, in_file="net.")}

    @classmethod
    def implied_keywords(cls, state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """The widths and depths of all parts."""
        return keywords_of(state)

    @classmethod
    def official_keywords(cls, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Keywords from those that an official file stores."""
        return official_keywords(stored)

    def __init__(self, *, img_size: int | Sequence[int] = (256, 256), semantic_dim: int = 64,
                 dust3r: Mapping[str, Any] | None = None, lseg: Mapping[str, Any] | None = None,
                 point_transformer: Mapping[str, Any] | None = None, freeze: str = "none") -> None:
        super().__init__()
        self.img_size, self.semantic_dim = size_pair(img_size), semantic_dim
        self.dust3r = Dust3rPart(dust3r or {})
        self.lseg_feature_extractor = LSeg(**(lseg or {}))
        out = self.lseg_feature_extractor.out
        widths = {"dust_dim": self.geometry.enc_dim, "lseg_dim": out}
        self.point_transformer = PointTransformer(**{**widths, **(point_transformer or {})})
        self.gaussian_head = GaussianHead(self.point_transformer.channels, semantic_dim)
        # the layers without weights around them halve and double the resolution
        self.feature_expansion = nn.Sequential(nn.Identity(), nn.Conv2d(semantic_dim, out, 1))
        self.feature_reduction = nn.Sequential(nn.Conv2d(out, semantic_dim, 1), nn.Identity())
        self.enc_dim = self.geometry.enc_dim + out + _CELLS * semantic_dim + _PIXELS
        self.feature_channels = semantic_dim + 2
        self._basis: torch.Tensor | None = None
        self.freeze(freeze)
        self.register_load_state_dict_post_hook(_weights_changed)

    @property
    def geometry(self) -> DUSt3R:
        """The part that predicts points."""
        return self.dust3r.dust3r

    @property
    def retrieval_dim(self) -> int:
        """Numbers of a token, from the first, that describe its place: those of DUSt3R."""
        return self.geometry.enc_dim

    # what an image says by itself

    @torch.no_grad()
    def lseg_features(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 512, H/2, W/2) features of LSeg, which is never trained."""
        return self.lseg_feature_extractor(image)

    def feature_target(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 512, H/2, W/2) that expanded vectors are taught, for images (B, 3, H, W) from 0 to 1: LSeg's features of them. It
        sees images from -1 to 1 else; the reference was trained so."""
        return self.lseg_features(image)

    def lseg_tokens(self, features: torch.Tensor) -> torch.Tensor:
        """(B, N, 512): the mean of features (B, 512, H/2, W/2) over each patch."""
        return avg_pool2d(features, PATCH // 2).flatten(2).transpose(1, 2)

    def reduced(self, features: torch.Tensor) -> torch.Tensor:
        """(B, 64, H, W) residual features of each pixel from features (B, 512, H/2, W/2)."""
        return interpolate(self.feature_reduction[0](features), scale_factor=2, mode="bilinear", align_corners=False)

    def expanded(self, semantic: torch.Tensor) -> torch.Tensor:
        """(B, 512, H/2, W/2) vectors like those of CLIP's texts from semantic vectors (B, 64, H, W)."""
        halved = interpolate(semantic, scale_factor=0.5, mode="bilinear", align_corners=False)
        return self.feature_expansion[1](halved)

    def encode(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, N, enc_dim) and positions (B, N, 2) of images (B, 3, H, W), unchecked.

        A token has what `predict` needs of its patch: DUSt3R's token, LSeg's, the residual features at stride 8, the pixels.
        """
        tokens, positions = self.geometry.encode(image)
        features = self.lseg_features(image)
        residual = avg_pool2d(self.reduced(features), FEATURE_STRIDE)
        cells, pixels = (pixel_unshuffle(x, s).flatten(2).transpose(1, 2)
                         for x, s in ((residual, PATCH // FEATURE_STRIDE), (image, PATCH)))
        return torch.cat([tokens, self.lseg_tokens(features), cells, pixels], -1), positions

    # pairs

    def predict(self, tokens1: torch.Tensor, positions1: torch.Tensor, size1: Size, tokens2: torch.Tensor,
                positions2: torch.Tensor, size2: Size) -> tuple[View, View]:
        """Both views from tokens of `encode`, of images of size1 and size2 (H, W); residual features at stride 8."""
        parts = [t.split([self.geometry.enc_dim, self.lseg_feature_extractor.out, _CELLS * self.semantic_dim, _PIXELS], -1)
                 for t in (tokens1, tokens2)]
        views = self.geometry.predict(parts[0][0], positions1, size1, parts[1][0], positions2, size2)
        residuals = [interpolate(pixel_shuffle(as_map(p[2], s), PATCH // FEATURE_STRIDE), scale_factor=FEATURE_STRIDE)
                     for p, s in zip(parts, (size1, size2), strict=True)]
        images = [pixel_shuffle(as_map(p[3], s), PATCH) for p, s in zip(parts, (size1, size2), strict=True)]
        self._add_gaussians(views, images, [p[0] for p in parts], [p[1] for p in parts], residuals)
        return views

    def predict_geometry(self, tokens1: torch.Tensor, positions1: torch.Tensor, size1: Size, tokens2: torch.Tensor,
                         positions2: torch.Tensor, size2: Size) -> tuple[View, View]:
        """As `predict`, without features and Gaussians: only what DUSt3R gives."""
        own = [t[..., :self.geometry.enc_dim] for t in (tokens1, tokens2)]
        return self.geometry.predict(own[0], positions1, size1, own[1], positions2, size2)

    def forward(self, img1: torch.Tensor | Mapping[str, Any], img2: torch.Tensor | Mapping[str, Any]) -> tuple[View, View]:
        """Geometry, Gaussians and features of image pairs.

        img1, img2 (B, 3, H, W) float from -1 to 1, sides multiples of 16; or view dicts with `img`. Returns two dicts of
        batches, float32: `pts3d` (B, H, W, 3) and, for image 2, `pts3d_in_other_view`, both in camera 1; `conf` (B, H, W);
        the Gaussians of the pixels (`lsm_ros.models.gaussians.GaussianHead`); `features` (B, H/8, W/8, 66): `map_features`.
        ValueError for anything that does not fit.
        """
        images = [check_images(as_view(i, None)["img"], name, self.feature_expansion[1].weight.dtype)
                  for i, name in ((img1, "img1"), (img2, "img2"))]
        if len(images[0]) != len(images[1]):
            raise ValueError(f"img1 holds {len(images[0])} images, img2 {len(images[1])}: they are pairs")
        (t1, p1), (t2, p2) = (self.geometry.encode(i) for i in images)
        sizes = [tuple(i.shape[-2:]) for i in images]
        views = self.geometry.predict(t1, p1, sizes[0], t2, p2, sizes[1])
        features = [self.lseg_features(i) for i in images]
        self._add_gaussians(views, images, [t1, t2], [self.lseg_tokens(f) for f in features],
                            [self.reduced(f) for f in features])
        return views

    def _add_gaussians(self, views: tuple[View, View], images: Sequence[torch.Tensor], dust: Sequence[torch.Tensor],
                       lseg: Sequence[torch.Tensor], residuals: Sequence[torch.Tensor]) -> None:
        points = [views[0]["pts3d"], views[1]["pts3d_in_other_view"]]
        pairs = [self.gaussians_of(*([x[b] for x in what] for what in (points, images, dust, lseg, residuals)))
                 for b in range(len(images[0]))]
        for n, view in enumerate(views):
            view |= {k: torch.stack([p[n][k] for p in pairs]) for k in pairs[0][n]}
            view["features"] = self.map_features(view["gs_feats"])

    def gaussians_of(self, points: Sequence[torch.Tensor], images: Sequence[torch.Tensor], dust: Sequence[torch.Tensor],
                     lseg: Sequence[torch.Tensor], residuals: Sequence[torch.Tensor]) -> list[View]:
        """Gaussians of the pixels of both views of one pair, as `GaussianHead` gives them, (H, W, ...) each.

        Two of each: points (H, W, 3) in one frame, images (3, H, W) from -1 to 1, DUSt3R's tokens (N, D), LSeg's tokens
        (N, 512), residual features (64, H, W).
        """
        flat = torch.cat([p.flatten(0, 1) for p in points]).detach().float()  # Gaussians do not move the points
        colours, residual = (torch.cat([x.flatten(1).T for x in what]) for what in (images, residuals))
        cloud = merge_points(flat, colours)
        features = self.point_transformer(cloud, torch.cat(list(dust)), torch.cat(list(lseg)))
        with torch.autocast(flat.device.type, enabled=False):
            found = self.gaussian_head(features, flat, (colours.float() + 1) / 2, residual, spacing_of(flat))
        shapes = [p.shape[:2] for p in points]
        counts = [h * w for h, w in shapes]
        return [{k: v.split(counts)[n].unflatten(0, shapes[n]) for k, v in found.items()} for n in range(2)]

    # features of the map

    def map_features(self, semantic: torch.Tensor) -> torch.Tensor:
        """(B, H/8, W/8, 66) float32 of unit length: the expansion of the mean of semantic vectors (B, H, W, 64).

        Expanded vectors W f + b lie in a space of one more dimension than f has. These are their coordinates in it, along the
        orthonormal rows of `language_basis`, and a zero, where texts have what of them lies outside of that space. So cosines
        with texts are those of the expanded vectors.
        """
        mean = avg_pool2d(semantic.float().permute(0, 3, 1, 2), FEATURE_STRIDE)
        if self._basis is None:
            self._basis = pad(self._factors()[1].float(), (0, 0, 0, 1))
        steps = self._basis.to(mean.device)
        return normalize(conv2d(mean, steps[:, :-1, None, None], steps[:, -1]).permute(0, 2, 3, 1), dim=-1)

    def language_basis(self) -> np.ndarray:
        """(65, 512) float32 with orthonormal rows: the space of the expanded vectors."""
        return self._factors()[0].T.float().numpy()

    def _factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Q (512, 65) with orthonormal columns and R (65, 65) with Q R = [W b], float64 on the CPU."""
        layer = self.feature_expansion[1]
        both = torch.cat([layer.weight.flatten(1), layer.bias[:, None]], 1).detach().double().cpu()
        q, r = torch.linalg.qr(both)
        sign = torch.where(r.diagonal() < 0, -1.0, 1.0).double()  # which makes them unique
        return q * sign, r * sign[:, None]

    def freeze(self, what: str) -> None:
        """Keeps parts of DUSt3R from being trained; see `DUSt3R.freeze`."""
        self.geometry.freeze(what)

    def train(self, mode: bool = True) -> LSM:
        """As of `nn.Module`, but LSeg's normalisations stay as they are."""
        self._basis = None  # weights may be about to change
        super().train(mode)
        self.lseg_feature_extractor.eval()
        return self


def _weights_changed(model: LSM, _keys: Any) -> None:
    model._basis = None
