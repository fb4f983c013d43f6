# SPDX-License-Identifier: MIT
"""Warm-up requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from wsgiref.validate import validator

import pytest

from lwcgi import warmup


def warm(app: Callable[..., Any], *paths: str, script_name: str = "") -> list[tuple[str, str]]:
    """Warm *app* up and return what was logged."""
    lines: list[tuple[str, str]] = []
    warmup.run(app, paths, script_name, lambda level, text: lines.append((level, text)))
    return lines


def test_each_path_is_requested() -> None:
    """Every path gets one GET, mounted where the application is, and a line with its status."""
    seen = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        names = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")
        seen.append(tuple(environ[name] for name in names))
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"none"]

    lines = warm(validator(app), "/", "/caf\u00e9?x=1&y", script_name="/app")
    assert seen == [
        ("GET", "/app", "/", ""),
        ("GET", "/app", "/caf\xc3\xa9", "x=1&y"),
    ]
    assert [level for level, _ in lines] == ["info", "info"]
    assert lines[1][1].startswith("warm-up: GET /caf\u00e9?x=1&y: 404 Not Found, ")
    assert lines[1][1].endswith(" ms")


def test_no_paths_no_requests() -> None:
    """--no-warmup calls nothing."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        raise AssertionError

    assert warm(app) == []


def test_body_is_consumed_and_closed() -> None:
    """A request runs to its end: the body is iterated and closed."""
    steps = []

    class Body:
        def __iter__(self) -> Any:
            yield b"one"
            yield b"two"
            steps.append("end")

        def close(self) -> None:
            steps.append("close")

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return Body()

    warm(app, "/")
    assert steps == ["end", "close"]


def test_exception_is_a_warning() -> None:
    """A failing warm-up request is told with its traceback, and the next one runs."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/bad":
            raise ValueError("wrong")
        start_response("500 Oops" if environ["PATH_INFO"] == "/oops" else "200 OK", [])
        return [b""]

    lines = warm(app, "/bad", "/oops", "/good")
    assert lines[0] == ("warning", "warm-up: GET /bad failed")
    assert ("warning", "ValueError: wrong") in lines
    assert [level for level, text in lines if "GET" in text] == ["warning", "warning", "info"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_end_of_the_process_passes_through(error: type[BaseException]) -> None:
    """An application that ends the process in warm-up is not served."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        raise error

    with pytest.raises(error):
        warm(app, "/")
