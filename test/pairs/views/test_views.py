# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Multi-view networks as pair models, and tracking with them in a room, exact and spoiled."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.pointmaps import frame_set, on_path, walk
from helpers.textured import CAMERA, room, see
from helpers.true_views import TrueViewModel, TrueViews, garbled

from lsm_ros.config import PairConfig, from_dict
from lsm_ros.geometry import se3_inverse, split_sim3, transform_points, umeyama
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.pairs import make_pair_model
from lsm_ros.pairs.views.base import View
from lsm_ros.pairs.views.pair import windows
from lsm_ros.registry import PAIR_MODELS, VIEW_MODELS

BOARDS = room()
PATH = walk(40)


def model_of(path=PATH, **options):
    return TrueViewModel(TrueViews(BOARDS, **options), on_path(path))


def tokens_of(model, *numbers):
    return [model.encode(frame_set(BOARDS, PATH, n, CAMERA).frames)[0] for n in numbers]


def test_pairs_that_share_frames_are_seen_at_once_in_one_unit():
    model = model_of(unit_spread=0.5)
    a, b, c = tokens_of(model, 6, 12, 24)
    found = model.predict([(a, b), (b, a), (a, c)])
    assert model.views.runs == [3]
    (T_a, camera), (T_b, _) = (model.views.known[t.image.tobytes()] for t in (a, b))
    depth = see(BOARDS, T_a, camera)[1]
    unit = np.nanmedian(found[0].points_a.numpy()[..., 2] / np.where(depth > 0, depth, np.nan))
    assert abs(np.log(unit)) > 0.05
    for there, back, T in ((found[0], found[1], se3_inverse(T_a) @ T_b), (found[1], found[0], se3_inverse(T_b) @ T_a)):
        T[:3, 3] *= unit
        wanted = transform_points(T, back.points_a.numpy().reshape(-1, 3).astype(float)).reshape(84, 126, 3)
        assert np.nanmax(np.abs(there.points_b.numpy() - wanted)) < 1e-4
    assert torch.equal(found[0].points_a.nan_to_num(), found[2].points_a.nan_to_num())
    assert not found[0].is_metric and found[0].conf_a.max() == 5 and found[0].conf_a.shape == (84, 126)


def test_predictions_are_in_the_frame_of_the_first_view():
    model = model_of()
    a, b = tokens_of(model, 6, 24)
    first, second = model.views.predict([View(t.image) for t in (a, b)])
    T_a, T_b = (model.views.known[t.image.tobytes()][0] for t in (a, b))
    assert np.allclose(first.T_first_cam, np.eye(4), atol=1e-9)
    assert np.allclose(second.T_first_cam, se3_inverse(T_a) @ T_b, atol=1e-9)


def test_windows_have_no_more_frames_than_the_network_takes():
    a, b, c, d = tokens_of(model_of(), 0, 1, 2, 3)
    pairs = [(a, b), (b, a), (b, c), (c, d), (a, d)]
    assert [len(w) for w in windows(pairs, 8)] == [5]
    assert windows(pairs, 3) == [[0, 1, 2], [3, 4]]
    assert windows([(a, b), (c, d)], 8) == [[0], [1]]  # nothing is shared
    assert windows([(a, b), (c, d), (b, a), (d, c)], 8) == [[0, 2], [1, 3]]  # as two cameras ask
    assert windows([], 8) == []


@pytest.mark.parametrize(("change", "says"), [
    (lambda p: p[:1], "gave 1 predictions for 2 views"),
    (lambda p: [p[0], replace(p[1], points_cam=p[1].points_cam[:5])], r"gave points \(5, 126, 3\) and confidence \(84, 126\)"),
    (lambda p: [p[0], replace(p[1], T_first_cam=2 * np.eye(4))], "gave a pose that is no rotation"),
    (lambda p: [p[0], replace(p[1], T_first_cam=np.full((4, 4), np.nan))], "gave a pose that is no rotation"),
    (lambda p: [p[0], replace(p[1], points_cam=-p[1].points_cam)], "gave no point in front of the camera"),
    (lambda p: [p[0], replace(p[1], confidence=np.full((84, 126), np.nan))], "gave no point in front of the camera")])
def test_what_is_no_geometry_of_the_views_is_refused(change, says):
    model = model_of(spoil=lambda _run, found: change(found))
    with pytest.raises(ValueError, match=f"true {says}"):
        model.predict([tuple(tokens_of(model, 0, 9))])


