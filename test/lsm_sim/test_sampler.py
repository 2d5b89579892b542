# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Training pairs: their geometry agrees, their overlap is as configured, and they are the same each time."""
import itertools
from dataclasses import fields

import numpy as np
import pytest
import torch

from lsm_ros.geometry.lie import is_se3
from lsm_ros.types import UNLABELLED
from lsm_sim.generator import build_world
from lsm_sim.sampler import PairSampler, visible
from lsm_sim.solids import signed_distance
from lsm_sim.viewpoints import Viewpoints, camera_poses

B, W, H = 6, 96, 72
OPTIONS = {"batch": B, "width": W, "height": H, "kinds": ("room", "corridor"), "worlds": 2, "batches_each": 3, "seed": 4}


@pytest.fixture(scope="module")
def sampler():
    return PairSampler([1, 5, 9], **OPTIONS)


@pytest.fixture(scope="module")
def clean():
    return PairSampler([1, 5, 9], sensor=None, **OPTIONS)


@pytest.fixture(scope="module")
def batch(clean):
    return clean.sample(0)


def project(points, K):
    pixels = torch.einsum("bij,bhwj->bhwi", K, points)
    return pixels[..., :2] / pixels[..., 2:], pixels[..., 2]


def test_shapes(batch):
    assert batch.image1.shape == batch.image2.shape == (B, 3, H, W) and batch.image1.dtype == torch.float32
    assert batch.points1.shape == batch.points2.shape == (B, H, W, 3)
    assert batch.valid1.shape == batch.labels2.shape == (B, H, W) and batch.valid1.dtype == torch.bool
    assert batch.T_1_2.shape == (B, 4, 4) and batch.K.shape == (B, 3, 3) and batch.overlap.shape == (B,)
    assert batch.image1.min() >= 0 and 0.1 < batch.image1.mean() < 0.9 and batch.image1.max() <= 1
    assert is_se3(batch.T_1_2.numpy(), 1e-5).all() and set(batch.world.tolist()) == {1, 5}
    assert batch.valid1.float().mean() > 0.99
    known = set(build_world(1).label_space.names) | {UNLABELLED}
    assert set(batch.labels1.unique().tolist()) <= known and len(batch.labels1.unique()) > 5


def test_points_are_on_their_rays(batch):
    """points1 lie behind their own pixels; points2 do after T_1_2 is taken away."""
    grid = torch.stack(torch.meshgrid(torch.arange(W), torch.arange(H), indexing="xy"), -1).float()
    T_2_1 = torch.linalg.inv(batch.T_1_2.double())
    own2 = (torch.einsum("bij,bhwj->bhwi", T_2_1[:, :3, :3], batch.points2.double()) + T_2_1[:, None, None, :3, 3])
    for points, valid in ((batch.points1.double(), batch.valid1), (own2, batch.valid2)):
        pixels, _ = project(points, batch.K.double())
        assert (pixels - grid).abs()[valid].max() < 0.02


def test_points1_agree_with_the_depth_of_camera_2_where_visible(batch):
    """Reprojection: the points of image 2 about the pixel where a visible point of image 1 falls hold it between them."""
    T_2_1 = torch.linalg.inv(batch.T_1_2)
    in2 = torch.einsum("bij,bhwj->bhwi", T_2_1[:, :3, :3], batch.points1) + T_2_1[:, None, None, :3, 3]
    pixels, z = project(in2, batch.K)
    own2 = torch.einsum("bij,bhwj->bhwi", T_2_1[:, :3, :3], batch.points2) + T_2_1[:, None, None, :3, 3]
    u, v = pixels[..., 0].round().long(), pixels[..., 1].round().long()
    inside = batch.valid1 & (z > 0.05) & (u >= 0) & (v >= 0) & (u < W) & (v < H)
    b = torch.arange(B)[:, None, None].expand_as(u)
    depth2 = own2[..., 2]
    seen = depth2[b[inside], v[inside], u[inside]]
    gap = (seen - z[inside]).abs() / z[inside]
    visible_share = torch.zeros(B).index_add_(0, b[inside], (gap < 0.03).float()) / (H * W)
    assert (visible_share - batch.overlap).abs().max() < 0.02
    close = gap < 0.03
    assert close.sum() > 0.25 * B * H * W and gap[close].median() < 0.004
    labels2 = batch.labels2[b[inside], v[inside], u[inside]][close]
    assert (labels2 == batch.labels1[inside][close]).float().mean() > 0.95
    image1, image2 = batch.image1.permute(0, 2, 3, 1), batch.image2.permute(0, 2, 3, 1)
    colors = (image2[b[inside], v[inside], u[inside]] - image1[inside])[close]
    assert colors.abs().median() < 0.06


