# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import textured
from helpers.golden_cases import TINY, TINY_MAST3R
from helpers.image_sets import pose_errors

from lsm_ros import models
from lsm_ros.config import PairConfig
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.geometry.lie import make_se3
from lsm_ros.geometry.rotation import so3_exp
from lsm_ros.pairs.network import NetworkPairModel
from lsm_ros.sfm.model import SetImage
from lsm_ros.sfm.network_road import NetworkOptions, reconstruct_from_pairs
from lsm_ros.sfm.pair_cache import PairCache
from lsm_ros.sfm.predictor import NetworkPredictor, point_matches
from lsm_ros.sfm.sparse_alignment import SparseAlignment, _rounded
from lsm_ros.sfm.views import DenseStore

BENCH = Path(__file__).resolve().parents[2] / "bench"
CAMERA = CameraIntrinsics(128, 96, 110.0, 110.0, 64.0, 48.0)


@pytest.fixture
def truth(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import sfm_truth

    return sfm_truth


@pytest.fixture(scope="module")
def room():
    """Poses (9, 4, 4), images and depths of a textured room."""
    poses = np.stack([make_se3(so3_exp(np.array([0.03 * (-1)**k, 0.14 * k - 0.5, 0.0])),
                               np.array([0.4 * np.sin(k) - 0.1 * k, 0.15 * np.cos(2 * k), -1.5 + 0.15 * k])) for k in range(9)])
    seen = [textured.see(textured.room(0), T, CAMERA) for T in poses]
    return poses, np.stack([np.repeat(i[..., None], 3, 2) for i, _ in seen]), np.stack([d for _, d in seen])


def run(truth, room, tmp_path, noise=0.002, options=None, **keywords):
    poses, images, depths = room
    predictor = truth.TruePairs(depths, poses, CAMERA, noise, **keywords)
    store = DenseStore(tmp_path / "dense")
    options = options or NetworkOptions(iterations=30)
    result = reconstruct_from_pairs(truth.true_set(images, CAMERA), predictor, tmp_path / "cache", store, options)
    return result, store, predictor


def test_cameras_and_depth_from_nearly_true_pairs(truth, room, tmp_path):
    result, store, _ = run(truth, room, tmp_path, options=NetworkOptions(iterations=150), is_metric=True)
    poses, _, depths = room
    assert len(result.models) == 1 and not result.left_out and not (tmp_path / "cache").exists()
    model = result.models[0]
    turn, shift = pose_errors(model.poses, poses)
    assert turn < 1.0 and shift < 0.02
    assert np.median([c.fx for c in model.cameras]) == pytest.approx(110, rel=0.02)
    assert len(model.points) > 500 and np.median(model.errors()) < 1.5
    view = store.read("0004.png")
    known = view.depth > 0
    ratio = view.depth[known] / depths[4][known]
    assert known.mean() > 0.5 and np.median(ratio) == pytest.approx(1.0, abs=0.03)  # metres, because the pairs are
    assert np.percentile(np.abs(ratio / np.median(ratio) - 1), 90) < 0.05
    assert np.allclose(view.pose, model.poses[model.images.tolist().index(4)])


def test_two_worlds_are_two_models(truth, room, tmp_path):
    result, _, _ = run(truth, room, tmp_path, worlds=[0, 0, 0, 0, 0, 1, 1, 1, 1])
    assert [m.images.tolist() for m in result.models] == [[0, 1, 2, 3, 4], [5, 6, 7, 8]]
    across = (result.edges[:, 0] < 5) != (result.edges[:, 1] < 5)
    assert across.sum() == 20 and not result.matches[across].any()


def test_an_image_of_another_world_is_left_out(truth, room, tmp_path):
    result, _, _ = run(truth, room, tmp_path, worlds=[0] * 8 + [1])
    assert result.models[0].images.tolist() == list(range(8)) and "no pair with another image" in result.left_out[8]


@pytest.mark.parametrize("step", [0.0, 0.1])
def test_equal_images_and_a_camera_that_only_turns_have_one_place(truth, tmp_path, step):
    """A network knows the depth of a single image: without parallax there are poses too."""
    place = np.array([0.1, 0.0, -1.5])
    poses = np.stack([make_se3(so3_exp(np.array([0, step * k, 0])), place) for k in range(3)])
    seen = [textured.see(textured.room(0), T, CAMERA) for T in poses]
    images, depths = np.stack([np.repeat(i[..., None], 3, 2) for i, _ in seen]), np.stack([d for _, d in seen])
    result, _, _ = run(truth, (poses, images, depths), tmp_path, options=NetworkOptions(iterations=60))
    found = result.models[0].poses
    assert len(found) == 3 and np.ptp(found[:, :3, 3], axis=0).max() < 0.04  # of a median depth of 2
    turns = np.degrees([np.linalg.norm(cv2.Rodrigues(found[0][:3, :3].T @ T[:3, :3])[0]) for T in found])
    assert np.allclose(turns, np.degrees(step) * np.arange(3), atol=0.7)


def test_an_interrupted_run_goes_on(truth, room, tmp_path, monkeypatch):
    poses, images, depths = room
    whole, _, all_pairs = run(truth, room, tmp_path / "whole")
    calls = []

    def interrupted(self, i, j, save=truth.TruePairs.predict):
        calls.append((i, j))
        if len(calls) == 7:
            raise KeyboardInterrupt
        return save(self, i, j)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(truth.TruePairs, "predict", interrupted)
        run(truth, room, tmp_path / "part")
    result, _, rest = run(truth, room, tmp_path / "part")
    assert all_pairs.predicted == 36 and rest.predicted == 30
    assert np.array_equal(result.models[0].poses, whole.models[0].poses)


def test_a_pair_that_was_written_in_part_counts_once(truth, room, tmp_path, monkeypatch):
    poses, _, depths = room
    predictor = truth.TruePairs(depths, poses, CAMERA)
    p = predictor.predict(0, 1)
    sizes = [(96, 128)] * 3
    saves = []

    def full(self, i, total, save=PairCache._save):
        saves.append(i)
        if len(saves) == 2:
            raise OSError(28, "No space left on device")
        save(self, i, total)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(PairCache, "_save", full)
        PairCache(tmp_path / "c", sizes, "x").add(0, 1, p)
    again = PairCache(tmp_path / "c", sizes, "x")
    assert not again.has(0, 1)
    once = PairCache(tmp_path / "other", sizes, "x")
    for cache in (again, once):
        cache.add(0, 1, p)
        cache.add(0, 2, predictor.predict(0, 2))
    for n in (0, 1):
        assert torch.equal(again.canonical(n).points, once.canonical(n).points)
        assert torch.equal(again.canonical(n).confidence, once.canonical(n).confidence)


def test_a_cache_of_another_run_or_another_folder_is_refused(tmp_path):
    PairCache(tmp_path / "c", [(8, 8)], "one")
    PairCache(tmp_path / "c", [(8, 8)], "one")
    with pytest.raises(ValueError, match="unfinished run with other images"):
        PairCache(tmp_path / "c", [(8, 8)], "two")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(ValueError, match="holds no predictions"):
        PairCache(tmp_path / "mine", [(8, 8)], "one")


def test_known_and_shared_intrinsics(truth, room, tmp_path):
    poses, images, depths = room
    set_images = [SetImage(i.name, i.load, CAMERA, True) for i in truth.true_set(images, CAMERA)]
    predictor = truth.TruePairs(depths, poses, CAMERA, 0.01)
    store = DenseStore(tmp_path / "dense")
    result = reconstruct_from_pairs(set_images, predictor, tmp_path / "c", store, NetworkOptions(iterations=20))
    assert all(c.fx == pytest.approx(110, rel=1e-4) for c in result.models[0].cameras)
    shared, _, _ = run(truth, room, tmp_path / "s", options=NetworkOptions(iterations=20, shared=True), noise=0.01)
    assert len({round(c.fx, 3) for c in shared.models[0].cameras}) == 1


def lens_errors(result):
    """Largest distance of principal points from the middle (relative to the size), and deviation of focal lengths."""
    cameras = result.models[0].cameras
    away = [abs((c.cx + 0.5) / c.width - 0.5) + abs((c.cy + 0.5) / c.height - 0.5) for c in cameras]
    return max(away), np.std(np.log([c.fx for c in cameras]))


def test_images_of_one_camera_have_one_lens_as_far_as_matches_say_nothing_else(truth, room, tmp_path, monkeypatch):
    """Each by itself follows the noise of its matches, and turns its camera with it."""
    options, errors = NetworkOptions(iterations=100), {}
    init = SparseAlignment.__init__
    for name in ("one camera", "any"):
        if name == "any":
            monkeypatch.setattr(SparseAlignment, "__init__", lambda self, *a, cameras, init=init, **k: init(self, *a, **k))
        result, _, _ = run(truth, room, tmp_path / name, options=options)
        errors[name] = (*lens_errors(result), pose_errors(result.models[0].poses, room[0])[0])
    assert errors["one camera"][1] < 0.6 * errors["any"][1]
    assert all(a < 0.9 * b for a, b in zip(errors["one camera"], errors["any"], strict=True)), errors


def test_another_lens_of_the_same_camera_is_seen():
    """A zoom: what is rare is not forbidden."""
    assert float(_rounded(torch.tensor([0.1, -0.1]))) == pytest.approx(0.01, rel=0.01)
    assert float(_rounded(torch.tensor([100.0]))) == pytest.approx(99, rel=0.01)


def test_points_of_one_place_are_matched():
    """Two pointmaps of one plane, the second shifted by five pixels; none matches a plane that is far away."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    first, second = torch.stack([x, y, 50 + 0 * x], -1), torch.stack([x + 5, y, 50 + 0 * x], -1)
    sure = (torch.full((40, 60), 4.0),) * 2
    a, b, confidence = point_matches((first, second), (first, second), sure, sure, 8)
    assert len(a) >= 25 and torch.equal(a - b, torch.tensor([[5, 0]]).expand(len(a), 2)) and bool((confidence == 4).all())
    far = second + torch.tensor([0, 0, 20.0])
    assert len(point_matches((first, far), (first, far), sure, sure, 8)[0]) == 0


@pytest.mark.parametrize("name, config", [("dust3r", TINY), ("mast3r", TINY_MAST3R)])
def test_networks_predict_both_orders(name, config, room):
    torch.manual_seed(0)
    model = NetworkPairModel(PairConfig(model=name, precision="float32"), models.build(name, **config), "cpu")
    images = [SetImage(str(n), lambda n=n: room[1][n], CAMERA) for n in range(3)]
    predictor = NetworkPredictor(model, images)
    p = predictor.predict(0, 2)
    height, width = predictor.crops[0].height, predictor.crops[0].width
    assert [tuple(x.shape) for x in (*p.own, *p.other)] == [(height, width, 3)] * 4
    back = predictor.predict(2, 0)
    assert torch.allclose(p.own[0], back.own[1], atol=1e-4) and torch.allclose(p.other[1], back.other[0], atol=1e-4)
    assert len(p.pixels_i) == len(p.pixels_j) == len(p.confidence)
    assert predictor.likeness().shape == (3, 3)
    assert predictor.identity != NetworkPredictor(model, images[::-1]).identity


def test_errors(truth, room, tmp_path):
    poses, images, depths = room
    with pytest.raises(ValueError, match="at least two images, got 1"):
        run(truth, (poses[:1], images[:1], depths[:1]), tmp_path)
    with pytest.raises(ValueError, match="image 0: "):
        run(truth, (poses, images, -depths), tmp_path)


def test_images_start_where_their_pairs_put_them(truth, room, tmp_path, monkeypatch):
    """Without a step of alignment: chained over the strongest pairs."""
    monkeypatch.setattr(SparseAlignment, "optimise", lambda self, *_args, **_keywords: None)
    result, _, _ = run(truth, room, tmp_path)
    got, true = (np.linalg.inv(T[0]) @ T for T in (result.models[0].poses, room[0]))
    cosines = (np.einsum("nij,nij->n", got[:, :3, :3], true[:, :3, :3]) - 1) / 2
    assert np.degrees(np.arccos(np.clip(cosines, -1, 1))).max() < 2
