# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Sessions: which map is built at the moment, since when the camera is lost, and which epoch the map's coordinates are of."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Session:
    """number: raised when mapping starts anew or goes on after the camera was lost. epoch: raised when coordinates of the map
    from before no longer hold."""

    number: int = 0
    epoch: int = 0
    lost_since_ns: int | None = None

    def found(self) -> None:
        """The camera has a pose."""
        self.lost_since_ns = None

    def is_lost_for(self, stamp_ns: int, patience_s: float) -> bool:
        """True once the camera was lost for `patience_s` at `stamp_ns`. Time that goes back starts the wait anew."""
        if self.lost_since_ns is None or stamp_ns < self.lost_since_ns:
            self.lost_since_ns = stamp_ns
        return (stamp_ns - self.lost_since_ns) * 1e-9 >= patience_s

    def begin(self) -> None:
        """A new map starts."""
        self.number += 1
        self.epoch += 1
        self.lost_since_ns = None

    def go_on(self) -> None:
        """The map goes on in another place, as odometry says."""
        self.number += 1
        self.lost_since_ns = None

    def map_moved(self) -> None:
        """The same map has other coordinates."""
        self.epoch += 1
