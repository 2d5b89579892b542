# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Present warnings, by name, each until it is over."""
from __future__ import annotations


class Warnings:
    """Texts by name. Each part of the pipeline says and ends its own."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def say(self, name: str, text: str) -> None:
        """Sets a warning; it stays until `over` or `clear`."""
        self._texts[name] = text

    def over(self, name: str) -> None:
        """Ends a warning, if there is one."""
        self._texts.pop(name, None)

    def clear(self) -> None:
        """Ends all."""
        self._texts.clear()

    def get(self, name: str) -> str | None:
        """The text of a warning, None where there is none."""
        return self._texts.get(name)

    @property
    def texts(self) -> tuple[str, ...]:
        """All, in the order in which they came."""
        return tuple(self._texts.values())
