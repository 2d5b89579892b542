# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The judge of bench/slam.py: what counts as wrong, as found again, as joined, and as a view that contradicts."""
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.types import ImuSample, TrackingState, TrajectoryPose
from lsm_sim.events import Event
from lsm_sim.generator import build_world
from lsm_sim.source import SimSource

BENCH = Path(__file__).resolve().parents[2] / "bench"
RATE = 10.0
TRACKING, LOST = TrackingState.TRACKING, TrackingState.LOST


@pytest.fixture
def judging(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import slam_judging

    return slam_judging


@pytest.fixture
def drives(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import slam_drives

    return slam_drives


def turned(x, y, yaw, z=0.0):
    return make_se3(so3_exp([0.0, 0.0, yaw]), [x, y, z])


def curve(count):
    """True poses (count, 4, 4) on a circle of 2 m radius."""
    return np.array([turned(2 * math.cos(a), 2 * math.sin(a), a + math.pi / 2) for a in np.linspace(0, 4, count)])


def record_of(drives, truth, events=()):
    stamps = np.arange(len(truth), dtype=np.int64) * 100_000_000
    return drives.Recorded(drives.Drive("room", 0, rate_hz=RATE), None, stamps, truth, np.eye(4), tuple(events), {})


def run_of(drives, record, poses, keys=None, states=None, maps=None):
    """A run that said these poses (None: none)."""
    run = drives.Run()
    run.stamps, run.poses = [int(s) for s in record.stamps], list(poses)
    run.keys = [(0, 0)] * len(poses) if keys is None else list(keys)
    run.states = [LOST if p is None else TRACKING for p in poses] if states is None else list(states)
    run.maps = {k: [] for k in run.keys} if maps is None else maps
    return run


def test_poses_of_one_map_are_laid_by_its_first_pose_and_far_ones_are_wrong(drives, judging):
    truth, T_map_world = curve(40), turned(1.0, -2.0, 0.7)
    poses = list(T_map_world @ truth)
    poses[10] = poses[10] @ turned(0.0, 0.0, math.radians(16))
    poses[11] = turned(0.29, 0.0, 0.0) @ poses[11]
    poses[20] = turned(0.31, 0.0, 0.0) @ poses[20]
    poses[21], poses[22] = turned(3.0, 0.0, 0.0) @ poses[21], None
    states = [TRACKING] * 40
    states[21] = LOST  # a pose that is not believed is not published as tracked
    found = judging.judge(run_of(drives, record_of(drives, truth), poses, states=states), record_of(drives, truth), metric=True)
    assert np.flatnonzero(found.wrong).tolist() == [10, 20]
    assert np.flatnonzero(~found.published).tolist() == [22]
    assert not found.right[[10, 11, 20, 21, 22]].any() and found.right.sum() == 35
    assert found.off_m[20] == pytest.approx(0.31) and found.off_rad[10] == pytest.approx(math.radians(16))


def test_each_session_has_coordinates_of_its_own(drives, judging):
    truth = curve(30)
    record = record_of(drives, truth)
    poses = [*truth[:15], *(turned(5.0, 5.0, 1.0) @ truth[15:])]
    keys = [(0, 0)] * 15 + [(1, 1)] * 15
    assert judging.judge(run_of(drives, record, poses, keys), record, metric=True).right.all()
    assert judging.judge(run_of(drives, record, poses), record, metric=True).wrong[15:].all()  # one session: all of it wrong


def test_a_map_that_is_joined_in_the_wrong_place_does_not_pass_as_a_new_map(drives, judging):
    truth = curve(30)
    record = record_of(drives, truth)
    keys = [(0, 0)] * 10 + [(1, 1)] * 10 + [(0, 2)] * 10
    old = [TrajectoryPose(int(record.stamps[i]), turned(0.0, 4.0, 0.0) @ truth[i]) for i in (2, 5, 8)]  # the map has moved
    joined = [*old, TrajectoryPose(int(record.stamps[15]), np.eye(4))]
    for offset, wrong in ((0.0, False), (1.5, True)):
        poses = [*truth[:10], *truth[10:20], *(turned(offset, 4.0, 0.0) @ truth[20:])]
        run = run_of(drives, record, poses, keys, maps={(0, 0): [], (1, 1): [], (0, 2): joined})
        found = judging.judge(run, record, metric=True)
        assert found.wrong[20:].all() == wrong and found.right[20:].all() != wrong and found.right[:20].all()
        assert judging.sessions(run) == (2, 1)


def test_colour_alone_is_laid_by_the_similarity_of_what_came_before_a_kidnapping(drives, judging):
    truth = curve(60)
    record = record_of(drives, truth, [Event("kidnap", 2.0)])
    poses = []
    for k, T in enumerate(truth):
        pose = turned(1.0, 2.0, 0.3) @ T
        pose[:3, 3] *= 0.25
        poses.append(pose if k < 20 else turned(0.5, 0.0, 0.0) @ pose)  # 2 m off in most of the poses
    found = judging.judge(run_of(drives, record, poses), record, metric=False)
    assert found.right[:20].all() and found.wrong[20:].all()
    assert found.off_m[30] == pytest.approx(2.0, abs=1e-6)


def test_the_longest_stretch_is_of_frames_in_a_row(judging):
    assert judging.longest_stretch_s(np.array([1, 1, 0, 1, 1, 1, 0], bool), 10.0) == pytest.approx(0.3)
    assert judging.longest_stretch_s(np.zeros(4, bool), 10.0) == 0.0


def stub_views(known=lambda i: True, against=lambda i: True):
    return SimpleNamespace(known_share=lambda i, before: float(bool(before) and known(i)),
                           contradicted_share=lambda rows, T: np.array([float(against(i)) for i in rows]))


@pytest.mark.parametrize(("back_at", "success"), [(30, True), (119, True), (140, False)])
def test_a_kidnapping_counts_until_a_right_pose_in_an_earlier_map(drives, judging, back_at, success):
    truth = curve(150)
    record = record_of(drives, truth, [Event("kidnap", 2.0, 2.0)])
    keys = [(0, 0) if k < 20 or k >= back_at else (1, 1) for k in range(150)]
    poses = [None if 20 <= k < 24 else T for k, T in enumerate(truth)]
    (found,) = judging.kidnappings(*_judged(judging, drives, record, poses, keys), stub_views())
    assert found.known and found.at_s == 2.0 and found.view_s == 0.0 and found.any_s == pytest.approx(0.4)
    assert found.right_s == pytest.approx(back_at / 10 - 2.0) and found.success == success


def _judged(judging, drives, record, poses, keys):
    run = run_of(drives, record, poses, keys)
    return run, record, judging.judge(run, record, metric=True)


def test_a_place_not_seen_before_counts_from_the_first_known_view(drives, judging):
    truth = curve(100)
    record = record_of(drives, truth, [Event("kidnap", 2.0, 2.0), Event("covered_lens", 6.0, 1.0)])
    keys = [(0, 0) if k < 20 or k >= 75 else (1, 1) for k in range(100)]
    args = _judged(judging, drives, record, list(truth), keys)
    (found,) = judging.kidnappings(*args, stub_views(known=lambda i: i >= 60))
    assert not found.known and found.view_s == pytest.approx(5.0)  # not while the lens was covered
    assert found.right_s == pytest.approx(0.5)
    (never,) = judging.kidnappings(*args, stub_views(known=lambda i: False))
    assert never.view_s is None and never.right_s is None and not never.success


def test_wrong_poses_count_from_the_first_view_that_contradicts(drives, judging):
    truth = curve(100)
    record = record_of(drives, truth)
    poses = [turned(2.0, 0.0, 0.0) @ T if 20 <= k < 50 or 70 <= k < 75 else T for k, T in enumerate(truth)]
    _, _, judged = _judged(judging, drives, record, poses, [(0, 0)] * 100)
    worst, total = judging.seconds_after_contradiction(record, judged, stub_views(against=lambda i: i in (39, 45, 70)))
    assert worst == pytest.approx(1.0) and total == pytest.approx(1.4)
    assert judging.seconds_after_contradiction(record, judged, stub_views(against=lambda i: False)) == (0.0, 0.0)


def test_views_of_a_world_are_known_from_the_same_side_and_contradict_elsewhere(drives, judging):
    source = SimSource(3, "room", duration_s=3.0, rate_hz=2.0, width=32, height=24, size=(5.0, 4.0))
    T = source.ground_truth[0].T_map_rig
    truth = np.array([T, T @ turned(0.05, 0.0, 0.05), T @ turned(0.0, 0.0, math.pi)])
    record = replace(record_of(drives, truth), T_rig_cam=source.T_rig_cam["front"])
    views = judging.Views(build_world(3, "room", size=(5.0, 4.0)), record)
    assert views.known_share(1, [0]) > 0.8 and views.known_share(2, [0, 1]) < 0.1 and views.known_share(1, []) == 0.0
    shares = views.contradicted_share([0, 0, 0], np.array([T, T @ turned(0.02, 0.01, 0.01), T @ turned(0.0, 0.0, 1.0)]))
    assert shares[0] == 0.0 and shares[1] < judging.CONTRADICTING_SHARE < shares[2]


def test_views_from_another_side_or_from_much_nearer_are_not_the_same(drives, judging, monkeypatch):
    source = SimSource(3, "room", duration_s=3.0, rate_hz=2.0, width=32, height=24, size=(5.0, 4.0))
    world, T = build_world(3, "room", size=(5.0, 4.0)), source.ground_truth[0].T_map_rig
    record = replace(record_of(drives, np.array([T, T @ turned(0.05, 0.0, 0.05)])), T_rig_cam=source.T_rig_cam["front"])
    share = judging.Views(world, record).known_share(1, [0])
    for name, value in (("SAME_SIDE", 1.001), ("SAME_SIZE", 1.0001)):
        with monkeypatch.context() as changed:
            changed.setattr(judging, name, value)
            assert judging.Views(world, record).known_share(1, [0]) < 0.2 < share


def test_a_view_contradicts_by_another_look_as_by_another_distance(drives, judging, monkeypatch):
    record = record_of(drives, curve(3))
    views = judging.Views(build_world(3, "room"), record)
    far = turned(5.0, 0.0, 0.0)
    looks = {0.0: 7, 5.0: 8}
    for depths, other, share in (((2.0, 2.2), 7, 0.0), ((2.0, 2.3), 7, 1.0), ((2.0, 2.0), 8, 1.0), ((2.0, np.inf), 7, 1.0),
                                 ((np.inf, np.inf), 7, 1.0)):
        def seen(rows, T, depths=depths, other=other):
            here = int(T[0, 0, 3] == far[0, 3])
            return np.full((1, 30, 40), depths[here]), np.full((1, 30, 40), other if here else looks[0.0])

        monkeypatch.setattr(views, "_seen", seen)
        assert views.contradicted_share([0], far[None]).tolist() == [share]


def test_a_drive_that_follows_another_goes_on_in_its_time_and_in_the_world_of_its_day(drives, judging):
    source = SimSource(3, "room", duration_s=2.0, rate_hz=2.0, width=32, height=24, size=(5.0, 4.0), labels=False)
    one = replace(record_of(drives, np.array([p.T_map_rig for p in source.ground_truth])), source=source,
                  stamps=np.array([p.stamp_ns for p in source.ground_truth]), T_rig_cam=source.T_rig_cam["front"])
    one = replace(one, drive=replace(one.drive, rate_hz=2.0), events=(Event("kidnap", 1.0, 0.3),))
    both = drives.followed(one, one)
    period, count = 500_000_000, len(one.stamps)
    assert (np.diff(both.stamps) == period).all() and len(both.stamps) == len(both.source) == 2 * count
    given = list(drives.frames_of(both, 0, depth=True, odometry=False))
    assert [f.stamp_ns for f in given] == both.stamps.tolist() == [f.frames[0].stamp_ns for f in given]
    assert all(f.T_odom_base is None and f.frames[0].depth is not None for f in given)
    assert all(f.frames[0].depth is None for f in drives.frames_of(one, 2, depth=False, odometry=True))
    read = ImuSample(7, np.zeros(3), np.zeros(3))
    assert drives.shifted(replace(given[0], imu=(read,), T_rig_imu=np.eye(4)), 5).imu[0].stamp_ns == 12
    assert [round(e.start_s, 6) for e in both.events] == [1.0, count * 0.5, count * 0.5 + 1.0]
    np.testing.assert_array_equal(both.T_world_rig[count:], one.T_world_rig)
    worlds = build_world(3, "room", size=(5.0, 4.0)), build_world(4, "room", size=(5.0, 4.0))
    views = judging.Views(worlds[0], both, worlds[1], count)
    depth = views.depths([0, count])
    np.testing.assert_array_equal(depth[0], judging.Views(worlds[0], one).depths([0])[0])
    np.testing.assert_array_equal(depth[1], judging.Views(worlds[1], one).depths([0])[0])
    assert not np.array_equal(*depth)
    assert views.contradicted_share([0, count], both.T_world_rig[[0, count]]).tolist() == [0.0, 0.0]


def test_the_name_of_a_drive_holds_all_that_it_is_rendered_by(drives):
    drive = drives.Drive("rooms", 21, duration_s=45.0, events="kidnap@10+2")
    others = [replace(drive, **change) for change in ({"seed": 22}, {"size": (64, 48)}, {"rate_hz": 5.0}, {"duration_s": 44.0},
                                                      {"events": ""}, {"path": "hand"}, {"world_size": (6.0, 5.0)})]
    assert len({d.name for d in (drive, *others)}) == 1 + len(others)
    assert drive.name == drives.Drive("rooms", 21, duration_s=45.0, events="kidnap@10+2").name
    assert drive.command == "--world rooms --seed 21 --size 320x240 --rate 10 --no-labels --duration 45 --events kidnap@10+2"
    with pytest.raises(ValueError, match="kidnap-10"):
        drives.events_of("kidnap-10")


@pytest.mark.slow
def test_a_small_run_prints_its_figures_and_writes_them(drives, monkeypatch, tmp_path, capsys):
    import slam

    out = tmp_path / "figures.json"
    arguments = ["--size", "160x120", "--duration", "6", "--events", "kidnap@3+1", "--seeds", "21", "--rate", "5",
                 "--laps", "2", "--cache", str(tmp_path / "cache"), "--json", str(out), "--frames", "30", "--quick"]
    assert slam.main(["wrong", "laps", *arguments]) == 0
    found = json.loads(out.read_text())
    (drive,) = found["wrong"]["drives"].values()
    assert drive["frames"] == 30 and drive["published"] + drive["without_pose"] == 30 and len(drive["kidnappings"]) == 1
    first, last = found["laps"]["depth"]["laps"]
    assert first["frames"] == last["frames"] == 30 and last["observations"] >= first["observations"] > 0
    assert "kidnapped at" in capsys.readouterr().out
    rendered = {f: f.stat().st_mtime_ns for f in (tmp_path / "cache").rglob("*")}
    assert slam.main(["wrong", *arguments]) == 0  # from the cache
    assert rendered == {f: f.stat().st_mtime_ns for f in (tmp_path / "cache").rglob("*")}
    assert json.loads(out.read_text())["wrong"]["drives"].keys() == found["wrong"]["drives"].keys()
    with pytest.raises(ValueError, match="nowhere"):
        slam.main(["nowhere"])
