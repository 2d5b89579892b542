# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Outputs of networks that segment images, as a class and its probability for each pixel."""
from __future__ import annotations

import cv2
import numpy as np

LOGITS, PROBABILITIES, IDS, MASKS = "logits", "probabilities", "ids", "masks"
OUTPUTS = (LOGITS, PROBABILITIES, IDS, MASKS)
MEANINGS = ("logits (a number for each class, before a softmax), probabilities (after it), ids (of the class), masks (queries: "
            "their classes, the last of which is none, and their masks, both before softmax and sigmoid)")


def softmax(values: np.ndarray, axis: int) -> np.ndarray:
    """Shares of `values` along an axis, float32."""
    shares = np.exp(values.astype(np.float32) - values.max(axis, keepdims=True))
    return shares / shares.sum(axis, keepdims=True)


def class_scores(kind: str, outputs: list[np.ndarray], count: int, channels_first: bool) -> np.ndarray:
    """Probabilities (C, h, w) float32 of C = `count` classes. channels_first: where both sides could be the classes, the first
    is. ValueError for outputs that are not of this kind."""
    if kind == MASKS:
        return _of_masks(outputs, count)
    values = _plain(outputs[0], 3)
    is_first, is_last = values.shape[0] == count, values.shape[2] == count
    if not (is_first or is_last):
        raise ValueError(f"the output {outputs[0].shape} has no side of {count}, as many as there are names")
    if not is_first or (is_last and not channels_first):
        values = values.transpose(2, 0, 1)
    return softmax(values, 0) if kind == LOGITS else values.astype(np.float32)


def _plain(array: np.ndarray, dimensions: int) -> np.ndarray:
    """The only element of a batch. ValueError for more of them, or for values that are no numbers."""
    if array.ndim != dimensions + 1 or array.shape[0] != 1:
        raise ValueError(f"an output {array.shape} is not that of one image, which has {dimensions + 1} sides, the first of 1")
    if not np.isfinite(array).all():
        raise ValueError("the output has values that are no numbers; if the model runs in half precision, use single precision")
    return array[0]


def _of_masks(outputs: list[np.ndarray], count: int) -> np.ndarray:
    """Scores as of MaskFormer (Cheng et al. 2021, section 3.4): the sum over queries of class times mask."""
    classes = next((o for o in outputs if o.ndim == 3), None)
    masks = next((o for o in outputs if o.ndim == 4), None)
    if classes is None or masks is None or classes.shape[1] != masks.shape[1] or classes.shape[2] != count + 1:
        raise ValueError(f"masks need outputs (1, Q, {count + 1}) and (1, Q, h, w), got {[o.shape for o in outputs]}")
    shares = softmax(_plain(classes, 2), 1)[:, :-1]
    scores = np.tensordot(shares.T, 1 / (1 + np.exp(-np.clip(_plain(masks, 3).astype(np.float32), -60, 60))), 1)
    return scores / np.maximum(scores.sum(0), 1)


def best_class(scores: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Number (H, W) int64 of the most probable class of each pixel of an image, and its probability (H, W) float32, from
    scores (C, h, w) of the image at another size. Classes that are nowhere the best are left out, which costs little of
    the borders and saves most of the time with hundreds of classes."""
    there = np.unique(scores.argmax(0))
    sized = np.stack([cv2.resize(scores[i], (width, height), interpolation=cv2.INTER_LINEAR) for i in there])
    best = sized.argmax(0)
    return there[best], np.take_along_axis(sized, best[None], 0)[0]


def ids_of(output: np.ndarray, height: int, width: int) -> np.ndarray:
    """Class ids (H, W) int64 of an image from those of another size. ValueError for an output that is none."""
    ids = output.reshape([n for n in output.shape if n != 1])
    if ids.ndim != 2 or not np.array_equal(ids, np.rint(ids)):
        raise ValueError(f"the output {output.shape} {output.dtype} is no image of class ids")
    rows = (np.arange(height) * ids.shape[0] + ids.shape[0] // 2) // height
    columns = (np.arange(width) * ids.shape[1] + ids.shape[1] // 2) // width
    return ids[np.minimum(rows, ids.shape[0] - 1)[:, None], np.minimum(columns, ids.shape[1] - 1)].astype(np.int64)
