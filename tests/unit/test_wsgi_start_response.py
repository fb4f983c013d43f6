# SPDX-License-Identifier: MIT
"""start_response: when it may be called, and which status and headers it takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.recorder import serve
from tests.unit.wsgi_apps import TEXT, Start, answering


def test_exc_info_replaces_what_was_not_sent() -> None:
    """An error handler may change its mind about the head as long as nothing was sent."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        start_response("200 OK", [("X-First", "1"), ("Content-Length", "99")])
        try:
            raise ValueError("wrong")
        except ValueError:
            start_response("503 Service Unavailable", TEXT, sys.exc_info())
        return [b"sorry"]

    done = serve(app)
    assert done.head == [
        "Status: 503 Service Unavailable", "Content-Type: text/plain", "Content-Length: 5",
    ]  # fmt: skip
    assert (done.body, done.finished) == (b"sorry", 1)


def test_exc_info_is_raised_again_once_something_was_sent() -> None:
    """Too late for another head: the original exception comes back to the application."""

    def app(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"part"
        try:
            raise ValueError("original")
        except ValueError:
            start_response("500 Oops", TEXT, sys.exc_info())
        yield b"never"

    done = serve(app)
    assert (done.body, done.aborted, done.lines[-1][1]) == (b"part", True, "ValueError: original")


def test_second_call_without_exc_info_is_an_error() -> None:
    """PEP 3333 calls it a fatal error."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        start_response("200 OK", TEXT)
        start_response("200 OK", TEXT)
        return [b""]

    done = serve(app)
    assert done.head[0] == "Status: 500 Internal Server Error"
    assert "second time" in done.lines[-1][1]


@pytest.mark.parametrize("body", [[b"x"], iter([b"x"]), [], iter([])])
def test_start_response_must_be_called(body: Any) -> None:
    """A body without a head is a 500."""
    done = serve(lambda environ, start_response: body)
    assert done.head[0] == "Status: 500 Internal Server Error"
    assert "start_response" in done.lines[-1][1]


@pytest.mark.parametrize("body", [b"bytes", "text", ["text"], [bytearray(b"x")], [None], None, 7])
def test_body_of_the_wrong_type(body: Any) -> None:
    """A body is an iterable of bytes; anything else is a 500, and the log says why."""
    done = serve(answering(body))
    assert done.head[0] == "Status: 500 Internal Server Error"
    assert done.lines[-1][1].startswith("TypeError: ")


BAD_HEADERS: list[list[Any]] = [
    [("X", "a\r\nSet-Cookie: b")],
    [("X", "a\nb")],
    [("X", "a\rb")],
    [("X", "a\0b")],
    [("X", "a\n")],
    [("X", "a\x7f")],
    [("X\r\nY", "a")],
    [("X: Y", "a")],
    [("X ", "a")],
    [("", "a")],
    [("X\0", "a")],
    [("\xdc", "a")],
    [("Content-Type\n", "a")],
    [("X", "\u20ac")],
    [("X", 1)],
    [("X", b"a")],
    [("X", None)],
    [(b"X", "a")],
    [(7, "a")],
    [("Content-Length", "-1")],
    [("Content-Length", "5 ")],
    [("Content-Length", "1_0")],
    [("Content-Length", "\u0665")],
    [("Content-Length", "")],
    [("Content-Length", "9" * 40)],
    [("Content-Length", "5"), ("content-length", "6")],
    [("Status", "404 Not Found")],
    [("Connection", "close")],
    [("Keep-Alive", "1")],
    [("transfer-encoding", "chunked")],
    [("Upgrade", "websocket")],
    [("TE", "x")],
    [("Trailer", "x")],
    [("Proxy-Authenticate", "x")],
    ["ab", "cde"],
    [("X",)],
]


@pytest.mark.parametrize("headers", BAD_HEADERS, ids=repr)
def test_bad_headers_are_refused(headers: list[Any]) -> None:
    """No header gets out that would change the meaning of another, or that is the server's."""
    done = serve(answering([b"hello"], headers=headers))
    assert done.head == [
        "Status: 500 Internal Server Error",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Length: 22",
    ]
    assert done.lines[-1][1].startswith(("ValueError: ", "TypeError: "))


@pytest.mark.parametrize(
    "status",
    ["200 OK\r\nX: y", "200 OK\n", "200\0", "20 OK", "2000 OK", "OK", "", "200OK", "099 Low",
     " 200 OK", "200 \u20ac", b"200 OK", 200, None],
)  # fmt: skip
def test_bad_status_is_refused(status: Any) -> None:
    """A status is three digits and a phrase of one line."""
    done = serve(answering([b"hello"], status))
    assert done.head[0] == "Status: 500 Internal Server Error"


@pytest.mark.parametrize(
    "status", ["200 OK", "404 NOT FOUND", "599 Own Phrase", "299", "200 ", "418 caf\xe9"]
)
def test_good_status_is_passed_on(status: str) -> None:
    """Well-known or not, a status goes out as it is."""
    assert serve(answering([b""], status)).head[0] == f"Status: {status}"


def test_unusual_headers_are_passed_on() -> None:
    """Order, repetition, spelling, tabs and Latin-1 are the application's business."""
    headers = [
        ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("x-ODD_name", "t\tab"), ("X-Umlaut", "\xfc"),
        ("X-Empty", ""), ("Content-Length", "2"), ("content-length", "2"),
    ]  # fmt: skip
    done = serve(answering([b"ok"], headers=headers))
    assert done.head[1:] == [f"{name}: {value}" for name, value in headers]
    assert (done.body, done.lines) == (b"ok", [])
