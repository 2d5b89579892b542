# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Share of a text that an encoder understands."""
from __future__ import annotations

from typing import NamedTuple


class Reading(NamedTuple):
    """Words of a text, those that the vocabulary does not have, and how many of its word pieces count."""

    words: int
    unknown: int
    pieces: int
    taken: int
