# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of a pose against one keyframe, from matches that are given by hand."""
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.exact_keyframes import CAMERA, MOUNT, WORLD, keyframe

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, se3_inverse, se3_log, so3_exp, transform_points
from lsm_ros.slam.pointmap import pose as module
from lsm_ros.slam.pointmap.matching import PairMatches, patches
from lsm_ros.slam.pointmap.pose import LINK_MATCHES, predict_for, rig_of, solve_pair

SIDE = make_se3(so3_exp([0.0, 0.6, 0.1]), [-0.2, 0.1, 0.3])
KEYFRAME = make_se3(so3_exp([0.0, 0.1, 0.0]), [0.1, 0.0, 0.0])
NEW = make_se3(so3_exp([0.05, -0.1, 0.02]), [0.3, 0.1, 0.2])
T_NEW_KF = se3_inverse(NEW) @ KEYFRAME
PREDICTION = SimpleNamespace(points_a=np.zeros((48, 64, 3)))


class Pair:
    """A keyframe with cameras at mounts and a frame set that sees the same. unit: of a camera's predictions, units of the map
    are 1. wrong: points that are taken for others; spread_px: of the pixels that they are found at."""

    def __init__(self, monkeypatch, mounts=None, config=None, spread_px=60.0):
        self.mounts = mounts or {"front": MOUNT}
        self.keyframe = keyframe(3, KEYFRAME)
        self.keyframe.views = {c: keyframe(3, KEYFRAME, mount=T, camera=c).views[c] for c, T in self.mounts.items()}
        self.rig = {c: (SimpleNamespace(intrinsics=None, camera=c), T) for c, T in self.mounts.items()}
        self.units, self.wrong, self.count, self.starts = {}, {}, {}, {}
        self.config, self.spread_px, self.unknown = from_dict(config or {}), spread_px, set()
        monkeypatch.setattr(module, "match_pair", self.match)

    def match(self, prediction, config, start):
        camera = prediction.camera
        self.starts[camera] = start
        T_cam_kf = se3_inverse(self.mounts[camera]) @ T_NEW_KF
        count, rng = self.count.get(camera, len(WORLD)), np.random.default_rng(0)
        index = np.arange(count)
        of = index.copy()
        of[:self.wrong.get(camera, 0)] = len(WORLD) - 1 - of[:self.wrong.get(camera, 0)]
        in_kf_rig = transform_points(self.mounts[camera], self.keyframe.views[camera].points_cam[of])
        seen = self.units.get(camera, 1.0) * transform_points(T_cam_kf, in_kf_rig)
        pixels = rng.uniform(0, self.spread_px, (count, 2)) % (64.0, 48.0)
        matches = PairMatches(index, pixels, seen, seen.copy(), np.full(count, 4.0), 2 * len(WORLD), 0.5)
        return matches, f"pixels of {camera}"

    def solve(self, free_scale=False, starts=None):
        predictions = {c: SimpleNamespace(points_a=PREDICTION.points_a, camera=c) for c in self.mounts}
        return solve_pair(self.rig, self.keyframe, predictions, self.config, free_scale, starts)


def off(solved):
    return np.linalg.norm(se3_log(solved.alignment.T_new_kf @ se3_inverse(T_NEW_KF)))


@pytest.fixture
def pair(monkeypatch):
    return Pair(monkeypatch)


def test_pose_fractions_and_what_is_kept_for_the_graph(pair):
    solved = pair.solve()
    assert off(solved) < 1e-6 and solved.keyframe is pair.keyframe and solved.units == {"front": pytest.approx(1.0)}
    assert solved.fraction == pytest.approx(0.5) and solved.unique == 0.5 and solved.pixels == {"front": "pixels of front"}
    assert np.array_equal(solved.matches["front"].index_b, np.arange(len(WORLD)))
    assert np.isnan(solved.matches["front"].depth_a).all()


def test_searches_start_from_what_was_found_of_this_camera(pair):
    pair.solve(starts={"front": "before", "rear": "other"})
    assert pair.starts == {"front": "before"}
    pair.solve()
    assert pair.starts == {"front": None}


@pytest.mark.parametrize(("free_scale", "unit"), [(True, 2.0), (False, 1.0)])
def test_predictions_may_have_a_unit_of_their_own(pair, free_scale, unit):
    pair.units = {"front": 2.0}
    solved = pair.solve(free_scale)
    assert solved.units["front"] == pytest.approx(1 / unit) and (off(solved) < 1e-6) == free_scale


def test_cameras_of_a_rig_make_one_pose(monkeypatch):
    pair = Pair(monkeypatch, {"front": MOUNT, "side": SIDE})
    pair.units = {"side": 3.0}
    solved = pair.solve(True)
    assert off(solved) < 1e-6 and solved.units == pytest.approx({"front": 1.0, "side": 1 / 3})
    assert set(solved.matches) == {"front", "side"}


