# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest
import torch

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_sim.sensor import SensorConfig, apply_sensor, lens_blurred, motion_blurred

CLEAN = SensorConfig.clean()
CAMERA = CameraIntrinsics.from_fov(96, 64, 1.2)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    return request.param


def light(count=5, device="cpu", height=64, width=96):
    """Random blocks of light, (C, H, W, 3), some of it over full white."""
    rng = np.random.default_rng(0)
    blocks = rng.uniform(0, 1.1, (count, height // 8, width // 8, 3)).repeat(8, 1).repeat(8, 2)
    return torch.as_tensor(blocks, dtype=torch.float32, device=device)


def even(value, count=1, height=200, width=200):
    return torch.full((count, height, width, 3), value)


def linear_of(pixels):
    """Linear light of sRGB bytes, IEC 61966-2-1."""
    s = pixels.double() / 255
    return torch.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def test_clean_is_the_srgb_curve_alone(device):
    values = torch.tensor([0.0, 0.0031308, 0.2158605, 0.5, 1.0, 2.0, -1.0], device=device)
    out = apply_sensor(values.view(1, 1, 7, 1).expand(1, 1, 7, 3), CLEAN)
    assert out[0, 0, :, 0].tolist() == [0, 10, 128, 188, 255, 255, 0]
    assert out.dtype == torch.uint8 and out.shape == (1, 1, 7, 3) and out.device.type == device
    round_trip = linear_of(torch.arange(256)).float().view(1, 16, 16, 1).expand(1, 16, 16, 3).to(device)
    assert apply_sensor(round_trip, CLEAN)[..., 1].flatten().tolist() == list(range(256))


def test_without_gamma_levels_are_linear():
    assert apply_sensor(even(0.5, 1, 2, 2), replace(CLEAN, gamma=False)).unique().tolist() == [128]


@pytest.mark.parametrize("config", [SensorConfig(), replace(SensorConfig(), auto_exposure=0.2, color_sigma=2.0)])
def test_same_seed_same_pixels_in_any_batch(device, config):
    x, seeds = light(9, device), [5, 6, 7, 8, 9, 10, 11, 5, 1 << 50]
    rate = np.random.default_rng(1).normal(0, 3, (9, 3))
    whole = apply_sensor(x, config, seeds, rate, CAMERA)
    assert torch.equal(whole, apply_sensor(x, config, torch.tensor(seeds), torch.as_tensor(rate), CAMERA))
    for k in (0, 4, 8):
        assert torch.equal(whole[k], apply_sensor(x[k:k + 1], config, seeds[k:k + 1], rate[k:k + 1], CAMERA)[0])
    turned = apply_sensor(x.flip(0), config, seeds[::-1], rate[::-1].copy(), CAMERA)
    assert torch.equal(whole, turned.flip(0))
    other = apply_sensor(x, config, [s + 1 for s in seeds], rate, CAMERA)
    assert (whole != other).float().mean() > 0.3


def test_the_light_is_left_alone():
    x = light(2)
    kept = x.clone()
    apply_sensor(x, SensorConfig(), [1, 2], np.full((2, 3), 4.0), CAMERA)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("level", [0.05, 0.3, 0.8])
def test_noise_has_the_variance_of_shot_and_read_noise(device, level):
    config = replace(CLEAN, shot_noise=0.04, read_noise=0.01, gamma=False)
    out = apply_sensor(even(level).to(device), config, [3]).cpu().double() / 255
    expected = 0.04 ** 2 * level + 0.01 ** 2 + (1 / 255) ** 2 / 12
    assert abs(out.mean() - level) < 4 * (expected / out.numel()) ** 0.5
    assert abs(out.var() / expected - 1) < 0.04
    rows = (out - out.mean())[0]
    assert abs((rows[:, 1:] * rows[:, :-1]).mean() / out.var()) < 0.02


def test_color_sigma_is_in_grey_levels(device):
    out = apply_sensor(even(0.2).to(device), replace(CLEAN, color_sigma=3.0), [9]).cpu().double()
    clean = apply_sensor(even(0.2), CLEAN).double()
    assert abs((out - clean).std() - 3) < 0.05 and abs((out - clean).mean()) < 0.05


def test_exposure_jitter_is_in_stops():
    x = even(0.1, 400, 4, 4)
    out = linear_of(apply_sensor(x, replace(CLEAN, exposure_ev=0.5), range(400)))[:, 0, 0, 1]
    stops = torch.log2(out / 0.1)
    assert abs(stops.mean()) < 0.08 and abs(stops.std() - 0.5) < 0.06


def test_auto_exposure_brings_the_mean_to_the_target():
    x = light(3) * torch.tensor([0.05, 0.3, 0.6]).view(3, 1, 1, 1)
    out = linear_of(apply_sensor(x, replace(CLEAN, auto_exposure=0.2)))
    assert (out.mean((1, 2, 3)) - 0.2).abs().max() < 0.01
    assert apply_sensor(even(0.0), replace(CLEAN, auto_exposure=0.2)).max() == 0


def test_white_balance_leaves_green():
    x = even(0.2, 300, 4, 4)
    out = linear_of(apply_sensor(x, replace(CLEAN, white_balance=0.2), range(300)))[:, 0, 0]
    logs = torch.log(out / 0.2)
    assert logs[:, 1].abs().max() < 0.02
    assert (logs[:, ::2].std(0) - 0.2).abs().max() < 0.03
    assert abs(np.corrcoef(logs[:, ::2].numpy().T)[0, 1]) < 0.2


def test_vignette_darkens_the_corners():
    out = linear_of(apply_sensor(even(0.5, 1, 101, 141), replace(CLEAN, vignette=0.4)))[0, ..., 0]
    assert abs(out[50, 70] - 0.5) < 0.005
    corners = out[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners - 0.3).abs().max() < 0.01


@pytest.mark.parametrize("sigma", [0.6, 1.5, 4.0])
def test_lens_blur_spreads_a_point_by_its_deviation(device, sigma):
    x = torch.zeros(1, 3, 65, 65, device=device)
    x[:, :, 32, 32] = 1
    out = lens_blurred(x, sigma)[0, 1].cpu().double()
    u = torch.arange(65).double() - 32
    assert abs(out.sum() - 1) < 1e-5
    for profile in (out.sum(0), out.sum(1)):
        # a pixel's own width adds 1/12 to the variance, what is cut off takes a little
        assert abs(((profile * u * u).sum() / (sigma ** 2 + 1 / 12)) - 1) < 0.1
        assert abs((profile * u).sum()) < 1e-5


def test_lens_blur_keeps_even_light_up_to_the_border():
    assert torch.allclose(lens_blurred(torch.full((1, 3, 9, 7), 0.3), 2.0), torch.tensor(0.3))


def test_motion_blur_draws_a_point_out_by_the_way_it_goes(device):
    camera = CameraIntrinsics.from_fov(201, 121, 1.0)
    x = torch.zeros(3, 3, 121, 201, device=device)
    x[:, :, 60, 100] = 1
    way = 16.0
    turn = way / camera.fx / 0.02
    out = motion_blurred(x, np.array([[0, turn, 0], [turn, 0, 0], [0, 0, 30.0]]), camera, 0.02).cpu()
    across, down = out[0, 0].sum(0), out[1, 0].sum(1)
    for profile, middle in ((across, 100), (down, 60)):
        u = torch.arange(len(profile)) - middle
        assert abs(profile.sum() - 1) < 0.02 and abs((profile * u).sum()) < 0.05
        assert abs((profile * u * u).sum().sqrt() - way / 12 ** 0.5) < 0.4
    assert out[0, 0].sum(1).argmax() == 60 and out[0, 0, 58].sum() < 1e-4
    rolled = out[2, 0]  # about the point itself, which only the interpolation spreads
    assert abs(rolled[60, 100] - 1) < 1e-3 and rolled[58:63, 98:103].sum() == rolled.sum() < 1.6


def test_motion_blur_goes_along_the_roll():
    camera = CameraIntrinsics.from_fov(121, 121, 1.0)
    x = torch.zeros(1, 3, 121, 121)
    x[:, :, 60, 110] = 1
    out = motion_blurred(x, np.array([[0, 0, 20.0]]), camera, 0.01)[0, 0]
    lit = torch.nonzero(out > 0.02)
    assert lit[:, 0].min() <= 56 and lit[:, 0].max() >= 64 and lit[:, 1].min() >= 107


def test_little_motion_is_left_out_and_much_differs():
    x, config = light(2), replace(CLEAN, exposure_s=0.01)
    out = apply_sensor(x, config, [0, 0], np.array([[0.01, 0, 0], [3.0, 0, 0]]), CAMERA)
    sharp = apply_sensor(x, CLEAN)
    assert torch.equal(out[0], sharp[0]) and (out[1] != sharp[1]).any()


def test_jpeg_leaves_its_marks():
    x = light(1)
    coded, sharp = (apply_sensor(x, replace(CLEAN, jpeg_quality=q)).double() for q in (40, 0))
    assert 0.5 < (coded - sharp).abs().mean() < 16


@pytest.mark.parametrize("change", [{"blur_px": -1.0}, {"read_noise": float("nan")}, {"vignette": 1.5}, {"jpeg_quality": 101},
                                    {"jpeg_quality": 90.5}, {"exposure_s": float("inf")}, {"auto_exposure": 2.0}])
def test_wrong_configs(change):
    with pytest.raises(ValueError, match=f"{next(iter(change)).split('_')[0]}|quality"):
        SensorConfig(**change)


def test_wrong_input():
    config, x = SensorConfig(), light(2)
    with pytest.raises(ValueError, match="floating"):
        apply_sensor((x * 255).to(torch.uint8), config)
    with pytest.raises(ValueError, match="floating"):
        apply_sensor(x.permute(0, 3, 1, 2), config)
    with pytest.raises(ValueError, match="seeds"):
        apply_sensor(x, config, [1])
    with pytest.raises(ValueError, match="needs the camera"):
        apply_sensor(x, config, [1, 2], np.zeros((2, 3)))
    with pytest.raises(ValueError, match="angular_rate"):
        apply_sensor(x, config, [1, 2], np.zeros((3, 3)), CAMERA)
    with pytest.raises(ValueError, match="pixels"):
        apply_sensor(x, config, [1, 2], np.zeros((2, 3)), CameraIntrinsics.from_fov(64, 64, 1.0))
