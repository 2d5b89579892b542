# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Drawing Gaussians: against a sum over all of them at each pixel, and at the edges."""
import pytest
import torch

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.models.gaussians import SH_C0
from lsm_ros.models.splatting import colours_of, render, rotation_matrices

CAMERA = CameraIntrinsics(40, 28, 35.0, 30.0, 18.5, 14.0)


def scene(count, seed=0):
    g = torch.Generator().manual_seed(seed)
    means = torch.rand(count, 3, generator=g) * torch.tensor([3.0, 2.0, 4.0]) - torch.tensor([1.5, 1.0, 1.0])
    scales = torch.rand(count, 3, generator=g) * 0.3 + 0.02
    quaternions = torch.randn(count, 4, generator=g)
    return means, scales, quaternions, torch.rand(count, generator=g) * 0.9 + 0.05, torch.rand(count, 5, generator=g)


def turned():
    pose = torch.eye(4)
    pose[:3, :3] = rotation_matrices(torch.tensor([[1.0, 0.1, -0.2, 0.05]]))[0]
    pose[:3, 3] = torch.tensor([0.1, -0.2, 0.5])
    return pose


def reference(means, scales, quaternions, opacities, values, pose, camera):
    """Each pixel by itself, in float64, from the definitions."""
    means, scales, quaternions, opacities, values, pose = (t.double() for t in (means, scales, quaternions, opacities, values,
                                                                               pose))
    R, t = pose[:3, :3], pose[:3, 3]
    points = means @ R.T + t
    y, x = torch.meshgrid(torch.arange(camera.height).double(), torch.arange(camera.width).double(), indexing="ij")
    image, light = torch.zeros(camera.height, camera.width, values.shape[1]).double(), torch.ones_like(x)
    for n in points[:, 2].argsort().tolist():
        X, Y, Z = points[n]
        if Z <= 0.01:
            continue
        axes = rotation_matrices(quaternions[n:n + 1])[0] * scales[n]
        J = torch.tensor([[camera.fx / Z, 0, -camera.fx * X / Z ** 2], [0, camera.fy / Z, -camera.fy * Y / Z ** 2]]).double()
        covariance = J @ R @ axes @ axes.T @ R.T @ J.T + 0.3 * torch.eye(2)
        d = torch.stack([x - camera.fx * X / Z - camera.cx, y - camera.fy * Y / Z - camera.cy], -1)
        power = -0.5 * torch.einsum("hwi,ij,hwj->hw", d, covariance.inverse(), d)
        alpha = (opacities[n] * power.exp()).clamp(max=0.99)
        alpha = torch.where(alpha < 1 / 255, 0.0, alpha)
        image += (light * alpha)[..., None] * values[n]
        light = light * (1 - alpha)
    return image, 1 - light


def test_pictures_are_what_each_pixel_would_be_alone():
    parts, pose = scene(30), turned()
    inside = (parts[0] @ pose[:3, :3].T + pose[:3, 3])
    near = (inside[:, 2] > 0.5) & (inside[:, :2].abs().amax(1) < 0.4 * inside[:, 2])  # where no slope is limited
    parts = [p[near] for p in parts]
    assert len(parts[0]) > 5
    for got, expected in zip(render(*parts, pose, CAMERA), reference(*parts, pose, CAMERA), strict=True):
        assert got.shape == expected.shape and (got.double() - expected).abs().max() < 0.02  # cut off at three deviations
        assert (got.double() - expected).abs().mean() < 1e-3


def test_many_in_one_tile():
    parts = scene(400, seed=1)
    parts[0][:, :2] *= 0.1
    parts[0][:, 2] = parts[0][:, 2].abs() + 1
    parts[3][:] = 0.06  # light comes through all of them
    for got, expected in zip(render(*parts, torch.eye(4), CAMERA), reference(*parts, torch.eye(4), CAMERA), strict=True):
        assert (got.double() - expected).abs().max() < 0.02


