# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import textured
from helpers.image_sets import pose_errors
from PIL import Image

from lsm_ros import cli
from lsm_ros.commands import sfm_run
from lsm_ros.datasets.tum import read_tum
from lsm_ros.fusion.files.ply import read_ply
from lsm_ros.geometry.lie import make_se3
from lsm_ros.geometry.rotation import so3_exp
from lsm_ros.models.known import SHIPPED
from lsm_ros.pairs.network import NetworkPairModel
from lsm_ros.sfm.colmap_files import FILES, read_cameras

BENCH = Path(__file__).resolve().parents[2] / "bench"
SMALL = SHIPPED["lsm_small"]


def walk(count, turn=0.09):
    """(count, 4, 4) poses that go round in the textured room and look across it."""
    return np.stack([walk_at(k, turn) for k in range(count)])


def walk_at(k, turn=0.09):
    """(4, 4) pose of step k of `walk`, which need not be whole."""
    return make_se3(so3_exp(np.array([0.02 * k, turn * k - 0.3, 0])),
                    np.array([0.35 * np.sin(0.9 * k) - 0.1 * k, 0.1 * np.cos(k), -1.5 + 0.12 * k]))


def seen(boards, T):
    """(H, W, 3) RGB."""
    return np.repeat(textured.see(boards, T)[0][..., None], 3, 2)


def save(path, image):
    cv2.imwrite(str(path), image[..., ::-1])


