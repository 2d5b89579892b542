# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""metadata.yaml of a bag: its notes, and where it differs from the files beside it."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from lsm_ros.datasets.base import WarningLog, read_yaml_mapping


class BagMetadata:
    """Content of metadata.yaml, if it can be read. stamp_offset_ns: see `Source`; is_known: False without the file, or with a
    broken one, which is logged."""

    def __init__(self, bag: Path, log: WarningLog) -> None:
        self._log = log
        self._files: list[str] | None = None
        self._count: int | None = None
        self.stamp_offset_ns = 0
        path = bag / "metadata.yaml"
        if not path.is_file():
            return
        try:
            self._read(read_yaml_mapping(path)["rosbag2_bagfile_information"])
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            log.add("metadata.yaml is damaged and not used", f"{type(error).__name__}: {error}")

    def _read(self, values: dict[str, Any]) -> None:
        count, files = int(values["message_count"]), [PurePath(str(f)).name for f in values["relative_file_paths"]]
        self.stamp_offset_ns = int((values.get("custom_data") or {}).get("stamp_offset_ns", "0"))
        self._count, self._files = count, files

    @property
    def is_known(self) -> bool:
        """True if there is one that can be read."""
        return self._files is not None

    def compare(self, files: Sequence[Path], count: int) -> None:
        """Logs where the files, and the number of messages in them, are others than metadata.yaml says."""
        if self._files is None:
            return
        there = {f.name for f in files}
        there |= {f.with_suffix("").name for f in files if f.name not in self._files}  # it may have been packed afterwards
        packed = {PurePath(name).with_suffix("").name: name for name in self._files}
        missing = [f for f in self._files if f not in there and PurePath(f).with_suffix("").name not in there]
        for name in missing:
            self._log.add("files that metadata.yaml names are missing, with their messages", name)
        for file in files:
            if file.name not in self._files and file.with_suffix("").name not in self._files and file.name not in packed:
                self._log.add("files that metadata.yaml does not name are read, too", file.name)
        if count != self._count and not missing:
            self._log.add(f"metadata.yaml says {self._count} messages, the files hold {count}: the files are believed")
