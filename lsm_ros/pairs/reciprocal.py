# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Matches between dense descriptors: fast reciprocal nearest neighbours (MASt3R, Leroy et al., ECCV 2024, section 3.3)."""
from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

ITERATIONS = 10
BLOCK = 8192
Hop = Callable[[torch.Tensor], torch.Tensor]  # from pixels of an image to the most similar ones of the other


def nearest(queries: torch.Tensor, candidates: torch.Tensor, *, distance: str = "dot", block: int = BLOCK) -> torch.Tensor:
    """(N,) int64: for each of queries (N, D) the best of candidates (M, D), the first among equals.

    distance 'dot': largest inner product; 'l2': least Euclidean distance. At most block x block of them are held at once.
    """
    if distance not in ("dot", "l2"):
        raise ValueError(f"distance {distance!r} is neither 'dot' nor 'l2'")
    if not len(candidates):
        raise ValueError("there are no candidates to search")
    found = []
    for q in queries.split(block):
        best = index = torch.zeros(0)
        for start in range(0, len(candidates), block):
            part = candidates[start:start + block]
            # argmax promises nothing about ties on a GPU; the first of the largest is found by the values
            score = q @ part.T if distance == "dot" else -torch.cdist(q, part)
            value, at = score.max(1)
            if score.is_cuda:
                at = (score == value[:, None]).to(torch.int8).argmax(1)
            if not start:
                best, index = value, at + start
            else:
                better = value > best
                best, index = torch.where(better, value, best), torch.where(better, at + start, index)
        found.append(index)
    return torch.cat(found)


def reciprocal_matches(desc1: torch.Tensor, desc2: torch.Tensor, stride: int = 8, *, start_xy: torch.Tensor | None = None,
                       pixel_tolerance: float = 0.0, distance: str = "dot", block: int = BLOCK
                       ) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels (N, 2) of image 1 and of image 2, as (x, y), that are each other's nearest neighbours.

    desc1 (H, W, D), desc2 (H', W', D) on one device. Each pixel of a grid of `stride` hops to its nearest neighbour and
    back until it returns to where it was; at most 10 round trips. Pairs are unique, sorted by pixel of image 1, then of
    image 2. start_xy (N, 2): these pixels instead of a grid, one round trip, kept when they return to less than
    pixel_tolerance away (exactly when it is 0). ValueError when shapes do not fit.
    """
    if desc1.ndim != 3 or desc2.ndim != 3 or desc1.shape[2] != desc2.shape[2]:
        raise ValueError(f"expected descriptors (H, W, D) of one length, got {tuple(desc1.shape)} and {tuple(desc2.shape)}")
    if stride < 1:
        raise ValueError(f"stride must be at least 1, got {stride}")
    (height1, width1), width2 = desc1.shape[:2], desc2.shape[1]
    if start_xy is not None:
        whole = start_xy.ndim == 2 and start_xy.shape[1] == 2 and not start_xy.is_floating_point()
        limit = torch.tensor([width1, height1], device=start_xy.device)
        if not whole or bool(((start_xy < 0) | (start_xy >= limit)).any()):
            raise ValueError(f"start_xy: expected whole pixels (N, 2) as (x, y) in an image of {width1}x{height1}, got "
                             f"{start_xy.dtype} {tuple(start_xy.shape)}")
    flat1, flat2 = desc1.flatten(0, 1), desc2.flatten(0, 1)

    def forth(i: torch.Tensor) -> torch.Tensor:
        return nearest(flat1[i], flat2, distance=distance, block=block)

    def back(i: torch.Tensor) -> torch.Tensor:
        return nearest(flat2[i], flat1, distance=distance, block=block)

    if start_xy is not None or pixel_tolerance > 0:
        start = _grid(desc1, stride) if start_xy is None else (start_xy[:, 1] * width1 + start_xy[:, 0]).unique()
        there = forth(start)
        again = back(there)
        moved = (_xy(again, width1) - _xy(start, width1)).double().norm(dim=1)
        keep = moved < pixel_tolerance if pixel_tolerance > 0 else again == start
        first, second = start[keep], there[keep]
    else:
        first, second = converged(_grid(desc1, stride), forth, back)
    pairs = torch.stack([first, second], 1).unique(dim=0)
    return _xy(pairs[:, 0], width1), _xy(pairs[:, 1], width2)


def converged(start: torch.Tensor, forth: Hop, back: Hop) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels of both images, (N,) flat indices, where hops from `start` in image 1 came to rest."""
    here = start
    there = torch.full_like(here, -1)
    active = torch.ones_like(here, dtype=torch.bool)
    done = torch.zeros_like(active)
    for _ in range(ITERATIONS):
        target = forth(here[active])
        index = active.nonzero()[:, 0]
        settled = target == there[index]  # image 2's pixel did not move, so image 1's will not either
        there[index] = target
        done[index[settled]] = True
        index = index[~settled]
        origin = back(there[index])
        returned = origin == here[index]
        here[index] = origin
        done[index[returned]] = True
        active = ~done
        if not bool(active.any()):
            break
    return here[done], there[done]


