# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Renderer of simulated worlds: colour images, depth, classes and instances of many cameras at once, on CPU and GPU."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.types import UNLABELLED
from lsm_sim.caster import RayCaster
from lsm_sim.sensor import SensorConfig, apply_sensor
from lsm_sim.shading import Shader
from lsm_sim.world import World


@dataclass(frozen=True)
class Rendering:
    """Images of cameras. image (C, H, W, 3) uint8 RGB; depth (C, H, W) float32 metres along z, 0 where nothing is;
    labels (C, H, W) int32 ids of the label space, UNLABELLED where nothing is; instances (C, H, W) int32, -1 where
    nothing is. `single`: a single pose was given, then `numpy` leaves out the C axis.
    """

    image: torch.Tensor
    depth: torch.Tensor
    labels: torch.Tensor
    instances: torch.Tensor
    single: bool = False

    def numpy(self) -> Rendering:
        """The same as numpy arrays, labels as uint16; without the C axis for a single pose."""
        kinds = {"image": np.uint8, "depth": np.float32, "labels": np.uint16, "instances": np.int32}
        arrays = {n: getattr(self, n).cpu().numpy().astype(k) for n, k in kinds.items()}
        return Rendering(**{n: a[0] if self.single else a for n, a in arrays.items()}, single=self.single)


class Renderer:
    """Renders worlds. The light of a world is computed when it is first seen (about a second on a CPU).

    worlds: one or several; device: where. ValueError without worlds.
    """

    def __init__(self, worlds: World | Sequence[World], device: str | torch.device = "cpu") -> None:
        self.worlds: tuple[World, ...] = (worlds,) if isinstance(worlds, World) else tuple(worlds)
        self.device = torch.device(device)
        self.caster = RayCaster(self.worlds, self.device)
        self.shader = Shader(self.worlds, self.caster.packed, self.device)

    @torch.no_grad()
    def render(self, T_world_cam: np.ndarray | torch.Tensor, camera: CameraIntrinsics, world: int | Sequence[int] = 0,
               time_s: float | Sequence[float] = 0.0, sensor: SensorConfig | None = None,
               seeds: int | Sequence[int] | None = None, angular_rate: np.ndarray | torch.Tensor | None = None,
               supersample: int = 1) -> Rendering:
        """Images of cameras at poses (4, 4) or (C, 4, 4), optical frames in the world.

        world, time_s (seconds), seeds of the sensor's noise: one for all or one for each. sensor: None for a clean one.
        angular_rate: (3,) or (C, 3) rad/s in the optical frame, for motion blur. supersample: rays a pixel along each
        axis. Pixels without a ray of the lens are black, unlabelled, of depth 0. ValueError as of `RayCaster.cast`, and
        for a supersample below 1.
        """
        if supersample < 1 or supersample != int(supersample):
            raise ValueError(f"supersample must be a whole number from 1, got {supersample!r}")
        T = torch.as_tensor(T_world_cam, dtype=torch.float64, device=self.device)
        single = T.ndim == 2
        T = T[None] if single else T
        which = self._each("world", world, len(T), torch.int64)
        times = self._each("time_s", time_s, len(T), torch.float64)
        fine = camera.resize(camera.width * supersample, camera.height * supersample)
        hits = self.caster.cast(which, T, fine, times)
        color = self.shader.shade(hits, which, T, fine, times)
        if supersample > 1:
            color = torch.nn.functional.avg_pool2d(color, supersample)
            middle = supersample // 2
            hits = replace(hits, **{n: getattr(hits, n)[:, middle::supersample, middle::supersample]
                                    for n in ("depth", "part", "face")})
        packed, part = self.caster.packed, hits.part.clamp(min=0).long()
        nothing = hits.part < 0
        labels = packed.label[part].int().masked_fill_(nothing, UNLABELLED)
        instances = packed.instance[part].int().masked_fill_(nothing, -1)
        depth = torch.where(nothing, 0.0, hits.depth)
        image = self._image(color, sensor, seeds, angular_rate, camera)
        return Rendering(image, depth, labels, instances, single)

    def _image(self, color: torch.Tensor, sensor: SensorConfig | None, seeds: int | Sequence[int] | None,
               angular_rate: np.ndarray | torch.Tensor | None, camera: CameraIntrinsics) -> torch.Tensor:
        """uint8 images of linear colours (3, C, H, W); bright ones are bent towards white, as film does."""
        C = color.shape[1]
        color = color * torch.rsqrt(1 + (0.75 * color).square())
        given = 0 if seeds is None else seeds
        rate = None
        if angular_rate is not None:
            rate = torch.as_tensor(angular_rate, dtype=torch.float32, device=self.device).expand(C, 3)
        image = apply_sensor(color.permute(1, 2, 3, 0), SensorConfig.clean() if sensor is None else sensor,
                             self._each("seeds", given, C, torch.int64), rate, camera)
        if camera.has_distortion:
            lost = torch.as_tensor(np.isnan(camera.rays(unit=False)).any(-1), device=self.device)
            image = image.masked_fill(lost[None, :, :, None], 0)
        return image

    def _each(self, name: str, value: float | Sequence[float] | np.ndarray | torch.Tensor, count: int,
              kind: torch.dtype) -> torch.Tensor:
        values = torch.as_tensor(value, device=self.device)
        if values.ndim > 1 or (values.ndim == 1 and len(values) != count):
            raise ValueError(f"{name} must be one value or {count}, one for each pose, got shape {tuple(values.shape)}")
        if kind == torch.int64 and values.is_floating_point():
            raise ValueError(f"{name} must be whole numbers, got {value!r}")
        return values.to(kind).expand(count)
