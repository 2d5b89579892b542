# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Requests to a server of `lsm serve`, and a server of one tool that needs no map."""
import json

from lsm_ros.commands.serve_protocol import Argument, Server, Tool


def ask(server, method, number=1, **params):
    """The whole answer to one request."""
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.loads(server.answer(json.dumps(message).encode()))


def result(server, method, **params):
    answer = ask(server, method, **params)
    assert "result" in answer, answer
    return answer["result"]


def error(server, method, **params):
    return ask(server, method, **params)["error"]


def echo_server():
    """A server of one tool, without a map."""
    def run(**given):
        if given["text"] == "fail":
            raise ValueError("it cannot\nbe done")
        return {"given": given, **({"png_base64": "AA=="} if given["text"] == "picture" else {})}

    arguments = {"text": Argument("string", "words", required=True), "n": Argument("integer", "a count", low=1, high=9),
                 "at": Argument("point", "x and y"), "x": Argument("number", "a length"), "no": Argument("texts", "words")}
    return Server([Tool("echo", "gives back", run, arguments)], "Ask.")
