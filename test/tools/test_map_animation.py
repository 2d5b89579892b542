# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsm_sim.source import SimSource

pytestmark = pytest.mark.slow  # renders a room
SPEC = importlib.util.spec_from_file_location("map_animation", Path(__file__).resolve().parents[2] / "tools/map_animation.py")
animation = importlib.util.module_from_spec(SPEC)
sys.modules["map_animation"] = animation  # dataclasses look their module up
SPEC.loader.exec_module(animation)


@pytest.fixture(scope="module")
def moments():
    source = SimSource(3, "room", "hand", duration_s=1.0, width=160, height=120, rate_hz=8.0, noise=False)
    return animation.map_room(source, 3, 0.1)


def test_the_map_grows_along_the_path(moments):
    assert [len(m.path) for m in moments] == [1, 5, 9]
    assert 0 < len(moments[0].snapshot.points_map) <= len(moments[-1].snapshot.points_map)


def test_the_whole_map_is_in_the_picture(moments):
    view = animation.view_of(moments[-1].snapshot, 1.0, 400, 354)
    points = (moments[-1].snapshot.points_map - view.T_map_view[:3, 3]) @ view.T_map_view[:3, :3]
    pixels = points[:, :2] / points[:, 2:] * view.focal_px + [200, 177]
    inside = ((pixels >= 0) & (pixels < [400, 354])).all(1)
    assert inside.mean() > 0.99 and np.ptp(pixels[inside], axis=0).max() > 300


def test_the_camera_is_drawn_where_it_is(moments):
    view = animation.view_of(moments[-1].snapshot, 1.0, 400, 354)
    picture = np.zeros((354, 400, 3), np.uint8)
    animation.draw_lines(picture, view, animation.camera_lines(moments[-1].path[-1], 0.1), (10, 20, 200))
    y, x = np.nonzero((picture == (10, 20, 200)).all(2))
    eye = (moments[-1].path[-1][:3, 3] - view.T_map_view[:3, 3]) @ view.T_map_view[:3, :3]
    assert np.linalg.norm([x.mean(), y.mean()] - (eye[:2] / eye[2] * view.focal_px + [200, 177])) < 10


def test_the_file_is_an_endless_gif(moments, tmp_path):
    view = animation.view_of(moments[-1].snapshot, 1.0, 400, 354)
    path = tmp_path / "a.gif"
    path.write_bytes(animation.gif_of([animation.compose(m, view, share) for m in moments for share in (0.0, 1.0)], 64))
    with Image.open(path) as gif:
        assert gif.n_frames == 6 and gif.size == (animation.WIDTH, animation.HEIGHT) and gif.info["loop"] == 0


def test_a_world_that_does_not_exist(tmp_path, capsys):
    assert animation.main([str(tmp_path / "a.gif"), "--world", "castle"]) == 2
    assert "castle" in capsys.readouterr().err and not (tmp_path / "a.gif").exists()