def test_the_nearer_hides_the_farther():
    means = torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.0, 2.0], [0.0, 0.0, -1.0], [0.0, 0.0, 0.005]])
    image, opacity = render(means, torch.full((4, 3), 0.5), torch.tensor([[1.0, 0, 0, 0]]).repeat(4, 1),
                            torch.full((4,), 0.999), torch.eye(4), torch.eye(4), CAMERA)
    assert torch.allclose(image[14, 18], torch.tensor([0.0099, 0.99, 0.0, 0.0]), atol=2e-3)
    assert opacity[14, 18] > 0.999 and opacity.max() <= 1 and image[0, 0].max() < 0.5


def test_what_is_far_outside_of_the_image_stays_there():
    """The projection's slope grows without end towards the side: unbounded it would smear a Gaussian over the whole image."""
    beside = torch.tensor([[20.0, 0.0, 0.5]]), torch.full((1, 3), 0.5), torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([0.9])
    image, opacity = render(*beside, torch.ones(1, 3), torch.eye(4), CAMERA)
    assert not opacity.any() and not image.any()


def test_gaussians_without_end_are_left_out():
    parts = scene(5)
    endless = [p.clone() for p in parts]
    endless[0][0] = torch.tensor([0.0, 0.0, 2.0])
    endless[1][0] = 1e25
    rest = [p[1:] for p in endless]
    for got, expected in zip(render(*endless, torch.eye(4), CAMERA), render(*rest, torch.eye(4), CAMERA), strict=True):
        assert torch.equal(got, expected)


def test_needles_do_not_cover_the_image():
    """Rounding makes the determinant of some long thin ones negative: drawn, they would be everywhere."""
    for angle in torch.linspace(0.02, 3.1, 60):
        turn = torch.tensor([[float(torch.cos(angle / 2)), 0.0, 0.0, float(torch.sin(angle / 2))]])
        _, opacity = render(torch.tensor([[0.0, 0.0, 2.0]]), torch.tensor([[1e4, 1e-4, 1e-4]]), turn, torch.tensor([0.9]),
                            torch.ones(1, 1), torch.eye(4), CAMERA)
        assert (opacity > 0.5).float().mean() < 0.5, float(angle)


def test_nothing_to_see():
    parts = scene(5)
    behind = [parts[0] - torch.tensor([0, 0, 100.0]), *parts[1:]]
    for some in (behind, [p[:0] for p in parts]):
        image, opacity = render(*some, torch.eye(4), CAMERA)
        assert image.shape == (28, 40, 5) and not image.any() and not opacity.any()


def test_gradients_reach_everything():
    parts = [p.requires_grad_() for p in scene(20)]
    render(*parts, turned(), CAMERA)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in parts)


def test_a_gaussian_is_found_by_its_picture():
    means, *rest = scene(1, seed=3)
    means = torch.tensor([[0.2, 0.1, 2.0]])
    target, _ = render(means, *rest, turned(), CAMERA)
    assert target.max() > 0.05
    moved = (means + 0.05).requires_grad_()
    optimiser = torch.optim.Adam([moved], 0.01)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = (render(moved, *rest, turned(), CAMERA)[0] - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < 0.2 * losses[0]


def test_colours_are_those_of_degree_zero():
    sh = torch.zeros(2, 16, 3)
    sh[0, 0], sh[1, 5] = 0.25 / SH_C0, 3.0
    assert torch.allclose(colours_of(sh), torch.tensor([[0.75] * 3, [0.5] * 3]))
    assert colours_of(-100 * torch.ones(1, 1, 3)).min() == 0


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_quaternions_begin_with_w(angle):
    q = torch.tensor([[2 * torch.cos(torch.tensor(angle / 2)), 0, 0, 2 * torch.sin(torch.tensor(angle / 2))]])
    c, s = torch.cos(torch.tensor(angle)), torch.sin(torch.tensor(angle))
    assert torch.allclose(rotation_matrices(q)[0], torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]]), atol=1e-6)
