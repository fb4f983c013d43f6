# SPDX-License-Identifier: MIT
"""The request's body: wsgi.input, and what becomes of a body that is bad."""

from __future__ import annotations

from typing import Any

import pytest

from lwcgi.errors import BodyTooLarge, BodyTruncated
from tests.unit.recorder import serve
from tests.unit.wsgi_apps import TEXT, Start, seen


def test_body_is_read_in_every_way() -> None:
    """read, readline and iteration give the body, and end with it whatever is asked for."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        stream = environ["wsgi.input"]
        parts = [stream.read(2), stream.readline(), *stream, stream.read(10), stream.read()]
        start_response("200 OK", TEXT)
        return [b"|".join(parts)]

    assert serve(app, body=b"ab cd\nef\n\ngh").body == b"ab| cd\n|ef\n|\n|gh||"


def test_large_body_arrives_whole() -> None:
    """A body larger than any buffer is what was sent."""
    sent = bytes(range(256)) * 2000

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        start_response("200 OK", TEXT)
        return [environ["wsgi.input"].read()]

    assert serve(app, body=sent, limit=1021).body == sent


def test_request_without_body() -> None:
    """Reading where there is no body ends at once."""
    stream = seen()["wsgi.input"]
    assert (stream.read(), stream.read(5), stream.readline(), list(stream)) == (b"", b"", b"", [])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BodyTooLarge("more than the limit"), "413 Content Too Large"),
        (BodyTruncated("less than promised"), "400 Bad Request"),
    ],
)
def test_bad_body_has_an_answer_of_its_own(error: OSError, status: str) -> None:
    """A body that is too large or not complete is the client's fault, unless the app minds."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        return [environ["wsgi.input"].read()]

    done = serve(app, body=error)
    assert done.head[0] == f"Status: {status}"
    assert (done.finished, done.lines) == (1, [("warning", str(error))])


def test_bad_body_may_be_answered_by_the_application() -> None:
    """An application that catches the error answers as it likes."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        try:
            environ["wsgi.input"].read(1)
        except OSError:
            start_response("418 I'm a Teapot", TEXT)
        return [b"short and stout"]

    assert serve(app, body=BodyTooLarge("too large")).head[0] == "Status: 418 I'm a Teapot"
