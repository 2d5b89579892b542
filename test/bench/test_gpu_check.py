# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The check for machines with a GPU, on one without: parts that fail, hang, or are skipped, and what is left of them."""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
HERE = {"gpu": None}


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import gpu_check

    monkeypatch.setattr(gpu_check, "GRACE_SECONDS", 0.5)
    return gpu_check


@pytest.fixture
def results(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import gpu_check_results

    return gpu_check_results


def code(text):
    return "-c", text


def test_it_goes_on_after_failures_and_keeps_to_the_limits(check, tmp_path, capsys):
    child = tmp_path / "child"
    slow = ("import subprocess, sys, time\n"
            "p = subprocess.Popen([sys.executable, '-c', 'import signal, time\\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\ntime.sleep(100)'])\n"
            f"open({str(child)!r}, 'w').write(str(p.pid))\nprint('waiting', flush=True)\ntime.sleep(100)")
    parts = [check.Part("bad", 20, code("print('what was wrong'); raise SystemExit(5)")),
             check.Part("slow", 2.0, code(slow)),
             check.Part("gpu", 20, code("print('never')"), needs_gpu=True),
             check.Part("empty", 20, code("pass"), read=lambda: check.gpu_check_results.measured(tmp_path / "none.json")),
             check.Part("good", 20, code("print('done')"), read=lambda: {"milliseconds": 1.5})]
    start = time.monotonic()
    assert check.run_all(parts, tmp_path, HERE, 60) == 1
    assert time.monotonic() - start < 30
    summary = json.loads((tmp_path / "summary.json").read_text())
    found = summary["parts"]
    assert {name: r["status"] for name, r in found.items()} == {
        "bad": "failed: exit status 5", "slow": "failed: took longer than 2 s", "gpu": "skipped: no CUDA GPU",
        "empty": "failed: it wrote no figures", "good": "passed"}
    assert 2 <= found["slow"]["seconds"] < 10 and found["slow"]["log_tail"] == ["waiting"]
    assert found["bad"]["log_tail"] == ["what was wrong"] and (tmp_path / "good.log").read_text() == "done\n"
    assert found["good"]["results"] == {"milliseconds": 1.5} and summary["machine"] == HERE
    state = Path(f"/proc/{child.read_text()}/stat")  # what it started has ended too, though it would not be asked
    assert not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    table = capsys.readouterr().out.strip().splitlines()[-6:]
    assert table[0].split() == ["part", "seconds", "status"] and [line.split()[0] for line in table[1:]] == list(found)
    assert table[2].endswith("failed: took longer than 2 s")


def test_no_part_begins_when_the_time_is_over(check, tmp_path):
    parts = [check.Part("one", 50, code("import time; time.sleep(50)")), check.Part("two", 50, code("pass"))]
    assert check.run_all(parts, tmp_path, HERE, 2) == 1
    found = json.loads((tmp_path / "summary.json").read_text())["parts"]
    assert found["one"]["status"].startswith("failed: took longer than 1 s")
    assert found["two"] == {"status": "failed: no time was left", "seconds": 0.0}


def test_exit_status(check, tmp_path):
    good, gpu = check.Part("good", 20, code("pass")), check.Part("gpu", 20, code("pass"), needs_gpu=True)
    assert check.run_all([good], tmp_path, HERE, 30) == 0
    assert check.run_all([good, gpu], tmp_path, HERE, 30) == 3
    assert check.run_all([good, gpu], tmp_path, {"gpu": "H200"}, 30) == 0


@pytest.mark.parametrize("gpu", [True, False])
def test_parts_fit_into_nine_minutes_and_are_there(check, tmp_path, gpu):
    parts = check.parts_for(gpu, tmp_path, tmp_path)
    assert [p.name for p in parts] == ["tests", "fusion", "networks", "renderer", "training", "solvers"]
    assert sum(p.seconds for p in parts) + check._MACHINE_SECONDS <= check.TOTAL_SECONDS == 540
    scripts = [p.command[0] for p in parts if p.command[0] != "-m"]
    assert len(scripts) == 4 and all((BENCH.parent / s).is_file() for s in scripts)
    from lsm_ros.training.config import load_train_config

    config = load_train_config(tmp_path / "training.yaml")
    assert config.data.batch == (48 if gpu else 4)
    assert next(p.seconds for p in parts if p.name == "training") - 20 > check._TRAINING_MINUTES * 60


def test_the_script_from_a_bare_copy_with_hardly_any_time(tmp_path):
    env = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")}
    done = subprocess.run([str(BENCH / "gpu_check.sh"), str(tmp_path / "out"), "--only", "solvers", "tests", "--seconds", "6"],
                          capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["gpu", "driver", "cuda", "torch", "cupy"]
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert json.loads((tmp_path / "out" / "machine.json").read_text()) == found["machine"]
    assert found["parts"]["solvers"]["status"].startswith("failed: ") and lines[-1].startswith("solvers")
    wrong = subprocess.run([str(BENCH / "gpu_check.sh"), str(tmp_path / "out"), "--only", "none"], capture_output=True,
                           text=True, env=env)
    assert wrong.returncode == 2 and "unknown part none; there are tests, fusion" in wrong.stderr


@pytest.mark.slow
def test_the_solvers_are_measured(check, tmp_path):
    assert check.main([str(tmp_path), "--only", "solvers"]) == 0
    figures = json.loads((tmp_path / "solvers.json").read_text())
    assert len(figures) == 4
    for name, r in figures.items():  # both find the same minimum, by the peer's residuals
        assert r["here_cost"] == pytest.approx(r["peer_cost"], rel=1e-3) and r["here_cost"] < 0.1 * r["start_cost"], name


def test_a_machine_that_does_not_answer(check):
    assert check.gpu_check_machine.described(0.01) == {"gpu": None, "error": "the machine was not described within 0 s"}


def junit(path, *cases):
    rows = "".join(f'<testcase classname="test.a" name="{name}">{inner}</testcase>' for name, inner in cases)
    path.write_text(f"<testsuites><testsuite>{rows}</testsuite></testsuites>")
    return path


def test_results_of_the_tests(results, tmp_path):
    data = ("old", '<skipped message="the sequence shared/data is not here"/>')
    bad = ("bad", '<failure message="1 != 2"/>')
    found = results.tests(junit(tmp_path / "a.xml", ("good", ""), bad, data))
    assert (found["passed"], found["failed"], found["skipped"]) == (1, 1, 1) and found["failures"] == ["test.a.bad"]
    assert "1 passed, 1 failed, 1 skipped" in results.remark({"results": found})
    with pytest.raises(ValueError, match="1 tests found no GPU: CuPy is not installed"):
        results.tests(junit(tmp_path / "a.xml", ("good", ""), ("cupy", '<skipped message="CuPy is not installed"/>')))
    with pytest.raises(ValueError, match="no test ran"):
        results.tests(junit(tmp_path / "a.xml", data))
    with pytest.raises(ValueError, match="did not end"):
        results.tests(tmp_path / "none.xml")


def test_results_of_a_training(results, tmp_path):
    path = tmp_path / "log.jsonl"

    def log(*losses):
        path.write_text("".join(json.dumps({"step": 5 * i + 5, "loss": v, "pairs_per_s": 100.0 + i}) + "\n"
                                for i, v in enumerate(losses)))
        return path

    found = results.training(log(5.0, 4.0, 3.0, 3.5, 2.0, 1.0))
    assert found == {"steps": 30, "first_loss": 5.0, "last_loss": 1.0, "pairs_per_s": 103.0}
    for losses, why in (((1.0, 2.0), "did not fall"), ((1.0, float("nan")), "no number"), ((1.0,), "did not fall")):
        with pytest.raises(ValueError, match=why):
            results.training(log(*losses))
    with pytest.raises(ValueError, match="no step"):
        results.training(tmp_path / "none.jsonl")


def test_figures_of_a_bench(results, tmp_path):
    path = tmp_path / "bench.json"
    path.write_text('{"a": {"ms": 1.0, "load": [1, 2]}, "b": "cuda"}')
    assert results.measured(path)["a"]["ms"] == 1.0
    path.write_text('{"a": {"ms": NaN}}')
    with pytest.raises(ValueError, match="a/ms in bench.json is no number"):
        results.measured(path)