def _grid(desc: torch.Tensor, stride: int) -> torch.Tensor:
    height, width = desc.shape[:2]
    y, x = (torch.arange(min(stride // 2, n), n, stride, device=desc.device) for n in (height, width))
    return (y[:, None] * width + x[None]).flatten()


def _xy(index: torch.Tensor, width: int) -> torch.Tensor:
    return torch.stack([index % width, index // width], 1)


def attraction_basin(desc1: torch.Tensor, desc2: torch.Tensor, stride: int = 8, *, distance: str = "dot"
                     ) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
    """`reciprocal_matches`, and where each pixel of image 1 that was visited hops to: (H * W + 1,) int32, -1 elsewhere."""
    hops = torch.full((desc1.shape[0] * desc1.shape[1] + 1,), -1, dtype=torch.int32, device=desc1.device)
    flat1, flat2 = desc1.flatten(0, 1), desc2.flatten(0, 1)
    here = _grid(desc1, stride)
    for _ in range(ITERATIONS):
        origin = nearest(flat2[nearest(flat1[here], flat2, distance=distance)], flat1, distance=distance)
        hops[here] = origin.int()
        here = origin[origin != here].unique()
        if not len(here):
            break
    return reciprocal_matches(desc1, desc2, stride, distance=distance), hops


def merge_matches(xy1: torch.Tensor, xy2: torch.Tensor, confidence: torch.Tensor, size1: Sequence[int],
                  size2: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Each pair of pixels once, sorted; its confidence is that of its first occurrence. size: (H, W)."""
    pixels2 = size2[0] * size2[1]
    code = (xy1[:, 1] * size1[1] + xy1[:, 0]) * pixels2 + xy2[:, 1] * size2[1] + xy2[:, 0]
    unique, inverse = code.unique(return_inverse=True)
    first = torch.full_like(unique, len(code)).scatter_reduce(0, inverse, torch.arange(len(code), device=code.device), "amin")
    return xy1[first], xy2[first], confidence[first]


def symmetric_matches(desc: Sequence[torch.Tensor], desc_conf: Sequence[torch.Tensor], stride: int = 8
                      ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixels xy1 (N, 2), xy2 (N, 2) and confidences (N,) from both directions of a pair.

    desc (H, W, D) and desc_conf (H, W) of views 11, 21, 22, 12 (image X in camera Y). The confidence of a match is the
    geometric mean of its two.
    """
    d11, d21, d22, d12 = desc
    q11, q21, q22, q12 = desc_conf
    found = []
    for (a, qa), (b, qb) in (((d11, q11), (d21, q21)), ((d12, q12), (d22, q22))):
        there = reciprocal_matches(a, b, stride)
        back = reciprocal_matches(b, a, stride)
        xy1, xy2 = torch.cat([there[0], back[1]]), torch.cat([there[1], back[0]])
        found.append((xy1, xy2, (qa[xy1[:, 1], xy1[:, 0]] * qb[xy2[:, 1], xy2[:, 0]]).sqrt()))
    xy1, xy2, confidence = (torch.cat(parts) for parts in zip(*found, strict=True))
    return merge_matches(xy1, xy2, confidence, d11.shape[:2], d21.shape[:2])


def pair_matches(desc1: torch.Tensor, desc2: torch.Tensor, conf1: torch.Tensor, conf2: torch.Tensor, stride: int = 8
                 ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """As `symmetric_matches`, from one direction of a pair; the confidence of a match is the smaller of its two."""
    there, back = reciprocal_matches(desc1, desc2, stride), reciprocal_matches(desc2, desc1, stride)
    xy1, xy2 = torch.cat([there[0], back[1]]), torch.cat([there[1], back[0]])
    confidence = torch.minimum(conf1[xy1[:, 1], xy1[:, 0]], conf2[xy2[:, 1], xy2[:, 0]])
    return merge_matches(xy1, xy2, confidence, desc1.shape[:2], desc2.shape[:2])
