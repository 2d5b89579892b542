# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""MASt3R: DUSt3R in metres, with a descriptor for each pixel (Leroy et al., ECCV 2024)."""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lsm_ros.models.dust3r import DUSt3R, Inf, View
from lsm_ros.models.postprocess import Mode, check_mode


class MASt3R(DUSt3R):
    """DUSt3R whose heads also give local features. output_mode 'pts3d+desc24': descriptors of 24 dimensions.

    two_confs: descriptors have a confidence of their own, read by desc_conf_mode (None: as conf_mode); else it is a copy.
    """

    head_types = ("catmlp+dpt",)
    is_metric = True
    scale_std = 0.1  # relative; metric networks err by about that from scene to scene

    @classmethod
    def implied_keywords(cls, state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """As of DUSt3R; and without desc_conf_mode descriptors have the confidence of points, as in the official code."""
        return {**super().implied_keywords(state), "desc_conf_mode": None}

    def __init__(self, *, head_type: str = "catmlp+dpt", output_mode: str = "pts3d+desc24", two_confs: bool = True,
                 desc_conf_mode: Sequence[Any] | None = ("exp", 0, Inf), desc_mode: str | Sequence[Any] = "norm",
                 local_feat_dim: int | None = None, conf_mode: Sequence[Any] = ("exp", 1, Inf), **config: Any) -> None:
        kind = desc_mode[0] if isinstance(desc_mode, (tuple, list)) and desc_mode else desc_mode
        if kind != "norm":
            raise ValueError(f"desc_mode {desc_mode!r}: only 'norm' is supported")
        self._wanted: tuple[bool, Mode, int | None] = (bool(two_confs), check_mode(desc_conf_mode or conf_mode,
                                                       "desc_conf_mode", ("exp", "sigmoid")), local_feat_dim)
        super().__init__(head_type=head_type, output_mode=output_mode, conf_mode=conf_mode, **config)

    def read_output(self, output_mode: str) -> None:
        """Sets what the heads give. ValueError unless it is 'pts3d+desc' and a number, which local_feat_dim repeats."""
        two_confs, mode, local_feat_dim = self._wanted
        match = re.fullmatch(r"pts3d\+desc([1-9]\d*)", output_mode)
        if match is None:
            raise ValueError(f"output_mode {output_mode!r} is not 'pts3d+desc' and a number, such as 'pts3d+desc24'")
        self.desc_dim = int(match[1])
        if local_feat_dim not in (None, self.desc_dim):
            raise ValueError(f"local_feat_dim {local_feat_dim} contradicts output_mode {output_mode!r}")
        self.desc_channels = self.desc_dim + two_confs
        self.desc_conf_mode = mode if two_confs else None

    def symmetric(self, img1: torch.Tensor, img2: torch.Tensor) -> tuple[View, View, View, View]:
        """Both directions of pairs, each image encoded once: views 11, 21, 22, 12, where XY is image X in camera Y.

        img1, img2 as in `forward`; every view has `pts3d`, `conf`, `desc` and `desc_conf`.
        """
        (image1, shape1), (image2, shape2) = (self._checked({"img": i}, n) for i, n in ((img1, "img1"), (img2, "img2")))
        size1, size2 = tuple(image1.shape[-2:]), tuple(image2.shape[-2:])
        (t1, p1), (t2, p2) = self._encode_both({}, {}, image1, image2, shape1, shape2)
        if size1 == size2:
            first, second = self.predict(torch.cat([t1, t2]), torch.cat([p1, p2]), size1, torch.cat([t2, t1]),
                                         torch.cat([p2, p1]), size1)
            pairs = [({k: v.chunk(2)[i] for k, v in first.items()}, {k: v.chunk(2)[i] for k, v in second.items()})
                     for i in (0, 1)]
        else:
            pairs = [self.predict(t1, p1, size1, t2, p2, size2), self.predict(t2, p2, size2, t1, p1, size1)]
        for _, other in pairs:
            other["pts3d"] = other.pop("pts3d_in_other_view")
        return pairs[0][0], pairs[0][1], pairs[1][0], pairs[1][1]
