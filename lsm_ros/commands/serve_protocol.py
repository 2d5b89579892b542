# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""JSON-RPC 2.0 and the tools of the Model Context Protocol over it, without transport.

Written after the specification of MCP, revisions 2024-11-05 to 2025-06-18 (modelcontextprotocol.io): `initialize`, `ping`,
`tools/list`, `tools/call`. Each tool is a method too, whose result is plain JSON, for programs that need no handshake.
"""
from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import lsm_ros
from lsm_ros.commands.wording import one_line

REVISIONS = ("2025-06-18", "2025-03-26", "2024-11-05")  # of MCP, the newest first
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_ARGUMENTS, FAILED = -32700, -32600, -32601, -32602, -32000
MOST_BATCH = 100  # requests in one message
MOST_TEXTS = 10
PNG = "png_base64"  # key of a result that is a picture


class RpcError(Exception):
    """An error with the number that JSON-RPC has for it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Argument:
    """Argument of a tool. kind: string, integer, number, point (2 or 3 numbers), or
    texts (1 to 10 strings). low, high: bounds of an integer."""

    kind: str
    description: str
    required: bool = False
    low: int | None = None
    high: int | None = None

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the values."""
        if self.kind == "point":
            return {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3,
                    "description": self.description}
        if self.kind == "texts":
            return {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_TEXTS,
                    "description": self.description}
        bounds = {"minimum": self.low, "maximum": self.high}
        return {"type": self.kind, "description": self.description, **{k: v for k, v in bounds.items() if v is not None}}

    def check(self, name: str, value: Any) -> None:
        """`RpcError` for a value of another kind."""
        good = {"string": lambda v: isinstance(v, str), "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
                "number": _is_number, "point": lambda v: isinstance(v, list) and len(v) in (2, 3) and all(map(_is_number, v)),
                "texts": lambda v: isinstance(v, list) and 0 < len(v) <= MOST_TEXTS and all(isinstance(t, str) for t in v)}
        if not good[self.kind](value):
            wanted = {"integer": "an integer", "point": "2 or 3 finite numbers", "texts": f"1 to {MOST_TEXTS} strings"}
            raise RpcError(INVALID_ARGUMENTS, f"argument {name!r}: expected {wanted.get(self.kind, f'a {self.kind}')}, got "
                           f"{_short(value)}")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise RpcError(INVALID_ARGUMENTS, f"argument {name!r}: {value} is outside {self.low} to {self.high}")


@dataclass(frozen=True)
class Tool:
    """A question that can be asked. run: called with the arguments, gives plain values, `PNG` among them for a picture."""

    name: str
    description: str
    run: Callable[..., dict[str, Any]]
    arguments: Mapping[str, Argument] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """Description as `tools/list` has it."""
        return {"name": self.name, "description": self.description, "annotations": {"readOnlyHint": True},
                "inputSchema": {"type": "object", "properties": {n: a.schema() for n, a in self.arguments.items()},
                                "required": [n for n, a in self.arguments.items() if a.required],
                                "additionalProperties": False}}

    def checked(self, given: Any) -> dict[str, Any]:
        """The arguments. `RpcError` for wrong ones."""
        if given is not None and not isinstance(given, dict):
            raise RpcError(INVALID_ARGUMENTS, f"arguments of {self.name!r}: expected an object with names, got {_short(given)}")
        values = given or {}
        for name in values:
            if name not in self.arguments:
                known = ", ".join(self.arguments) or "none"
                raise RpcError(INVALID_ARGUMENTS, f"tool {self.name!r} has no argument {_short(name)}; there are: {known}")
        for name, argument in self.arguments.items():
            if name in values:
                argument.check(name, values[name])
            elif argument.required:
                raise RpcError(INVALID_ARGUMENTS, f"tool {self.name!r} needs argument {name!r}: {argument.description}")
        return dict(values)


class Server:
    """Answers messages, one at a time whatever the number of threads."""

    def __init__(self, tools: Sequence[Tool], instructions: str) -> None:
        self._tools = {t.name: t for t in tools}
        self._instructions = instructions
        self._lock = threading.Lock()

    def answer(self, line: bytes) -> bytes | None:
        """The answer to a line, without its end; None where there is none to give, as to a notification."""
        try:
            message = json.loads(line.decode("utf-8"))
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            return _packed(_failure(None, PARSE_ERROR, f"this is no JSON in UTF-8: {' '.join(str(error).split())[:200]}"))
        if not isinstance(message, list):
            reply = self._reply(message)
            return None if reply is None else _packed(reply)
        if not 0 < len(message) <= MOST_BATCH:
            return _packed(_failure(None, INVALID_REQUEST, f"a batch has 1 to {MOST_BATCH} requests, got {len(message)}"))
        replies = [r for r in map(self._reply, message) if r is not None]
        return _packed(replies) if replies else None

    def _reply(self, message: Any) -> dict[str, Any] | None:
        number = message.get("id") if isinstance(message, dict) else None
        if isinstance(number, bool) or not isinstance(number, (str, int, float, type(None))):
            return _failure(None, INVALID_REQUEST, f"an id is a text or a number, got {_short(number)}")
        if isinstance(message, dict) and message.get("jsonrpc") == "2.0" and "method" not in message and (
                "result" in message or "error" in message):
            return None  # an answer; nothing was asked
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0" or not isinstance(message.get("method"), str):
            return _failure(number, INVALID_REQUEST, 'expected {"jsonrpc": "2.0", "id": ..., "method": ..., "params": {...}}')
        if "id" not in message:
            return None  # a notification, such as notifications/initialized
        try:
            with self._lock:
                return {"jsonrpc": "2.0", "id": number, "result": self._result(message["method"], message.get("params"))}
        except RpcError as error:
            return _failure(number, error.code, str(error))

    def _result(self, method: str, given: Any) -> dict[str, Any]:
        if method in self._tools:
            tool = self._tools[method]
            return self._run(tool, tool.checked(given))
        if given is not None and not isinstance(given, dict):
            raise RpcError(INVALID_ARGUMENTS, f"params of {method!r}: expected an object with names, got {_short(given)}")
        params = given or {}
        if method == "initialize":
            asked = params.get("protocolVersion")
            return {"protocolVersion": asked if asked in REVISIONS else REVISIONS[0], "capabilities": {"tools": {}},
                    "serverInfo": {"name": "lsm_ros", "version": lsm_ros.__version__}, "instructions": self._instructions}
        if method == "ping":
            return {}
        if method == "tools/list":
            return {"tools": [t.about() for t in self._tools.values()]}
        if method == "tools/call":
            return self._call(params.get("name"), params.get("arguments"))
        raise RpcError(NO_METHOD, f"there is no method {_short(method)}; there are: initialize, ping, tools/list, tools/call, "
                       f"{', '.join(self._tools)}")

    def _call(self, name: Any, given: Any) -> dict[str, Any]:
        """A tool as MCP calls it: what it cannot do is a result that agents read."""
        if not isinstance(name, str) or name not in self._tools:
            raise RpcError(INVALID_ARGUMENTS, f"Unknown tool: {_short(name)}; there are: {', '.join(self._tools)}")
        arguments = self._tools[name].checked(given)
        try:
            found = self._run(self._tools[name], arguments)
        except RpcError as error:
            return {"content": [{"type": "text", "text": str(error)}], "isError": True}
        shown = {k: v for k, v in found.items() if k != PNG}
        content: list[dict[str, Any]] = [{"type": "text", "text": json.dumps(shown, ensure_ascii=False)}]
        if PNG in found:
            content.append({"type": "image", "data": found[PNG], "mimeType": "image/png"})
        return {"content": content, "structuredContent": shown, "isError": False}

    def _run(self, tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            return tool.run(**arguments)
        except (ValueError, OSError, ImportError, MemoryError) as error:
            raise RpcError(FAILED, one_line(error)) from error


def too_long(most: int) -> bytes:
    """The answer to a line of more than `most` bytes."""
    return _packed(_failure(None, INVALID_REQUEST, f"a message has at most {most} bytes and ends with a line end"))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)


def _short(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "something nested too deep"
    return text if len(text) <= 80 else f"{text[:80]}..."


def _failure(number: Any, code: int, text: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}}


def _packed(message: Any) -> bytes:
    return json.dumps(message).encode()
