# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Workflow, issue forms and pages for contributors: they parse, and what they name exists."""
import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from lsm_ros import cli

ROOT = Path(__file__).resolve().parents[1]
FORMS = ("bug", "feature", "question")
FIELDS = {"textarea", "input", "dropdown", "checkboxes", "markdown"}


def load(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def workflow():
    return load(".github/workflows/ci.yml")


def commands(job):
    return "\n".join(step.get("run", "") for step in job["steps"])


def test_the_workflow_covers_the_supported_pythons_and_distributions(workflow):
    spec = importlib.util.spec_from_file_location("setup_env", ROOT / "tools" / "setup_env.py")
    setup_env = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup_env)
    jobs = workflow["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == [f"{major}.{minor}" for major, minor in setup_env.SUPPORTED]
    distros = sorted(p.stem.removeprefix("constraints-") for p in (ROOT / "docker").glob("constraints-*.txt"))
    assert jobs["ros"]["strategy"]["matrix"]["distro"] == [d for d in distros if d != "jetson"]
    assert jobs["ros"]["container"] == "ros:${{ matrix.distro }}-ros-base"


def test_the_workflow_calls_what_exists(workflow):
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    called = re.findall(r"^make (?:\w+=\S+ )*([a-z][\w-]*)", commands(workflow["jobs"]["test"]), re.MULTILINE)
    assert "test" in called
    assert set(called) <= targets
    ros = commands(workflow["jobs"]["ros"])
    assert all(words in ros for words in ("rosdep install", "colcon build", "colcon test ", "colcon test-result"))
    files = re.findall(r"-r src/lsm_ros/(\S+)", ros)
    assert files and all((ROOT / file).is_file() for file in files)


def test_the_workflow_starts_by_saying_that_it_has_not_run(workflow):
    assert (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8").startswith("# This workflow has not been run yet")
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML reads the key `on` as true


@pytest.mark.parametrize("name", FORMS)
def test_issue_forms_have_the_shape_of_forms(name):
    form = load(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert set(form) == {"name", "description", "labels", "body"}
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    assert all(field["type"] in FIELDS and field["attributes"]["label"] for field in form["body"])
    assert any(field.get("validations", {}).get("required") for field in form["body"])
    assert "version" in ids


@pytest.mark.parametrize("name", ["bug", "question"])
def test_forms_ask_for_what_answers_need(name):
    text = (ROOT / f".github/ISSUE_TEMPLATE/{name}.yml").read_text(encoding="utf-8")
    assert all(words in text for words in ("lsm --version", "lsm doctor", "ros2 bag info"))


def test_no_form_is_forgotten_here():
    assert {p.stem for p in (ROOT / ".github" / "ISSUE_TEMPLATE").iterdir()} == {*FORMS, "config"}


def test_pre_commit_uses_the_ruff_of_make_lint():
    hooks = {repo["repo"].rsplit("/", 1)[1]: repo for repo in load(".pre-commit-config.yaml")["repos"]}
    constraints = (ROOT / "requirements" / "constraints.txt").read_text(encoding="utf-8")
    pinned = re.search(r"^ruff==(\S+)", constraints, re.MULTILINE)[1]
    assert hooks["ruff-pre-commit"]["rev"] == f"v{pinned}"
    names = {hook["id"] for hook in hooks["pre-commit-hooks"]["hooks"]}
    assert names >= {"end-of-file-fixer", "check-yaml", "check-added-large-files"}


def test_the_changelog_begins_with_what_is_not_released():
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased" and len(headings) == len(set(headings))


def test_the_changelog_names_commands_that_exist():
    line = re.search(r"The command line `lsm`: (.*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))[1]
    named = re.findall(r"`(\w+)`", line)
    assert len(named) > 5
    assert set(named) <= set(cli.COMMANDS)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGELOG.md"])
def test_paths_named_in_pages_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:lsm_ros|lsm_sim|test|tools|config|docker|launch|docs)/[\w./-]*|\w+\.(?:xml|md|toml))`", text)
    assert page == "CHANGELOG.md" or len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []
