# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import base64
import dataclasses
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from helpers.metrics_keys import undocumented

from lsm_ros.config import from_dict
from lsm_ros.evaluation import metrics
from lsm_ros.evaluation.cost import StageTimes
from lsm_ros.evaluation.report import RunRecord, write_report
from lsm_ros.evaluation.samples import Sample
from lsm_ros.geometry import se3_exp
from lsm_ros.types import LabelSpace, MapSnapshot, PipelineStatus, TrackingState, TrajectoryPose

pytest.importorskip("evo")
EVIL = '<script>alert("1")</script>'


class Page(HTMLParser):
    """Collects tags, and checks that they close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text, self.attributes = [], [], "", []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img", "line", "circle", "rect", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def record(name="kitchen", points=400, poses=30, truth=True, label_names=None):
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-1, 1, (points, 3)).astype(np.float32)
    snapshot = MapSnapshot(xyz, rng.integers(0, 255, (points, 3)).astype(np.uint8),
                           rng.integers(0, 3, points).astype(np.uint16), np.ones(points, np.float32),
                           np.ones(points, np.float32), np.tile([[0, 0, 1]], (points, 1)).astype(np.float32), 0.05, 3.0)
    path = [TrajectoryPose(i * 10**8, se3_exp([0.1 * i, np.sin(i / 5), 0.02 * i, 0, 0, 0.01 * i]))
            for i in range(poses)]
    stages = StageTimes()
    for i in range(poses):
        stages.add({"track": 10.0 + i, "fuse": 2.0})
    status = PipelineStatus(TrackingState.TRACKING, "", 0, 0, 3, True, "depth", 0.01, True, "floor", 5,
                            0.9, 5, 0, 10, 1000, 2000, poses, 0, {"front": 500.0}, {"front": True}, (), False)
    from lsm_ros.evaluation.trajectory import evaluate

    errors = evaluate(path, path) if truth and path else None
    source = {"path": f"/data/{name}", "name": name, "kind": "TumSource", "cameras": ["front"], "duration_s": 2.9,
              "first_stamp_ns": 0, "stamp_offset_ns": 0}
    found = metrics.build(source, from_dict({"fusion.voxel_size": 0.04}), snapshot, status, stages,
                          T_rig_camera=np.eye(4), trajectory_frame="camera", frames=poses,
                          frames_with_pose=poses, loops=1, wall_s=2.0, warnings=[f"odd: {name}"], errors=errors,
                          truth_name=name)
    sample = Sample(0, name, np.zeros((30, 40, 3), np.uint8), np.zeros((30, 40, 3), np.uint8), None)
    space = LabelSpace(label_names or {0: "wall", 1: "floor", 2: "chair"})
    return RunRecord(metrics.plain(found), snapshot, space, path, path[::5], stages, [sample], path if truth else None)


def written(tmp_path, run):
    write_report(tmp_path / "report.html", run)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_report_says_what_there_is(tmp_path):
    text = written(tmp_path, record())
    page = Page(text)
    for expected in ("Map of kitchen", "100.0 %", "odd: kitchen", "wall", "chair", "fusion.voxel_size", "0.04", "track",
                     "ATE, aligned rigidly", "ground truth, aligned rigidly", "500.0 px, estimated"):
        assert expected in page.text, expected
    assert page.tags.count("img") == 4 + 4 + 2 and page.tags.count("svg") >= 5


def test_report_needs_no_network(tmp_path):
    text = written(tmp_path, record())
    without_images = re.sub(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<script|<link", without_images.replace("/data/", ""))


def test_pictures_can_be_decoded(tmp_path):
    blobs = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", written(tmp_path, record()))
    shapes = {cv2.imdecode(np.frombuffer(base64.b64decode(b), np.uint8), 1).shape for b in blobs}
    assert (540, 720, 3) in shapes and (30, 40, 3) in shapes


def test_text_from_the_input_is_escaped(tmp_path):
    names = {0: EVIL, 1: '"><img src=x onerror=alert(1)>'}
    run = dataclasses.replace(record(name=EVIL, label_names=names), notes=(EVIL,))
    page = Page(written(tmp_path, run))
    assert "script" not in page.tags and page.text.count(EVIL) >= 5
    assert not any(name.startswith("on") for name, _ in page.attributes)


def test_empty_map_and_no_truth(tmp_path):
    run = record(points=0, poses=0, truth=False)
    page = Page(written(tmp_path, dataclasses.replace(run, samples=())))
    assert "The map has no surface." in page.text and "No frame has a pose." in page.text
    assert "Against the ground truth" not in page.text


def test_metrics_of_a_run_are_documented():
    assert undocumented(record().metrics) == [] and undocumented(record(truth=False).metrics) == []


def test_a_pause_is_not_bridged(tmp_path):
    run = record()
    late = [TrajectoryPose(p.stamp_ns + (10**11 if i >= 15 else 0), p.T_map_rig) for i, p in enumerate(run.trajectory)]
    runs = [dataclasses.replace(run, trajectory=t, ground_truth_map=None) for t in (run.trajectory, late)]
    pieces = [written(tmp_path, r).count('<polyline class="est"') for r in runs]
    assert pieces[1] == pieces[0] + 3  # one more piece in each of the three views
