# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What `make setup` installs is pinned, with all that it needs in turn, for the Python that has a lock file."""
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
LOCKED = REQUIREMENTS / f"locked-cp{sys.version_info[0]}{sys.version_info[1]}.txt"


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def lines(name):
    texts = (re.split("#| --hash", line)[0].strip() for line in (REQUIREMENTS / name).read_text(encoding="utf-8").splitlines())
    return [Requirement(text) for text in texts if text]


def needed():
    """Names of all that is installed for the requirements; the torch of an index brings what that index wants."""
    todo, found = [(r, frozenset()) for f in ("dev.txt", "ros-jazzy.txt") for r in lines(f)], set()
    while todo:
        requirement, extras = todo.pop()
        wanted = requirement.marker is None or any(requirement.marker.evaluate({**default_environment(), "extra": e})
                                                   for e in extras or {""})
        key = plain(requirement.name), frozenset(requirement.extras)
        if wanted and key not in found:
            found.add(key)
            needs = metadata.distribution(key[0]).requires or () if key[0] != "torch" else ()
            todo += [(Requirement(text), key[1]) for text in needs]
    return {name for name, _ in found}


@pytest.mark.skipif(not LOCKED.is_file(), reason=f"there is no {LOCKED.name}")
def test_everything_is_pinned_and_is_what_is_installed():
    try:
        names = needed()
    except metadata.PackageNotFoundError as error:
        pytest.skip(f"{error} is not installed: not the environment of `make setup` (rclpy)")
    pins = {plain(r.name): str(r.specifier) for f in ("constraints.txt", LOCKED.name) for r in lines(f)}
    assert sorted(names - pins.keys()) == []
    assert all(specifier.startswith("==") for specifier in pins.values())
    off = {n: (pins[n], metadata.version(n)) for n in names - {"torch"} if pins[n] != f"=={metadata.version(n)}"}
    assert off == {}


@pytest.mark.parametrize("file", sorted(REQUIREMENTS.glob("locked-*.txt")), ids=lambda p: p.name)
def test_every_file_has_a_digest_and_the_versions_are_those_of_the_constraints(file):
    """But for torch, whose file is another one on each index."""
    texts = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert texts and all(re.fullmatch(r"\S+==\S+( --hash=sha256:[0-9a-f]{64})+", line) for line in texts)
    locked = {plain(r.name): r.specifier for r in lines(file.name)}
    assert "torch" not in locked and len(locked) == len(texts)
    constrained = {plain(r.name): r.specifier for r in lines("constraints.txt")}
    assert all(locked[name] == constrained[name] for name in locked.keys() & constrained.keys())
    python = {"python_version": "3." + file.stem.removeprefix("locked-cp3")}
    wanted = {plain(r.name) for f in ("ros-jazzy.txt", "no_deps.txt", "dev.txt") for r in lines(f)
              if r.marker is None or r.marker.evaluate(python)}
    assert wanted - {"torch"} <= locked.keys()
