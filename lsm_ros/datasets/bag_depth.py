# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Registration of depth to images in a bag: by frame_id first, then by names."""
from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lsm_ros.datasets.bag_storage import Topic
from lsm_ros.datasets.base import WarningLog

IMAGE = "sensor_msgs/msg/Image"
_REGISTERED = re.compile(r"aligned|registered")
_FRAME, _NAMESPACE, _NAME = range(3)  # what says that a depth belongs to an image, the surest first


@dataclass(frozen=True)
class Candidate:
    """A topic of images; kind: 'color', 'depth' or 'labels'; frame_id: of its first message."""

    topic: Topic
    kind: str
    frame_id: str

    @property
    def name(self) -> str:
        """Name of the topic."""
        return self.topic.name


def base_topic(topic: str) -> str:
    """A topic without image_transport's suffix."""
    return re.sub(r"/(compressed|compressedDepth)$", "", topic)


def namespace(topic: str) -> str:
    """All but the last part of a topic's name, without image_transport's suffix."""
    return base_topic(topic).rsplit("/", 1)[0]


def pair_depth(images: Sequence[Candidate], candidates: Sequence[Candidate], log: WarningLog) -> dict[str, str]:
    """The depth topic of each image topic that has one; no depth goes to two images. What is left out, and what only its name
    speaks for, is logged."""
    claims: dict[str, list[tuple[int, int, bool, str, Candidate]]] = {}
    depths = [c for c in candidates if c.kind == "depth"]
    for depth in depths:
        found = [(why, -shared(image.name, depth.name), i) for i, image in enumerate(images)
                 if (why := _reason(image, depth, images, candidates)) is not None]
        if found:
            why, prefix, i = min(found)
            claims.setdefault(images[i].name, []).append((why, prefix, depth.topic.msgtype != IMAGE, depth.name, depth))
    best = {name: min(claim, key=lambda c: c[:4]) for name, claim in claims.items()}
    taken = {base_topic(claim[3]) for claim in best.values()}
    for image in images:
        why, *_, chosen = best.get(image.name, (_FRAME, image))
        if why != _FRAME and chosen.frame_id and image.frame_id:
            log.add(f"depth {chosen.name} is taken for {image.name} by its name: it is in frame {chosen.frame_id!r}, the image "
                    f"in {image.frame_id!r}")
    for depth in depths:
        if base_topic(depth.name) not in taken:
            near = max(images, key=lambda image: shared(image.name, depth.name))
            log.add(f"depth {depth.name} is left out: it is in frame {depth.frame_id!r}, not registered to {near.name} in "
                    f"frame {near.frame_id!r}; record the aligned depth, or give depth_topic to take it as it is")
    return {name: claim[3] for name, claim in best.items()}


def shared(a: str, b: str) -> int:
    """Number of characters that the namespaces of two topics share from their start."""
    return len(os.path.commonprefix([namespace(a) + "/", namespace(b) + "/"]))


def _reason(image: Candidate, depth: Candidate, images: Sequence[Candidate], candidates: Sequence[Candidate]) -> int | None:
    """The sign that a depth is registered to an image; None if there is none, or if its frame is that of another image."""
    if depth.frame_id and depth.frame_id == image.frame_id:
        return _FRAME
    if depth.frame_id in {c.frame_id for c in candidates if c.kind == "color" and c.frame_id}:
        return None
    if namespace(depth.name) == namespace(image.name):
        return _NAMESPACE
    is_same_device = len(images) == 1 or depth.name.split("/")[1] == image.name.split("/")[1]
    return _NAME if _REGISTERED.search(depth.name) and is_same_device else None
