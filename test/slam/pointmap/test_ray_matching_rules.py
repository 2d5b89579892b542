# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of the search on rays, on walls straight ahead."""
import warnings

import numpy as np
import pytest
import torch

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.slam.pointmap import ray_matching as module
from lsm_ros.slam.pointmap.ray_matching import DenseMatches, grid_indices, refine_by_descriptors, sample, search_rays, unit_rays

K = CameraIntrinsics(48, 32, 40.0, 40.0, 23.5, 15.5)


def wall(camera=K, z=3.0):
    return torch.from_numpy(camera.rays(unit=False).astype(np.float32) * z)


def point_at(x, y, z=3.0, camera=K):
    """A pointmap of one pixel: the point that `camera` sees at (x, y)."""
    return torch.from_numpy(camera.unproject(np.array([[x, y]])).astype(np.float32) * z)[None]


ONE = torch.tensor([0])


def found(x, y, start=None, z=3.0, a=None):
    """Where a point is found, and whether it is good."""
    begin = None if start is None else torch.tensor([start], dtype=torch.float32)
    matches, good = search_rays(wall() if a is None else a, point_at(x, y, z), ONE, begin)
    return matches.pixels_a[0].tolist(), bool(good[0])


def test_rays_of_what_is_no_point_are_zero():
    points = torch.tensor([[0.0, 3.0, 4.0], [0.0, 0.0, 0.0], [torch.nan, 1.0, 1.0], [torch.inf, 0.0, 1.0]])
    assert torch.allclose(unit_rays(points), torch.tensor([[0.0, 0.6, 0.8], *[[0.0] * 3] * 3]))


def test_images_continue_beyond_their_border():
    image = torch.arange(12.0).reshape(3, 4, 1)
    at = torch.tensor([[1.5, 1.0], [-5.0, 0.0], [9.0, 2.0], [3.0, 9.0]])
    assert sample(image, at)[:, 0].tolist() == pytest.approx([5.5, 0.0, 11.0, 11.0])


def test_cells_are_looked_for_in_their_middle():
    assert grid_indices(6, 9, 4).tolist() == [2 * 9 + 2, 2 * 9 + 6] and grid_indices(2, 3, 1).tolist() == list(range(6))


@pytest.mark.parametrize("start", [(0.0, 0.0), (47.0, 31.0), (-30.0, -40.0), (90.0, 70.0)])
def test_any_start_leads_there(start):
    pixel, good = found(20.3, 11.7, start)
    assert good and pixel == pytest.approx([20.3, 11.7], abs=0.1)


def test_the_start_is_taken_and_else_the_same_place_of_the_image(monkeypatch):
    monkeypatch.setattr(module, "ITERATIONS", 0)
    assert found(20.0, 10.0, (4.0, 5.0))[0] == [4.0, 5.0]
    half = CameraIntrinsics(24, 16, 20.0, 20.0, 11.5, 7.5)  # of half the size
    index = torch.tensor([0, 23, 15 * 24, 24 * 16 - 1])
    matches, _ = search_rays(wall(), wall(half), index)
    assert matches.pixels_a.tolist() == [[0.0, 0.0], [47.0, 0.0], [0.0, 31.0], [47.0, 31.0]]


@pytest.mark.parametrize(("x", "y", "good"), [
    (-0.03, 15.0, True), (-0.6, 15.0, False), (47.03, 15.0, True), (47.6, 15.0, False), (20.0, -0.03, True),
    (20.0, -0.6, False), (20.0, 31.03, True), (20.0, 31.6, False), (0.02, 15.0, True), (0.0, 15.0, True)])
def test_at_the_border_the_ray_has_to_be_met(x, y, good):
    """0.6 of a pixel are 0.015 rad, which would do inside."""
    assert found(x, y)[1] == good


@pytest.mark.parametrize(("off", "good"), [(0.018, True), (0.024, False)])
def test_inside_the_ray_has_to_be_met_to_a_fiftieth_of_a_radian(monkeypatch, off, good):
    monkeypatch.setattr(module, "ITERATIONS", 0)
    begin = (23.5 + 40 * np.tan(off), 15.5)
    assert found(23.5, 15.5, begin)[1] == good


