# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Objects over time: numbers that stay, what a person said, what is no longer there."""
import json
from dataclasses import replace

import numpy as np
import pytest

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.semantics.objects import Box, ObjectKeeper, Seen
from lsm_ros.semantics.objects.keeping import View

POSES = {0: np.eye(4), 1: np.eye(4)}
POSES[1][:3, 3] = 10, 0, 0
CAMERA = CameraIntrinsics(64, 48, 50.0, 50.0, 31.5, 23.5)
T_MAP_CAM = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])  # looks along x


def seen(x, label="chair", size=0.5, probability=0.8, y=0.0):
    centre = np.array([x, y, 0.0])
    return Seen(label, Box(centre, np.full(3, size), 0.0), centre, np.arange(100), probability)


def view(depth, stamp=7, keyframe=0):
    return View(stamp, keyframe, T_MAP_CAM, CAMERA, np.full((48, 64), depth, np.float32))


def ids(keeper):
    return [o.id for o in keeper.shown()]


def test_numbers_stay_while_things_move_a_little_and_new_ones_come():
    keeper = ObjectKeeper()
    keeper.update([seen(1), seen(3)], [], POSES)
    assert ids(keeper) == [1, 2]
    keeper.update([seen(3.1), seen(5), seen(1.05, size=0.3)], [], POSES)
    assert {o.id: round(o.box.centre[0], 2) for o in keeper.shown()} == {1: 1.05, 2: 3.1, 3: 5}


def test_objects_follow_their_keyframe_through_a_loop_closure():
    """Both move by more than they are apart; each with its own keyframe."""
    keeper = ObjectKeeper()
    keeper.update([seen(1), seen(9)], [], POSES)
    moved = {i: T.copy() for i, T in POSES.items()}
    moved[0][:3, 3] = 0, 3, 0
    moved[1][:3, 3] = 4, 0, 0
    keeper.update([seen(3), seen(1, y=3.0)], [], moved)
    assert {o.id: o.box.centre[:2].round(2).tolist() for o in keeper.shown()} == {1: [1, 3], 2: [3, 0]}


def test_what_is_looked_at_and_not_found_goes_and_what_is_not_looked_at_stays():
    keeper = ObjectKeeper()
    keeper.update([seen(2)], [view(2.0)], POSES)
    first = keeper.find(1).existence
    for _ in range(5):
        keeper.update([], [view(1.0)], POSES)  # something is in the way
    assert keeper.find(1).existence == first
    keeper.update([], [view(4.0)], POSES)
    assert keeper.find(1).existence < first
    for _ in range(3):
        keeper.update([], [view(4.0)], POSES)
    assert ids(keeper) == []


def test_being_found_again_makes_sure_and_says_when_it_was_seen():
    keeper = ObjectKeeper()
    keeper.update([seen(2, probability=0.5)], [], POSES)
    keeper.update([seen(2)], [view(2.0, stamp=30)], POSES)
    one = keeper.find(1)
    assert one.existence == pytest.approx(0.75) and one.last_seen_ns == 30
    keeper.update([seen(2)], [], POSES)
    assert keeper.find(1).existence == one.existence


def test_a_thing_that_is_called_something_else_keeps_its_number():
    keeper = ObjectKeeper()
    keeper.update([seen(2)], [], POSES)
    for _ in range(8):
        keeper.update([seen(2, "sofa")], [], POSES)
    (one,) = keeper.shown()
    assert one.id == 1 and one.label == "sofa" and set(one.classes) == {"chair", "sofa"}
    keeper.update([seen(2.25, "table")], [], POSES)
    assert {o.id: o.label for o in keeper.shown()} == {1: "sofa", 2: "table"}  # it overlaps too little


def test_a_name_and_a_lock_stay():
    keeper = ObjectKeeper()
    keeper.update([seen(2)], [], POSES)
    keeper.rename(1, "Ada's chair")
    keeper.lock(1)
    keeper.update([seen(2.2, size=0.8)], [view(4.0)], POSES)
    for _ in range(9):
        keeper.update([], [view(4.0)], POSES)
    one = keeper.find(1)
    assert one.shown_name == "Ada's chair" and one.box.centre[0] == 2 and one.box.size[0] == 0.5
    keeper.lock(1, False)
    keeper.update([seen(2.2, size=0.8)], [], POSES)
    assert keeper.find(1).box.centre[0] == 2.2


def test_what_a_person_deleted_does_not_come_again():
    keeper = ObjectKeeper()
    keeper.update([seen(2)], [], POSES)
    keeper.delete(1)
    for _ in range(5):
        keeper.update([seen(2)], [view(4.0)], POSES)
    assert ids(keeper) == []
    with pytest.raises(ValueError, match="there is no object 1; there are: none"):
        keeper.rename(1, "it")