@pytest.mark.slow
def test_overlap_is_within_the_range_and_spread(clean):
    overlap = torch.cat([clean.sample(n).overlap for n in range(4)]).numpy()
    assert overlap.min() >= 0.27 and overlap.max() <= 0.97
    counts = np.histogram(overlap, np.linspace(0.3, 0.95, 4))[0]
    assert counts.min() >= 3, counts


@pytest.mark.slow
def test_views_differ_and_there_is_parallax(clean):
    moved = torch.cat([clean.sample(n).T_1_2[:, :3, 3].norm(dim=1) for n in range(3)])
    assert (moved > 0.1).float().mean() > 0.4 and moved.max() < 3


@pytest.mark.slow
def test_a_batch_depends_on_its_number_alone():
    """In order and out of order, over an exchange of worlds."""
    options = OPTIONS | {"batch": 3, "width": 64, "height": 48, "kinds": ("room",), "batches_each": 2}
    one = list(itertools.islice(iter(PairSampler([1, 5, 9], **options)), 3))
    other = PairSampler([1, 5, 9], **options)
    for n in (2, 1):
        again = other.sample(n)
        for field in fields(again):
            assert torch.equal(getattr(again, field.name), getattr(one[n], field.name)), field.name
    assert not torch.equal(one[0].image1, one[1].image1)
    assert set(one[0].world.tolist()) == {1, 5} and set(one[2].world.tolist()) == {9, 1}


@pytest.mark.slow
def test_the_sensor_leaves_geometry_alone(sampler, batch):
    noisy = sampler.sample(0)
    for name in ("points1", "points2", "labels1", "T_1_2", "overlap"):
        assert torch.equal(getattr(noisy, name), getattr(batch, name))
    assert 0 < (noisy.image1 - batch.image1).abs().mean() < 0.2


@pytest.mark.parametrize("options, named", [
    ({"batch": 0}, "batch"), ({"overlap": (0.9, 0.3)}, "overlap"), ({"overlap": (0.5, 0.52)}, "overlap"),
    ({"fov_deg": (5, 10)}, "fov_deg"), ({"kinds": ()}, "kinds"), ({"width": 4}, "4x"), ({"worlds": 0}, "worlds")])
def test_bad_options(options, named):
    with pytest.raises(ValueError, match=named):
        PairSampler([1], **(OPTIONS | options))


def test_bad_calls(sampler):
    with pytest.raises(ValueError, match="-1"):
        sampler.sample(-1)
    with pytest.raises(ValueError, match="seeds"):
        PairSampler([])
    with pytest.raises(ValueError, match="'castle'"):
        PairSampler([1], **(OPTIONS | {"kinds": ("castle",)})).sample(0)


def test_viewpoints_are_in_the_air_and_look_at_the_same():
    world = build_world(3, "room")
    places = Viewpoints(world)
    low, high = world.bounds
    assert (places.points > low).all() and (places.points < high).all()
    assert signed_distance(world, places.points).min() > 0.15
    T1, T2 = places.pairs(300, np.random.default_rng(0))
    assert is_se3(T1, 1e-9).all() and is_se3(T2, 1e-9).all()
    assert signed_distance(world, T2[:, :3, 3]).min() > 0.05
    turned = np.degrees(np.arccos(np.clip((T1[:, :3, 2] * T2[:, :3, 2]).sum(1), -1, 1)))
    assert np.median(turned) < 30 and turned.max() > 45


def test_camera_poses():
    """Yaw turns to the left, pitch up, roll clockwise as one looks."""
    zero = np.zeros(1)
    T = camera_poses(np.zeros((1, 3)), zero, zero, zero)[0]
    np.testing.assert_allclose(T[:3, :3], [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], atol=1e-12)
    np.testing.assert_allclose(camera_poses(np.zeros((1, 3)), zero + np.pi / 2, zero, zero)[0][:3, 2], [0, 1, 0], atol=1e-12)
    assert camera_poses(np.zeros((1, 3)), zero, zero + 0.3, zero)[0][2, 2] > 0.2
    assert camera_poses(np.zeros((1, 3)), zero, zero, zero + 0.3)[0][2, 0] < -0.2  # the right side goes down


def test_what_is_hidden_is_not_visible():
    """A wall before camera 2 hides what camera 1 sees there."""
    from lsm_ros.geometry.camera import CameraIntrinsics

    camera = CameraIntrinsics.from_fov(8, 6, 1.0)
    depth1 = torch.full((1, 6, 8), 3.0)
    points = depth1[..., None] * torch.as_tensor(np.array(camera.rays(unit=False, dtype=np.float32)))
    depth2 = depth1.clone()
    depth2[:, :, :4] = 1.0
    found = visible(points, depth1 > 0, torch.eye(4)[None], depth2, camera)
    assert not found[:, :, :4].any() and found[:, :, 4:].all()
    away = torch.eye(4)[None].clone()
    away[0, 2, 3] = -5.0
    assert not visible(points, depth1 > 0, away, depth2, camera).any()
