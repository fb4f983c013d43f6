# SPDX-License-Identifier: MIT
"""Asking the acts application, and comparing what it sees."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.harness import fastcgi, until
from tests.harness.client import variables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness import Connection, Gateway


def state(gateway: Gateway) -> dict[str, Any]:
    """Return what a fresh request sees of its process."""
    return gateway.get("/state").json()  # type: ignore[no-any-return]


def is_closed(gateway: Gateway) -> bool:
    """Tell whether requests share a process with a root that is under attack."""
    return gateway.engine == "lwc" and gateway.options.get("isolate") == "hostile"


def get(target: str, flags: int = 0) -> bytes:
    """Return the bytes of a whole GET request."""
    params = fastcgi.pairs(variables(target).items())
    return (
        fastcgi.begin(flags=flags)
        + fastcgi.closed_stream(fastcgi.PARAMS, 1, params)
        + fastcgi.closed_stream(fastcgi.STDIN, 1, b"")
    )


def differences(before: Any, after: Any, path: str = "") -> dict[str, str]:
    """Return where two states differ: path to what differs there."""
    if isinstance(before, dict) and isinstance(after, dict):
        found: dict[str, str] = {}
        for key in sorted({*before, *after}, key=str):
            found |= differences(before.get(key), after.get(key), f"{path}/{key}")
        return found
    if before == after:
        return {}
    if isinstance(before, list) and isinstance(after, list):
        gone = [item for item in before if item not in after]
        new = [item for item in after if item not in before]
        return {path: f"without {gone}, with {new}"}
    return {path: f"{before!r} -> {after!r}"}


def same_worker(gateway: Gateway, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Assert that one worker served both requests: nothing was healed by replacing it."""
    assert before["root"] == after["root"], (
        f"the worker was replaced; log:\n…{gateway.log()[-2000:]}"
    )


def written(path: Path) -> str:
    """Wait for a file the application writes and return its contents."""
    until(path.exists, f"the application to write {path.name}")
    return path.read_text()


@dataclass
class Waiting:
    """A request that is being served and does not come to an end.

    Parameters:
        pid: the process it runs in.
        connection: where its answer will come.
    """

    pid: int
    connection: Connection
    _gate: Path

    def release(self) -> None:
        """Let it go on to its answer."""
        self._gate.touch()


@contextmanager
def waiting(gateway: Gateway) -> Iterator[Waiting]:
    """Have a request wait, at most a minute or the gateway's timeout, until it is released."""
    gate = gateway.folder / uuid.uuid4().hex
    with gateway.connect() as connection:
        connection.send(get(f"/wait?{gate.name}"))
        pid = int(written(gate.with_suffix(".started")))
        request = Waiting(pid, connection, gate)
        try:
            yield request
        finally:
            request.release()
