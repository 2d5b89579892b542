# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
import torch

from lsm_ros.geometry import CameraIntrinsics, make_se3, so3_exp, transform_points
from lsm_ros.slam.pointmap.ray_matching import DenseMatches, grid_indices, refine_by_descriptors, sample, search_rays, unit_rays

CAMERA = CameraIntrinsics(96, 64, 70.0, 70.0, 47.5, 31.5)


def surface(T_cam_world):
    """(H, W, 3) points of a wavy wall in a camera, by a few steps along each ray."""
    rays = CAMERA.rays(unit=False, dtype=np.float64)
    R, t = T_cam_world[:3, :3].T, -T_cam_world[:3, :3].T @ T_cam_world[:3, 3]
    z = np.full(rays.shape[:2], 3.0)
    for _ in range(50):
        world = (rays * z[..., None]) @ R.T + t
        z = z * (3.0 + 0.2 * np.sin(world[..., 0]) * np.cos(world[..., 1])) / world[..., 2]
    return rays * z[..., None]


@pytest.fixture(scope="module")
def pair():
    """Points of two cameras in the first one, and the true pixels in the first of all pixels of the second."""
    T_b_a = make_se3(so3_exp([0.05, -0.12, 0.1]), [0.25, 0.05, 0.1])
    a = surface(np.eye(4))
    b = transform_points(np.linalg.inv(T_b_a), surface(T_b_a))
    pixels = CAMERA.project(b.reshape(-1, 3))[0]
    return torch.from_numpy(a).float(), torch.from_numpy(b).float(), pixels


def inside(pixels, margin=1.0):
    return ((pixels > margin) & (pixels < np.array([95, 63]) - margin)).all(1)


def test_search_finds_where_points_project(pair, device):
    a, b, true = pair
    index = grid_indices(64, 96, 4)
    matches, good = search_rays(a.to(device), b.to(device), index.to(device))
    error = np.linalg.norm(matches.pixels_a.cpu().numpy() - true[index], axis=1)
    seen = inside(true[index])
    assert seen.sum() > 200 and good.cpu().numpy()[seen].mean() > 0.99
    assert np.median(error[seen]) < 0.02 and error[seen & good.cpu().numpy()].max() < 0.1
    assert not good.cpu().numpy()[~inside(true[index], -3.0)].any()  # what is outside the image is not found


def test_search_does_not_depend_on_the_unit_and_can_go_on_from_before(pair):
    a, b, true = pair
    index = grid_indices(64, 96, 8)
    matches, good = search_rays(a, b, index)
    scaled, still = search_rays(7 * a, 7 * b, index, matches.pixels_a.clone())
    assert torch.equal(good, still) and (scaled.pixels_a - matches.pixels_a)[good].abs().max() < 0.01


def test_search_is_for_any_central_camera():
    """A lens that no pinhole explains: rays bent by a fifth at the corner."""
    pixels = np.stack(np.meshgrid(np.arange(96), np.arange(64)), -1).astype(float)
    flat = (pixels - [47.5, 31.5]) / 60
    bent = flat * (1 + 0.3 * (flat**2).sum(-1, keepdims=True))
    rays = np.concatenate([bent, np.ones((64, 96, 1))], 2)
    shift = torch.from_numpy(rays * 2.0 + [0.1, 0.0, 0.0]).float()
    matches, good = search_rays(torch.from_numpy(rays * 2.0).float(), shift, grid_indices(64, 96, 4))
    at = sample(torch.from_numpy(rays).float(), matches.pixels_a)
    wanted = unit_rays(shift.flatten(0, 1)[grid_indices(64, 96, 4)])
    assert good.float().mean() > 0.9
    assert (unit_rays(at)[good] - wanted[good]).norm(dim=1).max() < 2e-3


def test_hidden_points_do_not_match(pair):
    a, b, _ = pair
    _, good = search_rays(a, 1.3 * b, grid_indices(64, 96, 4))  # all behind what the first image shows
    assert not good.any()


def test_numbers_that_are_none_match_nothing(pair):
    a, b, _ = (p.clone() if isinstance(p, torch.Tensor) else p for p in pair)
    a[:, :48], b[:32] = torch.nan, torch.inf
    matches, good = search_rays(a, b, grid_indices(64, 96, 4))
    assert torch.isfinite(matches.pixels_a).all()
    y, x = matches.index_b[good] // 96, matches.pixels_a[good][:, 0]
    assert good.any() and (y >= 32).all() and (x > 46).all()
    nothing, good = search_rays(torch.full_like(a, torch.nan), b, grid_indices(64, 96, 4))
    assert not good.any()


def test_descriptors_pull_matches_to_their_pixel(device):
    rng = np.random.default_rng(0)
    texture = torch.from_numpy(rng.standard_normal((40, 60, 16))).float()
    smooth = torch.nn.functional.avg_pool2d(texture.permute(2, 0, 1)[None], 9, 1, 4)[0].permute(1, 2, 0)
    desc = torch.nn.functional.normalize(smooth, dim=2).half().to(device)
    index = grid_indices(40, 60, 8).to(device)
    x, y = index % 60, index // 60
    start = torch.stack([x, y], 1).float() + torch.tensor([3.0, -4.0], device=device)
    found = refine_by_descriptors(DenseMatches(index, start.clamp(min=0)), desc, desc)
    assert (found.pixels_a == torch.stack([x, y], 1)).all(1).float().mean() > 0.9
    assert len(refine_by_descriptors(DenseMatches(index[:0], start[:0]), desc, desc)) == 0
