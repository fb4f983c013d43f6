# SPDX-License-Identifier: MIT
"""Applications and bodies made to measure, for tests of the WSGI layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.unit.recorder import serve

TEXT = [("Content-Type", "text/plain")]
Start = Callable[..., Any]


class Body:
    """A body that knows whether close() was called.

    Parameters:
        blocks: what it yields; an exception among them is raised.
    """

    def __init__(self, *blocks: Any) -> None:
        self.blocks = iter(blocks)
        self.taken = 0
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = next(self.blocks)
        self.taken += 1
        if isinstance(block, BaseException):
            raise block
        return block

    def close(self) -> None:
        """Count."""
        self.closed += 1


def answering(
    body: Any, status: str = "200 OK", headers: list[tuple[str, str]] = TEXT
) -> Callable[..., Any]:
    """Return an application that gives this answer."""

    def app(environ: dict[str, Any], start_response: Start) -> Any:
        start_response(status, headers)
        return body

    return app


def seen(variables: dict[str, str | None] | None = None, **options: Any) -> dict[str, Any]:
    """Return the environ that an application gets."""
    kept: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        kept.update(environ)
        start_response("204 No Content", [])
        return []

    serve(app, variables, **options)
    return kept
