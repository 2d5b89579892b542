# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""DUSt3R: two images in, the points of both in the first camera's frame out (Wang et al., CVPR 2024)."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from lsm_ros.models.architecture import head_widths
from lsm_ros.models.backbone import Backbone, check_images, positive
from lsm_ros.models.blocks import PATCH
from lsm_ros.models.heads import DPTHead, LinearHead
from lsm_ros.models.postprocess import check_mode, view_of

INFERENCE_EMBED, TRAINING_EMBED = "PatchEmbedDust3R", "ManyAR_PatchEmbed"
Inf = float("inf")
View = dict[str, torch.Tensor]
Size = tuple[int, int]


class DUSt3R(Backbone):
    """Siamese encoder, two decoders that look at each other, one head for each.

    head_type 'linear' or 'dpt'. patch_embed_cls 'ManyAR_PatchEmbed' and landscape_only are for training: batches that mix
    orientations, portrait samples transposed. feature_dim, last_dim, layer_dims and hooks belong to the DPT head.
    """

    head_types: tuple[str, ...] = ("linear", "dpt")
    is_metric = False

    @classmethod
    def implied_keywords(cls, state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """The widths of the heads."""
        return head_widths(state)

    def __init__(self, *, img_size: int | Sequence[int] = (512, 512), patch_size: int = PATCH,
                 patch_embed_cls: str = INFERENCE_EMBED, head_type: str = "dpt", output_mode: str = "pts3d",
                 depth_mode: Sequence[Any] = ("exp", -Inf, Inf), conf_mode: Sequence[Any] = ("exp", 1, Inf),
                 enc_embed_dim: int = 1024, enc_depth: int = 24, enc_num_heads: int = 16, dec_embed_dim: int = 768,
                 dec_depth: int = 12, dec_num_heads: int = 12, mlp_ratio: float = 4.0, pos_embed: str = "RoPE100",
                 landscape_only: bool = False, freeze: str = "none", feature_dim: int = 256, last_dim: int = 128,
                 layer_dims: Sequence[int] = (96, 192, 384, 768), hidden_dim_factor: float = 4.0,
                 hooks: Sequence[int] | None = None) -> None:
        super().__init__(img_size=img_size, patch_size=patch_size, enc_embed_dim=enc_embed_dim, enc_depth=enc_depth,
                         enc_num_heads=enc_num_heads, dec_embed_dim=dec_embed_dim, dec_depth=dec_depth,
                         dec_num_heads=dec_num_heads, pos_embed=pos_embed, mlp_ratio=mlp_ratio)
        if self.rope_base is None:
            raise ValueError("pos_embed 'cosine' is for CroCo v1; this network needs rotary positions such as 'RoPE100'")
        if patch_embed_cls not in (INFERENCE_EMBED, TRAINING_EMBED):
            raise ValueError(f"patch_embed_cls {patch_embed_cls!r} is neither {INFERENCE_EMBED!r} nor {TRAINING_EMBED!r}")
        if head_type not in self.head_types:
            raise ValueError(f"head_type {head_type!r} is none of {', '.join(self.head_types)}")
        positive(hidden_dim_factor, "hidden_dim_factor")
        self.mixed, self.landscape_only = patch_embed_cls == TRAINING_EMBED, bool(landscape_only)
        self.depth_mode = check_mode(depth_mode, "depth_mode", ("exp", "square", "linear"))
        self.conf_mode = check_mode(conf_mode, "conf_mode", ("exp", "sigmoid"))
        self.read_output(output_mode)
        self.dec_blocks2 = self.make_decoder(mlp_ratio)
        dpt = {"feature_dim": feature_dim, "last_dim": last_dim, "layer_dims": layer_dims, "hooks": hooks,
               "hidden_dim_factor": hidden_dim_factor, "desc_channels": self.desc_channels}
        for n in (1, 2):
            head = LinearHead(dec_embed_dim) if head_type == "linear" else DPTHead(enc_embed_dim, dec_embed_dim, dec_depth,
                                                                                 **dpt)
            self.add_module(f"downstream_head{n}", head)
        self.initialise()
        self.freeze(freeze)

    def read_output(self, output_mode: str) -> None:
        """Sets what the heads give. ValueError unless it is 'pts3d'."""
        if output_mode != "pts3d":
            raise ValueError(f"output_mode {output_mode!r} is not 'pts3d'")
        self.desc_dim = self.desc_channels = 0
        self.desc_conf_mode = None

    def freeze(self, what: str) -> None:
        """Keeps parts from being trained: 'none', 'mask' (the mask token) or 'encoder'. ValueError for anything else."""
        frozen: dict[str, list[nn.Module | nn.Parameter]] = {
            "none": [], "mask": [self.mask_token],
            "encoder": [self.mask_token, self.patch_embed, self.enc_blocks, self.enc_norm]}
        if what not in frozen:
            raise ValueError(f"freeze {what!r} is none of {', '.join(frozen)}")
        for part in frozen[what]:
            part.requires_grad_(False)

    def encode(self, image: torch.Tensor, true_shape: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, N, D) and positions (B, N, 2) of images (B, 3, H, W), unchecked. true_shape: see `forward`."""
        portrait = None
        if self.mixed and true_shape is not None:
            portrait = (true_shape[:, 1] < true_shape[:, 0]).to(image.device)
        tokens, positions = self.patch_embed(image, portrait)
        return self.run_encoder(tokens, positions), positions

    def decode(self, tokens1: torch.Tensor, positions1: torch.Tensor, tokens2: torch.Tensor, positions2: torch.Tensor
               ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Tokens of all depths for both images: the encoder's (B, N, D), then dec_depth times (B, N, E), the last normed."""
        deep1, deep2 = [tokens1], [tokens2]
        x1, x2 = self.decoder_embed(tokens1), self.decoder_embed(tokens2)
        rotation1, rotation2 = (self.decoder_rotation(p, x1.dtype) for p in (positions1, positions2))
        for block1, block2 in zip(self.dec_blocks, self.dec_blocks2, strict=True):
            # both sides see what the other was one layer before
            x1, x2 = block1(x1, x2, rotation1, rotation2), block2(x2, x1, rotation2, rotation1)
            deep1.append(x1)
            deep2.append(x2)
        deep1[-1], deep2[-1] = self.dec_norm(x1), self.dec_norm(x2)
        return deep1, deep2

    def read_out(self, deep: Sequence[torch.Tensor], size: Size, which: int) -> View:
        """pts3d, conf and, where there are descriptors, desc and desc_conf of view `which` (1 or 2) of `size` (H, W)."""
        channels = getattr(self, f"downstream_head{which}")(deep, size)
        with torch.autocast(channels.device.type, enabled=False):
            return view_of(channels, self.depth_mode, self.conf_mode, self.desc_dim, self.desc_conf_mode)

    def predict(self, tokens1: torch.Tensor, positions1: torch.Tensor, size1: Size, tokens2: torch.Tensor,
                positions2: torch.Tensor, size2: Size) -> tuple[View, View]:
        """Both views from tokens of `encode`, of images of size1 and size2 (H, W)."""
        deep1, deep2 = self.decode(tokens1, positions1, tokens2, positions2)
        view2 = self.read_out(deep2, size2, 2)
        view2["pts3d_in_other_view"] = view2.pop("pts3d")
        return self.read_out(deep1, size1, 1), view2

    def forward(self, img1: torch.Tensor | Mapping[str, Any], img2: torch.Tensor | Mapping[str, Any],
                true_shape1: torch.Tensor | None = None, true_shape2: torch.Tensor | None = None) -> tuple[View, View]:
        """Geometry of image pairs.

        img1, img2 (B, 3, H, W) float from -1 to 1, sides multiples of 16; or view dicts with `img`, `true_shape` and
        `instance` as `preprocess` makes them. true_shape (B, 2): height and width of each sample, by default those of the
        tensor; with 'ManyAR_PatchEmbed' a portrait sample lies transposed in a landscape tensor.
        Returns two dicts of batches, float32: `pts3d` (B, H, W, 3) and, for image 2, `pts3d_in_other_view`, both in camera
        1; `conf` (B, H, W); `desc` (B, H, W, D) and `desc_conf` where the network has them. With landscape_only portrait
        samples come back transposed. ValueError for anything that does not fit.
        """
        first, second = as_view(img1, true_shape1), as_view(img2, true_shape2)
        image1, shape1 = self._checked(first, "img1")
        image2, shape2 = self._checked(second, "img2")
        if len(image1) != len(image2):
            raise ValueError(f"img1 holds {len(image1)} images, img2 {len(image2)}: they are pairs")
        (tokens1, positions1), (tokens2, positions2) = self._encode_both(first, second, image1, image2, shape1, shape2)
        if not self.landscape_only:
            sizes = [(int(s[0, 0]), int(s[0, 1])) for s in (shape1, shape2)]
            return self.predict(tokens1, positions1, sizes[0], tokens2, positions2, sizes[1])
        deep1, deep2 = self.decode(tokens1, positions1, tokens2, positions2)
        view1, view2 = self._landscape(deep1, shape1, 1), self._landscape(deep2, shape2, 2)
        view2["pts3d_in_other_view"] = view2.pop("pts3d")
        return view1, view2

    def _checked(self, view: Mapping[str, Any], name: str) -> tuple[torch.Tensor, torch.Tensor]:
        image = check_images(view["img"], name, self.mask_token.dtype)
        height, width = image.shape[-2:]
        if self.mixed and height > width:
            raise ValueError(f"{name}: {TRAINING_EMBED!r} takes landscape tensors, got height {height} and width {width}; "
                             f"transpose portrait images and say so by true_shape, or use {INFERENCE_EMBED!r}")
        shape = torch.as_tensor(view["true_shape"]) if view.get("true_shape") is not None else None
        if shape is None:
            return image, torch.tensor([[height, width]]).expand(len(image), 2)
        shape = shape.reshape(-1, 2).long().cpu()
        turned = self.mixed & (shape[:, 1] < shape[:, 0])
        stored = torch.where(turned[:, None], shape.flip(1), shape)
        if len(shape) != len(image) or bool((stored != torch.tensor([height, width])).any()):
            raise ValueError(f"{name}: true_shape {shape.tolist()} does not fit a tensor {tuple(image.shape)}")
        if not self.landscape_only and len(shape.unique(dim=0)) > 1:
            raise ValueError(f"{name}: true_shape {shape.tolist()}: one batch holds one shape unless landscape_only")
        return image, shape

    def _encode_both(self, first: Mapping[str, Any], second: Mapping[str, Any], image1: torch.Tensor, image2: torch.Tensor,
                     shape1: torch.Tensor, shape2: torch.Tensor) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
        if image1.shape[-2:] != image2.shape[-2:]:
            return self.encode(image1, shape1), self.encode(image2, shape2)
        if is_symmetrized(first, second):  # every second pair is the one before it, swapped
            image1, image2, shape1, shape2 = image1[::2], image2[::2], shape1[::2], shape2[::2]
            both = self.encode(torch.cat([image1, image2]), torch.cat([shape1, shape2]))
            (t1, t2), (p1, p2) = (x.chunk(2) for x in both)
            return tuple((torch.stack([t, u], 1).flatten(0, 1), torch.stack([p, q], 1).flatten(0, 1))
                         for t, u, p, q in ((t1, t2, p1, p2), (t2, t1, p2, p1)))
        tokens, positions = self.encode(torch.cat([image1, image2]), torch.cat([shape1, shape2]))
        return tuple(zip(tokens.chunk(2), positions.chunk(2), strict=True))

    def _landscape(self, deep: Sequence[torch.Tensor], shape: torch.Tensor, which: int) -> View:
        height, width = int(shape[0].min()), int(shape[0].max())
        portrait = (shape[:, 1] < shape[:, 0]).to(deep[0].device)
        parts: list[tuple[torch.Tensor, View]] = []
        for mask, size in ((~portrait, (height, width)), (portrait, (width, height))):
            if bool(mask.any()):
                view = self.read_out([t[mask] for t in deep], size, which)
                if size != (height, width):
                    view = {k: v.transpose(1, 2) for k, v in view.items()}
                parts.append((mask.nonzero()[:, 0], view))
        order = torch.cat([index for index, _ in parts]).argsort()
        return {k: torch.cat([view[k] for _, view in parts])[order] for k in parts[0][1]}


def as_view(image: torch.Tensor | Mapping[str, Any], true_shape: torch.Tensor | None) -> Mapping[str, Any]:
    """A view dict from a tensor or a view dict; a given true_shape overrides that of the dict."""
    view = dict(image) if isinstance(image, Mapping) else {"img": image}
    if "img" not in view:
        raise ValueError(f"a view needs the key 'img', got {sorted(view)}")
    if true_shape is not None:
        view["true_shape"] = true_shape
    return view


def is_symmetrized(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """True if the `instance` names say that a batch alternates pairs (a, b) and (b, a)."""
    a, b = first.get("instance"), second.get("instance")
    if not isinstance(a, Sequence) or isinstance(a, str) or not isinstance(b, Sequence) or len(a) != len(b):
        return False
    return len(a) > 1 and len(a) % 2 == 0 and all(
        a[i] == b[i + 1] and a[i + 1] == b[i] for i in range(0, len(a), 2))
