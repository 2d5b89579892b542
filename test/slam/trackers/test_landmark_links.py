# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Links between keyframes that see the same landmarks, and which matches they are made of."""
import warnings

import numpy as np
import pytest
from helpers.landmarks import PointModel, keyframe_of, points_around

from lsm_ros.config import KeyframeConfig, TrackingConfig
from lsm_ros.geometry import make_se3, se3_exp, so3_exp
from lsm_ros.pairs.base import Matches
from lsm_ros.pairs.surfaces import Surfaces
from lsm_ros.slam.graph.keyframes import KeyframeGraph, Link
from lsm_ros.slam.trackers.landmark_links import MOST_TRIED, TIES, join, join_all, tie, verified

MOUNTS = {"front": make_se3(so3_exp([0.1, -0.2, 0.05]), [0.3, 0.0, 0.2]),
          "side": make_se3(so3_exp([0.0, 0.4, 0.0]), [0.0, 0.0, 0.3])}
POINTS = points_around()
HERE, THERE = np.eye(4), se3_exp([0.3, -0.1, 0.2, 0.02, 0.25, -0.02])


def pair(first=MOUNTS, second=MOUNTS, T=THERE, **looks):
    graph = KeyframeGraph(KeyframeConfig(), TrackingConfig())
    for i, (pose, mounts) in enumerate(((HERE, first), (T, second))):
        graph.add(keyframe_of(i, POINTS, pose, mounts, **looks))
    return graph


def joined(graph, least=20, model=None):
    return join(graph, model or PointModel(), graph.keyframes[1], graph.keyframes[0], least)


def test_both_keyframes_landmarks_are_looked_for_in_each_camera():
    graph = pair()
    assert joined(graph) and set(graph.links) == {(i, c, 1 - i, c) for i in (0, 1) for c in MOUNTS}
    for (anchor, camera, observer, _), link in graph.links.items():
        landmark = graph.keyframes[anchor].views[camera].tokens.corner_of[link.matches.index_b]
        assert len(link.matches) > 30
        assert np.allclose(link.matches.pixels_a, graph.keyframes[observer].views[camera].tokens.pixels[landmark])


def test_cameras_that_only_one_has_and_links_that_are_there_are_left_alone():
    graph = pair(second={"front": MOUNTS["front"]})
    known = Link(0, "front", 1, "front", Matches.none())
    graph.connect(known)
    assert joined(graph) and set(graph.links) == {(0, "front", 1, "front"), (1, "front", 0, "front")}
    assert graph.links[0, "front", 1, "front"] is known


def test_a_keyframe_without_landmarks_is_only_an_observer():
    graph = pair(first={"front": MOUNTS["front"]}, second={"front": MOUNTS["front"]})
    graph.keyframes[0] = keyframe_of(0, POINTS, HERE, {"front": MOUNTS["front"]}, corners=[])
    asked = []
    model = PointModel()
    model.match = lambda a, b, guess: asked.append(len(guess)) or PointModel.match(model, a, b, guess)
    assert joined(graph, model=model) and set(graph.links) == {(1, "front", 0, "front")} and 0 not in asked


def line_of(count, step=0.02):
    """Keyframes that all see the same, from places along a line."""
    graph = KeyframeGraph(KeyframeConfig(), TrackingConfig())
    for i in range(count):
        graph.add(keyframe_of(i, POINTS, se3_exp([step * i, 0.0, 0.0, 0.0, 0.0, 0.0]), MOUNTS))
    return graph


def test_each_keyframe_is_linked_with_so_many_older_ones_and_with_them_once():
    graph = line_of(5)
    assert join_all(graph, PointModel(), 2, 20, range(5)) == 1 + 2 + 2 + 2
    assert graph.linked(4) == {2, 3}, "those that see most of the same"
    assert join_all(graph, PointModel(), 2, 20, range(5)) == 0 and join_all(graph, PointModel(), 3, 20, range(5)) == 2
    assert graph.linked(4) == {1, 2, 3}


def test_only_the_keyframes_that_are_named_are_linked_and_with_those_of_before():
    graph = line_of(5)
    assert join_all(graph, PointModel(), 4, 20, [4, 3], before=1) == 2 and graph.linked(0) == {3, 4}
    graph = line_of(5)
    assert join_all(graph, PointModel(), 4, 20, [3, 4]) == 3 + 4 and graph.linked(1) == {3, 4}


def test_what_is_not_found_again_is_not_linked():
    graph = line_of(3)
    assert join_all(graph, PointModel(), 4, 10**6, range(3)) == 0 and not graph.links


def test_too_few_are_no_link():
    graph = pair()
    assert not joined(graph, least=119) and not graph.links
    away = pair(T=make_se3(so3_exp([0.0, np.pi, 0.0]), [0.0, 0.0, -6.0]))
    assert not joined(away) and not away.links


def test_what_is_found_at_another_depth_or_moved_otherwise_is_no_link():
    graph = pair(first={"front": MOUNTS["front"]}, second={"front": MOUNTS["front"]})
    tokens = graph.keyframes[1].views["front"].tokens
    tokens.pixels[:20] += (0.0, 15.0)
    tokens.depth[20:40] *= 1.2
    joined(graph)
    link = graph.links[0, "front", 1, "front"]
    seen = graph.keyframes[0].views["front"].tokens.corner_of[link.matches.index_b]
    assert seen.min() >= 40 and len(seen) > 40


