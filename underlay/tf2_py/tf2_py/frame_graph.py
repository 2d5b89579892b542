# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The frames and their histories, and the walks between two frames. Not thread-safe: BufferCore holds the lock."""

from tf2_py.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
)
from tf2_py.rotation import IDENTITY, Rigid, compose, inverse
from tf2_py.time_cache import Sample, StaticCache, TimeCache


class FrameGraph:
    """Trees of named frames; each frame but the roots has a history of transforms to its parent."""

    def __init__(self, storage_ns: int) -> None:
        self._storage_ns = storage_ns
        # None marks a frame that is only known as a parent. Insertion order is the order of listings.
        self.caches: dict[str, TimeCache | StaticCache | None] = {}
        self.authorities: dict[str, str] = {}

    def insert(self, child: str, sample: Sample, authority: str, is_static: bool) -> bool:
        """Add a sample; a frame that turns from moving to static, or back, loses its history."""
        cache = self.caches.get(child)
        if cache is None or cache.is_static != is_static:
            cache = StaticCache() if is_static else TimeCache(self._storage_ns)
        self.caches[child] = cache
        self.caches.setdefault(sample.parent, None)
        if not cache.insert(sample):
            return False
        self.authorities[child] = authority
        return True

    def clear(self) -> None:
        """Forget all moving transforms; names and static transforms stay."""
        for cache in self.caches.values():
            if cache is not None:
                cache.clear()

    def check_name(self, frame: str, role: str) -> None:
        """Refuse names that tf2 does not allow, and unknown ones; `role` says whose argument it is."""
        if not frame:
            raise InvalidArgumentException(f'Invalid argument "" passed to {role} - in tf2 frame_ids cannot be empty')
        if frame.startswith("/"):
            raise InvalidArgumentException(
                f"Invalid argument \"{frame}\" passed to {role} - in tf2 frame_ids cannot start with a '/'"
            )
        if frame not in self.caches:
            raise LookupException(f'"{frame}" passed to {role} does not exist. ')

    def latest_common_ns(self, target: str, source: str) -> int:
        """Newest time at which all moving transforms between two known frames have data; 0 if none moves."""
        if target == source:
            cache = self.caches[target]
            return cache.latest_ns if cache is not None else 0
        from_source = self._latest_ancestry(source, {target})
        from_target = self._latest_ancestry(target, {frame for frame, _ in from_source})
        common = from_target[-1][0]
        stamps_ns = [stamp_ns for _, stamp_ns in from_target[:-1]]
        for frame, stamp_ns in from_source:
            if frame == common:
                # Zero is the stamp of static transforms, which hold at any time.
                return min((stamp for stamp in stamps_ns if stamp), default=0)
            stamps_ns.append(stamp_ns)
        raise self._unconnected(target, source)

    def lookup(self, target: str, source: str, stamp_ns: int) -> tuple[Rigid, int]:
        """T_target_source at a time and that time; 0 asks for the latest common one.

        Raises LookupException for a loop, ConnectivityException, ExtrapolationException.
        """
        if target == source:
            return IDENTITY, stamp_ns or self.latest_common_ns(target, source)
        stamp_ns = stamp_ns or self.latest_common_ns(target, source)
        up_source, failure = self._ancestry(source, {target}, stamp_ns)
        up_target, target_failure = self._ancestry(target, {frame for frame, _ in up_source}, stamp_ns)
        common = up_target[-1][0]
        if all(frame != common for frame, _ in up_source):
            if target_failure or failure:
                raise ExtrapolationException(
                    f"{target_failure or failure}, when looking up transform from frame [{source}] to frame [{target}]"
                )
            raise self._unconnected(target, source)
        T_common_source = self._accumulate(up_source, common)
        T_common_target = self._accumulate(up_target, common)
        return compose(inverse(T_common_target), T_common_source), stamp_ns

    @staticmethod
    def _accumulate(path: list[tuple[str, Rigid | None]], common: str) -> Rigid:
        T = IDENTITY
        for frame, T_parent_frame in path:
            if frame == common:
                break
            T = compose(T_parent_frame, T)
        return T

    def _ancestry(self, frame: str, stop: set[str], stamp_ns: int) -> tuple[list, ExtrapolationException | None]:
        """Frames from `frame` upwards, each with the transform to the next, to a root, a frame in `stop` or a gap.

        The second value tells why the climb ended early, if it did.
        """
        path: list[tuple[str, Rigid | None]] = []
        seen: set[str] = set()
        while frame not in stop and self.caches[frame] is not None:
            self._check_loop(frame, seen)
            try:
                sample = self.caches[frame].at(stamp_ns)
            except ExtrapolationException as gap:
                return [*path, (frame, None)], gap
            path.append((frame, sample.rigid))
            frame = sample.parent
        return [*path, (frame, None)], None

    def _latest_ancestry(self, frame: str, stop: set[str]) -> list[tuple[str, int]]:
        """Frames from `frame` upwards by the newest parents, with the newest stamps, to a root or one in `stop`."""
        path: list[tuple[str, int]] = []
        seen: set[str] = set()
        while frame not in stop:
            cache = self.caches[frame]
            if cache is None or cache.latest_parent is None:
                break
            self._check_loop(frame, seen)
            path.append((frame, cache.latest_ns))
            frame = cache.latest_parent
        return [*path, (frame, 0)]

    def _check_loop(self, frame: str, seen: set[str]) -> None:
        if frame in seen:
            raise LookupException(f"The tf tree is invalid because it contains a loop.\n{self.as_string()}")
        seen.add(frame)

    @staticmethod
    def _unconnected(target: str, source: str) -> ConnectivityException:
        return ConnectivityException(
            f"Could not find a connection between '{target}' and '{source}' because they are not part of the same "
            "tree. Tf has two or more unconnected trees."
        )

    def as_string(self) -> str:
        """One line per frame that has had a parent."""
        lines = (
            f"Frame {frame} exists with parent {cache.latest_parent or 'NO_PARENT'}.\n"
            for frame, cache in self.caches.items()
            if cache is not None
        )
        return "".join(lines)

    def as_yaml(self) -> str:
        """YAML mapping from each frame with data to its parent, broadcaster, rate (Hz) and times (s)."""
        entries = []
        for frame, cache in self.caches.items():
            if cache is None or cache.latest_parent is None:
                continue
            span_ns = cache.latest_ns - cache.oldest_ns
            entries.append(
                f"{frame}: \n"
                f"  parent: '{cache.latest_parent}'\n"
                f"  broadcaster: '{self.authorities.get(frame, 'no recorded authority')}'\n"
                # tf2 reckons with at least 100 us, so that a single sample has a rate, too.
                f"  rate: {len(cache) * 1e9 / max(span_ns, 100_000):.3f}\n"
                f"  most_recent_transform: {cache.latest_ns * 1e-9:.6f}\n"
                f"  oldest_transform: {cache.oldest_ns * 1e-9:.6f}\n"
                f"  buffer_length: {span_ns * 1e-9:.3f}\n"
            )
        return "".join(entries) if self.caches else "[]"
