# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Writers of files and folders in this process and in others."""
import os
import signal
import subprocess
import sys
from pathlib import Path

from lsm_ros import files
from lsm_ros.files import replacing_folder

ROOT = Path(__file__).resolve().parents[2]


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def put_folder(target, name):
    with replacing_folder(target) as part:
        (part / name).write_text(name)


def without_exchange(monkeypatch):
    """As on a file system that cannot exchange two names: a folder is taken away before the new one is put there."""
    monkeypatch.setattr(files, "_exchanged", lambda one, other: False)


def child(code, *arguments, **options):
    """A Python process with `code`, whose imports are there; its output is text."""
    head = "import os, sys, time\nfrom pathlib import Path\nfrom lsm_ros import files\ntarget = Path(sys.argv[1])\n"
    return subprocess.Popen([sys.executable, "-c", head + code, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}, **options)


def killed_when_ready(code, target):
    """Runs a child until it prints a line, then kills it, which nothing can catch."""
    process = child(code, target)
    assert process.stdout.readline().strip() == "ready", process.communicate()[1]
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
