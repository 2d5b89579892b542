#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
#
# All tests and benches that need a GPU, in at most 9 minutes, from a fresh copy of the tree, without installation, ROS or network:
#
#     bench/gpu_check.sh FOLDER [--only PART ...] [--seconds N]
#
# bench/gpu_check.py says what runs and what it leaves in FOLDER. PYTHON: the interpreter, python3 by default.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
exec "${PYTHON:-python3}" "$root/bench/gpu_check.py" "$@"
