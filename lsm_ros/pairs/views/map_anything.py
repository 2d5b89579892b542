# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""MapAnything (Keetha et al., MapAnything: Universal feed-forward metric 3D reconstruction, 2025), by its own package.

Written from the interface that its documentation gives.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from lsm_ros.pairs.views.base import View, ViewModel, ViewPrediction
from lsm_ros.pairs.views.loading import device_of, folder_of, matrix, normalised, pinhole


class MapAnythingViews(ViewModel):
    """Metric points, poses and intrinsics of views, with whatever is known of them. Poses are given only where that of the
    first view is known, depth only with intrinsics. ImportError that says what to install, errors of `folder_of`, ValueError
    for a folder that holds something else."""

    name = "map_anything"
    is_metric, scale_std = True, 0.1
    size = 518

    def __init__(self, weights: str) -> None:
        place = folder_of(weights)
        try:
            from mapanything.models import MapAnything
        except ImportError as error:
            raise ImportError(f"pair model map_anything needs the package mapanything ({error}), which is on no registry: "
                              "docs/views.md says how it is installed") from error
        try:
            self._network: Any = MapAnything.from_pretrained(str(place))
        except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
            raise ValueError(f"{place} holds no model of MapAnything: {' '.join(str(error).split())[:200]}") from error
        self._network.eval().requires_grad_(False).to("cuda" if torch.cuda.is_available() else "cpu")

    @torch.inference_mode()
    def _predict(self, views: Sequence[View]) -> list[ViewPrediction]:
        device = device_of(self._network)
        images = normalised([v.image for v in views], device)
        kind = self._network.encoder.data_norm_type
        posed = views[0].T_world_cam is not None
        given = [{"img": image[None], "data_norm_type": [kind], **_known(view, posed, device)}
                 for image, view in zip(images, views, strict=True)]
        out = self._network.infer(given, memory_efficient_inference=False, use_amp=device.type == "cuda", apply_mask=True,
                                  mask_edges=True, apply_confidence_mask=False)
        return [_prediction(o, v) for o, v in zip(out, views, strict=True)]


def _known(view: View, posed: bool, device: torch.device) -> dict[str, torch.Tensor]:
    """Known geometry of a view, as a batch of one."""
    known: dict[str, np.ndarray] = {}
    if view.intrinsics is not None:
        known["intrinsics"] = matrix(view.intrinsics)
        if view.depth is not None:
            known["depth_z"] = view.depth[..., None].astype(np.float32)
    if posed and view.T_world_cam is not None:
        known["camera_poses"] = view.T_world_cam.astype(np.float32)
    if "depth_z" in known or "camera_poses" in known:
        known["is_metric_scale"] = np.array(view.is_metric or "camera_poses" not in known)
    return {k: torch.from_numpy(v)[None].to(device) for k, v in known.items()}


def _prediction(out: dict[str, torch.Tensor], view: View) -> ViewPrediction:
    points, confidence, T, K = (out[k][0].float().cpu().numpy().astype(np.float64)
                                for k in ("pts3d_cam", "conf", "camera_poses", "intrinsics"))
    if "mask" in out:
        kept = out["mask"][0].cpu().numpy().reshape(confidence.shape) > 0
        points = np.where(kept[..., None], points, np.nan)
    return ViewPrediction(points, confidence, T, view.intrinsics or pinhole(K, confidence.shape), True)
