# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Probability that a label is right, from the shares of what was seen and the number of views."""
from __future__ import annotations

import numpy as np

RELIABILITY = 0.8
"""Of a single view's label."""
CLASSES = 50
"""Classes that it may be mistaken for, as many as rooms have."""
NEVER = 0.03
"""Share that stays wrong however many views agree, as at borders that are always drawn beside the edge."""
_VOTE = float(np.log(RELIABILITY * (CLASSES - 1) / (1 - RELIABILITY)))


def probability(top: np.ndarray, second: np.ndarray, views: np.ndarray) -> np.ndarray:
    """Probability (N,) float32 of the label with the share `top` (N,) of what was seen, `second` (N,) being the next one's, of
    `views` (N,) observations; 0 where top is 0.

    Each view is a vote that is right with `RELIABILITY` and else any of the other classes; the posterior is a softmax of the
    votes. Views of the same thing err together: n of them count as sqrt(n). These numbers were chosen in rooms with labels that
    were made wrong (bench/meaning.py).
    """
    n = _VOTE * np.sqrt(np.maximum(views, 1)).astype(np.float64)
    top, second = top.astype(np.float64), second.astype(np.float64)
    shares = np.stack([second, np.clip(1 - top - second, 0, second)])  # what is left counts as one more
    rivals = (np.exp(-n * (top - shares)) * (shares > 0)).sum(0)
    unseen = (CLASSES - 1 - (shares > 0).sum(0)) * np.exp(-n * top)
    return np.where(top > 0, (1 - NEVER) / (1 + rivals + unseen), 0.0).astype(np.float32)
