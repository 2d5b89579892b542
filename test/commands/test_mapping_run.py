# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What `lsm map` says of its input: what it took, what it left out, how much of the source that is, and frames that fail."""
import json

import cv2
import numpy as np
import pytest
from helpers.bags import IMAGE, INFO, TF, BagMaker, S, make

from lsm_ros import cli
from lsm_ros.commands import mapping_run
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.slam.trackers.depth import DepthTracker

K = CameraIntrinsics(160, 120, 130.0, 130.0, 79.5, 59.5)
PICTURE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (400, 500, 3), dtype=np.uint8), (0, 0), 2.0)
PICTURE = cv2.normalize(PICTURE, None, 0, 255, cv2.NORM_MINMAX)
FRAMES = 8


def wall(i):
    """The i-th image and depth (mm) of a wall 2 m away, 1 cm further to the right each time."""
    x, y = np.meshgrid(np.arange(160) * 1.0 + 100 + 0.65 * i, np.arange(120) * 1.0 + 100)
    return (cv2.remap(PICTURE, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR),
            np.full((120, 160), 2000, np.uint16))


def bag_of(folder, stamps, size=K):
    with BagMaker(folder) as bag:
        for i, stamp in enumerate(stamps):
            image, depth = wall(i)
            log_ns = S + i * S // 10
            bag.put("/cam/camera_info", INFO, log_ns, make.camera_info(stamp, "o", size))
            bag.put("/cam/depth", IMAGE, log_ns + 1, make.image(stamp, "o", depth, "16UC1"))
            bag.put("/cam/image", IMAGE, log_ns + 2, make.image(stamp, "o", image, "rgb8"))
        bag.put("/odom", "nav_msgs/msg/Odometry", S, bytes(4))
        bag.put("/tf", TF, S, make.transforms([make.transform(S, "odom", "base_link", np.eye(4))]))
    return folder


def run(capsys, *argv):
    status = cli.main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return status, out, err


def mapped(capsys, source, out, *more):
    status, text, err = run(capsys, "map", source, "--out", out, "--quiet", "--no-map", *more)
    return status, text, json.loads((out / "metrics.json").read_text()) if status == 0 else err