def sfm(*arguments):
    return cli.main(["sfm", *map(str, arguments), "--quiet"])


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Eight photographs of one room, one of which is half as large and one lies on its side, as EXIF says; four of another
    room; one that is cut off."""
    folder, poses = tmp_path_factory.mktemp("photographs"), walk(8)
    room, other = textured.room(0), textured.room(7)
    for n in np.random.default_rng(0).permutation(8):
        image = seen(room, poses[n])
        if n == 3:
            image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        if n == 5:
            exif = Image.Exif()
            exif[0x0112] = 6
            Image.fromarray(np.ascontiguousarray(np.rot90(image))).save(folder / f"a{n}.jpg", exif=exif, quality=95)
        else:
            save(folder / f"a{n}.png", image)
    for n, T in enumerate(walk(4)):
        save(folder / f"b{n}.png", seen(other, T))
    (folder / "a9.jpg").write_bytes((folder / "a5.jpg").read_bytes()[:3000])
    return folder


@pytest.fixture(scope="module")
def result(photographs, tmp_path_factory):
    out = tmp_path_factory.mktemp("sfm") / "result"
    assert sfm(photographs, "--out", out) == 0
    return out


def test_two_scenes_of_mixed_photographs_are_two_models(result):
    about = json.loads((result / "sfm.json").read_text())
    assert [m["images"] for m in about["models"]] == [8, 4]
    by_name = {i["name"]: i for i in about["images"]}
    assert by_name["a3.png"]["model"] == by_name["a5.jpg"]["model"] == 0 and by_name["b2.png"]["model"] == 1
    assert by_name["a9.jpg"]["model"] is None and "cut off" in by_name["a9.jpg"]["reason"]
    assert any("2 models that nothing connects, of 8, 4 images" in n for n in about["notes"])
    sizes = {(c["width"], c["height"]) for c in about["models"][0]["cameras"]}
    assert sizes == {(320, 240), (160, 120)}  # turned by EXIF, it has the size of the others


def test_poses_are_right_and_in_the_order_of_the_names(result):
    found = read_tum(result / "trajectory.tum")
    assert [p.stamp_ns for p in found] == [n * 10**9 for n in range(8)]
    turn, shift = pose_errors(np.stack([p.T_map_rig for p in found]), walk(8))
    assert turn < 1.0 and shift < 0.03
    cameras = read_cameras(result / "sparse" / "0")
    assert [c.name for c in cameras] == [f"a{n}.{'jpg' if n == 5 else 'png'}" for n in range(8)]
    assert np.allclose(np.stack([c.pose for c in cameras]), np.stack([p.T_map_rig for p in found]), atol=1e-5)
    assert cameras[0].camera.fx == pytest.approx(260, rel=0.05) and cameras[3].camera.fx == pytest.approx(130, rel=0.1)
    turn, shift = pose_errors(np.stack([p.T_map_rig for p in read_tum(result / "trajectory_1.tum")]), walk(4))
    assert turn < 2.0 and shift < 0.06


def test_files(result):
    for n in "01":
        assert sorted(p.name for p in (result / "sparse" / n).iterdir()) == sorted(FILES)
    about = json.loads((result / "sfm.json").read_text())
    cloud = read_ply(result / "map.ply")
    assert len(cloud.points) == about["models"][0]["points"] > 200 and len(np.unique(cloud.colors)) > 20
    assert about["models"][0]["mean_reprojection_error_px"] < 1.0
    html = (result / "report.html").read_text()
    assert "Model 1: 4 images" in html and "<svg" in html and "a9.jpg" in html and "cut off" in html
    assert not list(result.parent.glob("*.cache"))


def test_a_calibration_is_kept_and_sequences_have_fewer_pairs(photographs, tmp_path):
    for n in (0, 1, 2, 4, 6, 7):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"a{n}.png").write_bytes((photographs / f"a{n}.png").read_bytes())
    (tmp_path / "camera.yaml").write_text("{image_width: 640, image_height: 480, fx: 521, fy: 521, cx: 319.5, cy: 239.5}")
    assert sfm(tmp_path / "in", "--out", tmp_path / "out", "--calibration", tmp_path / "camera.yaml", "--sequential", 2,
               "--no-report") == 0
    about = json.loads((tmp_path / "out" / "sfm.json").read_text())
    camera = about["models"][0]["cameras"][0]
    assert about["models"][0]["images"] == 6 and camera["fx"] == 260.5 and camera["known"]
    assert "taken for resized ones" in about["notes"][0] and not (tmp_path / "out" / "report.html").exists()
    assert sfm(tmp_path / "in", "--out", tmp_path / "out", "--no-report", "--overwrite") == 0
    assert not json.loads((tmp_path / "out" / "sfm.json").read_text())["models"][0]["cameras"][0]["known"]


def test_bad_input(photographs, tmp_path, capsys):
    room = textured.room(0)
    turning = [make_se3(so3_exp(np.array([0, 0.06 * k, 0])), np.array([0, 0, -1.5])) for k in range(3)]
    folders = {"one": [walk(1)[0]], "same": [walk(1)[0]] * 2, "turning": turning}
    for name, poses in folders.items():
        (tmp_path / name).mkdir()
        for n, T in enumerate(poses):
            save(tmp_path / name / f"{n}.png", seen(room, T))
    (tmp_path / "empty").mkdir()
    (tmp_path / "one" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "blank").mkdir()
    for n in range(2):
        save(tmp_path / "blank" / f"{n}.png", np.full((100, 120, 3), 90, np.uint8))
    for arguments, message in (
            (["missing"], "does not exist"), (["empty"], "holds no images"),
            (["one"], "has 1 that can be read: broken.jpg cannot"),
            (["same"], "no two of 2 images could be connected: 0.png shares points with others only without parallax"),
            (["turning"], "without parallax: the camera turned, or did not move"), (["blank"], "it is blank, dark or blurred"),
            (["same", "--pairs", "stereo"], "'stereo'"), (["same", "--weights", "x.pth"], "--weights x.pth"),
            (["same", "--method", "global"], "two_view has none"),
            (["same", "--cache", "c"], "--cache c: pair model two_view has none"),
            (["same", "--pairs", "depth"], "needs the depth of a camera"),
            (["same", "--pairs", "mast3r", "--weights", SMALL], "is a checkpoint of 'lsm_small', not of 'mast3r'"),
            (["same", "--calibration", tmp_path / "no.yaml"], "no.yaml")):
        assert sfm(tmp_path / arguments[0], "--out", tmp_path / "out", *arguments[1:]) == 2
        assert message in capsys.readouterr().err, message
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    assert sfm(photographs, "--out", tmp_path / "out", "--overwrite") == 2
    assert "no result of lsm sfm" in capsys.readouterr().err


def test_a_full_disk_leaves_what_was_there(photographs, result, monkeypatch, capsys):
    before = {p: p.read_bytes() for p in result.rglob("*") if p.is_file()}

    def full(*_args, **_keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lsm_ros.commands.sfm_output.write_ply", full)
    assert sfm(photographs, "--out", result, "--overwrite") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in result.rglob("*") if p.is_file()} == before
    assert [p.name for p in result.parent.iterdir()] == ["result"]


def test_a_real_limit_of_the_files_leaves_what_was_there(photographs, result):
    """As a full disk: the system refuses to write more than 40 kB, in a process of its own."""
    before = {p: p.read_bytes() for p in result.rglob("*") if p.is_file()}
    code = ("import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); from lsm_ros import cli; "
            "sys.exit(cli.main(sys.argv[1:]))")
    for command in (["sfm", str(photographs), "--sequential", "1"], ["map", str(photographs), "--poses", str(result)]):
        out = result if command[0] == "sfm" else result.parent / "map"
        done = subprocess.run([sys.executable, "-c", code, *command, "--out", str(out), "--overwrite", "--quiet"],
                              capture_output=True, text=True, timeout=250)
        assert done.returncode == 2 and "File too large" in done.stderr and "intact" in done.stderr, done.stderr
    assert {p: p.read_bytes() for p in result.rglob("*") if p.is_file()} == before
    assert [p.name for p in result.parent.iterdir()] == ["result"]


@pytest.fixture
def network(monkeypatch, tmp_path):
    """A folder of six photographs, and in the place of a network the truth; gives the folder and the poses."""
    monkeypatch.syspath_prepend(str(BENCH))
    import sfm_truth

    camera, poses = textured.CAMERA.resize(128, 96), walk(6)
    views = [textured.see(textured.room(0), T, camera) for T in poses]
    (tmp_path / "photographs").mkdir()
    for n, (image, _) in enumerate(views):
        save(tmp_path / "photographs" / f"{n}.png", np.repeat(image[..., None], 3, 2))
    truth = sfm_truth.TruePairs(np.stack([d for _, d in views]), poses, camera, 0.002, is_metric=True)
    monkeypatch.setattr(sfm_run, "make_pair_model", lambda config: object.__new__(NetworkPairModel))
    monkeypatch.setattr(sfm_run, "NetworkPredictor", lambda model, images, done: truth)
    return tmp_path / "photographs", poses


@pytest.mark.parametrize("option", [["--cache", "c"], ["--retrieval", "r.pth"], ["--sequential", "2"], ["--shared-intrinsics"]])
def test_options_that_global_alignment_does_not_use_are_refused(network, option, tmp_path, capsys):
    arguments = ["--out", tmp_path / "out", "--pairs", "mast3r", "--weights", "any", "--method", "global", *option]
    assert sfm(network[0], *arguments) == 2
    assert f"{option[0]} has no effect with --method global" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", ["sparse", "global"])
def test_networks_write_dense_views_which_become_a_map(network, method, tmp_path):
    folder, poses = network
    out = tmp_path / "out"
    assert sfm(folder, "--out", out, "--pairs", "mast3r", "--weights", "any", "--method", method) == 0
    turn, shift = pose_errors(np.stack([p.T_map_rig for p in read_tum(out / "trajectory.tum")]), poses)
    assert turn < 3 and shift < 0.06
    assert len(list((out / "dense").iterdir())) == 6 and not (tmp_path / "out.cache").exists()
    about = json.loads((out / "sfm.json").read_text())
    assert about["models"][0]["is_metric"] == (method == "sparse")
    assert len(read_ply(out / "map.ply").points) > 5 * about["models"][0]["points"]
    assert cli.main(["map", str(folder), "--poses", str(out), "--out", str(tmp_path / "map"), "--quiet"]) == 0
    assert len(read_ply(tmp_path / "map" / "map.ply").points) > 200
    about = json.loads((tmp_path / "map" / "posed.json").read_text())
    assert about["fused"] == 6 and about["is_metric"] == (method == "sparse")
    saved = json.loads((tmp_path / "map" / "saved_map" / "map.json").read_text())
    assert len(saved["keyframes"]) == 6 and saved["scale"]["is_metric"] == (method == "sparse")


def test_an_interrupted_run_keeps_its_pairs_and_goes_on(network, tmp_path, monkeypatch, capsys):
    folder, poses = network
    truth = sfm_run.NetworkPredictor(None, None, None)
    calls, predict = [], truth.predict

    def interrupted(i, j):
        calls.append((i, j))
        if len(calls) == 10:
            raise KeyboardInterrupt
        return predict(i, j)

    monkeypatch.setattr(truth, "predict", interrupted)
    arguments = [folder, "--out", tmp_path / "out", "--pairs", "mast3r", "--weights", "any", "--no-report"]
    assert sfm(*arguments) == 130 and "interrupted" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and len(list((tmp_path / "out.cache").glob("pair_*.npz"))) == 9
    assert sfm(*arguments, "--shared-intrinsics", "--sequential", 1) == 2
    assert "unfinished run with other images, weights or options" in capsys.readouterr().err
    assert sfm(*arguments) == 0 and len(calls) == 10 + 15 - 9
    assert not (tmp_path / "out.cache").exists()
    turn, shift = pose_errors(np.stack([p.T_map_rig for p in read_tum(tmp_path / "out" / "trajectory.tum")]), poses)
    assert turn < 2 and shift < 0.04


def test_photographs_at_their_cameras_become_a_map(photographs, result, tmp_path, capsys):
    out = tmp_path / "map"
    arguments = ["map", str(photographs), "--poses", str(result), "--out", str(out), "--quiet"]
    assert cli.main(arguments) == 0
    about = json.loads((out / "posed.json").read_text())
    assert about["images"] == 8 and about["fused"] >= 5 and about["voxels"] > 500
    assert all(":" in line for line in about["without_depth"])
    found = read_ply(out / "map.ply").points
    points = read_ply(result / "map.ply").points
    near = [np.linalg.norm(points - p, axis=1).min() for p in found[::20]]
    assert np.median(near) < 0.25  # where the points of the model are
    fused, given = (read_tum(folder / "trajectory.tum")[3].T_map_rig for folder in (out, result))
    assert np.allclose(fused, given, atol=1e-5)
    assert about["pair_model"] == "two_view" and not about["is_metric"]
    (tmp_path / "more").mkdir()
    steps = np.arange(4.0, 5.6, 0.08)
    for n, s in enumerate(steps):
        save(tmp_path / "more" / f"{n:02d}.png", seen(textured.room(0), walk_at(s)))
    assert cli.main(["map", str(tmp_path / "more"), "--map", str(out), "--out", str(tmp_path / "on"), "--pairs", "two_view",
                     "--no-report", "--quiet"]) == 0
    went_on = read_tum(tmp_path / "on" / "trajectory.tum")
    assert len(went_on) >= 14 and "could not be joined" not in capsys.readouterr().out
    both = np.stack([p.T_map_rig for p in read_tum(result / "trajectory.tum")] + [p.T_map_rig for p in went_on])
    turn, shift = pose_errors(both, np.concatenate([walk(8), [walk_at(steps[round(p.stamp_ns * 1e-9 * 30)]) for p in went_on]]))
    assert turn < 1.5 and shift < 0.05
    assert cli.main([*arguments, "--map", str(out)]) == 2 and "--poses makes a map of its own" in capsys.readouterr().err
    assert cli.main([*arguments[:-2], str(tmp_path / "no"), "--pairs", "depth", "--quiet"]) == 2
    assert "takes lengths for metres" in capsys.readouterr().err
    assert cli.main(arguments) == 2 and "--overwrite" in capsys.readouterr().err
    assert "without effect" not in capsys.readouterr().out
    assert cli.main([*arguments, "--overwrite", "--set", "pointmap.stride=2", "--set", "two_view.min_confidence=0.31"]) == 0
    assert "warning: settings without effect with pair model 'two_view': pointmap.stride (2)" in capsys.readouterr().out
    (tmp_path / "wrong").mkdir()
    for image in photographs.iterdir():
        save(tmp_path / "wrong" / image.name, np.zeros((50, 60, 3), np.uint8))
    for source, poses, message in ((tmp_path / "wrong", result, "is 60x50, its camera"), (tmp_path, result, "does not exist"),
                                   (photographs, tmp_path, "COLMAP model")):
        assert cli.main(["map", str(source), "--poses", str(poses), "--out", str(tmp_path / "no"), "--quiet"]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--gt", "t.tum"], ["--gt-frame", "rig"], ["--frame", "rig"], ["--no-report"],
                                    ["--source-option", "rate_hz=3"], ["--set", "camera_masks=camera=m.png"]])
def test_options_of_tracking_are_refused_where_cameras_are_given(option, photographs, result, tmp_path, capsys):
    assert cli.main(["map", str(photographs), "--poses", str(result), "--out", str(tmp_path / "no"), *option]) == 2
    said = "camera_masks 'camera=m.png' has no effect with --poses" if option[0] == "--set" else f"{option[0]} "
    assert said in capsys.readouterr().err and not (tmp_path / "no").exists()
