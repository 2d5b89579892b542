# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The one way to write a file or a folder that is complete or absent: after an error, a full disk, an interruption, a killed
process or a power cut, the name holds all of the old content or all of the new.

The new content is made in `.NAME.part-PID-RANDOM/`, a folder beside its place and of one writer alone, brought to the disk, and
then renamed. The writer holds a lock in that folder as long as it lives; the next writer of the same name removes the folders
whose lock is free. On a file system without locks, the rest of a dead process stays until it is removed by hand.

A symbolic link is followed: what it leads to is replaced, and the link stays. A device or a pipe is written to directly. A
mount point is refused, because it cannot be renamed.
"""
from __future__ import annotations

import ctypes
import errno
import fcntl
import itertools
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_KEPT = "the previous content is intact"
_PLACED = "the new content is in place, but a power cut may undo it"
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WORK = re.compile(r"\.(.+)\.part-\d+-\w{8}")
_EXCHANGE, _HERE = 2, -100  # RENAME_EXCHANGE and AT_FDCWD of Linux


@contextmanager
def replacing(target: str | Path) -> Iterator[Path]:
    """A path, with nothing at it yet, at which the block makes a file or a folder of the target's own name; when the block ends
    well, that is on the disk under the name `target`. Missing folders above it are made.

    After any exception nothing of it is left and `target` is as before. An OSError of writing names `target`; other errors of
    the block pass as they are. OSError, too, for a file in place of a folder, a folder in place of a file, or a mount point.
    """
    place = _followed(target)
    if _is_special(place):
        yield place
        return
    missing = _missing_above(place)
    work, lock, placed = None, -1, False
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        tidy(place)
        work, lock = _claimed(place)
        part = work / place.name
        yield part
        _sync_all(part)
        _put(part, place)
        placed = True
        for folder in dict.fromkeys([place.parent, *(p.parent for p in missing)]):
            _sync(folder)
    except OSError as error:
        if work is not None and not placed and not _is_of_writing(error, work):
            raise
        reason = (error.strerror or str(error)).removesuffix(f"; {_KEPT}")  # of one inside of this one
        raise OSError(error.errno or errno.EIO, f"{reason}; {_PLACED if placed else _KEPT}", str(target)) from error
    finally:
        if work is not None:
            if not placed:
                _put_back(work, place)
            shutil.rmtree(work, ignore_errors=True)
            os.close(lock)
        if not placed:
            _remove_empty(missing)


@contextmanager
def making_parents(target: str | Path) -> Iterator[None]:
    """Makes missing folders above `target`, as `replacing` does; those that are empty after an exception go again. OSError."""
    missing = _missing_above(Path(target).absolute())
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        _remove_empty(missing)
        raise


@contextmanager
def replacing_folder(target: str | Path, own: Collection[str] | None = None) -> Iterator[Path]:
    """An empty folder that takes the place of `target` and all that was in it when the block ends well; else as `replacing`.
    own: names below `target` of the files that are replaced or go; all others stay, by default none."""
    with replacing(target) as part:
        part.mkdir()
        yield part
        if own is not None:
            _keep_others(_followed(target), part, own)


@contextmanager
def replacing_file(target: str | Path) -> Iterator[IO[bytes]]:
    """A binary file, open for writing, that takes the place of `target` when the block ends well; else as `replacing`."""
    with replacing(target) as part, part.open("wb") as file:
        yield file


def write_text(target: str | Path, text: str) -> None:
    """Writes a text file in UTF-8, as `replacing` does."""
    with replacing_file(target) as file:
        file.write(text.encode())


@contextmanager
def alone_in(folder: Path, patience: float = 10.0) -> Iterator[None]:
    """The block changes files of a folder according to what it reads there: a second one, of any process, waits until it ends.
    patience: seconds. TimeoutError when these do not suffice. On a file system without locks nobody waits."""
    until = time.monotonic() + patience
    while True:
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_there = os.path.samestat(os.fstat(handle), os.stat(folder))  # not exchanged for a new one meanwhile
        except BlockingIOError:
            is_there = False
        except OSError:  # no locks, or the folder has gone, which the block will find
            is_there = True
        try:
            if is_there:
                yield
                return
        finally:
            os.close(handle)
        if time.monotonic() > until:
            raise TimeoutError(f"{folder} is being changed by another process for {patience:g} s; try again")
        time.sleep(0.02)


def tidy(target: str | Path) -> None:
    """Removes the files of dead writers of `target`, and of others, beside it. If one of them had moved a folder away without
    placing the new one, the old one is restored. Files of other users stay."""
    place = _followed(target)
    for work in [p for p in place.parent.iterdir() if _WORK.fullmatch(p.name)] if place.parent.is_dir() else ():
        of = place.with_name(_WORK.fullmatch(work.name)[1])  # type: ignore[index]  # it was looked at above
        with suppress(OSError):  # its writer lives, another process removes it at this moment, or it belongs to another user
            lock = os.open(_lock_file(work), os.O_RDWR | (os.O_CREAT if of == place else 0), 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _put_back(work, of)
                shutil.rmtree(work, ignore_errors=True)
            finally:
                os.close(lock)


def _keep_others(place: Path, part: Path, own: Collection[str]) -> None:
    """Brings what is in the folder `place`, but for the files `own`, into `part`, too: by links, for both are on one disk."""
    for top, folders, files in os.walk(place):
        for old in (Path(top, name) for name in (*folders, *files)):
            new = part / old.relative_to(place)
            is_folder = old.is_dir() and not old.is_symlink()
            if str(old.relative_to(place)) in own or os.path.lexists(new) or (is_folder and any(old.iterdir())):
                continue
            new.parent.mkdir(parents=True, exist_ok=True)
            if is_folder:
                new.mkdir()
                continue
            try:
                os.link(old, new, follow_symlinks=False)
            except OSError:  # a file system without links, or another one
                shutil.copy2(old, new, follow_symlinks=False)


def _missing_above(place: Path) -> list[Path]:
    """Folders above a path that are not there, the lowest first."""
    return [p for p in place.parents if not p.exists()]


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it is not empty: others use it
            folder.rmdir()


def _followed(target: str | Path) -> Path:
    """The place that a link leads to, or `target` itself, as an absolute path."""
    place = Path(os.path.realpath(target))
    if place.is_symlink():
        raise OSError(errno.ELOOP, "this link leads back to itself", str(target))
    if os.path.ismount(place):
        raise OSError(errno.EBUSY, "a mount point cannot be replaced; give a name inside of it", str(target))
    return place


def _is_special(place: Path) -> bool:
    """True for a device, a pipe and their kin. One look: another writer may take a folder away for a moment."""
    try:
        mode = os.stat(place).st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _lock_file(work: Path) -> Path:
    return work / f"{work.name}.lock"


def _claimed(place: Path) -> tuple[Path, int]:
    """A new folder beside `place` and the open file whose lock says that its writer lives."""
    while True:
        work = Path(tempfile.mkdtemp(prefix=f".{place.name}.part-{os.getpid()}-", dir=place.parent))
        with suppress(FileNotFoundError):  # before it was locked, another process took it for that of a dead one
            lock = os.open(_lock_file(work), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(lock, fcntl.LOCK_EX)
                if os.path.samestat(os.fstat(lock), os.stat(_lock_file(work))):
                    return work, lock
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)


def _put_back(work: Path, place: Path) -> None:
    """Restores the content last moved away for a new one that never came, unless another writer has placed one since."""
    for old in sorted((p for p in work.iterdir() if p.name.startswith(_old_name(place))), reverse=True):
        if not os.path.lexists(place):
            try:
                os.rename(old, place)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise


def _old_name(place: Path) -> str:
    return f".{place.name}.old-"


def _put(part: Path, place: Path) -> None:
    """Renames `part` to `place`. An existing folder is exchanged in one step where the file system can do that; else it is
    first taken away."""
    if not part.is_dir():
        os.replace(part, place)
        return
    for n in itertools.count():  # again, where another process puts its own there in between
        try:
            os.rename(part, place)  # the place is free, or an empty folder
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if _exchanged(part, place):
            return
        with suppress(FileNotFoundError):
            os.rename(place, part.with_name(f"{_old_name(place)}{n:06d}"))


def _exchanged(one: Path, other: Path) -> bool:
    """True when both names were exchanged; False where the system or the file system has no such step."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def _sync_all(part: Path) -> None:
    """Brings a file, or a folder with all that is in it, to the disk."""
    if not part.is_dir():
        _sync(part)
        return
    for top, _, names in os.walk(part):
        for path in (Path(top, name) for name in names):
            if stat.S_ISREG(path.lstat().st_mode):
                _sync(path)
        _sync(Path(top))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():  # some file systems have it for files only
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(handle)


def _is_of_writing(error: OSError, work: Path) -> bool:
    """True for the errors that concern what is being written: they name it, or come from a disk that is full."""
    names = [os.fsdecode(n) for n in (error.filename, error.filename2) if isinstance(n, (str, bytes, os.PathLike))]
    return any(Path(n).is_relative_to(work) for n in names) or not names and error.errno in _OF_THE_DISK