def test_what_a_person_added_stays_and_goes_when_deleted():
    keeper = ObjectKeeper()
    keeper.follow(POSES)
    one = keeper.add("dock", Box(np.array([9, 0, 0.0]), np.full(3, 0.4), 0.0))
    for _ in range(5):
        keeper.update([], [view(20.0)], POSES)
    assert keeper.find(one.id).origin == "person" and keeper.find(one.id).keyframe == 1
    keeper.delete(one.id)
    assert not keeper.objects


@pytest.mark.parametrize(("label", "size"), [("dock", [0, 1, 1]), ("dock", [1, np.nan, 1]), (" ", [1, 1, 1])])
def test_additions_without_class_or_size_are_refused(label, size):
    with pytest.raises(ValueError, match="an object needs a class and a box with a size"):
        ObjectKeeper().add(label, Box(np.zeros(3), np.array(size, float), 0.0))


@pytest.mark.parametrize(("label", "centre", "size", "message"), [
    ("dock", 1e30, 1.0, "at most 100000 m"), ("dock", -1e6, 1.0, "at most 100000 m"), ("dock", 0.0, 1e30, "at most 100000 m"),
    ("a\nb", 0.0, 1.0, "can be printed"), ("x" * 201, 0.0, 1.0, "200 characters")])
def test_additions_out_of_reach_or_with_a_class_that_is_no_name_are_refused(label, centre, size, message):
    keeper = ObjectKeeper()
    with pytest.raises(ValueError, match=message):
        keeper.add(label, Box(np.full(3, centre), np.full(3, size), 0.0))
    assert not keeper.objects


@pytest.mark.parametrize("name", ["x" * 201, "a\nb"])
def test_names_of_no_use_are_refused(name):
    keeper = ObjectKeeper()
    keeper.update([seen(2)], [], POSES)
    with pytest.raises(ValueError, match="a name has at most 200 characters"):
        keeper.rename(1, name)


def test_what_a_person_said_of_a_part_that_was_rebuilt_is_stale_until_it_is_found():
    keeper = ObjectKeeper()
    keeper.update([seen(1), seen(2)], [], POSES)
    keeper.rename(1, "mine")
    rebuilt = {5: np.eye(4)}
    keeper.update([seen(2)], [], rebuilt)
    assert keeper.find(1).stale and not keeper.find(2).stale
    keeper.update([seen(1), seen(2)], [], rebuilt)
    assert not keeper.find(1).stale and keeper.find(1).name == "mine"


def test_numbers_go_on_after_a_restart():
    keeper = ObjectKeeper()
    keeper.update([seen(1), seen(3)], [view(1.0)], POSES)
    keeper.rename(2, "mine")
    again = ObjectKeeper.from_dict(json.loads(json.dumps(keeper.to_dict())), POSES)
    assert again.to_dict() == keeper.to_dict()
    moved = {i: T.copy() for i, T in POSES.items()}
    moved[0][:3, 3] = 0, 5, 0
    again.update([seen(3, y=5.0), seen(1, y=5.0), seen(7)], [], moved)
    assert {o.id: o.box.centre[0] for o in again.shown()} == {1: 1, 2: 3, 3: 7} and again.find(2).name == "mine"


@pytest.mark.parametrize("change", [
    {"size": [1, -1, 1]}, {"centre": [1, 2]}, {"existence": 2}, {"locked": 1}, {"origin": "elsewhere"}, {"label": 3}, {"id": 9},
    {"yaw": float("nan")}])
def test_damaged_objects_are_refused(change):
    keeper = ObjectKeeper()
    keeper.update([seen(1)], [], POSES)
    values = keeper.to_dict()
    values["objects"][0].update(change)
    with pytest.raises((ValueError, TypeError)):
        ObjectKeeper.from_dict(values, POSES)


def test_of_a_map_that_was_joined_what_a_person_said_comes_along():
    here, there = ObjectKeeper(), ObjectKeeper()
    here.update([seen(1)], [], {0: np.eye(4)})
    there.update([seen(1), seen(2)], [], {0: np.eye(4)})
    there.renumber(10)
    there.rename(2, "mine")
    here.adopt(there)
    moved = np.eye(4)
    moved[:3, 3] = 0, 4, 0
    here.follow({0: np.eye(4), 10: moved})
    assert [(o.id, o.name, o.box.centre.tolist()) for o in here.shown()] == [(1, "", [1, 0, 0]), (2, "mine", [2, 4, 0])]


def test_views_know_what_is_in_the_way():
    box = Box(np.array([2, 0, 0.0]), np.full(3, 0.5), 0.0)
    assert view(1.8).looks_at(box) and view(5.0).looks_at(box)
    assert not view(1.2).looks_at(box) and not view(0.0).looks_at(box)
    assert not view(5.0).looks_at(replace(box, centre=np.array([-2, 0, 0.0])))
    assert not view(5.0).looks_at(replace(box, centre=np.array([2, 4.0, 0])))
