# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Poses as the alignment stores them, similarities between point sets, and poses from points and pixels."""
from __future__ import annotations

import cv2
import numpy as np
import torch

from lsm_ros.geometry.pointmap_focal import pixel_grid

REPROJECTION_PX = 5.0


def signed_log1p(x: torch.Tensor) -> torch.Tensor:
    """sign(x) log(1 + |x|)."""
    return x.sign() * x.abs().log1p()


def signed_expm1(x: torch.Tensor) -> torch.Tensor:
    """The inverse of `signed_log1p`."""
    return x.sign() * x.abs().expm1()


def quaternions_to_matrices(q: torch.Tensor) -> torch.Tensor:
    """(..., 3, 3) rotations of quaternions (..., 4) in order x, y, z, w, of any length."""
    x, y, z, w = torch.nn.functional.normalize(q, dim=-1).unbind(-1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
            2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
            2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def matrices_to_quaternions(R: np.ndarray) -> np.ndarray:
    """(..., 4) unit quaternions x, y, z, w of rotations (..., 3, 3)."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(R).as_quat()


def poses_of(parameters: torch.Tensor) -> torch.Tensor:
    """(n, 4, 4) from (n, 7 or more): quaternion x, y, z, w, and translation as `signed_log1p`."""
    R, t = quaternions_to_matrices(parameters[:, :4]), signed_expm1(parameters[:, 4:7])
    top = torch.cat([R, t[..., None]], -1)
    bottom = top.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(top), 1, 4)
    return torch.cat([top, bottom], 1)


def parameters_of(T: np.ndarray) -> torch.Tensor:
    """(7,) float32: what `poses_of` reads as T (4, 4)."""
    q = torch.from_numpy(matrices_to_quaternions(T[:3, :3]))
    return torch.cat([q, signed_log1p(torch.from_numpy(np.ascontiguousarray(T[:3, 3])))]).float()


def similarity(src: torch.Tensor, dst: torch.Tensor, weights: torch.Tensor | None = None,
               dtype: torch.dtype = torch.float64) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation (3, 3) and translation (3,) that bring src (..., 3) onto dst, weighted (...).

    Umeyama, PAMI 1991, in `dtype`. ValueError when the points coincide or hold NaN.
    """
    a, b = (x.detach().reshape(-1, 3).to("cpu", dtype) for x in (src, dst))
    w = torch.ones(len(a), 1, dtype=dtype) if weights is None else weights.detach().reshape(-1, 1).to("cpu", dtype)
    w = w / w.sum()
    mean_a, mean_b = (w * a).sum(0), (w * b).sum(0)
    a, b = a - mean_a, b - mean_b
    variance = float((w * a * a).sum())
    if not variance > 0 or not bool(torch.isfinite(b).all()):
        raise ValueError(f"{len(a)} points that coincide, or are not finite, determine no similarity")
    U, singular, Vt = torch.linalg.svd((w * b).T @ a)
    sign = torch.ones(3, dtype=dtype)
    sign[2] = torch.sign(torch.det(U) * torch.det(Vt))
    R = U @ torch.diag(sign) @ Vt
    scale = float((singular * sign).sum()) / variance
    return scale, R.double().numpy(), (mean_b - scale * (R @ mean_a)).double().numpy()


def apply(points: torch.Tensor, scale: float, R: np.ndarray, t: np.ndarray) -> torch.Tensor:
    """scale R points + t, for points (..., 3)."""
    rotation = torch.from_numpy(scale * R).to(points)
    return points @ rotation.T + torch.from_numpy(t).to(points)


def rigid(R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(4, 4) from rotation and translation."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, t
    return T


def camera_pose(points: torch.Tensor, focal: float | None, centre: tuple[float, float], *, mask: torch.Tensor | None = None,
                iterations: int = 10) -> tuple[float, np.ndarray] | None:
    """Focal length and pose (4, 4) of the camera in the frame of the points (H, W, 3) that its pixels show.

    SQPnP within RANSAC, 5 pixels. mask (H, W): pixels that count. Without a focal length, the one of 21 from half to three
    times the longer side with most inliers. None when fewer than four points count or nothing fits.
    """
    height, width = points.shape[:2]
    keep = torch.ones(height, width, dtype=torch.bool) if mask is None else mask.cpu()
    keep = keep & torch.isfinite(points).all(-1).cpu()
    if int(keep.sum()) < 4:
        return None
    pixels = pixel_grid(height, width)[keep].double().numpy()
    object_points = points.detach().cpu()[keep].double().numpy()
    longest = max(height, width)
    tentative = np.geomspace(longest / 2, longest * 3, 21) if focal is None else [focal]
    best: tuple[int, float, np.ndarray] | None = None
    for f in tentative:
        K = np.array([[f, 0, centre[0]], [0, f, centre[1]], [0, 0, 1]], np.float32)
        ok, rotation, translation, inliers = cv2.solvePnPRansac(
            object_points.astype(np.float32), pixels.astype(np.float32), K, None, iterationsCount=iterations,
            reprojectionError=REPROJECTION_PX, flags=cv2.SOLVEPNP_SQPNP)
        if ok and (best is None or len(inliers) > best[0]):
            R = cv2.Rodrigues(rotation)[0]
            best = len(inliers), float(f), rigid(R.T, -R.T @ translation[:, 0])
    return None if best is None else (best[1], best[2])
