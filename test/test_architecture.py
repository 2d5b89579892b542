# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The house: who may import whom, without circles, in files and functions that fit a screen or a few, in plain words."""
import ast
import re
import subprocess
import sys
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("lsm_ros", "lsm_sim")
FILES = sorted(f for package in PACKAGES for f in (ROOT / package).rglob("*.py"))
EVERYTHING = sorted({*FILES, *(f for d in ("test", "bench", "tools", "launch", "docker") for f in (ROOT / d).rglob("*.py"))})
MOST_LINES, MOST_FUNCTION_LINES = 400, 80
ROS = {"rclpy", "sensor_msgs", "geometry_msgs", "nav_msgs", "nav2_msgs", "std_msgs", "std_srvs", "tf2_ros", "tf2_msgs",
       "vision_msgs", "diagnostic_msgs", "lifecycle_msgs", "rosgraph_msgs", "builtin_interfaces", "rcl_interfaces",
       "visualization_msgs"}
NETWORKS = {"croco", "dust3r", "mast3r", "lsm_small", "two_view"}

# Plain words: a docstring begins with a verb or a noun, and a message "says", a figure "was measured", a file is "corrupted".
WORDED = sorted({*FILES, *(f for d in ("bench", "tools") for f in (ROOT / d).rglob("*.py"))})
OLD_OPENING = re.compile(r"(what|whether|who|which|how|where)\b", re.IGNORECASE)
OLD_WORDS = re.compile(r"\b(told|tells|spoilt|spoiled)\b", re.IGNORECASE)
# Places below lsm_ros whose words are still to be changed; each leaves the list when that is done.
NOT_YET_WORDED = ()

# What each place may import of lsm_ros, besides itself. Places are folders or files below lsm_ros.
BASE = {"types", "geometry", "config", "parameters", "files", "reading", "registry", "threads", "memory"}
ALLOWED = {
    "registry": set(),
    "files": set(),
    "reading": set(),
    "threads": set(),
    "memory": set(),
    "geometry": set(),
    "live": set(),
    "parameters": set(),
    "config_semantics": {"parameters", "registry"},
    "config": {"parameters", "config_semantics", "registry", "reading"},
    "types": {"geometry"},
    "images": BASE,
    "datasets": BASE | {"images", "live"},
    "models": BASE,
    "pairs": BASE | {"models"},
    "slam": BASE | {"models", "pairs"},
    "semantics": BASE | {"models", "pairs", "datasets"},
    "fusion": BASE,
    "sfm": BASE | {"models", "pairs", "slam"},
    "mapping": BASE | {"models", "pairs", "slam", "semantics", "fusion", "datasets"},
    "pipeline": {"mapping"},
    "evaluation": BASE | {"images", "datasets", "fusion"},
    "training": BASE | {"images", "datasets", "models", "pairs", "semantics", "lsm_sim"},
    "ros": BASE | {"images", "datasets", "live", "semantics", "fusion", "mapping", "pipeline", "msg", "srv"},
    "demo": None,  # both may use all that is below them
    "commands": None,
    "cli": {"commands"},
    "lsm_sim": BASE | {"images", "datasets"},
}


def module_of(file: Path) -> str:
    """Dotted name of a source file."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(f): f for f in FILES}


@cache
def imports(file: Path) -> frozenset[str]:
    """Names that a file imports anywhere, also inside of functions; submodules that are named are resolved."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{file} has a relative import"
            names |= {f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in MODULES else node.module for a in node.names}
    return frozenset(names)


@cache
def dynamic_imports(file: Path) -> frozenset[str]:
    """Modules that a file names in a string "module:attribute", as registries do."""
    return frozenset(m for m in re.findall(r'"([\w.]+):\w+"', file.read_text()) if m in MODULES)


def place_of(module: str) -> str:
    """The folder or file of the house that a module belongs to."""
    parts = module.split(".")
    return parts[1] if parts[0] == "lsm_ros" and len(parts) > 1 else parts[0]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_nobody_imports_against_the_direction(file):
    place = place_of(module_of(file))
    ours = {n for n in imports(file) if n.split(".")[0] in PACKAGES}
    places = {place_of(n) for n in ours if n != "lsm_ros"} - {place}
    allowed = ALLOWED.get(place, set()) if place != "lsm_ros" else {"threads"}
    if allowed is not None:
        assert not places - allowed, f"{place} may not import {sorted(places - allowed)}"
    if place not in ("ros", "demo"):
        assert not {n.split(".")[0] for n in imports(file)} & ROS, "ROS belongs in lsm_ros/ros and lsm_ros/demo"


def test_every_place_has_its_rule():
    places = {place_of(module_of(f)) for f in FILES} - {"lsm_ros"}
    assert places == set(ALLOWED) - {"msg", "srv"}


def test_the_directions_hold_transitively():
    """Places reached through others are allowed too, or lie below those that are."""
    reach: dict[str, set[str]] = {}

    def reached(place: str, seen: tuple[str, ...] = ()) -> set[str]:
        assert place not in seen, f"a circle of folders: {' -> '.join([*seen, place])}"
        if place not in reach:
            direct = {place_of(n) for m, f in MODULES.items() if place_of(m) == place for n in imports(f)
                      if n.split(".")[0] in PACKAGES and n != "lsm_ros"} - {place, "msg", "srv"}
            reach[place] = direct.union(*(reached(p, (*seen, place)) for p in direct))
        return reach[place]

    for place in ALLOWED:
        reached(place)
    core = ("pairs", "slam", "semantics", "fusion", "sfm", "models", "images", "datasets")
    for place in core:
        assert not reach[place] & {"ros", "commands", "demo", "training", "lsm_sim", "mapping", "cli"}
    for a in ("slam", "fusion", "semantics"):
        assert not reach[a] & {"slam", "fusion", "semantics"} - {a}
    assert not reach["ros"] & {"commands", "demo", "training", "lsm_sim"}
    assert not reach["mapping"] & {"ros", "commands", "demo", "training", "lsm_sim"}


