# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Watch over parts of the map that were tied together without a prior: what the camera sees must be what each of them promises.

A part is a run of keyframes that were tracked one after the other; it is named by its first one. Where the camera, tracked in
the newest part, contradicts an older one, either the newest is tied to the wrong place, or, if other parts confirm it, that
older one is.
"""
from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence

from lsm_ros.pairs.agreement import Agreement
from lsm_ros.slam.trackers.base import Contradiction
from lsm_ros.slam.trackers.whole_image import confirms, refutation

EVERY_NS = 200_000_000
WINDOW_NS = 1_000_000_000
LEAST_CHECKS = 3  # that contradict, or confirm, within the window


class Watch:
    """Agreement of frames with the parts of the older map over the last second."""

    def __init__(self) -> None:
        self._checks: deque[tuple[int, int, Agreement]] = deque()  # time, part
        self._looked_ns: int | None = None

    def is_due(self, stamp_ns: int) -> bool:
        """True if a frame of this time should be compared."""
        if self._looked_ns is not None and 0 <= stamp_ns - self._looked_ns < EVERY_NS:
            return False
        self._looked_ns = stamp_ns
        return True

    def forget(self) -> None:
        """Parts have come or gone."""
        self._checks.clear()

    def add(self, stamp_ns: int, found: Mapping[int, Agreement], bounds: Sequence[int]) -> Contradiction | None:
        """Takes what a frame was compared to, by part; returns the part that is wrong, if one is. bounds: first keyframes of
        the parts but the oldest, ascending; the frame is in the last one. One frame alone contradicts nothing: somebody may
        have walked by."""
        self._checks += [(stamp_ns, part, agreement) for part, agreement in found.items()]
        while self._checks and not 0 <= stamp_ns - self._checks[0][0] <= WINDOW_NS:
            self._checks.popleft()
        for part, newest in found.items():
            reason = self._against(part) if refutation(newest) else ""
            if reason:
                held = any(self._confirmed(other) for other in {p for _, p, _ in self._checks} - {part})
                wrong = part if held and part in bounds else bounds[-1]
                after = bounds[bisect_right(bounds, wrong):]
                return Contradiction(wrong, after[0] if after else None, reason)
        return None

    def _against(self, part: int) -> str:
        """Why a part contradicts the frames of the last second, or ''."""
        checks = [a for _, p, a in self._checks if p == part]
        total = Agreement()
        for each in checks:
            total += each
        return refutation(total) if sum(bool(refutation(a)) for a in checks) >= LEAST_CHECKS else ""

    def _confirmed(self, part: int) -> bool:
        """True if a part agrees with the frames of the last second."""
        checks = [a for _, p, a in self._checks if p == part]
        return sum(bool(a.seen) and confirms(a) for a in checks) >= LEAST_CHECKS