@pytest.mark.parametrize(("z", "good"), [(3.25, True), (3.4, False), (2.75, True), (2.6, False)])
def test_the_points_of_a_match_are_equally_far(z, good):
    """Among others that are, so that no common factor explains it."""
    others = wall()[10:20, 10:20].reshape(1, -1, 3)
    b = torch.cat([others, point_at(20.0, 11.0, z)], 1)
    _, fits = search_rays(wall(), b, torch.arange(b.shape[1]))
    assert fits[:-1].all() and bool(fits[-1]) == good


@pytest.mark.parametrize(("factor", "good"), [(1.08, True), (1.17, True), (1.25, False), (0.85, True), (0.8, False)])
def test_all_may_be_off_by_a_common_factor_a_little(factor, good):
    _, fits = search_rays(wall(), factor * wall(), grid_indices(32, 48, 4))
    assert bool(fits.all()) == good == bool(fits.any())


def test_what_is_no_point_matches_nothing():
    a, b = wall(), wall()
    b[10], b[14], a[18, :, 2] = torch.nan, 0.0, torch.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        matches, good = search_rays(a, b, grid_indices(32, 48, 4))
    rows = matches.index_b // 48
    assert torch.isfinite(matches.pixels_a).all()
    assert not good[(rows == 10) | (rows == 14) | (rows == 18)].any() and good[(rows == 6) | (rows == 26)].all()
    nothing, good = search_rays(a, torch.zeros_like(b), grid_indices(32, 48, 4))
    assert not good.any() and len(nothing) == len(good)
    nothing, good = search_rays(a, b, torch.zeros(0, dtype=torch.int64))
    assert len(nothing) == len(good) == 0


def test_an_image_of_one_row():
    camera = CameraIntrinsics(48, 1, 40.0, 40.0, 23.5, 0.0)
    _, good = search_rays(wall(camera), wall(camera), torch.arange(48))
    assert good.all()


def ripples():
    """A lens whose rays turn back and forth: plain Gauss-Newton steps run away in it."""
    x = torch.arange(96.0)
    slope = (x - 47.5) / 40 + 0.06 * torch.sin(x / 2.2)
    rays = torch.stack([slope.expand(32, 96), ((torch.arange(32.0) - 15.5) / 40)[:, None].expand(32, 96),
                        torch.ones(32, 96)], 2)
    return 3 * rays


def test_no_step_leads_farther_from_the_ray():
    a, rng = ripples(), np.random.default_rng(0)
    index = grid_indices(32, 96, 4)
    start = torch.stack([index % 96, index // 96], 1) + torch.from_numpy(rng.uniform(-6, 6, (len(index), 2))).float()
    target = unit_rays(a.flatten(0, 1)[index])
    start = torch.minimum(start.clamp(min=0), torch.tensor([95.0, 31.0]))
    matches, good = search_rays(a, a, index, start)
    before, after = ((sample(unit_rays(a), p) - target).norm(dim=1) for p in (start, matches.pixels_a))
    assert (after <= before + 1e-6).all() and good.float().mean() > 0.85


def test_descriptors_are_looked_for_inside_the_image_and_all_of_them(monkeypatch):
    """The best is at the corner itself: beyond, the border must not count again."""
    monkeypatch.setattr(module, "BLOCK", 3)
    desc = torch.zeros(12, 16, 4)
    desc[..., 0] = 1.0
    desc[0, 0] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    wanted = desc[0, 0].expand(1, 8, 4)
    start = torch.tensor([[x, 1.0] for x in (0.0, 1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 0.0)])
    refined = refine_by_descriptors(DenseMatches(torch.arange(8), start), desc, wanted)
    assert refined.pixels_a.tolist() == [[0.0, 0.0]] * 8


@pytest.mark.parametrize("off", [1.0, 3.0, 5.0, 14.0, 18.0])
def test_descriptors_are_found_near_and_exactly(off):
    """Alikeness falls with distance; the search goes from steps of five pixels to single ones."""
    x = torch.arange(64.0)
    angle = x / 64 * 1.5
    desc = torch.stack([angle.cos(), angle.sin()], 1).expand(8, 64, 2)
    refined = refine_by_descriptors(DenseMatches(torch.tensor([4 * 64 + 30]), torch.tensor([[30.0 + off, 4.0]])), desc, desc)
    assert refined.pixels_a[0, 0] == 30.0