STAMPS = [S + i * S // 10 for i in range(FRAMES)]


def test_what_was_taken_is_said(tmp_path, capsys):
    status, text, metrics = mapped(capsys, bag_of(tmp_path / "bag", STAMPS), tmp_path / "out")
    assert status == 0
    line = next(w for w in text.splitlines() if w.startswith("camera cam: "))
    assert all(part in line for part in ("image /cam/image (8, 10 Hz)", "depth /cam/depth (8, 10 Hz)",
                                         "camera_info /cam/camera_info"))
    assert "TF: no base, the rig is the body of the first camera; no odometry" in text
    assert "not read: /odom" in text and "not joined to base_link and odom" in text
    assert [w for w in metrics["source"]["taken"] if w in text.splitlines()] == metrics["source"]["taken"]
    report = (tmp_path / "out" / "report.html").read_text()
    assert "/cam/depth (8, 10 Hz)" in report and "not joined to base_link" in report


def test_what_was_dropped_counts_against_coverage(tmp_path, capsys):
    stamps = [*STAMPS[:4], STAMPS[3], STAMPS[3], *STAMPS[6:]]
    status, text, metrics = mapped(capsys, bag_of(tmp_path / "bag", stamps), tmp_path / "out")
    assert (metrics["frames"], metrics["frames_expected"], metrics["frames_with_pose"]) == (6, 8, 6)
    assert metrics["coverage"] == 0.75 and "6 of 8 frames have a pose (75.0 %)" in text
    assert "2 of 8 frames of the source could not be handed on" in text
    assert {"what": "image of cam dropped: its stamp goes back or repeats", "count": 2} in metrics["source"]["left_out"]
    assert "of 8 frames have a pose" in (tmp_path / "out" / "report.html").read_text()


def test_frames_that_nobody_wants_do_not(tmp_path, capsys):
    options = ["--stride", "2", "--max-frames", "3", "--no-report"]
    _, text, metrics = mapped(capsys, bag_of(tmp_path / "bag", STAMPS), tmp_path / "out", *options)
    assert metrics["frames_expected"] == 3 and metrics["coverage"] == 1.0 and "3 of 3 frames" in text


@pytest.mark.parametrize("error", [cv2.error("(-215) sizes differ"), ValueError("no such camera")])
def test_a_frame_that_fails_costs_itself(tmp_path, capsys, monkeypatch, error):
    prepare, calls = MappingPipeline._prepare_frames, []

    def failing(self, frame_set):
        calls.append(frame_set.stamp_ns)
        if len(calls) in (4, 5):
            raise error
        return prepare(self, frame_set)

    monkeypatch.setattr(MappingPipeline, "_prepare_frames", failing)
    status, text, metrics = mapped(capsys, bag_of(tmp_path / "bag", STAMPS), tmp_path / "out", "--no-report")
    assert status == 0 and metrics["frames_with_pose"] == FRAMES - 2 and metrics["coverage"] == 0.75
    assert "frames failed, and have no pose (2 times)" in text and str(error).split(")")[-1].strip() in text
    assert {"what": "frames failed, and have no pose", "count": 2} in metrics["source"]["left_out"]


def test_frames_that_the_finished_map_shows_are_found_in_it(tmp_path, capsys, monkeypatch):
    find, calls = DepthTracker._find_pose, []

    def losing(self, new):
        calls.append(new.stamp_ns)
        return "somebody stood before it" if len(calls) in (3, 4) else find(self, new)

    monkeypatch.setattr(DepthTracker, "_find_pose", losing)
    status, text, metrics = mapped(capsys, bag_of(tmp_path / "bag", STAMPS), tmp_path / "out")
    assert status == 0 and metrics["coverage"] == 1.0 and metrics["found_later"] == 2
    assert "8 of 8 frames have a pose (100.0 %, 2 found in the finished map)" in text
    lines = {n: [x for x in (tmp_path / "out" / f"{n}.tum").read_text().splitlines() if x[0] != "#"]
             for n in ("trajectory", "online")}
    assert len(lines["trajectory"]) == 8 and len(lines["online"]) == 6
    x = [float(line.split()[1]) for line in lines["trajectory"]]
    assert np.abs(np.diff(x) - np.mean(np.diff(x))).max() < 0.002  # the camera goes on steadily
    assert mapped(capsys, bag_of(tmp_path / "whole", STAMPS), tmp_path / "out2")[2]["found_later"] == 0


@pytest.mark.parametrize("error", [FileNotFoundError("the bag is gone"), ValueError("the bag was cut")])
def test_a_source_that_cannot_be_read_twice_leaves_the_map(tmp_path, capsys, monkeypatch, error):
    find, opened = DepthTracker._find_pose, mapping_run.open_source
    calls, sources = [], []

    def losing(self, new):
        calls.append(new.stamp_ns)
        return "somebody stood before it" if len(calls) == 3 else find(self, new)

    def once(*args, **options):
        sources.append(args)
        if len(sources) > 1:
            raise error
        return opened(*args, **options)

    monkeypatch.setattr(DepthTracker, "_find_pose", losing)
    monkeypatch.setattr(mapping_run, "open_source", once)
    status, text, metrics = mapped(capsys, bag_of(tmp_path / "bag", STAMPS), tmp_path / "out", "--no-report")
    assert status == 0 and len(sources) == 2 and metrics["frames_with_pose"] == 7 and metrics["found_later"] == 0
    assert "frames without a pose were not looked for in the finished map" in text and str(error) in text


def test_where_all_fail_it_is_one_line(tmp_path, capsys, monkeypatch):
    def failing(*_):
        raise cv2.error("sizes differ")

    monkeypatch.setattr(MappingPipeline, "_prepare_frames", failing)
    status, _, err = mapped(capsys, bag_of(tmp_path / "bag", STAMPS), tmp_path / "out")
    assert status == 2 and err.count("\n") == 1 and "sizes differ" in err and not (tmp_path / "out").exists()


def test_the_slop_of_the_configuration_is_that_of_the_bag(tmp_path, capsys):
    with BagMaker(tmp_path / "bag") as bag:
        for i, stamp in enumerate(STAMPS):
            image, depth = wall(i)
            bag.put("/cam/camera_info", INFO, stamp, make.camera_info(stamp, "o", K))
            bag.put("/cam/image", IMAGE, stamp, make.image(stamp, "o", image, "rgb8"))
            bag.put("/cam/depth", IMAGE, stamp, make.image(stamp + 15_000_000, "o", depth, "16UC1"))
    argv = [tmp_path / "bag", tmp_path / "out", "--no-report"]
    assert mapped(capsys, *argv, "--set", "node.sync_slop_ms=5")[0] == 2
    assert mapped(capsys, *argv)[2]["frames_with_pose"] == FRAMES


def test_a_truth_that_cannot_be_compared_leaves_the_map(tmp_path, capsys):
    (tmp_path / "gt.txt").write_text("1403636579763555584 1 2 3 0 0 0 1\n1403636579863555584 1 2 4 0 0 0 1\n")
    options = ["--no-report", "--gt", tmp_path / "gt.txt"]
    status, text, metrics = mapped(capsys, bag_of(tmp_path / "bag", STAMPS), tmp_path / "out", *options)
    assert status == 0 and "no trajectory errors" in text and metrics["ground_truth"] is None
    assert (tmp_path / "out" / "map.ply").is_file()
