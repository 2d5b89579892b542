# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What is compared for the evidence of whole images, and when it is enough."""
import numpy as np
import pytest
from helpers.landmarks import PointModel, frame_of, keyframe_of, points_around

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, se3_exp, so3_exp
from lsm_ros.pairs.agreement import Agreement
from lsm_ros.slam.graph.keyframes import KeyframeGraph
from lsm_ros.slam.trackers.whole_image import (
    LEAST_MEASURED,
    LEAST_PATCHES,
    MIN_AGAINST,
    MIN_FOR,
    MOST_AGAINST,
    agreement,
    confirms,
    misfit,
    without_hidden,
)

RIG = {"front": make_se3(so3_exp([0.1, -0.2, 0.05]), [0.1, 0.0, 0.2]), "rear": make_se3(so3_exp([0.0, 3.0, 0.0]), [0, 0, 1.0])}
T_NEW, T_KEYFRAME = se3_exp([0.3, 0.1, 0.0, 0.1, 0.3, 0.0]), se3_exp([1.0, 0.1, 0.0, 0.0, 0.2, 0.1])


def test_each_camera_is_compared_with_that_of_all_keyframes_where_the_poses_put_them():
    model, points = PointModel(), points_around()
    keyframes = [keyframe_of(0, points, T_KEYFRAME, RIG), keyframe_of(1, points, np.eye(4), {"front": RIG["front"]})]
    new = frame_of(1, points, T_NEW, {"front": RIG["front"]})
    total = agreement(model, new, T_NEW, keyframes)
    assert total == model.verdict + model.verdict and len(model.asked) == 2
    for (a, b, T_a_b), keyframe in zip(model.asked, keyframes, strict=True):
        assert a is new.tokens["front"] and b is keyframe.views["front"].tokens
        assert np.allclose(T_NEW @ RIG["front"] @ T_a_b, keyframe.T_map_rig @ RIG["front"])
    assert agreement(model, new, T_NEW, []) == Agreement()


@pytest.mark.parametrize(("found", "enough"), [
    (Agreement(500, LEAST_MEASURED, LEAST_MEASURED), True), (Agreement(500, LEAST_MEASURED - 1, LEAST_MEASURED - 1), False),
    (Agreement(500, patches=LEAST_PATCHES, alike=LEAST_PATCHES), True),
    (Agreement(500, patches=LEAST_PATCHES - 1, alike=LEAST_PATCHES - 1), False), (Agreement(500), False),
    (Agreement(0), True)])
def test_either_depth_or_looks_are_enough_to_confirm(found, enough):
    assert confirms(found) == enough


FITS = Agreement(1000, 900, 880, 5, 300, 280)
HIDDEN = Agreement(1000, 900, 0, 0, 300, 30, 300, 30)  # something nearer is before all of it
LOOKED_THROUGH = Agreement(1000, 900, 0, 900, 300, 30)


class OneWay(PointModel):
    """there: what keyframes at MAPPED show is seen so; back: so is what others show, by those."""

    def __init__(self, there, back):
        super().__init__()
        self.there, self.back, self.mapped = there, back, set()

    def agreement(self, tokens_a, tokens_b, T_a_b):
        super().agreement(tokens_a, tokens_b, T_a_b)
        return self.back if id(tokens_a) in self.mapped else self.there


def placed(there, back, count=4):
    """Keyframes that are placed in a map, and that map."""
    model, points, config = OneWay(there, back), points_around(), from_dict({})
    graph = KeyframeGraph(config.keyframes, config.tracking)
    ahead = {"front": np.eye(4)}
    for i in range(count):
        graph.add(keyframe_of(i, points, se3_exp([0.01 * i, 0, 0, 0, 0, 0]), ahead))
        model.mapped.add(id(graph.keyframes[i].views["front"].tokens))
    new = [keyframe_of(10 + i, points, np.eye(4), ahead) for i in range(count)]
    return model, [(k, se3_exp([0.02, 0, 0, 0, 0.01 * i, 0])) for i, k in enumerate(new)], graph


def apart(model, keyframes, verdict, back):
    """Lets some of the placed keyframes see what the map says so, and the map what they show."""
    chosen, usual = {id(k.views["front"].tokens) for k, _ in keyframes}, model.agreement
    model.agreement = lambda a, b, T: verdict if id(a) in chosen else back if id(b) in chosen else usual(a, b, T)


@pytest.mark.parametrize(("verdict", "back", "fitting", "fits"), [
    (FITS, FITS, MIN_FOR, True), (LOOKED_THROUGH, FITS, MIN_FOR, False), (HIDDEN, HIDDEN, MIN_FOR, True),
    (HIDDEN, LOOKED_THROUGH, MIN_FOR, False), (HIDDEN, HIDDEN, MIN_FOR - 1, False)])
def test_a_wall_that_each_sees_from_its_own_side_says_nothing_once_others_fit(verdict, back, fitting, fits):
    model, new, graph = placed(FITS, FITS, count=fitting + 3)
    apart(model, new[fitting:], verdict, back)
    assert (misfit(model, new, graph, []) is None) == fits


def test_the_way_back_is_asked_from_where_the_keyframe_is_placed():
    model, new, graph = placed(FITS, FITS)
    keyframe, T = new[1]
    without_hidden(model, keyframe, T, [graph.keyframes[2]], HIDDEN)
    ((c, d, T_c_d),) = model.asked
    assert c is graph.keyframes[2].views["front"].tokens and d is keyframe.views["front"].tokens
    assert np.allclose(graph.keyframes[2].T_map_rig @ T_c_d, T)


def test_patches_count_where_nothing_hides_them():
    model, new, graph = placed(FITS, Agreement(500, 400, 100, 30))
    found = without_hidden(model, *new[0], [graph.keyframes[0]], Agreement(1000, 900, 700, 20, 300, 200, 60, 50))
    assert found == Agreement(1000, 750, 700, 50, 240, 150)


@pytest.mark.parametrize(("count", "bad", "fits"), [
    (3, MIN_AGAINST - 1, True), (3, MIN_AGAINST, False),
    (12, int(12 * MOST_AGAINST), True), (12, int(12 * MOST_AGAINST) + 1, False)])
def test_some_keyframes_and_a_share_of_all_must_be_against_it(count, bad, fits):
    model, new, graph = placed(FITS, FITS, count=count)
    apart(model, new[:bad], LOOKED_THROUGH, LOOKED_THROUGH)
    found = misfit(model, new, graph, [])
    assert (found is None) == fits and (fits or (found.first, found.end) == (-1, None))


def test_a_part_that_alone_is_against_it_is_named():
    model, new, graph = placed(FITS, FITS)
    part = {id(graph.keyframes[i].views["front"].tokens) for i in (2, 3)}
    verdict = model.agreement
    model.agreement = lambda a, b, T: LOOKED_THROUGH if id(b) in part else verdict(a, b, T)
    found = misfit(model, new, graph, [2])
    assert (found.first, found.end) == (2, 4) and "as far away" in found.reason
