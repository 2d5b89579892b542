# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth Anything 3 (Lin et al., Depth Anything 3: Recovering the visual space from any views, 2025), by its own package."""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsm_ros.geometry import se3_inverse
from lsm_ros.models.tensor_files import read_safetensors
from lsm_ros.pairs.views.base import View, ViewModel, ViewPrediction
from lsm_ros.pairs.views.loading import device_of, folder_of, normalised, pinhole
from lsm_ros.reading import reading

INSTALL = "pip install --no-deps depth-anything-3==0.1.1, and pip install einops omegaconf addict"


class DepthAnything3Views(ViewModel):
    """Depths, poses and intrinsics of views. Known intrinsics take the place of those that it finds; it is given nothing else.
    Metric are only its nested models. Of the package only the network is used, which needs little beside torch. ImportError
    that says what to install, errors of `folder_of`, ValueError for a folder that holds something else."""

    name = "depth_anything3"

    def __init__(self, weights: str) -> None:
        place = folder_of(weights)
        self._network = _network(place).eval().requires_grad_(False).to("cuda" if torch.cuda.is_available() else "cpu")
        self.is_metric = hasattr(self._network, "da3_metric")
        self.scale_std = 0.1 if self.is_metric else float("nan")

    @torch.inference_mode()
    def _predict(self, views: Sequence[View]) -> list[ViewPrediction]:
        out = self._network(normalised([v.image for v in views], device_of(self._network))[None])
        if "extrinsics" not in out:
            raise ValueError(f"{self.name}: this model of Depth Anything 3 gives no poses, it is for single images")
        depth, confidence, T_cam_world, K = (_array(out[k])[0] for k in ("depth", "depth_conf", "extrinsics", "intrinsics"))
        depth, found = depth.reshape(len(views), *views[0].image.shape[:2]), []
        for k, view in enumerate(views):
            camera = view.intrinsics or pinhole(K[k], depth[k].shape)
            T = np.eye(4)
            T[:3] = T_cam_world[k][:3]
            found.append(ViewPrediction(camera.rays(unit=False, dtype=np.float64) * depth[k][..., None],
                                        confidence[k].reshape(depth[k].shape), se3_inverse(T), camera, self.is_metric))
        return found


def _network(place: Path) -> Any:
    """The network of a folder, by the name that its config.json has."""
    try:
        from depth_anything_3.cfg import create_object, load_config
        from depth_anything_3.registry import MODEL_REGISTRY
    except ImportError as error:
        raise ImportError(f"pair model depth_anything3 needs the package depth-anything-3 ({error}): {INSTALL}") from error
    with reading(place / "config.json"):
        name = dict(json.loads((place / "config.json").read_text())).get("model_name")
    if name not in MODEL_REGISTRY:
        raise ValueError(f"{place} holds no known model of Depth Anything 3: its model_name is {name!r}, known are "
                         f"{', '.join(MODEL_REGISTRY)}")
    network = create_object(load_config(MODEL_REGISTRY[name]))
    state = {k.removeprefix("model."): v for k, v in read_safetensors(place / "model.safetensors")[0].items()}
    own = network.state_dict()
    try:
        left = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ValueError(f"{place / 'model.safetensors'} does not fit {name}: {' '.join(str(error).split())[:200]}") from error
    there = {own[k].data_ptr() for k in state if k in own}
    missing = [k for k in left.missing_keys if own[k].data_ptr() not in there]  # layers that are shared are stored once
    if missing or left.unexpected_keys:
        listed = ", ".join([*missing, *left.unexpected_keys][:5])
        raise ValueError(f"{place / 'model.safetensors'} does not fit {name}: missing or unexpected {listed}")
    return network


def _array(values: torch.Tensor) -> np.ndarray:
    return values.float().cpu().numpy().astype(np.float64)
