# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import pytest
import torch
from helpers.golden_cases import relative_error

from lsm_ros.geometry.pointmap_focal import base_focal, estimate_focal, pixel_grid


def test_golden(golden):
    case = golden("focal")
    points, centre = case.inp["pts3d"], case.inp["pp"]
    assert relative_error(estimate_focal(points, centre), case.out["weiszfeld"]) < 1e-5
    assert relative_error(estimate_focal(points, centre, method="median"), case.out["median"]) < 1e-5
    assert relative_error(estimate_focal(points, centre, lowest=1.2, highest=3.5), case.out["weiszfeld_clip"]) < 1e-5
    assert float(case.out["weiszfeld_clip"][0]) == pytest.approx(1.2 * base_focal(24, 32))


def test_finds_the_true_one_despite_outliers():
    pixels = pixel_grid(48, 64)
    depth = 1 + torch.rand(48, 64)
    points = torch.cat([(pixels - torch.tensor([32.0, 24.0])) / 50.0 * depth[..., None], depth[..., None]], -1)
    points[:4] = torch.randn(4, 64, 3) + torch.tensor([0.0, 0.0, 3.0])
    assert float(estimate_focal(points[None], torch.tensor([[32.0, 24.0]]))) == pytest.approx(50, rel=0.01)


def test_points_without_depth_are_on_the_axis():
    points = torch.zeros(1, 4, 4, 3)
    points[0, 0, 0] = torch.tensor([-1.0, -1.0, 1.0])
    assert torch.isfinite(estimate_focal(points, torch.tensor([[2.0, 2.0]]))).all()


def test_errors():
    with pytest.raises(ValueError, match="method"):
        estimate_focal(torch.ones(1, 4, 4, 3), torch.ones(1, 2), method="mean")
    with pytest.raises(ValueError, match="B, H, W, 3"):
        estimate_focal(torch.ones(4, 4, 3, 1), torch.ones(1, 2))
