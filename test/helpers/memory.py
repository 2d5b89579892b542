# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""How much memory a piece of code takes, measured in a process of its own."""
import json
import subprocess
import sys
import textwrap


def refused_within(imports: str, setting: str, calls: list[str], megabytes: float = 300.0) -> list[str]:
    """Runs `imports` in a new process, then `setting`, then each of `calls`; returns the texts of the ValueErrors that these
    raise. AssertionError if one raises none, or if all of it takes more memory than so many megabytes beyond the imports."""
    program = "\n".join([
        "import json, resource", textwrap.dedent(imports).strip(), "idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss",
        textwrap.dedent(setting).strip(), "texts = []", f"for call in {calls!r}:", "    try:", "        exec(call)",
        "    except ValueError as error:", "        texts.append(str(error))",
        "taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle) / 1e3", "print(json.dumps([taken, texts]))"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    taken, texts = json.loads(done.stdout.strip().split("\n")[-1])
    assert len(texts) == len(calls), f"of {calls} only these were refused: {texts}"
    assert taken < megabytes, f"{taken} MB were taken: {texts}"
    return texts
