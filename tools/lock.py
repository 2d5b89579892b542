#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Lock file of the Python that runs this: requirements/locked-cp3XX.txt, each version with the digest of its file.

`python3.12 tools/lock.py`: pip chooses within requirements/constraints.txt and installs nothing. Versions in the lock files of
other Pythons are kept where they exist for this one.
"""
import json
import re
import sys
import tempfile
from pathlib import Path

from setup_env import ROOT, Setup, SetupError, run

REQUIREMENTS = ROOT / "requirements"
HEADER = """\
# All that `make setup` installs for Python 3.{minor} on x86-64 Linux, with the digest of each file (tools/setup_env.py, pip
# --require-hashes --no-deps). torch, and the packages that only it needs, are left out: torch is another file on each index.
# Made by tools/lock.py.
"""


def plain(name: str) -> str:
    """Name of a package as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lines_of(*reports: Path) -> list[str]:
    """`name==version --hash=...` of all that pip reports to install; ValueError for a file without a digest."""
    found = {}
    for report in reports:
        for item in json.loads(report.read_text(encoding="utf-8"))["install"]:
            name, version = item["metadata"]["name"], item["metadata"]["version"]
            digest = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
            if digest is None:
                raise ValueError(f"{name} {version} has no SHA-256: {item['download_info'].get('url')}")
            found[plain(name)] = f"{plain(name)}=={version} --hash=sha256:{digest}"
    return sorted(found.values())


def resolve(folder: Path, kept: list[Path]) -> list[str]:
    """The lines of the lock file, with the versions of the lock files `kept`. SetupError with the end of pip's log."""
    setup = Setup(folder / "venv", folder, symlink=True)
    setup.create_venv()
    wanted = folder / "wanted.txt"
    wanted.write_text("".join(f"{line}\n" for line in (REQUIREMENTS / "dev.txt").read_text(encoding="utf-8").splitlines()
                              if line.strip() != "torch"), encoding="utf-8")
    versions = folder / "versions.txt"
    versions.write_text("".join(re.sub(r" --hash=\S+", "", p.read_text(encoding="utf-8")) for p in kept), encoding="utf-8")
    pip = [str(setup.python), "-m", "pip", "install", "--disable-pip-version-check", "--dry-run", "--ignore-installed",
           "-c", str(REQUIREMENTS / "constraints.txt"), "-c", str(versions)]
    reports = folder / "all.json", folder / "alone.json"
    run([*pip, "--report", str(reports[0]), "-r", str(REQUIREMENTS / "ros-jazzy.txt"), "-r", str(wanted)], folder / "pip.log")
    run([*pip, "--report", str(reports[1]), "--no-deps", "-r", str(REQUIREMENTS / "no_deps.txt")], folder / "pip_alone.log")
    return lines_of(*reports)


def main() -> int:
    minor = sys.version_info[1]
    target = REQUIREMENTS / f"locked-cp3{minor}.txt"
    with tempfile.TemporaryDirectory() as folder:
        try:
            try:
                lines = resolve(Path(folder), [p for p in REQUIREMENTS.glob("locked-*.txt") if p != target][:1])
            except SetupError as error:  # a version that does not exist for this Python
                print(f"lock: versions of another Python do not do: {str(error).splitlines()[-2]}", file=sys.stderr)
                lines = resolve(Path(folder), [])
        except (SetupError, ValueError) as error:
            print(f"\nlock: {error}", file=sys.stderr)
            return 1
    target.write_text(HEADER.format(minor=minor) + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{target}: {len(lines)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
