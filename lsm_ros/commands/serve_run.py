# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Transports of `lsm serve`: standard input and output, and a Unix socket."""
from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import stat
import sys
import threading
from pathlib import Path
from typing import BinaryIO

from lsm_ros.commands.serve_protocol import Server, too_long

MOST_LINE = 1_000_000  # bytes of a message
MOST_CLIENTS = 16
MOST_PATH = 100  # bytes; the system has room for 107


def serve_stdio(server: Server) -> None:
    """Answers one client until its messages end. All else that is printed goes to standard error."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as out, contextlib.redirect_stdout(sys.stderr):
        talk(server, sys.stdin.buffer, out)


def talk(server: Server, given: BinaryIO, out: BinaryIO) -> None:
    """Answers the lines of a client until they end."""
    while line := given.readline(MOST_LINE + 1):
        if len(line) > MOST_LINE:
            while line and not line.endswith(b"\n"):  # the rest of the line
                line = given.readline(MOST_LINE)
            answer: bytes | None = too_long(MOST_LINE)
        else:
            answer = server.answer(line) if line.strip() else None
        if answer is not None:
            out.write(answer + b"\n")
            out.flush()


class _Listener(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, server: Server) -> None:
        self.server = server
        self.room = threading.BoundedSemaphore(MOST_CLIENTS)
        before = os.umask(0o177)  # the socket is its owner's from the first moment on
        try:
            super().__init__(path, _Client)
        finally:
            os.umask(before)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle of an answer is none of ours."""
        print(f"lsm: a client was lost: {sys.exc_info()[1]}", file=sys.stderr)


class _Client(socketserver.StreamRequestHandler):
    server: _Listener

    def handle(self) -> None:
        """Talks with one client; beyond the most it is sent away."""
        if not self.server.room.acquire(blocking=False):
            return
        try:
            talk(self.server.server, self.rfile, self.wfile)  # type: ignore[arg-type]  # streams of socketserver
        finally:
            self.server.room.release()


def serve_socket(server: Server, path: Path) -> None:
    """Answers clients on a Unix socket until it is interrupted; the socket is removed at the end. ValueError for a path that is
    too long; FileExistsError for one that is in use, or is something else."""
    path = path.expanduser()
    if len(os.fsencode(path)) > MOST_PATH:
        raise ValueError(f"--socket {path} has {len(os.fsencode(path))} bytes; a socket's path has at most {MOST_PATH}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--socket {path}: there is no folder {path.parent}")
    _clear(path)
    listener = _Listener(str(path), server)
    try:
        print(f"answers on {path}; one JSON-RPC message a line", file=sys.stderr, flush=True)
        listener.serve_forever(poll_interval=0.2)
    finally:
        listener.server_close()
        path.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Removes a socket that nobody listens on any more."""
    if not os.path.lexists(path):
        return
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise FileExistsError(f"--socket {path} exists and is no socket; give another path")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise FileExistsError(f"--socket {path} is in use; give another path")
