# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The pages say what is true of the sources: files, modules, functions, parameters and topics that they name exist, links lead
somewhere, and examples run."""
import ast
import importlib
import re
import sys
import types
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lsm_ros.config import Config, check, from_dict, param, walk
from lsm_ros.geometry import se3_inverse
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.registry import PAIR_MODELS
from lsm_sim.source import RoomSource

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "lsm_ros/weights/lsm_small/README.md", *sorted((ROOT / "docs").glob("*.md"))]
MADE_LATER = {"lsm_ros.msg", "lsm_ros.srv"}  # by colcon, from msg/ and srv/
TOP = ("lsm_ros", "lsm_sim", "test", "tools", "bench", "docs", "docker", "config", "launch", "msg", "srv", "underlay",
       "requirements", "scripts")
PLACES = ("", "lsm_ros/", "lsm_sim/", "docs/")
PATH = re.compile(r"(?<![\w./~<-])([A-Za-z_][\w.-]*(?:/[\w.-]+)*/?)")
CODE = re.compile(r"`([^`\n]+)`")
NAME = re.compile(r"(?<![\w/.])((?:lsm_ros|lsm_sim)(?:\.\w+)+)\b(?![.:]\w)")  # not "module:Class" of an example
MESSAGE = re.compile(r"\blsm_ros/(?:msg/|srv/)?([A-Z]\w+)")
BARE_FILE = re.compile(r"(?<![\w./*<~_-])(\w[\w-]*\.\w+)\b(?![./(\w])")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
SUFFIXES = (".py", ".md", ".yaml", ".msg", ".srv", ".c", ".h", ".cu", ".xml", ".rviz", ".sh", ".json", ".txt", ".jpg", ".gif")
WRITTEN = {"report.html", "map.ply", "mesh.ply", "metrics.json", "truth.tum", "trajectory.tum", "keyframes.tum", "online.tum",
           "sfm.json", "posed.json", "objects.json",
           "file.yaml", "camera.yaml", "label_space.yaml", "scene.json", "groundtruth.txt", "odometry.txt", "rgb.txt",
           "depth.txt", "labels.txt", "config.json", "training.json", "vocab.json", "merges.txt"}
"""What commands write, or users bring: named in the pages, not part of the sources."""


def text_of(page: Path) -> str:
    return page.read_text()


def anchor_of(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def is_there(name: str) -> bool:
    """True if a path that a page names exists: from the root, or from one of the folders that pages leave out."""
    return any((ROOT / place / name).exists() for place in PLACES)


def paths_in(page: Path) -> set[str]:
    """Paths in `code` and code blocks that belong to the sources: of a top folder, or of a Python file in a folder."""
    text = text_of(page)
    marked = [*CODE.findall(text), *(body for _, body in FENCE.findall(text))]
    found = {m.group(1) for part in marked for m in PATH.finditer(re.sub(r"\S*[*<]\S*", "", part))}
    return {p for p in found if ("/" in p.rstrip("/") or p.rstrip("/") in TOP) and (p.split("/")[0] in TOP or p.endswith(".py"))
            and not MESSAGE.fullmatch(p) and p not in TOP and "NAME" not in p}


def messages_in(page: Path) -> set[str]:
    """Names of our messages and services, as `lsm_ros/MappingStatus` and `lsm_ros/srv/SetLabels`."""
    return set(MESSAGE.findall(text_of(page)))


@cache
def resolves(name: str) -> bool:
    """True if a dotted name leads to a module, or to an attribute of one."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        module = ".".join(parts[:cut])
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is not None and module.startswith(error.name):
                continue
            # it needs what is not installed here: the file is there, or the file of the class
            return any((ROOT / Path(*parts[:n])).with_suffix(".py").is_file() for n in (len(parts), len(parts) - 1))
        for attribute in parts[cut:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_paths_exist(page):
    missing = sorted(p for p in paths_in(page) if not is_there(p))
    assert not missing, f"{page.name} names {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_that_are_named_without_a_folder_exist(page):
    known = {f.name for top in TOP for f in (ROOT / top).rglob("*") if f.is_file()} | {f.name for f in ROOT.iterdir()}
    names = {n for part in CODE.findall(text_of(page)) for n in BARE_FILE.findall(part) if n.endswith(SUFFIXES)}
    assert not names - known - WRITTEN, f"{page.name} names {sorted(names - known - WRITTEN)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_and_what_is_in_them_exist(page):
    names = {n for n in NAME.findall(text_of(page)) if ".".join(n.split(".")[:2]) not in MADE_LATER
             and not n.startswith(("lsm_ros.git", "lsm_ros.egg"))}
    assert not sorted(n for n in names if not resolves(n))


@cache
def defined() -> dict[str, dict[str, set[str]]]:
    """By file of the sources: its functions under "", and the methods and attributes of each class under its name."""
    out: dict[str, dict[str, set[str]]] = {}
    for file in (f for top in ("lsm_ros", "lsm_sim") for f in (ROOT / top).rglob("*.py")):
        here = out[str(file.relative_to(ROOT))] = {"": set()}
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                here[""].add(node.name)
            elif isinstance(node, ast.ClassDef):
                names = {n.name for n in ast.walk(node) if isinstance(n, ast.FunctionDef)}
                names |= {n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
                names |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
                here[node.name] = names
    return out


def unknown_code(code: str, files: list[str]) -> list[str]:
    """What code names as `Class.member` or `function()` and none of the files defines; our messages are no classes."""
    missing = []
    for cls, member in re.findall(r"\b([A-Z]\w*[a-z]\w*)\.(_?[a-z]\w*)", code):
        if member in ("txt", "md", "onnx") or (ROOT / "msg" / f"{cls}.msg").is_file():
            continue
        if not any(member in defined()[f].get(cls, ()) for f in files):
            missing.append(f"{cls}.{member}")
    for name in re.findall(r"(?<![\w.])([a-z_]\w+)\(\)", code):
        if not any(name in names for f in files for names in defined()[f].values()):
            missing.append(f"{name}()")
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_classes_and_functions_exist(page):
    text = re.sub(FENCE, lambda m: m.group(0) if m.group(1) == "mermaid" else "", text_of(page))
    parts = [*CODE.findall(re.sub(FENCE, "", text)), *(body for language, body in FENCE.findall(text) if language == "mermaid")]
    missing = [n for part in parts for n in unknown_code(part, list(defined()))]
    assert not missing, f"{page.name} names {missing}"


def test_architecture_names_the_file_of_each_function():
    """In a row of a table of docs/architecture.md whose second cell names one file, code in the third of three cells (a step,
    its file, its function) or in the first (a name, and where it is defined) is defined in that file."""
    checked = 0
    for line in (ROOT / "docs" / "architecture.md").read_text().splitlines():
        cells = line.strip("| ").split(" | ")
        in_second = [c for c in CODE.findall(cells[1] if len(cells) > 1 else "") if c in defined()]
        if line.startswith("|") and len(in_second) == 1:
            files, names = in_second, CODE.findall(cells[2] if len(cells) == 3 else cells[0])
            missing = [m for n in names for m in unknown_code(n, files)]
            missing += [n for n in names if re.fullmatch(r"[A-Z][A-Za-z]+", n) and n not in defined()[files[0]]]
            assert not missing, f"{missing} in {files[0]}"
            checked += len(names)
    assert checked > 60


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_messages_and_services_exist(page):
    for name in messages_in(page):
        assert (ROOT / "msg" / f"{name}.msg").is_file() or (ROOT / "srv" / f"{name}.srv").is_file(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(FENCE, "", text_of(page))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        assert place.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = {anchor_of(h) for h in re.findall(r"^#+ (.+)$", place.read_text(), re.M)}
            assert anchor in headings, f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_parameters_exist(page):
    if page.name == "metrics.md":  # its dotted names are keys of metrics.json; it is compared with the code elsewhere
        return
    known = {name for name, _, _ in walk(Config())}
    stages = {name.split(".")[0] for name in known if "." in name}
    named = {n for part in CODE.findall(text_of(page)) for n in re.findall(r"(?<![\w./-])([a-z_]+\.[a-z_]+)(?![\w./(])", part)
             if n.split(".")[0] in stages and not n.endswith((*SUFFIXES, ".tum"))}
    attributes = {n for n in named if n not in known and resolves(f"lsm_ros.{n}")}
    assert not named - known - attributes, f"{page.name} names {sorted(named - known - attributes)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_topics_and_services_are_offered(page):
    sources = "".join(f.read_text() for f in (ROOT / "lsm_ros" / "ros").rglob("*.py"))
    for name in set(re.findall(r"~/([a-z_]+)\b(?!/)", re.sub(FENCE, "", text_of(page)))) - {"lsm"}:
        assert f'"~/{name}"' in sources, f"{page.name} names ~/{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_code_compiles(page):
    for language, body in FENCE.findall(text_of(page)):
        if language == "python":
            ast.parse(body, filename=page.name)


def classes_of(page: str) -> dict[str, str]:
    """The Python blocks of a page that define a class, by its name."""
    blocks = [body for language, body in FENCE.findall(text_of(ROOT / "docs" / page)) if language == "python"]
    return {m.group(1): b for b in blocks if (m := re.search(r"^class (\w+)", b, re.M))}


def made(name: str) -> type:
    """The class of docs/extending.md, run."""
    space: dict = {"__name__": "added"}
    exec(compile(classes_of("extending.md")[name], "extending.md", "exec"), space)
    return space[name]


@pytest.mark.parametrize(("constant", "name"), [("NETWORK", "Pocket"), ("TRACKER", "OdometryTracker"), ("SOURCE", "NpzSource"),
                                                ("SEGMENTER", "BrightSegmenter")])
def test_examples_are_those_that_run(constant, name):
    """test_extending.py runs them through the pipeline or the command line."""
    assert classes_of("extending.md")[name] == getattr(importlib.import_module("test_extending"), constant).lstrip("\n")


def test_every_example_with_a_class_is_run_somewhere():
    assert set(classes_of("extending.md")) == {"Pocket", "OdometryTracker", "NpzSource", "BrightSegmenter", "OrbDepth",
                                               "Travelled"}


def test_the_pair_model_of_the_page_regains_a_pose(monkeypatch):
    model = made("OrbDepth")
    monkeypatch.setitem(sys.modules, "added_orb", types.SimpleNamespace(OrbDepth=model))
    monkeypatch.setitem(PAIR_MODELS, "orb_depth", "added_orb:OrbDepth")
    room = RoomSource(seed=1, frames=40, width=160, height=120)
    pipeline = MappingPipeline(from_dict({"pairs.model": "orb_depth", "fusion.voxel_size": 0.1}))
    for i in (0, 1, 2):
        pipeline.process(room.frame_set(i))
    pipeline.tracker.progress.lose("for the test")
    update = pipeline.process(replace(room.frame_set(3), T_odom_base=None))
    assert type(pipeline.model) is model and update.tracking.T_map_rig is not None
    moved = se3_inverse(room.ground_truth[0].T_map_rig) @ room.ground_truth[3].T_map_rig
    found = se3_inverse(pipeline.trajectory()[0].T_map_rig) @ update.tracking.T_map_rig
    assert np.allclose(found[:3, 3], moved[:3, 3], atol=0.05)


def test_the_topic_of_the_page_publishes():
    pytest.importorskip("std_msgs.msg")
    sent = []

    class Node:
        def create_publisher(self, kind, topic, depth):
            assert topic == "~/travelled"
            return types.SimpleNamespace(publish=lambda message: sent.append(message.data))

    topic, there = made("Travelled")(Node()), np.eye(4)
    there[:3, 3] = (0.0, 3.0, 4.0)
    for T in (np.eye(4), there, np.eye(4)):
        topic.pose(T)
    assert sent == [0.0, 5.0, 10.0]


def test_the_parameter_of_the_page_is_one():
    line = next(b for _, b in FENCE.findall(text_of(ROOT / "docs" / "extending.md")) if b.startswith("patience"))
    space = {"param": param, "dataclass": dataclass}
    exec("@dataclass(frozen=True)\nclass Stage:\n    " + line, space)
    check("patience", fields(space["Stage"])[0], 3.0)
    with pytest.raises(ValueError, match="patience: 0.0 is outside 0.1 to 60.0 s"):
        check("patience", fields(space["Stage"])[0], 0.0)


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "index.md").read_text()
    assert not [p.name for p in (ROOT / "docs").glob("*.md") if p.name != "index.md" and f"({p.name})" not in index]


def test_the_checks_find_what_is_wrong(tmp_path):
    """Each rule above fails on a page that breaks it."""
    page = tmp_path / "page.md"
    page.write_text("`lsm_ros/slam/nowhere.py`, `slam/nowhere.py`, `nowhere.py`, `fusion.no_such`, lsm_ros.geometry.nowhere, "
                    "`Tracker.nowhere`, `no_such()`, lsm_ros/NoMessage, ~/nowhere, [a link](nowhere.md)\n"
                    "```python\nclass A(\n```\n")
    for rule in (test_paths_exist, test_files_that_are_named_without_a_folder_exist, test_modules_and_what_is_in_them_exist,
                 test_messages_and_services_exist, test_links_lead_somewhere, test_parameters_exist,
                 test_topics_and_services_are_offered, test_classes_and_functions_exist):
        with pytest.raises(AssertionError):
            rule(page)
    with pytest.raises(SyntaxError):
        test_code_compiles(page)
    assert paths_in(page) == {"lsm_ros/slam/nowhere.py", "slam/nowhere.py"}
