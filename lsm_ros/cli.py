# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The command line `lsm`. Exit status: 0; 2 with one line on bad input; 130 when interrupted, 143 when terminated."""
from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import lsm_ros
from lsm_ros.commands import COMMANDS
from lsm_ros.commands.wording import one_line

EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_TERMINATED = 2, 130, 143


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Ends with status 2 and names the help option."""
        self.exit(EXIT_BAD_INPUT, f"lsm: error: {' '.join(message.split())} (see {self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser with all commands; only light modules are imported for it."""
    parser = _Parser(prog="lsm", description=lsm_ros.__doc__)
    parser.add_argument("--version", action="version", version=f"lsm_ros {lsm_ros.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        summary, *rest = (module.__doc__ or "").strip().splitlines()
        command = commands.add_parser(name, help=summary, description="\n".join([f"{summary[0].upper()}{summary[1:]}.", *rest]))
        module.add_arguments(command)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status; argv: without the program's name, by default the process's own."""
    try:
        args = make_parser().parse_args(argv)
    except SystemExit as end:  # argparse ends by itself after --help, --version and errors
        return int(end.code or 0)
    previous, as_python_does = _terminate_by_exception(), warnings.formatwarning
    warnings.formatwarning = plain_warning
    try:
        status = int(args.run(args))
        sys.stdout.flush()  # here, where a reader that has gone is no error
        return status
    except KeyboardInterrupt:
        print("lsm: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except _Terminated:
        print("lsm: terminated", file=sys.stderr)
        return EXIT_TERMINATED
    except BrokenPipeError:  # the reader of a pipe, such as head, has closed it: no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError, MemoryError) as error:
        if args.debug:
            traceback.print_exc()
        print(f"lsm: error: {one_line(error)}", file=sys.stderr)
        return EXIT_BAD_INPUT
    finally:
        warnings.formatwarning = as_python_does
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def plain_warning(message: Warning | str, *_where: object) -> str:
    """Text of a warning in one line, without its line of code."""
    return f"lsm: warning: {' '.join(str(message).split())}\n"


class _Terminated(BaseException):
    """SIGTERM, raised so that incomplete files are removed as after Ctrl-C."""


def _on_sigterm(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated


def _terminate_by_exception() -> object | None:
    """Handles SIGTERM where that is possible, which is the main thread; returns the handler before."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, _on_sigterm)


if __name__ == "__main__":
    sys.exit(main())
