# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The language of a map for all threads: texts to vectors while the worker maps."""
from __future__ import annotations

from typing import TYPE_CHECKING

from lsm_ros.types import LabelSpace

if TYPE_CHECKING:
    from lsm_ros.semantics.language import Language, Sentence

NO_LANGUAGE = ("there are no language features: set pairs.model to lsm_small, or semantics.features to 'always' for the other "
               "pair models")


class SharedLanguage:
    """Holds the language that is in use, None without one. Thread-safe: the owner of the map replaces `language` in one step, a
    method works with the one that it finds when it begins, and a `Language` is thread-safe itself."""

    def __init__(self) -> None:
        self.language: Language | None = None

    def speaking(self) -> Language:
        """The language in use. ValueError without one."""
        language = self.language
        if language is None:
            raise ValueError(NO_LANGUAGE)
        return language

    def sentence(self, text: str) -> Sentence:
        """A text as a vector. ValueError or ImportError as of `Language.sentence`."""
        return self.speaking().sentence(text)

    def learn(self, space: LabelSpace) -> None:
        """Computes the vectors of these names ahead, which may load the text encoder. Errors as of `Language.names`."""
        self.speaking().names(space, -1.0)
