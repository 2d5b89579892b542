# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from types import SimpleNamespace

import numpy as np
import pytest

from lsm_ros.geometry import make_se3, make_sim3, so3_exp
from lsm_ros.mapping.joining import (
    HELD_FINDS,
    MORE_KEYFRAMES,
    MOVED,
    SAME_PLACE,
    SAME_TURN,
    TURNED,
    Find,
    Joiner,
    Joint,
    Refusal,
    agrees,
    is_held,
    joint_of,
)
from lsm_ros.mapping.session import MapSession
from lsm_ros.slam.trackers.base import Contradiction

DEPTH = 2.0
HERE, THERE, THIRD = (MapSession(n, None, None, None, None) for n in range(3))
S = make_sim3(0.5, so3_exp([0, 0.4, 0]), [3.0, 0.0, -1.0])


def rig(x=0.0, turn=0.0):
    return make_se3(so3_exp([0, turn, 0]), [x, 0.2, 0.0])


def finds(*poses, units=0.5):
    joint = Joint(THERE, S, 0.5)
    return [Find(joint.moved(T), T, units) for T in poses]


def test_a_joint_takes_poses_to_the_other_map():
    moved = Joint(THERE, S, 0.5).moved(rig(2.0))
    assert np.allclose(moved[:3, 3], S[:3, :3] @ [2.0, 0.2, 0.0] + S[:3, 3])
    assert np.allclose(np.linalg.det(moved[:3, :3]), 1.0)


def test_the_joint_is_that_of_the_finds():
    joint = joint_of(THERE, finds(rig(0.0), rig(1.0, 0.3)))
    assert np.allclose(joint.S_there_here, S) and joint.units == 0.5
    assert joint_of(THERE, [*finds(rig(), units=0.4), *finds(rig(), units=0.5), *finds(rig(), units=9.0)]).units == 0.5


def test_measured_lengths_are_never_resized():
    assert joint_of(THERE, [Find(rig(3.0, 0.7), rig(1.0, 0.1), 1.0)]).units == 1.0


@pytest.mark.parametrize(("last", "held"), [(rig(2.1 * MOVED * DEPTH), True), (rig(1.9 * MOVED * DEPTH), False),
                                            (rig(turn=1.1 * TURNED), True), (rig(turn=0.9 * TURNED), False)])
def test_finds_are_held_once_the_camera_has_moved(last, held):
    """The way counts in units of the other map: half as long there."""
    assert is_held(finds(*[rig()] * (HELD_FINDS - 1), last), DEPTH) is held


def test_few_finds_are_not_held():
    assert not is_held(finds(*[rig()] * (HELD_FINDS - 2), rig(5.0)), DEPTH)


@pytest.mark.parametrize(("other", "same"), [(rig(0.9 * SAME_PLACE * DEPTH), True), (rig(1.1 * SAME_PLACE * DEPTH), False),
                                             (rig(turn=0.9 * SAME_TURN), True), (rig(turn=1.1 * SAME_TURN), False)])
def test_poses_of_one_place_agree(other, same):
    assert agrees(rig(), other, DEPTH) is same


def test_a_refusal_follows_maps_that_become_one():
    refused = Refusal(HERE, Joint(THERE, S, 0.5))
    into = Joint(THIRD, make_sim3(2.0, so3_exp([0.1, 0, 0]), [0.0, 1.0, 0.0]), 2.0)
    here_gone, there_gone = refused.merged(HERE, into), refused.merged(THERE, into)
    T = rig(1.5, 0.2)
    assert here_gone.here is THIRD and here_gone.joint.there is THERE
    assert np.allclose(here_gone.joint.moved(into.moved(T)), Joint(THERE, S, 0.5).moved(T))
    assert there_gone.here is HERE and there_gone.joint.there is THIRD
    assert np.allclose(there_gone.joint.moved(T), into.moved(Joint(THERE, S, 0.5).moved(T)))
    assert refused.merged(HERE, Joint(THERE, S, 0.5)).here is THERE  # both in one: nothing is left to refuse


def session(number, keyframes=1):
    """A map with so many keyframes, as far as it is looked at to refuse it."""
    graph = SimpleNamespace(keyframes={i: SimpleNamespace(median_depth=DEPTH, T_map_rig=rig()) for i in range(keyframes)})
    return MapSession(number, SimpleNamespace(graph=graph), None, None, None)


@pytest.mark.parametrize(("until", "later", "refused"), [(None, 50, True), (4, 3, True), (4, 4, False)])
def test_what_was_refused_is_so_for_good_or_until_more_is_known(until, later, refused):
    joiner, here, there = Joiner(), session(0), session(1)
    joiner.refuse(here, Joint(there, S, 0.5), until)
    assert joiner._was_refused(here, Joint(there, S, 0.5))
    here.tracker = session(0, later).tracker
    assert joiner._was_refused(here, Joint(there, S, 0.5)) is refused
    assert not joiner._was_refused(there, Joint(here, S, 0.5)) and not joiner._was_refused(here, Joint(session(2), S, 0.5))
    joiner.refuse(there, Joint(here, S, 0.5))
    assert len(joiner._refused) == 1 + refused, "what no longer counts is forgotten"


def test_a_refusal_that_ends_does_so_in_the_map_that_it_became_a_part_of():
    refused = Refusal(session(0), Joint(THERE, S, 0.5), 7)
    assert refused.merged(THERE, Joint(THIRD, S, 0.5)).until == 7


def test_a_map_that_does_not_fit_is_looked_at_again_when_it_has_more_keyframes():
    joiner, here, there = Joiner(), session(0, 5), session(1)
    answers = [Contradiction(-1, None, "no"), None]
    here.tracker.misfit = lambda *_: answers.pop(0)
    joint = Joint(there, S, 0.5)
    assert joiner._is_refuted(here, joint)
    here.tracker.graph.keyframes |= session(0, 5 + MORE_KEYFRAMES - 1).tracker.graph.keyframes
    assert joiner._is_refuted(here, joint) and len(answers) == 1, "it is not compared again"
    here.tracker.graph.keyframes |= session(0, 5 + MORE_KEYFRAMES).tracker.graph.keyframes
    assert not joiner._is_refuted(here, joint) and not answers
