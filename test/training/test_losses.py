# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import math

import pytest
import torch

from lsm_ros.training.config import train_config
from lsm_ros.training.losses import confident, regression
from lsm_ros.training.matching_losses import average_precision, confident_matches, info_nce
from lsm_ros.training.objectives import Pairs, scale_loss
from lsm_sim.sampler import PairBatch

SKY_LOSS, MATCHING_WEIGHT = 2.0, 0.075  # of the golden numbers


@pytest.fixture
def case(golden):
    return golden("losses")


def parts(case):
    views = []
    for prefix in ("gt1", "gt2", "pred1", "pred2"):
        views.append({k.removeprefix(f"{prefix}/"): v for k, v in case.inp.items() if k.startswith(f"{prefix}/")})
    return views


def test_golden_geometry(case):
    g1, g2, p1, p2 = parts(case)
    plain = regression(g1, g2, p1, p2)
    assert plain.mean().item() == pytest.approx(case.out["dust3r/regr3d"].item(), rel=1e-5)
    assert confident(plain, p1["conf"], p2["conf"]).item() == pytest.approx(case.out["dust3r/conf"].item(), rel=1e-5)
    for mode in ("avg_dis", "?avg_dis"):
        loss = regression(g1, g2, p1, p2, norm_mode=mode, sky_loss=SKY_LOSS)
        got = confident(loss, p1["conf"], p2["conf"]).item()
        assert got == pytest.approx(case.out[f"mast3r/conf_{mode}"].item(), rel=1e-5)


def matching(case, loss):
    g1, g2, p1, p2 = parts(case)
    pixels = g1["corres"], g2["corres"], g1["valid_corres"]
    return loss(p1["desc"], p2["desc"], *pixels), (p1["desc_conf"], p2["desc_conf"], *pixels)


def test_golden_matching(case):
    loss, rest = matching(case, info_nce)
    total = confident_matches(loss, *rest)
    assert total.item() == pytest.approx(case.out["mast3r/confmatching"].item(), rel=1e-5)
    whole = case.out["mast3r/conf_?avg_dis"] + MATCHING_WEIGHT * total
    assert whole.item() == pytest.approx(case.out["mast3r/total"].item(), rel=1e-5)


def test_golden_average_precision(case):
    loss, _ = matching(case, average_precision)
    assert 0.0504 <= loss.mean().item() <= 0.0526


def truth(points, valid=None):
    b, h, w, _ = points.shape
    return {"pts3d": points, "camera_pose": torch.eye(4).repeat(b, 1, 1), "is_metric_scale": torch.zeros(b, dtype=torch.bool),
            "valid_mask": torch.ones(b, h, w, dtype=torch.bool) if valid is None else valid}


@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_a_prediction_that_is_right_up_to_scale_costs_nothing(scale):
    points = torch.rand(2, 4, 5, 3) + 1
    views = {"pts3d": points * scale}, {"pts3d_in_other_view": points * scale}
    assert regression(truth(points), truth(points), *views).mean().item() == pytest.approx(0, abs=1e-6)
    metric = truth(points)
    metric["is_metric_scale"][:] = True
    cost = regression(metric, metric, *views, norm_mode="?avg_dis").mean().item()
    assert cost == pytest.approx(0, abs=1e-6) if scale == 1 else cost > 1


def test_invalid_pixels_do_not_count_and_gradients_stay_finite():
    points = torch.rand(1, 4, 5, 3) + 1
    valid = torch.ones(1, 4, 5, dtype=torch.bool)
    valid[0, 0] = False
    corrupted = points.clone()
    corrupted[0, 0] = math.nan
    predicted = (points + 0.1 * torch.randn_like(points)).requires_grad_()
    views = {"pts3d": predicted}, {"pts3d_in_other_view": predicted}
    loss = regression(truth(corrupted, valid), truth(points), *views)
    assert len(loss.distances[0]) == 15 and torch.isfinite(loss.mean())
    confident(loss, torch.ones(1, 4, 5) * 2, torch.ones(1, 4, 5)).backward()
    assert torch.isfinite(predicted.grad).all()
    none = torch.zeros(1, 4, 5, dtype=torch.bool)
    assert regression(truth(points, none), truth(points, none), *views).mean().item() == 0


def test_matches_that_are_right_cost_less():
    desc = torch.nn.functional.normalize(torch.randn(1, 6, 6, 16), dim=-1)
    pixels = torch.stack(torch.meshgrid(torch.arange(6), torch.arange(6), indexing="xy"), -1).view(1, 36, 2)
    valid = torch.ones(1, 36, dtype=torch.bool)
    right = info_nce(desc, desc, pixels, pixels, valid).mean()
    assert right < 0.1 < info_nce(desc, desc, pixels, pixels.flip(1), valid).mean()
    assert average_precision(desc, desc, pixels, pixels, valid).mean() == 1


def test_errors():
    points = torch.ones(1, 2, 2, 3)
    with pytest.raises(ValueError, match="norm_mode"):
        regression(truth(points), truth(points), {"pts3d": points}, {"pts3d_in_other_view": points}, norm_mode="none")


def pair_of(points1, points2, factor):
    """A batch of the tiny rooms' form with these points, and predictions that are `factor` times as far."""
    size = points1.shape[:3]
    full, empty = torch.ones(size, dtype=torch.bool), torch.zeros(size, dtype=torch.int32)
    eye = torch.eye(4).expand(size[0], 4, 4)
    images = torch.zeros(size[0], 3, *size[1:])
    batch = PairBatch(images, images, points1, points2, full, full, empty, empty, eye, eye[:, :3, :3], torch.ones(size[0]),
                      torch.zeros(size[0], dtype=torch.int64))
    conf = torch.full(size, 2.0)
    return ({"pts3d": points1 * factor, "conf": conf}, {"pts3d_in_other_view": points2 * factor, "conf": conf}, batch)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_scale_is_taught_apart_from_shape(factor):
    generator = torch.Generator().manual_seed(5)
    view1, view2, batch = pair_of(*(torch.randn(2, 4, 6, 3, generator=generator) + 3 for _ in range(2)), factor)
    config = train_config({"loss": {"metric": False, "scale": 0.3, "matching": 0, "alpha": 0.2}, "language": {"encoder": ""}})
    loss, parts = Pairs(config, None, torch.device("cpu")).of_views((view1, view2), batch, 0)
    assert parts["scale"].item() == pytest.approx(0.3 * abs(math.log(factor)), abs=1e-6)
    assert parts["points"].item() == pytest.approx(-2 * 0.2 * math.log(2), abs=1e-5)  # the shape is right
    assert loss.item() == pytest.approx(sum(p.item() for p in parts.values()), abs=1e-6)


def test_a_pair_without_a_valid_pixel_teaches_no_scale():
    view1, view2, batch = pair_of(*(torch.ones(2, 4, 6, 3) for _ in range(2)), 2.0)
    batch.valid1[1], batch.valid2[1] = False, False
    view1["pts3d"][1] = torch.nan
    view1["pts3d"].requires_grad_()
    found = scale_loss(view1, view2, batch)
    found.backward()
    assert found.item() == pytest.approx(math.log(2)) and torch.isfinite(view1["pts3d"].grad).all()
