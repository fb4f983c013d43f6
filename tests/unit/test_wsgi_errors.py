# SPDX-License-Identifier: MIT
"""wsgi.errors: what the application writes there is in the log, in order."""

from __future__ import annotations

from typing import Any

import pytest

from lwcgi import wsgi
from tests.unit.recorder import Recorder, serve
from tests.unit.wsgi_apps import TEXT, Start


def test_errors_are_logged_line_by_line() -> None:
    """A line is logged when it ends, or is flushed, or the request ends."""
    states: list[list[str]] = []

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        errors = environ["wsgi.errors"]
        errors.write("one\ntwo\nth")
        states.append([text for _, text in done.lines])
        errors.write("ree")
        errors.flush()
        errors.flush()
        states.append([text for _, text in done.lines])
        print("four", file=errors)
        errors.write("five")
        start_response("200 OK", TEXT)
        return [b""]

    done = Recorder()
    wsgi.serve(app, done, "")
    assert states == [["one", "two"], ["one", "two", "three"]]
    assert done.lines == [("error", text) for text in ("one", "two", "three", "four", "five")]


def test_errors_come_before_the_traceback() -> None:
    """What was written before an exception is logged before it, though its line never ended."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        environ["wsgi.errors"].write("unfinished")
        raise ValueError("wrong")

    assert serve(app).lines[0] == ("error", "unfinished")


def test_errors_take_text_only_and_do_not_hoard() -> None:
    """Bytes are refused, and a line without an end is logged rather than kept for ever."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        errors = environ["wsgi.errors"]
        assert errors.write("x" * 100_000) == 100_000
        assert done.lines == [("error", "x" * 100_000)]
        with pytest.raises(TypeError):
            errors.write(b"bytes")
        start_response("200 OK", TEXT)
        return [b"fine"]

    done = Recorder()
    wsgi.serve(app, done, "")
    assert done.body == b"fine"
