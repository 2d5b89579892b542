# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Assignment of the topics of a bag to cameras: colours, depth, labels and calibration."""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lsm_ros.datasets.bag_depth import IMAGE, Candidate, base_topic, namespace, pair_depth
from lsm_ros.datasets.bag_storage import Topic
from lsm_ros.datasets.bagfile import BagFile

COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, LABEL_INFO = "sensor_msgs/msg/CameraInfo", "vision_msgs/msg/LabelInfo"
_LEAVES = ("image_rect_color", "image_rect", "image_color", "image", "image_raw")
_LABEL_NAMES = re.compile(r"label|semantic|segment|class|mask")
_INFRARED = re.compile(r"infra|(^|/)ir(/|$)")
_MADE = re.compile(r"debug|dbg|overlay|visuali|annotat|detect|yolo|colou?rmap|heat_?map|result|(^|/)depth(/|$)")
_LABELS_MADE = re.compile(r"(^|[/_])(labels?|semantics?|segment(s|ed|ation)?|masks?)([/_]|$)")


@dataclass(frozen=True)
class CameraTopics:
    """Topics of one camera; a missing one is ''. frame_id: of its images, the optical frame."""

    camera: str
    image: str
    frame_id: str
    depth: str = ""
    labels: str = ""
    camera_info: str = ""
    label_info: str = ""

    @property
    def rectified(self) -> bool:
        """True if its images are free of distortion, by the name of the topic."""
        return "_rect" in leaf(self.image)

    def as_dict(self) -> dict[str, str]:
        """Topics by role, without those that are missing."""
        roles = ("image", "depth", "labels", "camera_info", "label_info")
        return {role: getattr(self, role) for role in roles if getattr(self, role)}


def choose_topics(bag: BagFile, image_topic: str | Sequence[str] | None = None,
                  depth_topic: str | Sequence[str] | None = None, labels_topic: str | Sequence[str] | None = None,
                  camera_info_topic: str | Sequence[str] | None = None) -> list[CameraTopics]:
    """Cameras of a bag, named or found by types, encodings and names.

    Each option is a topic, or one for each camera in the order of image_topic ('' for none). ValueError, with the
    topics that there are, if a named one is missing or if there are no images.
    """
    named = [_as_list(x) for x in (image_topic, depth_topic, labels_topic, camera_info_topic)]
    known = {t.name for t in bag.topics}
    for topic in (t for topics in named for t in topics):
        if topic and topic not in known:
            raise ValueError(f"bag {bag.path} has no topic {topic!r}; it has {describe(bag)}")
    if not any(t.count for t in bag.topics):
        raise ValueError(f"bag {bag.path} is empty: no messages in {len(bag.topics)} topics")
    candidates = _candidates(bag)
    images = [c for t in named[0] for c in candidates if c.topic.name == t] or _find_images(bag, candidates)
    if not images:
        raise ValueError(f"bag {bag.path} holds no camera images; it has {describe(bag)}")
    for topics, name in zip(named[1:], ("depth_topic", "labels_topic", "camera_info_topic"), strict=True):
        if len(topics) > len(images):
            raise ValueError(f"{name} names {len(topics)} topics for {len(images)} cameras")
    depth = {} if named[1] else pair_depth(images, candidates, bag.log)
    cameras = [_camera(bag, image, i, images, candidates, named, depth) for i, image in enumerate(images)]
    for c in candidates:
        if c.kind == "labels" and base_topic(c.name) not in {base_topic(camera.labels) for camera in cameras}:
            bag.log.add(f"labels {c.name} are left out: they are not beside the images of one camera; labels_topic names them")
    return cameras


def describe(bag: BagFile) -> str:
    """The topics of a bag in one line."""
    return ", ".join(f"{t.name} ({t.msgtype.split('/')[-1]}, {t.count})" for t in bag.topics) or "no topics"


def leaf(topic: str) -> str:
    """Last part of a topic's name, without image_transport's suffix."""
    return base_topic(topic).rsplit("/", 1)[-1]


def _as_list(value: str | Sequence[str] | None) -> list[str]:
    if not value:
        return []
    return [v.strip() for v in value.split(",")] if isinstance(value, str) else list(value)


def _candidates(bag: BagFile) -> list[Candidate]:
    out = []
    for topic in bag.topics:
        if topic.msgtype not in (IMAGE, COMPRESSED) or topic.count == 0:
            continue
        message = first_message(bag, topic.name)
        if message is not None:
            out.append(Candidate(topic, _kind(topic, message), message.header.frame_id.lstrip("/")))
    return out


def first_message(bag: BagFile, topic: str) -> Any | None:
    """The first message of a topic that parses, or None."""
    messages = bag.messages([topic])
    found = next(messages, None)
    messages.close()  # type: ignore[attr-defined]
    return None if found is None else found[2]


