# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""History of the transform from one frame to its parent. All times in nanoseconds; 0 stands for "the latest"."""

from bisect import bisect_right
from typing import NamedTuple

from tf2_py.exceptions import ExtrapolationException
from tf2_py.rotation import Rigid, lerp, slerp


class Sample(NamedTuple):
    """Transform T_parent_child at one time."""

    stamp_ns: int
    rigid: Rigid
    parent: str


def seconds_text(stamp_ns: int) -> str:
    """Time as tf2 prints it: seconds with six decimals."""
    return f"{stamp_ns * 1e-9:.6f}"


class TimeCache:
    """Samples of a moving transform, oldest first, of the last `storage_ns` nanoseconds."""

    is_static = False

    def __init__(self, storage_ns: int) -> None:
        self._storage_ns = storage_ns
        self._stamps: list[int] = []
        self._samples: list[Sample] = []

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def latest_ns(self) -> int:
        """Time of the newest sample; 0 if there is none."""
        return self._stamps[-1] if self._stamps else 0

    @property
    def oldest_ns(self) -> int:
        """Time of the oldest sample; 0 if there is none."""
        return self._stamps[0] if self._stamps else 0

    @property
    def latest_parent(self) -> str | None:
        """Parent of the newest sample; None if there is none."""
        return self._samples[-1].parent if self._samples else None

    def insert(self, sample: Sample) -> bool:
        """Store a sample in order of time; False if it is older than the history that is kept."""
        horizon_ns = self.latest_ns - self._storage_ns
        expired = next((i for i, stamp in enumerate(self._stamps) if stamp >= horizon_ns), len(self._stamps))
        del self._stamps[:expired], self._samples[:expired]
        if self._stamps and sample.stamp_ns < horizon_ns:
            return False
        place = bisect_right(self._stamps, sample.stamp_ns)
        same = place
        while same and self._stamps[same - 1] == sample.stamp_ns:
            same -= 1
            if self._samples[same] == sample:  # a repeated broadcast
                return True
        self._stamps.insert(place, sample.stamp_ns)
        self._samples.insert(place, sample)
        return True

    def clear(self) -> None:
        """Forget all samples."""
        self._stamps.clear()
        self._samples.clear()

    def at(self, stamp_ns: int) -> Sample:
        """Sample at a time, interpolated between its neighbours; 0 gives the newest.

        Raises ExtrapolationException outside the stored span, and between one sample and nothing.
        """
        self._check_span(stamp_ns)
        if stamp_ns in (0, self._stamps[-1]):
            return self._samples[-1]
        if stamp_ns == self._stamps[0]:
            return self._samples[0]
        newer_index = bisect_right(self._stamps, stamp_ns)
        older, newer = self._samples[newer_index - 1], self._samples[newer_index]
        if older.stamp_ns == stamp_ns or older.parent != newer.parent:
            return older  # a frame that changed its parent: nothing lies between the two
        ratio = (stamp_ns - older.stamp_ns) / (newer.stamp_ns - older.stamp_ns)
        translation = lerp(older.rigid[0], newer.rigid[0], ratio)
        return Sample(stamp_ns, (translation, slerp(older.rigid[1], newer.rigid[1], ratio)), older.parent)

    def _check_span(self, stamp_ns: int) -> None:
        if not self._samples:
            raise ExtrapolationException(f"Lookup at time {seconds_text(stamp_ns)}, but no data is in the buffer")
        if stamp_ns == 0 or self.oldest_ns <= stamp_ns <= self.latest_ns:
            return
        wanted = seconds_text(stamp_ns)
        if len(self._samples) == 1:
            raise ExtrapolationException(
                f"Lookup would require extrapolation at time {wanted}, "
                f"but only time {seconds_text(self.latest_ns)} is in the buffer"
            )
        if stamp_ns > self.latest_ns:
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the future.  Requested time {wanted} "
                f"but the latest data is at time {seconds_text(self.latest_ns)}"
            )
        raise ExtrapolationException(
            f"Lookup would require extrapolation into the past.  Requested time {wanted} "
            f"but the earliest data is at time {seconds_text(self.oldest_ns)}"
        )


class StaticCache:
    """A transform that holds at all times and outlives `clear`, because /tf_static is sent only once."""

    is_static = True
    latest_ns = 0
    oldest_ns = 0

    def __init__(self) -> None:
        self._sample: Sample | None = None

    def __len__(self) -> int:
        return 1

    @property
    def latest_parent(self) -> str | None:
        """Parent of the transform."""
        return self._sample.parent if self._sample else None

    def insert(self, sample: Sample) -> bool:
        """Replace the transform."""
        self._sample = sample
        return True

    def clear(self) -> None:
        """Keep the transform: it does not depend on time."""

    def at(self, stamp_ns: int) -> Sample:
        """The transform, whatever the time."""
        return self._sample._replace(stamp_ns=stamp_ns)
