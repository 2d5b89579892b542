# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Run of `lsm render`: Gaussians from a file, drawn, as a picture."""
from __future__ import annotations

import argparse

import numpy as np
import torch

from lsm_ros.datasets.tum import read_tum
from lsm_ros.files import replacing_file
from lsm_ros.fusion.files import gaussian_ply
from lsm_ros.fusion.files.gaussian_ply import read_gaussians
from lsm_ros.fusion.read.gaussians import GaussianCloud
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.geometry.lie import make_se3, se3_inverse
from lsm_ros.geometry.rotation import quat_to_matrix
from lsm_ros.models.splatting import colours_of, render

FORMATS = (".png", ".jpg", ".jpeg")


def draw(cloud: GaussianCloud, T_map_cam: np.ndarray, camera: CameraIntrinsics) -> np.ndarray:
    """Picture (height, width, 3) uint8 RGB of Gaussians from a pinhole camera at T_map_cam (4, 4)."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    means, scales, rotations, opacities, sh = (torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in (
        cloud.means, cloud.scales, cloud.rotations, cloud.opacities, cloud.sh))
    pose = torch.from_numpy(se3_inverse(T_map_cam)).float().to(device)
    with torch.inference_mode():
        image, _ = render(means, scales, rotations, opacities, colours_of(sh), pose, camera)
    return (image.clamp(0, 1) * 255).round().byte().cpu().numpy()


def render_map(args: argparse.Namespace) -> str:
    """Draws with these arguments and returns a line about it. FileNotFoundError or ValueError for bad input."""
    import cv2

    if args.out.suffix.lower() not in FORMATS:
        raise ValueError(f"--out {args.out}: expected a picture, {' or '.join(FORMATS)}")
    path = args.map / gaussian_ply.FILE if args.map.is_dir() else args.map
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; `lsm map --gaussians` writes it")
    width, height = args.size
    if args.intrinsics is None:
        if args.fov >= 180:
            raise ValueError(f"--fov {args.fov} degrees: a pinhole sees less than 180")
        camera = CameraIntrinsics.from_fov(width, height, float(np.radians(args.fov)))
    else:
        camera = CameraIntrinsics(width, height, *args.intrinsics)
    T_map_cam = pose_of(args)
    cloud = read_gaussians(path)
    picture = draw(cloud, T_map_cam, camera)
    _, coded = cv2.imencode(args.out.suffix.lower(), picture[..., ::-1])
    with replacing_file(args.out) as file:
        file.write(coded.tobytes())
    return f"{args.out}: {width}x{height}, {len(cloud)} Gaussians"


def pose_of(args: argparse.Namespace) -> np.ndarray:
    """T_map_cam (4, 4) that the arguments ask for."""
    if args.pose is not None:
        if not np.isfinite(args.pose).all():
            raise ValueError(f"--pose {args.pose}: expected seven finite numbers")
        return make_se3(quat_to_matrix(args.pose[3:]), args.pose[:3])
    trajectory = (args.map if args.map.is_dir() else args.map.parent) / "trajectory.tum"
    poses = read_tum(trajectory)
    if not poses:
        raise ValueError(f"{trajectory} holds no poses")
    return min(poses, key=lambda p: abs(p.stamp_ns * 1e-9 - args.stamp)).T_map_rig
