# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Progress bars of the commands."""
from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

DELAY_S = 0.01


def progress_bar(items: Iterable[Any] | None = None, **options: Any) -> Any:
    """Bar of tqdm on stderr, with tqdm's options. It appears with its first step: of a run that ends before in an error, the
    error is the only line."""
    from tqdm import tqdm

    return tqdm(items, file=sys.stderr, delay=DELAY_S, **options)
