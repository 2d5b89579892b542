# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""tools/lock.py: lock files of what pip reports that it would install."""
import importlib.util
import json
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="module")
def lock():
    sys.path.insert(0, str(TOOLS))
    try:
        spec = importlib.util.spec_from_file_location("lock", TOOLS / "lock.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(TOOLS))


def report(folder, *packages):
    file = folder / f"{len(list(folder.iterdir()))}.json"
    file.write_text(json.dumps({"install": [
        {"metadata": {"name": name, "version": version},
         "download_info": {"url": "u", "archive_info": {"hashes": {"sha256": digest}} if digest else {}}}
        for name, version, digest in packages]}))
    return file


def test_lines_are_in_order_and_names_as_indexes_have_them(lock, tmp_path):
    reports = report(tmp_path, ("b.B_c", "2", "cd"), ("a", "1", "ab")), report(tmp_path, ("a", "1", "ab"))
    assert lock.lines_of(*reports) == ["a==1 --hash=sha256:ab", "b-b-c==2 --hash=sha256:cd"]


def test_a_file_without_a_digest_is_refused(lock, tmp_path):
    with pytest.raises(ValueError, match="a 1 has no SHA-256"):
        lock.lines_of(report(tmp_path, ("a", "1", None)))


def test_torch_is_asked_for_by_nobody_and_other_locks_are_kept(lock, tmp_path, monkeypatch):
    other = tmp_path / "other.txt"
    other.write_text("# a comment\na==1 --hash=sha256:ab\n")
    asked = []

    def run(command, log):
        asked.append(command)
        if "--report" in command:
            Path(command[command.index("--report") + 1]).write_text('{"install": []}')

    monkeypatch.setattr(lock, "run", run)
    monkeypatch.setattr(lock.Setup, "create_venv", lambda self: None)
    assert lock.resolve(tmp_path, [other]) == []
    assert (tmp_path / "versions.txt").read_text() == "# a comment\na==1\n"
    wanted = (tmp_path / "wanted.txt").read_text().split()
    assert "numpy" in wanted and "torch" not in wanted
    assert all("--dry-run" in c and str(tmp_path / "versions.txt") in c for c in asked) and len(asked) == 2
