# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from types import SimpleNamespace

import numpy as np
import pytest

from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.slam.graph.neighbours import ViewIndex

AHEAD = np.eye(4)


def keyframe(position, turn=0.0, depth=2.0, camera="front", T_rig_cam=AHEAD, size=1.0):
    view = SimpleNamespace(camera=camera, T_rig_cam=T_rig_cam)
    return SimpleNamespace(T_map_rig=make_se3(so3_exp([0, turn, 0]), position), views={camera: view}, median_depth=depth,
                           size=size)


def index_of(keyframes):
    index = ViewIndex()
    index.refresh(keyframes, 0)
    return index


def test_the_nearest_view_comes_first():
    index = index_of({0: keyframe([0, 0, 0]), 1: keyframe([0.4, 0, 0]), 2: keyframe([0.1, 0, 0.1]),
                      3: keyframe([0, 0, 0], 0.3)})
    assert index.near({"front": AHEAD}, 10) == [0, 2, 3, 1]
    assert index.near({"front": AHEAD}, 2) == [0, 2]


def test_only_older_keyframes_when_asked():
    index = index_of({i: keyframe([0.1 * i, 0, 0]) for i in range(5)})
    assert index.near({"front": AHEAD}, 10, before=3) == [0, 1, 2]


@pytest.mark.parametrize("other", [
    keyframe([0, 0, 4.0], np.pi),  # looks at the same from the other side
    keyframe([0, 0, 0], 2.0),  # looks elsewhere
    keyframe([0, 0, -8.0], depth=10.0),  # from much farther
    keyframe([0, 0, 1.9], depth=0.1),  # from much nearer
    keyframe([0, 0, -5.0]),  # what it looks at is behind the camera
])
def test_what_sees_other_things_is_left_out(other):
    assert index_of({0: keyframe([0, 0, 0]), 1: other}).near({"front": AHEAD}, 10) == [0]


def test_cameras_are_compared_with_their_like():
    rear = make_se3(so3_exp([0, np.pi, 0]), np.zeros(3))
    index = index_of({0: keyframe([0, 0, 0], camera="rear", T_rig_cam=rear), 1: keyframe([0, 0, 0])})
    assert index.near({"front": AHEAD}, 10) == [1]
    assert index.near({"rear": rear}, 10) == [0] and index.near({"left": AHEAD}, 10) == []
    assert index.near({"front": AHEAD, "rear": rear}, 10) == [1, 0]


def test_it_follows_the_graph_when_its_version_changes():
    keyframes = {0: keyframe([0, 0, 0]), 1: keyframe([9, 0, 0])}
    index = index_of(keyframes)
    keyframes[1].T_map_rig, keyframes[0].T_map_rig = keyframes[0].T_map_rig, keyframes[1].T_map_rig
    index.refresh(keyframes, 0)
    assert index.near({"front": AHEAD}, 10) == [0]  # the same version: nothing was looked at
    index.refresh(keyframes, 1)
    assert index.near({"front": AHEAD}, 10) == [1]
    del keyframes[1]
    index.refresh(keyframes, 2)
    assert index.near({"front": AHEAD}, 10) == []


def test_the_depth_is_that_of_the_present_size():
    keyframes = {0: keyframe([0, 0, -3.0], depth=5.0), 1: keyframe([0, 0, 0], depth=2.0)}
    index = index_of(keyframes)
    assert index.near({"front": AHEAD}, 1) == [1]
    keyframes[1].median_depth, keyframes[1].size = 40.0, 20.0
    index.refresh(keyframes, 1)
    assert index.near({"front": AHEAD}, 1) == [1]  # looks at what is far ahead of both


def test_what_is_looked_at_from_whatever_side():
    index = index_of({0: keyframe([0, 0, 4.0], np.pi), 1: keyframe([0.3, 0, 0]), 2: keyframe([0, 0, 0], 0.4),
                      3: keyframe([0, 0, 0], np.pi), 4: keyframe([0, 0, -1.5], depth=3.5), 5: keyframe([0, 0, 0])})
    new = keyframe([0, 0, 0])
    assert index.aimed_near(new, 0.5, 5) == [4, 0, 1, 2]  # equally near: the newer one first; 3 looks away
    assert index.aimed_near(new, 0.2, 5) == [4, 0, 1] and index.aimed_near(new, 0.5, 2) == [0, 1]
    assert index.aimed_near(keyframe([0, 0, 0], depth=1.0), 0.5, 5) == []


def test_each_camera_of_the_new_one_looks_somewhere():
    rear = make_se3(so3_exp([0, np.pi, 0]), np.zeros(3))
    new = keyframe([0, 0, 0])
    new.views["rear"] = SimpleNamespace(camera="rear", T_rig_cam=rear)
    assert index_of({0: keyframe([0, 0, -4.0])}).aimed_near(new, 0.5, 1) == [0]  # from behind, what the rear one sees
