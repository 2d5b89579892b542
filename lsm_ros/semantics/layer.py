# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The semantic layer of a map: source of the language features, and names of the labels."""
from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lsm_ros.config import Config
from lsm_ros.models.known import LANGUAGE_FILE
from lsm_ros.pairs.base import PairModel
from lsm_ros.reading import reading
from lsm_ros.semantics.classes import read_classes
from lsm_ros.semantics.segmenters import make_segmenter
from lsm_ros.semantics.shared import SharedLanguage
from lsm_ros.types import UNLABELLED, Frame, LabelSpace, NameVectors

if TYPE_CHECKING:
    from lsm_ros.semantics.describing import Describer
    from lsm_ros.semantics.language import Language


class Reports(Protocol):
    """Takes warnings by name."""

    def say(self, name: str, text: str) -> None:
        """Sets a warning; it stays until something ends it."""


@dataclass(frozen=True)
class SavedSemantics:
    """Semantics of a saved map; fields as of `SemanticLayer`."""

    language: Language | None
    observed: LabelSpace | None
    chosen: LabelSpace | None


class SemanticLayer:
    """Features, names and queries of one map. warnings: those of the pipeline, by name.

    `observed`: names that frames brought with their labels; `chosen`: names set by a user; `decoded`: those that features
    are decoded into. `classes`: what is known of classes. `shared`: the part that other threads may use. ValueError,
    FileNotFoundError or ImportError for weights or names that cannot be used.
    """

    def __init__(self, config: Config, model: PairModel, warnings: Reports) -> None:
        self._config, self._warnings = config, warnings
        self._describer: Describer | None = None
        self.shared = SharedLanguage()
        self.classes = read_classes(config.semantics.classes)
        self.observed: LabelSpace | None = None
        self.chosen: LabelSpace | None = None
        self.decoded: LabelSpace | None = None
        self.names: NameVectors | None = None
        self._set_up(model)
        self._makes_features = self.language is not None
        self._configured = self._configured_space()
        self._segmenter = make_segmenter(config)
        if self._segmenter is not None:
            self.observed = self._segmenter.label_space
        self._decode()

    def _set_up(self, model: PairModel) -> None:
        wanted, gives_features = self._config.semantics, model.has_language
        model.with_features = gives_features and wanted.features != "never"
        if wanted.features == "never" or (not gives_features and wanted.features == "auto"):
            return
        from lsm_ros.semantics.language import language_of

        if gives_features:
            self.shared.language = language_of(model)
            return
        from lsm_ros.semantics.describing import Describer

        self._describer = Describer.load(wanted.weights, self._config.pairs.precision)
        self.shared.language = language_of(self._describer)

    def reads(self, name: str) -> bool:
        """True for a parameter that the segmenter, or the network that describes keyframes, uses."""
        return (self._segmenter is not None and name in self._segmenter.reads) or (
            self._describer is not None and name in ("semantics.weights", "pairs.precision"))

    @property
    def language(self) -> Language | None:
        """The meaning of the features in the map, None without any."""
        return self.shared.language

    def _configured_space(self) -> LabelSpace | None:
        if not self._config.semantics.label_space:
            return None
        from lsm_ros.semantics.label_spaces import find_label_space

        return find_label_space(self._config.semantics.label_space)

    # features

    def labelled(self, frame: Frame) -> Frame:
        """A keyframe's frame with the labels of the segmenter, where there is one and the camera brought none."""
        if self._segmenter is None or frame.labels is not None:
            return frame
        labels = unmasked_labels(self._segmenter.segment(frame), frame)
        return replace(frame, labels=labels, label_space=self._segmenter.label_space)

    def segmented(self, frame: Frame) -> tuple[np.ndarray, np.ndarray] | None:
        """Labels (H, W) uint16 of the segmenter and their probability (H, W) float32; None without one."""
        if self._segmenter is None:
            return None
        labels, probability = self._segmenter.with_probability(frame)
        probability = probability if frame.mask is None else np.where(frame.mask, np.float32(0), probability)
        return unmasked_labels(labels, frame), probability

    def describe(self, frame: Frame) -> np.ndarray | None:
        """Features of a keyframe's image, as an `Observation` has them, where the pair model gives none but some are wanted."""
        return None if self._describer is None else self._describer.describe(frame)

    def restart(self) -> None:
        """A new map begins: its images have nothing to do with those before. Names stay as they are."""
        if self._describer is not None:
            self._describer.clear()
        self._decode()

    # names

    @property
    def label_space(self) -> LabelSpace | None:
        """Names of all labels that the map may show."""
        if self.decoded is None or self.observed is None:
            return self.observed or self.decoded
        return LabelSpace({**self.decoded.names, **self.observed.names}, self.observed.threshold)

    def observe(self, space: LabelSpace) -> None:
        """Frames have labels with these names. Ids that change their names are reported; features are decoded into the names of
        frames, unless others were set that agree with them."""
        before = self.observed
        if before is not None and space != before:
            changed = [i for i, n in space.names.items() if before.names.get(i, n) != n]
            if changed:
                i = changed[0]
                self._warnings.say("labels", f"{len(changed)} label ids changed their names (first: {i} from "
                                             f"{before.names[i]!r} to {space.names[i]!r}); voxels keep their ids")
            space = LabelSpace({**before.names, **space.names}, space.threshold)
        if space == before:
            return
        self.observed = space
        self._decode()

    def choose(self, space: LabelSpace | None) -> None:
        """Decodes features into these names from now on; None: into those of the configuration. Without a map that changes
        nothing yet. ValueError for names that cannot be used, or where frames call an id something else; ImportError when
        they need the text encoder and it is missing. Nothing has changed then."""
        from lsm_ros.semantics.label_spaces import check_space

        self.shared.speaking()
        if space is not None:
            check_space(space, "label names")
            conflict = _conflict(space, self.observed)
            if conflict is not None:
                odd, name = conflict
                raise ValueError(f"label id {odd} is {name!r} in the labels of the cameras, and cannot be {space.names[odd]!r}")
            self.shared.learn(space)
        self.chosen = space
        self._decode()

    def apply(self, config: Config) -> None:
        """Takes over what may change at run time."""
        self._config = config
        if self._segmenter is not None:
            self._segmenter.apply(config)
        self._decode()

    def _decode(self) -> None:
        """Chooses the names that features are decoded into."""
        if self.language is None:
            self.decoded, self.names = None, None
            return
        space = self.chosen or self._configured
        conflict = None if space is None else _conflict(space, self.observed)
        if conflict is not None:
            odd, name = conflict
            self._warnings.say("names", f"label id {odd} is {name!r} in the labels of the cameras: "
                                        "features are decoded into those names, not into the ones that were set")
            space = None
        if space is None:
            space = self.observed or self.language.trained_space
        try:
            self.names = self.language.names(space, self._config.semantics.min_similarity)
        except (ImportError, ValueError) as error:
            if space is self._configured:
                raise
            self.decoded, self.names = None, None
            self._warnings.say("names", f"features stay without labels: {error}")
            return
        self.decoded = space

    # on disk

    def save(self, folder: Path, with_features: bool) -> dict[str, Any]:
        """Description of the semantics for a saved map, as plain values; the language goes into a file beside it."""
        meta: dict[str, Any] = {"label_space": None, "chosen_space": None}
        for key, space in (("label_space", self.observed), ("chosen_space", self.chosen)):
            if space is not None:
                meta[key] = {"names": space.names, "threshold": space.threshold}
        if with_features and self.language is not None:
            self.language.write(folder / LANGUAGE_FILE)
            meta["language"] = self.language.digest
        return meta

    def of_saved(self, file: Path, meta: dict[str, Any]) -> SavedSemantics:
        """Reads the result of `save`, which stands in `file` of a saved map, so that it can be adopted. ValueError for what
        it did not give, and when the map's features cannot be compared with those that are made now; FileNotFoundError
        when their language is missing."""
        with reading(file):
            observed, chosen = (_space(meta.get(k)) for k in ("label_space", "chosen_space"))
        saved = SavedSemantics(self._saved_language(file.parent, meta.get("language")), observed, chosen)
        if saved.language is not None and self._configured is not None:
            saved.language.names(self._configured, self._config.semantics.min_similarity)
        return saved

    def _saved_language(self, folder: Path, saved: str | None) -> Language | None:
        """The language of a saved map, or the one in use: also where no features are made, a map that has some can be asked."""
        if saved is None or (self.language is not None and saved == self.language.digest):
            return self.language
        if self._makes_features and self.language is not None:
            raise ValueError(f"the language features of the map in {folder} ({saved}) are of other weights than those in use "
                             f"({self.language.digest})")
        from lsm_ros.semantics.language import read_language

        return read_language(folder / LANGUAGE_FILE)

    def adopt(self, saved: SavedSemantics) -> None:
        """Takes over the language and the names of a saved map."""
        self.shared.language, self.observed, self.chosen = saved.language, saved.observed, saved.chosen
        if self._segmenter is not None:
            self.observe(self._segmenter.label_space)
        self._decode()


def unmasked_labels(labels: np.ndarray, frame: Frame) -> np.ndarray:
    """Labels (H, W) uint16 of a frame, none where its mask is."""
    return labels if frame.mask is None else np.where(frame.mask, np.uint16(UNLABELLED), labels)


def _conflict(space: LabelSpace, observed: LabelSpace | None) -> tuple[int, str] | None:
    """The first id that the labels of frames call something else, and what they call it."""
    from lsm_ros.semantics.label_spaces import plain

    there = {} if observed is None else observed.names
    return next(((i, there[i]) for i, n in sorted(space.names.items()) if i in there and plain(there[i]) != plain(n)), None)


def _space(saved: dict[str, Any] | None) -> LabelSpace | None:
    """The label space that `SemanticLayer.save` gave. ValueError for names or a threshold that are none."""
    if saved is None:
        return None
    names, threshold = saved["names"], float(saved["threshold"])
    if not all(isinstance(n, str) for n in names.values()) or not math.isfinite(threshold):
        raise ValueError(f"a label space of names {str(names)[:80]} and threshold {threshold} is none")
    return LabelSpace({int(i): n for i, n in names.items()}, threshold)