def matches(shift, depth, count=9):
    """Matches of every second landmark, all 5 pixels to the right of where they are expected, with an outlier."""
    index = 2 * np.arange(count)
    expected = np.random.default_rng(0).uniform(0, 300, (2 * count, 2))
    pixels = expected[index] + (20.0, 0.0)
    pixels[3] += shift
    return Matches(index, pixels, np.r_[np.full(4, np.nan), np.full(count - 5, 2.0), depth]), expected


@pytest.mark.parametrize(("shift", "good"), [((5.9, 0.0), True), ((6.1, 0.0), False), ((-4.3, -4.3), False)])
def test_matches_move_alike(shift, good):
    found, expected = matches(shift, 2.0)
    kept = verified(found, expected, np.full(18, 2.0))
    assert (6 in kept.index_b) == good and len(kept) == 8 + good


@pytest.mark.parametrize("expected_depth", [2.0, 20.0])
@pytest.mark.parametrize(("ratio", "good"), [(1.09, True), (1.11, False), (0.91, True), (0.89, False), (np.nan, True)])
def test_matches_are_as_far_away_as_their_landmarks(expected_depth, ratio, good):
    found, expected = matches((0.0, 0.0), ratio * expected_depth)
    found.depth_a[4:-1] = expected_depth
    kept = verified(found, expected, np.full(18, expected_depth))
    assert (16 in kept.index_b) == good and len(kept) == 8 + good


def test_nothing_stays_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the median of nothing
        assert len(verified(Matches.none(), np.zeros((5, 2)), np.ones(5))) == 0


SURFACE = Surfaces(np.array([[0.1, 0.2, 3.0]]), np.array([[0.0, 0.0, -1.0, 3.0]]), np.array([0.01]))


class SurfaceModel(PointModel):
    """Finds a surface in keyframes of some numbers."""

    def __init__(self, graph, at):
        super().__init__()
        self.number = {id(v.tokens): (i, c) for i, k in graph.keyframes.items() for c, v in k.views.items()}
        self.at, self.tried = at, []

    def surfaces(self, tokens_a, tokens_b, T_a_b, depth_sigma):
        self.tried.append((*self.number[id(tokens_a)], self.number[id(tokens_b)], T_a_b, depth_sigma))
        return SURFACE if self.number[id(tokens_a)][0] in self.at else None


def row_of(count, spacing=0.05, mounts=None):
    """Keyframes side by side; the last one is the newest."""
    graph = KeyframeGraph(KeyframeConfig(), TrackingConfig())
    for i in range(count):
        graph.add(keyframe_of(i, POINTS, se3_exp([spacing * i, 0, 0, 0, 0, 0]), mounts or {"front": MOUNTS["front"]}))
    return graph


def test_a_keyframe_is_tied_by_surfaces_to_the_nearest_that_have_some():
    graph = row_of(6)
    model = SurfaceModel(graph, at={0, 1, 3})
    assert tie(graph, model, graph.keyframes[5], 5) == TIES == 2
    assert [i for i, *_ in model.tried] == [4, 3, 2, 1]  # and no farther
    assert set(graph.links) == {(5, "front", 3, "front"), (5, "front", 1, "front")}
    for i, camera, _, T, sigma in model.tried:
        view, mount = graph.keyframes[5].views["front"], graph.keyframes[i].views[camera].T_rig_cam
        assert np.allclose(graph.keyframes[i].T_map_rig @ mount @ T, graph.keyframes[5].T_map_rig @ view.T_rig_cam)
        assert sigma == graph.tracking.depth_sigma


def test_surfaces_are_kept_in_the_frames_of_the_rigs():
    graph = row_of(2)
    tie(graph, SurfaceModel(graph, at={0}), graph.keyframes[1], 1)
    found, mount = graph.links[1, "front", 0, "front"], MOUNTS["front"]
    expected = SURFACE.in_rigs(mount, mount)
    assert len(found.matches) == 0 and np.allclose(found.surfaces.points, expected.points)
    assert np.allclose(found.surfaces.planes, expected.planes) and not np.allclose(expected.planes, SURFACE.planes)


def test_who_is_linked_or_newer_or_looks_elsewhere_is_not_asked():
    graph = row_of(6)
    graph.connect(Link(3, "front", 5, "front", Matches.none()))
    graph.keyframes[1].T_map_rig = make_se3(so3_exp([0, 3.0, 0]), [0, 0, 0])
    graph.version += 1
    model = SurfaceModel(graph, at=set())
    assert tie(graph, model, graph.keyframes[5], 4) == 0 and [i for i, *_ in model.tried] == [2, 0]


def test_only_some_are_tried_and_each_camera_with_its_like():
    graph = row_of(12, 0.01)
    model = SurfaceModel(graph, at=set())
    assert tie(graph, model, graph.keyframes[11], 11) == 0 and len(model.tried) == MOST_TRIED
    both = row_of(2, mounts=MOUNTS)
    del both.keyframes[0].views["side"]
    model = SurfaceModel(both, at={0})
    assert tie(both, model, both.keyframes[1], 1) == 1 and set(both.links) == {(1, "front", 0, "front")}