def test_the_camera_with_most_matches_says_where_to_start(monkeypatch):
    pair, starts, plain = Pair(monkeypatch, {"front": MOUNT, "side": SIDE}), [], module.align
    monkeypatch.setattr(module, "align", lambda views, T, *rest, **o: starts.append(T) or plain(views, T, *rest, **o))
    pair.count, pair.wrong = {"front": 12}, {"front": 6}
    pair.solve()
    assert np.abs(starts[0] - T_NEW_KF).max() < 1e-6
    pair.mounts = dict(reversed(pair.mounts.items()))
    pair.solve()
    assert np.abs(starts[1] - T_NEW_KF).max() < 1e-6


def test_a_camera_in_which_nothing_is_found_is_left_out(monkeypatch):
    pair = Pair(monkeypatch, {"front": MOUNT, "side": SIDE})
    for count in (0, 4):
        pair.count = {"side": count}
        solved = pair.solve()
        assert off(solved) < 1e-6 and set(solved.matches) == set(solved.units) == {"front"}
    pair.count = {"front": 0, "side": 4}
    assert pair.solve() == "nothing of the keyframe was found in the image"
    assert solve_pair(pair.rig, pair.keyframe, {}, pair.config, False) == "the keyframe has none of these cameras"


def test_fraction_is_that_of_the_best_camera(monkeypatch):
    pair = Pair(monkeypatch, {"front": MOUNT, "side": SIDE})
    pair.count = {"side": 30}
    assert pair.solve().fraction == pytest.approx(0.5)


def test_what_determines_no_pose_has_none(pair, monkeypatch):
    monkeypatch.setattr(module, "align", lambda *_, **__: None)
    assert pair.solve() == "the matched points do not determine a pose"


def test_a_pose_needs_its_share_of_the_matches(pair):
    pair.wrong = {"front": 15}
    solved = pair.solve()
    assert off(solved) < 1e-3 and solved.fraction == pytest.approx(45 / 120)
    assert np.array_equal(solved.matches["front"].index_b, np.arange(15, 60)), "those that agree"
    pair.config = from_dict({"pointmap.min_inlier_share": 0.8})
    assert "of the matches agree" in pair.solve()


def test_a_pose_needs_matches_in_several_patches(pair):
    pair.count = {"front": 19}
    assert "19 matches" in pair.solve()
    pair.count = {"front": 20}
    assert not isinstance(pair.solve(), str)
    pair.count, pair.spread_px = {}, 30.0  # 4 patches
    assert "in 4 patches" in pair.solve()


def test_matches_of_one_patch_count_as_one_in_the_covariance(pair):
    matches = pair.match(SimpleNamespace(camera="front"), None, None)[0]
    solved = pair.solve()
    assert solved.cells == pytest.approx(60 / patches(matches.pixels_new, 64)) and solved.cells > 4
    pair.wrong = {"front": 20}
    cells = patches(matches.pixels_new[20:], 64)
    assert pair.solve().cells == pytest.approx(40 / cells)


def test_noise_is_that_of_the_parameters(pair, monkeypatch):
    asked, plain = [], module.align
    monkeypatch.setattr(module, "align", lambda views, T, scales, noise, **o: asked.append((noise, o)) or plain(
        views, T, scales, noise, **o))
    pair.config = from_dict({"pointmap.sigma_ray": 0.01, "pointmap.sigma_distance": 0.4, "pointmap.sigma_px": 3.0,
                             "tracking.huber": 2.0})
    pair.solve()
    noise, options = asked[0]
    assert (noise.sigma_ray, noise.sigma_distance, noise.sigma_px, noise.sigma_log_depth, noise.huber) == (
        0.01, 0.4, 3.0, 0.4, 2.0) and options == {"free_scale": False}


def test_the_graph_gets_some_of_many_matches(pair, monkeypatch):
    monkeypatch.setattr(module, "LINK_MATCHES", 10)
    assert len(pair.solve().matches["front"]) == 10 < LINK_MATCHES


def test_predictions_are_asked_in_one_batch_for_cameras_that_both_have():
    asked = []
    model = SimpleNamespace(predict=lambda pairs: asked.append(pairs) or list(range(len(pairs))))
    one, other = keyframe(0, KEYFRAME), keyframe(1, NEW)
    one.views |= keyframe(0, KEYFRAME, camera="side").views
    assert predict_for(model, [(rig_of(one), other), (rig_of(other), one)]) == [{"front": 0}, {"front": 1}]
    assert asked == [[(("tokens", 0), ("tokens", 1)), (("tokens", 1), ("tokens", 0))]]
    rear = keyframe(2, NEW, camera="rear")
    assert predict_for(model, [(rig_of(rear), one)]) == [{}] and len(asked) == 1
    assert np.array_equal(rig_of(one)["side"][1], MOUNT) and CAMERA.width == 64
