# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Language features as labels: the name whose vector is nearest."""
from __future__ import annotations

import numpy as np

from lsm_ros.types import UNLABELLED, NameVectors

TEMPERATURE = 0.1  # of the softmax over cosines in the training's cross-entropy over all classes
_CHUNK = 65536


def nearest(features: np.ndarray, names: NameVectors) -> tuple[np.ndarray, np.ndarray]:
    """Label (M,) uint16 of features (M, D) of any length, and its probability (M,) float32.

    The name with the largest cosine, the smaller id where two are equal; probability: softmax of cosine / 0.1 over all names.
    Features without length, or unlike every name, are `UNLABELLED` with probability 0. ValueError for another D.
    """
    if features.ndim != 2 or features.shape[1] != names.dim:
        raise ValueError(f"features {features.shape} and names of {names.dim} numbers do not fit")
    labels, probability = np.full(len(features), UNLABELLED, np.uint16), np.zeros(len(features), np.float32)
    vectors = names.vectors.T.astype(np.float64)
    for first in range(0, len(features), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        some = features[chunk].astype(np.float64)
        length = np.sqrt((some**2).sum(1))
        # rounded, so that how many are multiplied at a time, which changes the last bits, decides no tie
        cosine = np.round(some @ vectors / np.maximum(length, 1e-12)[:, None], 9)
        best = cosine.argmax(1)
        top = cosine[np.arange(len(some)), best]
        told = (length > 0) & (top >= names.least)
        share = 1.0 / np.exp((cosine - top[:, None]) / TEMPERATURE).sum(1)
        labels[chunk] = np.where(told, names.ids[best], np.uint16(UNLABELLED))
        probability[chunk] = np.where(told, share, 0.0)
    return labels, probability
