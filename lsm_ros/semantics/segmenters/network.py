# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Base of the segmenters that are networks: which class is which label, and from which probability on."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.config import Config
from lsm_ros.models.image_input import NCHW, ImageInput, read_settings
from lsm_ros.semantics.classes import read_classes
from lsm_ros.semantics.label_spaces import find_label_space, plain, space_of
from lsm_ros.semantics.segmenters.base import Segmenter
from lsm_ros.semantics.segmenters.outputs import IDS, MEANINGS, OUTPUTS, best_class, class_scores, ids_of
from lsm_ros.semantics.translation import translation
from lsm_ros.types import UNLABELLED, Frame, LabelSpace

EXAMPLE = "{size: [257, 257], layout: NHWC, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], output: logits, names: voc, " \
          "unlabelled: [background]}"


@dataclass(frozen=True, kw_only=True)
class SegmenterSettings(ImageInput):
    """output: see `MEANINGS`. names: a label space (a name in config/label_spaces, or a YAML file), or the names in the order
    of the classes, or `id: name`. unlabelled: names of classes that mean nothing, as "background" does. ValueError that names
    what is wrong."""

    output: str
    names: Any
    unlabelled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output not in OUTPUTS:
            raise ValueError(f"output must be one of {MEANINGS}; got {self.output!r}")
        _ = self.space  # names that are none are refused now

    @cached_property
    def space(self) -> LabelSpace:
        """The names of the classes."""
        names = self.names
        if isinstance(names, str):
            return find_label_space(names)
        pairs = list(names.items()) if isinstance(names, dict) else list(enumerate(names)) if isinstance(names, tuple) else []
        if not pairs or not all(isinstance(i, int) and isinstance(n, str) for i, n in pairs):
            raise ValueError(f"names must be a label space, a list of names or `id: name`, got {str(names)[:80]}")
        return space_of(pairs)


class NetworkSegmenter(Segmenter):
    """A network that gives each pixel a class. name: as in messages."""

    name = ""

    def _begin(self, config: Config, space: LabelSpace, unlabelled: Sequence[str] = ()) -> None:
        """Names of the classes, in their order, and those that mean nothing. ValueError for one that there is not."""
        names = {plain(n): i for i, n in space.names.items()}
        unknown = [n for n in unlabelled if plain(str(n)) not in names]
        if unknown:
            raise ValueError(f"{self.name}: unlabelled names {unknown[0]!r}, which is none of its names")
        nothing = {names[plain(n)] for n in unlabelled}
        self._ids = np.array(sorted(space.names), np.uint16)
        self.label_space = LabelSpace({i: n for i, n in space.names.items() if i not in nothing})
        shown = {i: i for i in self.label_space.names}
        if config.semantics.segmenter_labels:
            into = translation(self.label_space, config.semantics.segmenter_labels, read_classes(config.semantics.classes))
            self.label_space, shown = into.space, into.ids
        self._shown = np.array([shown.get(i, UNLABELLED) for i in self._ids.tolist()], np.uint16)
        self._least = config.semantics.min_label_probability

    @abstractmethod
    def predict(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class (H, W) int64, its place in the order of the names, of an image (H, W, 3) uint8 RGB; and its probability (H, W)
        float32. ValueError where the network fails or gives something else."""

    def with_probability(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Label ids (H, W) uint16 and their probability (H, W) float32; unknown below `semantics.min_label_probability`."""
        classes, probability = self.predict(frame.image)
        labels = self._shown[classes]
        labels[probability < self._least] = UNLABELLED
        return labels, np.where(labels == UNLABELLED, np.float32(0), probability)

    def segment(self, frame: Frame) -> np.ndarray:
        """Label ids (H, W) uint16."""
        return self.with_probability(frame)[0]


class FileSegmenter(NetworkSegmenter):
    """A network in a file, `semantics.segmenter_model`, with a YAML file of the same name beside it, see `SegmenterSettings`.
    FileNotFoundError, or ValueError for a model that is not as that says."""

    kind = ""

    def __init__(self, config: Config) -> None:
        given = config.semantics.segmenter_model
        path = Path(given).expanduser()
        if not given or not path.is_file():
            raise FileNotFoundError(f"segmenter {self.kind}: there is no file {given!r}; semantics.segmenter_model is the "
                                    f"model (.{self.kind}), with a YAML file of the same name beside it")
        self.name = f"segmenter {path.name}"
        self.settings = read_settings(SegmenterSettings, path.with_suffix(".yaml"), EXAMPLE, MEANINGS)
        self._begin(config, self.settings.space, self.settings.unlabelled)
        self._open(path)
        self.predict(np.zeros((*self.settings.size, 3), np.uint8))  # what does not run is refused now

    @abstractmethod
    def _open(self, path: Path) -> None:
        """Loads the model."""

    @abstractmethod
    def _run(self, x: np.ndarray) -> list[np.ndarray]:
        """All outputs for an input as of `ImageInput.prepare`."""

    def predict(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class and probability of each pixel."""
        outputs, (height, width) = self._run(self.settings.prepare(image)), image.shape[:2]
        try:
            if self.settings.output == IDS:
                return self._places(ids_of(outputs[0], height, width))
            scores = class_scores(self.settings.output, outputs, len(self._ids), self.settings.layout == NCHW)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error
        return best_class(scores, height, width)

    def _places(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Classes of label ids. ValueError for an id without a name."""
        place = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        wrong = self._ids[place] != ids
        if wrong.any():
            raise ValueError(f"it gave label id {int(ids[wrong][0])}, which has no name; its names are those of ids "
                             f"{self._ids[0]} to {self._ids[-1]}")
        return place, np.ones(ids.shape, np.float32)