def _kind(topic: Topic, message: Any) -> str:
    encoding = message.encoding if topic.msgtype == IMAGE else message.format
    name = base_topic(topic.name).lower()
    if _LABEL_NAMES.search(name) and not re.match(r"rgb|bgr|32FC1|jpe?g|bayer|yuv", encoding):
        return "labels"
    if encoding in ("16UC1", "32FC1") or "compressedDepth" in topic.name + encoding:
        return "depth"
    if re.match(r"16UC1|32FC1", encoding) or ("depth" in leaf(name) and encoding in ("mono16", "png")):
        return "depth"
    return "color"


def _find_images(bag: BagFile, candidates: list[Candidate]) -> list[Candidate]:
    """The best colour topic of each camera; infrared and pictures for people only where there is nothing else. What is left out
    is logged."""
    colors = [c for c in candidates if c.kind == "color"]
    reasons = {c.name: _no_camera(bag, c, colors) for c in colors}
    if all(reasons.values()):
        reasons = {name: "infrared" if why == "infrared" and not all(w == why for w in reasons.values()) else ""
                   for name, why in reasons.items()}
    best: dict[str, Candidate] = {}
    frames: dict[str, Candidate] = {}
    for c in sorted(colors, key=lambda c: (not _has_info(bag, c), _rank(c.name), c.topic.msgtype != IMAGE, c.name)):
        if reasons[c.name] or namespace(c.name) in best:
            continue
        first = frames.setdefault(c.frame_id, c)
        if first is not c and c.frame_id:
            reasons[c.name] = f"it is in frame {c.frame_id!r} as {first.name}, where there can be one camera"
        else:
            best[namespace(c.name)] = c
    for name, why in reasons.items():
        if why:
            bag.log.add(f"image {name} is left out: {why}; image_topic names the topics to take")
    order = [c.name for c in candidates]
    return sorted(best.values(), key=lambda c: order.index(c.name))


def _no_camera(bag: BagFile, picture: Candidate, colors: list[Candidate]) -> str:
    """Why a topic is not taken for that of a camera, where there are others; else ''."""
    name = picture.name.lower()
    if _INFRARED.search(name):
        return "infrared"
    if _has_info(bag, picture):
        return ""
    if _MADE.search(name) or _LABELS_MADE.search(name):
        return "by its name it is a picture made for people, and it has no camera_info"
    others = [c for c in colors if c is not picture]
    if not picture.frame_id and any(c.frame_id for c in others):
        return "it names no frame and has no camera_info"
    if any(c.frame_id == picture.frame_id and namespace(c.name) != namespace(name) and _has_info(bag, c) for c in others):
        return f"it has no camera_info, and another image is in its frame {picture.frame_id!r}"
    return ""


def _has_info(bag: BagFile, image: Candidate) -> bool:
    return bool(_find_beside(bag, CAMERA_INFO, f"{namespace(image.name)}/camera_info", False))


def _rank(topic: str) -> int:
    name = leaf(topic)
    return _LEAVES.index(name) if name in _LEAVES else len(_LEAVES)


def _camera(bag: BagFile, image: Candidate, index: int, images: list[Candidate], candidates: list[Candidate],
            named: list[list[str]], depth: dict[str, str]) -> CameraTopics:
    space = namespace(image.topic.name)
    names = [namespace(c.topic.name).strip("/").replace("/", "_") or "camera" for c in images]
    camera = names[index] if names.count(names[index]) == 1 else f"{names[index]}_{index}"
    alone = len(images) == 1
    return CameraTopics(
        camera, image.topic.name, image.frame_id,
        _pick(named[1], index, lambda: depth.get(image.name, "")),
        _pick(named[2], index, lambda: _find_labels(image, candidates, alone)),
        _pick(named[3], index, lambda: _find_beside(bag, CAMERA_INFO, f"{space}/camera_info", alone)),
        _find_beside(bag, LABEL_INFO, f"{space}/label_info", True))


def _pick(topics: list[str], index: int, find: Any) -> str:
    return topics[index] if index < len(topics) else find() if not topics else ""


def _find_labels(image: Candidate, candidates: list[Candidate], alone: bool) -> str:
    space = namespace(image.topic.name)
    found = [(namespace(c.topic.name) != space, c.topic.msgtype != IMAGE, c.topic.name) for c in candidates
             if c.kind == "labels" and (alone or namespace(c.topic.name) == space)]
    return min(found)[2] if found else ""


def _find_beside(bag: BagFile, msgtype: str, expected: str, alone: bool) -> str:
    topics = [t.name for t in bag.topics if t.msgtype == msgtype and t.count]
    if expected in topics:
        return expected
    return topics[0] if alone and len(topics) == 1 else ""
