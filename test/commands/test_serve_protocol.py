# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""JSON-RPC and MCP, without a map and without transport."""
import json

import pytest
from helpers.rpc import ask, echo_server, error, result

from lsm_ros.commands.serve_protocol import MOST_BATCH, REVISIONS, RpcError


@pytest.fixture
def echo():
    return echo_server()


class TestProtocol:
    def test_the_handshake_of_mcp(self, echo):
        for asked, got in [(r, r) for r in REVISIONS] + [("1999-01-01", REVISIONS[0]), (None, REVISIONS[0])]:
            found = result(echo, "initialize", protocolVersion=asked, capabilities={}, clientInfo={"name": "x"})
            assert found["protocolVersion"] == got and found["capabilities"] == {"tools": {}}
            assert found["serverInfo"]["name"] == "lsm_ros" and found["instructions"] == "Ask."
        assert echo.answer(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}') is None
        assert result(echo, "ping") == {}

    def test_tools_are_listed_with_schemas(self, echo):
        (tool,) = result(echo, "tools/list")["tools"]
        schema = tool["inputSchema"]
        assert tool["name"] == "echo" and schema["type"] == "object" and schema["required"] == ["text"]
        assert schema["properties"]["n"] == {"type": "integer", "description": "a count", "minimum": 1, "maximum": 9}
        assert schema["properties"]["at"]["minItems"] == 2 and schema["additionalProperties"] is False

    def test_calls_of_mcp(self, echo):
        found = result(echo, "tools/call", name="echo", arguments={"text": "a", "at": [1, 2.5]})
        assert found["structuredContent"] == {"given": {"text": "a", "at": [1, 2.5]}} and found["isError"] is False
        assert json.loads(found["content"][0]["text"]) == found["structuredContent"] and len(found["content"]) == 1
        found = result(echo, "tools/call", name="echo", arguments={"text": "picture"})
        assert found["content"][1] == {"type": "image", "data": "AA==", "mimeType": "image/png"}
        assert "png_base64" not in found["structuredContent"] and "AA==" not in found["content"][0]["text"]
        found = result(echo, "tools/call", name="echo", arguments={"text": "fail"})
        assert found == {"content": [{"type": "text", "text": "it cannot be done"}], "isError": True}

    def test_the_same_without_mcp(self, echo):
        assert ask(echo, "echo", number="a7", text="b") == {"jsonrpc": "2.0", "id": "a7", "result": {"given": {"text": "b"}}}
        assert error(echo, "echo", text="fail") == {"code": -32000, "message": "it cannot be done"}

    @pytest.mark.parametrize(("given", "says"), [
        ({}, "needs argument 'text'"), ({"text": 3}, "'text': expected a string, got 3"),
        ({"text": "a", "n": True}, "expected an integer, got true"), ({"text": "a", "n": 1.5}, "an integer"),
        ({"text": "a", "n": 0}, "0 is outside 1 to 9"), ({"text": "a", "n": 10}, "10 is outside 1 to 9"),
        ({"text": "a", "at": [1]}, "expected 2 or 3 finite numbers, got [1]"), ({"text": "a", "at": [1, "2"]}, "finite"),
        ({"text": "a", "at": [1, float("nan")]}, "finite numbers"), ({"text": "a", "x": float("inf")}, "expected a number"),
        ({"text": "a", "size": 2}, 'has no argument "size"; there are: text, n, at, x, no'),
        ({"text": "a", "no": []}, "expected 1 to 10 strings, got []"), ({"text": "a", "no": [1]}, "strings, got [1]"),
        ({"text": "a", "no": "b"}, "strings"), ({"text": "a", "no": ["b"] * 11}, "1 to 10 strings")])
    def test_wrong_arguments_are_named(self, echo, given, says):
        for answer in (error(echo, "echo", **given), error(echo, "tools/call", name="echo", arguments=given)):
            assert answer["code"] == -32602 and says in answer["message"]

    @pytest.mark.parametrize(("line", "code", "says"), [
        (b"no json", -32700, "no JSON"), (b"\xff\xfe", -32700, "no JSON in UTF-8"),
        (b"[" * 100_000, -32700, ""),
        (b"3", -32600, "expected"), (b"[]", -32600, "1 to 100 requests, got 0"),
        (b'{"id": 1, "method": "ping"}', -32600, "jsonrpc"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 3}', -32600, "expected"),
        (b'{"jsonrpc": "2.0", "id": [1], "method": "ping"}', -32600, "an id is a text or a number"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "fly"}', -32601, 'no method "fly"; there are: initialize, ping'),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}', -32602, "expected an object with names"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "echo", "params": [1]}', -32602, "expected an object with names"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "fly"}}', -32602, "Unknown tool"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": ["echo"]}}', -32602, "Unknown tool")])
    def test_what_is_no_request_gets_its_code(self, echo, line, code, says):
        got = json.loads(echo.answer(line))
        assert got["error"]["code"] == code and says in got["error"]["message"] and len(got["error"]["message"]) < 400

    def test_batches_and_answers(self, echo):
        one = b'{"jsonrpc": "2.0", "id": %d, "method": "ping"}'
        got = json.loads(echo.answer(b"[" + one % 1 + b"," + one % 2 + b', {"jsonrpc": "2.0", "method": "x"}]'))
        assert [g["id"] for g in got] == [1, 2]
        assert echo.answer(b'[{"jsonrpc": "2.0", "method": "x"}]') is None
        assert echo.answer(b'{"jsonrpc": "2.0", "id": 3, "result": {}}') is None
        many = b"[" + b",".join([one % 1] * (MOST_BATCH + 1)) + b"]"
        assert json.loads(echo.answer(many))["error"]["code"] == -32600

    def test_errors_have_numbers(self):
        assert RpcError(-1, "x").code == -1
