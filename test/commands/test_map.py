# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""`lsm record`, `lsm map` and `lsm eval` from end to end, on a small rendered room."""
import json
import re
import shutil

import cv2
import numpy as np
import pytest
from helpers.metrics_keys import undocumented

from lsm_ros import cli
from lsm_ros.commands import mapping_run
from lsm_ros.config import from_dict
from lsm_ros.datasets.record import record
from lsm_ros.datasets.tum import read_tum, write_tum
from lsm_ros.evaluation import metrics
from lsm_ros.fusion.files.ply import read_ply
from lsm_ros.geometry import se3_inverse
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.types import MappingUpdate, TrackingState, TrackingUpdate, TrajectoryPose
from lsm_sim.source import RoomSource

FRAMES = 16
DENSE = ["--set", "fusion.min_weight=0.2"]  # as few frames give little weight
FILES = ["keyframes.tum", "map.ply", "mesh.ply", "metrics.json", "online.tum", "report.html", "saved_map", "trajectory.tum"]


@pytest.fixture(scope="module")
def room():
    return RoomSource(seed=0, frames=FRAMES, width=240, height=180, rate_hz=5.0)  # long enough for a path that bends


@pytest.fixture(scope="module")
def tum(room, tmp_path_factory):
    """The room as a TUM folder with labels."""
    folder = tmp_path_factory.mktemp("tum") / "room"
    lists = {"rgb": [], "depth": [], "labels": []}
    for frame_set in room:
        frame = frame_set.frames[0]
        for name, array in (("rgb", frame.image[..., ::-1]), ("depth", np.rint(frame.depth * 1000).astype(np.uint16)),
                            ("labels", frame.labels)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            file = f"{name}/{frame.stamp_ns / 1e9:.6f}.png"
            cv2.imwrite(str(folder / file), array)
            lists[name].append(f"{frame.stamp_ns / 1e9:.6f} {file}\n")
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("".join(lines))
    k = room.intrinsics
    (folder / "camera.yaml").write_text(f"image_width: {k.width}\nimage_height: {k.height}\nfx: {k.fx}\nfy: {k.fy}\n"
                                        f"cx: {k.cx}\ncy: {k.cy}\ndepth_scale: 0.001\n")
    T_rig_cam = room.T_rig_cam["front"]
    truth = [TrajectoryPose(p.stamp_ns, p.T_map_rig @ T_rig_cam) for p in room.ground_truth]
    write_tum(folder / "groundtruth.txt", truth)
    return folder


@pytest.fixture(scope="module")
def bag(room, tmp_path_factory):
    path = tmp_path_factory.mktemp("bag") / "room"
    record(room, path)
    return path


@pytest.fixture(scope="module")
def mapped(tum, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    assert cli.main(["map", str(tum), "--out", str(out), "--quiet", *DENSE]) == 0
    return out


def run(capsys, *argv):
    status = cli.main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture(scope="module")
def first_half(tum, tmp_path_factory):
    out = tmp_path_factory.mktemp("half") / "out"
    assert cli.main(["map", str(tum), "--out", str(out), "--quiet", "--no-report", "--max-frames", "9"]) == 0
    return out


def other_place(folder, tum):
    """The dataset with its images upside down: nothing in it was seen before."""
    shutil.copytree(tum, folder)
    for kind in ("rgb", "depth"):
        for file in (folder / kind).iterdir():
            cv2.imwrite(str(file), cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[::-1])
    return folder


class TestGoOn:
    def test_in_a_map_from_before(self, tum, first_half, tmp_path, capsys):
        assert run(capsys, "map", tum, "--map", first_half, "--out", tmp_path / "out", "--quiet", "--no-report")[0] == 0
        before = {p.stamp_ns: p.T_map_rig for p in read_tum(first_half / "trajectory.tum")}
        after = {p.stamp_ns: p.T_map_rig for p in read_tum(tmp_path / "out" / "trajectory.tum")}
        both = sorted(set(before) & set(after))
        assert len(after) >= FRAMES - 8 and len(both) > 0
        assert max(np.linalg.norm((se3_inverse(before[t]) @ after[t])[:3, 3]) for t in both) < 0.03, "in the old coordinates"
        warnings = metrics.read(tmp_path / "out" / "metrics.json")["warnings"]  # the camera turns by less than 69 degrees
        assert [w for w in warnings if not w.startswith("which way is up is not known")] == []

    def test_in_a_map_of_another_place_is_said(self, tum, first_half, tmp_path, capsys):
        folder = other_place(tmp_path / "elsewhere", tum)
        status, out, _ = run(capsys, "map", folder, "--map", first_half, "--out", tmp_path / "out", "--quiet", "--no-report")
        assert status == 0 and "could not be joined" in out and str(first_half) in out

    def test_what_is_no_map_is_an_error(self, tum, tmp_path, capsys):
        status, _, err = run(capsys, "map", tum, "--map", tmp_path, "--out", tmp_path / "out", "--quiet")
        assert status == 2 and "holds no map" in err and not (tmp_path / "out").exists()

    def test_without_a_saved_map(self, tum, tmp_path, capsys):
        argv = ["map", tum, "--out", tmp_path / "out", "--quiet", "--no-report", "--no-map", "--max-frames", "4"]
        assert run(capsys, *argv)[0] == 0 and not (tmp_path / "out" / "saved_map").exists()


class TestJoin:
    def test_two_maps_become_one(self, mapped, first_half, tmp_path, capsys):
        status, out, _ = run(capsys, "join", first_half, mapped, "--out", tmp_path / "both")
        assert status == 0 and "joined" in out
        pipeline = MappingPipeline(from_dict({}))
        pipeline.load(tmp_path / "both")
        of_parts = [len(read_tum(folder / "keyframes.tum")) for folder in (first_half, mapped)]
        poses = pipeline.keyframe_trajectory()
        assert len(poses) == sum(of_parts) and pipeline.map.block_count > 20
        first = read_tum(first_half / "keyframes.tum")[0]
        twice = [p.T_map_rig for p in poses if p.stamp_ns == poses[0].stamp_ns]
        assert first.stamp_ns == poses[0].stamp_ns and len(twice) == 2
        assert np.linalg.norm((se3_inverse(twice[0]) @ twice[1])[:3, 3]) < 0.02, "the same frame is in both maps"

    def test_maps_of_other_places_are_not_joined(self, tum, first_half, tmp_path, capsys):
        folder = other_place(tmp_path / "elsewhere", tum)
        assert run(capsys, "map", folder, "--out", tmp_path / "b", "--quiet", "--no-report")[0] == 0
        status, _, err = run(capsys, "join", first_half, tmp_path / "b", "--out", tmp_path / "both")
        assert status == 2 and "nothing in common" in err and not (tmp_path / "both").exists()

    def test_bad_input(self, first_half, tmp_path, capsys):
        status, _, err = run(capsys, "join", first_half, tmp_path, "--out", tmp_path / "both")
        assert status == 2 and "holds no map" in err
        status, _, err = run(capsys, "join", first_half, first_half, "--out", first_half)
        assert status == 2 and "exists already" in err


class TestMap:
    def test_files(self, mapped):
        assert sorted(p.name for p in mapped.iterdir()) == FILES and len(list(mapped.parent.iterdir())) == 1
        for name in ("trajectory.tum", "online.tum"):
            assert len(read_tum(mapped / name)) == FRAMES
        assert 1 <= len(read_tum(mapped / "keyframes.tum")) <= FRAMES
        assert len(read_ply(mapped / "map.ply").points) > 100
        assert len(read_ply(mapped / "mesh.ply").points) > 100
        assert not re.search(r"https?://", (mapped / "report.html").read_text())

    def test_metrics(self, mapped, tum):
        found = metrics.read(mapped / "metrics.json")
        assert undocumented(found) == []
        assert found["coverage"] == 1.0 and found["frames"] == FRAMES and found["source"]["kind"] == "TumSource"
        assert set(found["stages_ms"]) >= {"track", "fuse"} and found["stages_ms"]["track"]["count"] == FRAMES
        assert found["peak_rss_bytes"] > 10**7 and found["config_hash"] and found["seed"] == 0
        assert found["ground_truth"]["ate_m"]["se3"]["rmse"] < 0.03
        assert found["config"]["fusion"]["voxel_size"] == found["map"]["voxel_size_m"]

    def test_trajectory_is_of_the_optical_frame(self, mapped, tum, room):
        """The camera moves as the truth says, without any change of axes in between."""
        poses, truth = read_tum(mapped / "trajectory.tum"), read_tum(tum / "groundtruth.txt")
        assert [p.stamp_ns for p in poses] == [p.stamp_ns for p in truth]
        a = se3_inverse(poses[0].T_map_rig) @ poses[-1].T_map_rig
        b = se3_inverse(truth[0].T_map_rig) @ truth[-1].T_map_rig
        assert np.abs(a - b).max() < 0.05 and np.linalg.norm(b[:3, 3]) > 0.3

    def test_frame_rig(self, bag, tmp_path, room, capsys):
        assert run(capsys, "map", bag, "--out", tmp_path / "o", "--frame", "rig", "--no-report")[0] == 0
        found = metrics.read(tmp_path / "o" / "metrics.json")
        assert np.allclose(found["T_rig_camera"], room.T_rig_cam["front"], atol=1e-6)
        assert not (tmp_path / "o" / "report.html").exists()
        poses = read_tum(tmp_path / "o" / "trajectory.tum")
        a = se3_inverse(poses[0].T_map_rig) @ poses[-1].T_map_rig
        b = se3_inverse(room.ground_truth[0].T_map_rig) @ room.ground_truth[-1].T_map_rig
        assert np.abs(a - b).max() < 0.05
        truth = tmp_path / "rig.tum"
        write_tum(truth, room.ground_truth)
        status, out, _ = run(capsys, "eval", tmp_path / "o", "--gt", truth, "--gt-frame", "rig", "--json")
        result = json.loads(out)
        assert status == 0 and result["ate_m"]["se3"]["rmse"] < 0.03
        assert result["time_offset_ns"] == found["source"]["stamp_offset_ns"] > 0  # a bag cannot start at 0

    def test_same_seed_same_result(self, mapped, tum, tmp_path, capsys):
        assert run(capsys, "map", tum, "--out", tmp_path / "o", "--no-report", *DENSE)[0] == 0
        for name in ("trajectory.tum", "online.tum", "keyframes.tum", "map.ply", "mesh.ply"):
            assert (tmp_path / "o" / name).read_bytes() == (mapped / name).read_bytes(), name

    def test_stride_and_max_frames(self, tum, tmp_path, capsys):
        args = ["map", tum, "--out", tmp_path / "o", "--stride", 3, "--max-frames", 4, "--no-report"]
        status, out, err = run(capsys, *args)
        assert status == 0 and "4 of 4 frames" in out and "mapping" in err
        stamps = [p.stamp_ns for p in read_tum(tmp_path / "o" / "trajectory.tum")]
        assert stamps == [p.stamp_ns for p in read_tum(tum / "groundtruth.txt")][:12:3]


def test_map_is_settled_after_the_last_frame(room):
    class Pipeline:
        """Notes what is asked of it."""

        def __init__(self):
            self.calls = []

        def process(self, frame_set):
            self.calls.append(frame_set.stamp_ns)
            tracking = TrackingUpdate(TrackingState.TRACKING, None, None, 1.0, closed_loops=(1, 2))
            return MappingUpdate(frame_set.stamp_ns, tracking, milliseconds={"track": 2.0})

        def join_maps(self):
            self.calls.append("join")
            return 1

        def settle(self):
            self.calls.append("settle")

    pipeline = Pipeline()
    progress = mapping_run.feed(pipeline, room, 5, 3, quiet=True)
    assert pipeline.calls == [room.ground_truth[i].stamp_ns for i in (0, 5, 10)] + ["join", "settle"]
    assert (progress.frames, progress.loops, progress.stages.frames, progress.apart) == (3, 6, 3, 1)
    assert progress.last_ns == room.ground_truth[10].stamp_ns


def contents(folder):
    """All files below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class TestOutIsSafe:
    @pytest.fixture
    def old(self, mapped, tmp_path):
        """An earlier result, and its bytes."""
        out = tmp_path / "runs" / "out"
        shutil.copytree(mapped, out)
        return out, contents(out)

    def check_whole(self, old):
        out, content = old
        assert contents(out) == content
        assert [p.name for p in out.parent.iterdir()] == ["out"]

    def test_is_kept_without_overwrite(self, old, tum, capsys):
        status, _, err = run(capsys, "map", tum, "--out", old[0])
        assert status == 2 and "--overwrite" in err
        self.check_whole(old)

    def test_is_replaced_with_overwrite(self, old, tum, capsys):
        out, _ = old
        (out / "stale.txt").write_text("x")
        assert run(capsys, "map", tum, "--out", out, "--overwrite", "--no-report", "--max-frames", 4)[0] == 0
        assert sorted(p.name for p in out.iterdir()) == sorted({*FILES, "stale.txt"} - {"report.html"})
        assert (out / "stale.txt").read_text() == "x", "what others put there stays"

    def test_gaussians_of_before_go_with_it(self, tmp_path, tum, capsys):
        out, few = tmp_path / "out", ("--no-report", "--max-frames", 4)
        assert run(capsys, "map", tum, "--out", out, *few, "--gaussians", 8, "--keyframe-gaussians")[0] == 0
        assert (out / "gaussians.ply").is_file() and len(list((out / "gaussians").iterdir())) > 0
        (out / "gaussians" / "mine.ply").write_text("x")
        assert run(capsys, "map", tum, "--out", out, "--overwrite", *few)[0] == 0
        assert [str(p.relative_to(out)) for p in out.rglob("*gaussian*")] == ["gaussians"]
        assert [p.name for p in (out / "gaussians").iterdir()] == ["mine.ply"]
        assert [p.name for p in out.parent.iterdir()] == ["out"]

    @pytest.mark.parametrize("error, status", [(OSError(28, "No space left on device"), 2), (KeyboardInterrupt(), 130),
                                               (ValueError("boom"), 2)])
    @pytest.mark.parametrize("where", ["feed", "write_report"])
    def test_failed_run_leaves_it_whole(self, old, tum, capsys, monkeypatch, error, status, where):
        def fail(*args, **kinds):
            raise error

        monkeypatch.setattr(mapping_run, where, fail)
        assert run(capsys, "map", tum, "--out", old[0], "--overwrite", "--quiet", "--max-frames", 4)[0] == status
        self.check_whole(old)

    def test_failed_first_run_leaves_nothing(self, tum, tmp_path, capsys, monkeypatch):
        def fail(*args, **kinds):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(mapping_run, "write_ply", fail)
        status, _, err = run(capsys, "map", tum, "--out", tmp_path / "o", "--max-frames", 4, "--quiet")
        assert status == 2 and "lsm: error: No space left on device" in err and list(tmp_path.iterdir()) == []

    def test_other_folders_are_not_replaced(self, tum, tmp_path, capsys):
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "cat.jpg").write_text("meow")
        status, _, err = run(capsys, "map", tum, "--out", tmp_path / "photos", "--overwrite")
        assert status == 2 and "no result of lsm map" in err and (tmp_path / "photos" / "cat.jpg").exists()
        (tmp_path / "file").write_text("x")
        assert run(capsys, "map", tum, "--out", tmp_path / "file", "--overwrite")[0] == 2

    def test_source_inside_out(self, old, tum, capsys):
        shutil.copytree(tum, old[0] / "data")
        status, _, err = run(capsys, "map", old[0] / "data", "--out", old[0], "--overwrite")
        assert status == 2 and "lies inside" in err and (old[0] / "data" / "rgb.txt").exists()


class TestBadInput:
    def test_images_without_depth(self, tum, tmp_path, capsys):
        status, _, err = run(capsys, "map", tum / "rgb", "--out", tmp_path / "o", "--quiet")
        assert status == 2 and "got a pose" in err and "depth" in err and list(tmp_path.iterdir()) == []
        assert len(err.strip().splitlines()) == 1

    def test_empty_folder_and_odd_file(self, tmp_path, capsys):
        (tmp_path / "empty").mkdir()
        (tmp_path / "text.mp4").write_text("not a video")
        for name in ("empty", "text.mp4"):
            status, _, err = run(capsys, "map", tmp_path / name, "--out", tmp_path / "o")
            assert status == 2 and name in err and len(err.strip().splitlines()) == 1
            assert not (tmp_path / "o").exists()

    def test_truth_that_is_none_fails_before_the_work(self, tum, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr(mapping_run, "feed", pytest.fail)
        (tmp_path / "gt.txt").write_text("1 2 3\n")
        status, _, err = run(capsys, "map", tum, "--out", tmp_path / "o", "--gt", tmp_path / "gt.txt")
        assert status == 2 and "line 1" in err

    def test_truth_of_another_time_is_a_warning(self, tum, tmp_path, capsys):
        late = [TrajectoryPose(p.stamp_ns + 10**12, p.T_map_rig) for p in read_tum(tum / "groundtruth.txt")]
        write_tum(tmp_path / "gt.txt", late)
        args = ["map", tum, "--out", tmp_path / "o", "--gt", tmp_path / "gt.txt", "--max-frames", 4]
        status, out, _ = run(capsys, *args)
        assert status == 0 and "no trajectory errors: only 0 poses match" in out
        assert metrics.read(tmp_path / "o" / "metrics.json")["ground_truth"] is None

    def test_masks_that_fit_nothing(self, tum, tmp_path, capsys):
        for text, says in (("rear=m.png", "no camera 'rear'"), ("camera=m.png", "m.png does not exist"),
                           ("m.png", "camera=file")):
            status, _, err = run(capsys, "map", tum, "--out", tmp_path / "o", "--set", f"camera_masks={text}")
            assert status == 2 and says in err and len(err.strip().splitlines()) == 1 and not (tmp_path / "o").exists()

    def test_unknown_source_option(self, tum, tmp_path, capsys):
        status, _, err = run(capsys, "map", tum, "--out", tmp_path / "o", "--source-option", "speed=3")
        assert status == 2 and "'speed'" in err


class TestEval:
    def test_table(self, mapped, tum, capsys):
        status, out, _ = run(capsys, "eval", mapped, "--gt", tum / "groundtruth.txt")
        assert status == 0 and "coverage 100.0 %" in out
        for word in ("ATE, sim3", "ATE, se3", "ATE, none", "RPE per second"):
            assert word in out

    def test_json_with_depth_and_labels(self, mapped, tum, capsys):
        status, out, _ = run(capsys, "eval", mapped, "--gt", tum / "groundtruth.txt", "--depth", tum, "--json")
        result = json.loads(out)
        assert status == 0 and result["matched"] == FRAMES
        assert result["geometry"]["map_to_depth"]["median"] < 0.03 and result["geometry"]["views"] == FRAMES
        assert result["semantics"]["accuracy"] > 0.5 and result["semantics"]["points"] > 1000

    def test_agrees_with_the_run(self, mapped, tum, capsys):
        _, out, _ = run(capsys, "eval", mapped, "--gt", tum / "groundtruth.txt", "--json", "--align", "se3")
        result, before = json.loads(out), metrics.read(mapped / "metrics.json")["ground_truth"]
        assert list(result["ate_m"]) == ["se3"]
        assert result["ate_m"]["se3"]["rmse"] == pytest.approx(before["ate_m"]["se3"]["rmse"], abs=1e-5)

    def test_time_offset(self, mapped, tum, tmp_path, capsys):
        late = [TrajectoryPose(p.stamp_ns + 5 * 10**9, p.T_map_rig) for p in read_tum(tum / "groundtruth.txt")]
        write_tum(tmp_path / "gt.txt", late)
        status, _, err = run(capsys, "eval", mapped, "--gt", tmp_path / "gt.txt")
        assert status == 2 and "--time-offset" in err
        assert run(capsys, "eval", mapped, "--gt", tmp_path / "gt.txt", "--time-offset", "-5")[0] == 0
        assert run(capsys, "eval", mapped, "--gt", tmp_path / "gt.txt", "--time-offset", "soon")[0] == 2

    def test_truncated_map(self, mapped, tum, tmp_path, capsys):
        shutil.copytree(mapped, tmp_path / "o")
        data = (tmp_path / "o" / "map.ply").read_bytes()
        (tmp_path / "o" / "map.ply").write_bytes(data[:-50])
        status, _, err = run(capsys, "eval", tmp_path / "o", "--gt", tum / "groundtruth.txt", "--depth", tum)
        assert status == 2 and "map.ply" in err


class TestRecord:
    def test_and_again(self, tum, tmp_path, capsys):
        how = ["--max-frames", 3, "--storage", "sqlite3", "--compressed"]
        status, out, _ = run(capsys, "record", tum, tmp_path / "b", *how)
        assert status == 0 and "3 frames" in out and "/camera/image/compressed" in out
        status, _, err = run(capsys, "record", tum, tmp_path / "b", "--max-frames", 3)
        assert status == 2 and "exists" in err
        assert run(capsys, "record", tum, tmp_path / "b", "--max-frames", 2, "--overwrite")[0] == 0
        assert [p.name for p in tmp_path.iterdir()] == ["b"]