def test_views_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="true takes views of one size at once"):
        TrueViews(BOARDS).predict([View(np.zeros((84, 126, 3), np.uint8)), View(np.zeros((84, 84, 3), np.uint8))])


def test_tokens_are_kept_and_known_again():
    model = model_of()
    a, b = tokens_of(model, 0, 39)
    again = model.unpack("camera", a.stamp_ns, CAMERA, model.pack(a))
    assert np.array_equal(again.image, a.image) and again.crop == a.crop and again.intrinsics == a.intrinsics
    assert a.nbytes == 84 * 126 * 3 and a.size == (84, 126)
    with pytest.raises(ValueError, match="was cut from one of"):
        model.unpack("camera", 0, replace(CAMERA, width=CAMERA.width // 2), model.pack(a))
    alike = model.alike([a], [model.signature([t]) for t in (again, b)])
    assert alike[0] > alike[1]


def test_each_network_is_a_pair_model_that_needs_weights():
    assert set(VIEW_MODELS) <= set(PAIR_MODELS)
    for name in VIEW_MODELS:
        with pytest.raises(ValueError, match=f"pair model '{name}' needs weights"):
            make_pair_model(PairConfig(model=name))


@pytest.mark.parametrize(("options", "most"), [
    ({"unit_spread": 0.3}, 0.005), ({"unit_spread": 0.3, "ray_noise": 0.001, "depth_noise": 0.02}, 0.01),
    ({"unit_spread": 0.3, "spoil": garbled}, 0.01)], ids=["exact", "noisy", "garbled"])
def test_tracks_through_a_room(options, most):
    pipeline = MappingPipeline(from_dict({"fusion.voxel_size": 0.1}), model_of(**options))
    for n in range(len(PATH)):
        pipeline.process(frame_set(BOARDS, PATH, n, CAMERA))
    pipeline.settle()
    poses = pipeline.trajectory()
    ours = np.array([p.T_map_rig[:3, 3] for p in poses])
    true = np.array([on_path(PATH)(p.stamp_ns)[:3, 3] for p in poses])
    error = np.sqrt(np.mean(np.sum((transform_points(umeyama(ours, true), ours) - true) ** 2, 1)))
    assert error < most and len(poses) >= (0.8 if "spoil" in options else 1.0) * len(PATH)
    assert not pipeline.status().scale_is_metric and len(pipeline.snapshot().points_map) > 200


def test_a_metric_network_gives_metres():
    pipeline = MappingPipeline(from_dict({"fusion.voxel_size": 0.1}), model_of(metric=True, depth_noise=0.01))
    for n in range(0, len(PATH), 2):
        pipeline.process(frame_set(BOARDS, PATH, n, CAMERA))
    poses = pipeline.trajectory()
    ours = np.array([p.T_map_rig[:3, 3] for p in poses])
    true = np.array([on_path(PATH)(p.stamp_ns)[:3, 3] for p in poses])
    assert float(split_sim3(umeyama(ours, true))[0]) == pytest.approx(1, abs=0.03)
    assert pipeline.status().scale_source == "model"


@pytest.mark.parametrize("setting", [{"retrieval": "r.pth"}, {"precision": "float16"}])
def test_settings_of_other_networks_are_refused(setting):
    (name,) = setting
    with pytest.raises(ValueError, match=f"pair model map_anything has no use for pairs.{name} "):
        make_pair_model(PairConfig(model="map_anything", weights="here", **setting))


def test_there_is_no_confidence_under_a_mask():
    model = model_of()
    seen = frame_set(BOARDS, PATH, 6, CAMERA).frames[0]
    mask = np.zeros(seen.image.shape[:2], bool)
    mask[:, mask.shape[1] // 2:] = True
    (a,), (b,) = model.encode([replace(seen, mask=mask)]), tokens_of(model, 12)
    got, back = model.predict([(a, b), (b, a)])
    for confidence in (got.conf_a, back.conf_b):
        assert not confidence[:, 63:].any() and (confidence[:, :62] > 0).any()
    assert (got.conf_b[:, 63:] > 0).any()
    plain, other = model.encode([seen])[0], model.signature([a])
    assert not np.array_equal(model.signature([plain]), other)
    again = model.unpack("camera", 0, seen.intrinsics or CAMERA, model.pack(a))
    assert np.array_equal(again.mask, a.mask)