def test_there_are_no_circles_of_modules():
    """Not even through imports inside of functions. Registries name what is above them, as text: that is how a new entry needs
    no import, and no circle either as long as no module is imported only in order to be found."""
    graph = {m: {n for n in imports(f) if n in MODULES and n != m} for m, f in MODULES.items()}
    state: dict[str, int] = {}

    def visit(module: str, path: list[str]) -> None:
        state[module] = 1
        for other in sorted(graph[module]):
            assert state.get(other) != 1, f"a circle: {' -> '.join([*path, other])}"
            if other not in state:
                visit(other, [*path, other])
        state[module] = 2

    for module in graph:
        if module not in state:
            visit(module, [module])


def test_registries_name_what_exists():
    named = {f: dynamic_imports(f) for f in FILES}
    assert {f.name for f, n in named.items() if n} >= {"registry.py"}
    for text in re.findall(r'"([\w.]+):(\w+)"', (ROOT / "lsm_ros" / "registry.py").read_text()):
        assert text[0] in MODULES and re.search(rf"^(class|def) {text[1]}\b", MODULES[text[0]].read_text(), re.M), text


@pytest.mark.parametrize("file", EVERYTHING, ids=lambda f: str(f.relative_to(ROOT)))
def test_files_and_functions_are_short(file):
    text = file.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno < MOST_FUNCTION_LINES, f"{node.name} in line {node.lineno}"


def old_words_in(file: Path) -> list[str]:
    """Places `line: reason` of a source file with an old opening of a docstring, or an old word in a comment or a string."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        doc = node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else None
        if isinstance(doc, str) and (opening := OLD_OPENING.match(doc.lstrip())):
            found.append(f"{node.lineno}: a docstring begins with {opening[0]}")
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [f"{node.lineno}: a docstring or a string has {word}" for word in OLD_WORDS.findall(node.value)]
    with file.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type == tokenize.COMMENT:
                found += [f"{token.start[0]}: a comment has {word}" for word in OLD_WORDS.findall(token.string)]
    return found


def test_words_are_plain():
    waiting = [ROOT / "lsm_ros" / place for place in NOT_YET_WORDED]
    assert all(place.exists() for place in waiting), "a place of NOT_YET_WORDED does not exist"
    done = [f for f in WORDED if not any(f == place or place in f.parents for place in waiting)]
    assert not [f"{f.relative_to(ROOT)}:{found}" for f in done for found in old_words_in(f)]


@pytest.mark.parametrize(("line", "reason"), [
    ('"""Whether it fits."""', "1: a docstring begins with Whether"),
    ('x = 1\n"""How many at most."""', "2: a docstring begins with How"),
    ("def f():\n    '''\n    What it does.'''", "2: a docstring begins with What"),
    ("x = 1  # as it is told", "1: a comment has told"),
    ('x = f"{x} is spoilt"', "1: a docstring or a string has spoilt"),
    ('"""It tells."""', "1: a docstring or a string has tells"),
])
def test_old_words_are_found(tmp_path, line, reason):
    (tmp_path / "module.py").write_text(line)
    (found,) = old_words_in(tmp_path / "module.py")
    assert found.startswith(reason)


def test_plain_words_are_not_found(tmp_path):
    (tmp_path / "module.py").write_text('"""True if a path is free, whatever else."""\ntold = f"{told} x"\nx = "how many"\n')
    assert old_words_in(tmp_path / "module.py") == []


@pytest.mark.parametrize("file", [f for f in FILES if place_of(module_of(f)) not in ("registry", "models", "commands", "demo")],
                         ids=lambda f: str(f.relative_to(ROOT)))
def test_nobody_asks_for_the_name_or_type_of_a_pair_model(file):
    """Models say what they are by attributes. `PairModel` subclasses are tested for nowhere, names are compared nowhere."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            constants = [e.value for s in sides for e in ast.walk(s) if isinstance(e, ast.Constant)]
            texts = {c for c in constants if isinstance(c, str)}
            assert not texts & NETWORKS, f"line {node.lineno} compares with the name of a model"
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            kinds = {getattr(e, "id", getattr(e, "attr", "")) for e in ast.walk(node.args[1])}
            assert not any(k.endswith("PairModel") for k in kinds), f"line {node.lineno} tests for a kind of pair model"


def test_generated_messages_are_not_shadowed():
    assert not list((ROOT / "lsm_ros").glob("msg*")) and not list((ROOT / "lsm_ros").glob("srv*"))


def test_core_imports_without_ros_gpu_or_open3d():
    core = ["types", "config", "files", "geometry", "images", "live", "pairs", "pairs.depth", "slam.trackers.depth",
            "fusion.voxel_map", "pipeline", "cli"]
    code = (
        "import sys, importlib\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'rclpy', 'sensor_msgs', 'cupy', 'open3d', 'evo', 'rosbags', 'lsm_sim'}:\n"
        "            raise ImportError('blocked: ' + name)\n"
        "sys.meta_path.insert(0, Block())\n"
        f"for n in {core}:\n"
        "    importlib.import_module('lsm_ros.' + n)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
