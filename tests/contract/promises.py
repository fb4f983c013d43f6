# SPDX-License-Identifier: MIT
"""Which engine makes which promise, and what to start it with. A new engine is one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.checks import CHECKS
from tests.harness import Gateway

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from tests.contract.checks import Check

ENGINES: dict[str, Collection[int | str]] = {
    "fork": (*range(1, 10), "separation"),
    "none": (7, 8),
}

# Long enough for a slow machine to answer, short enough to wait for where a request hangs.
TIMEOUT = "1s"
MEMORY = "256m"


def start(engine: str, **changes: Any) -> Gateway:
    """Return a gateway for the contract's checks: one worker, limits that can be reached."""
    options = {"workers": 1, "timeout": TIMEOUT, "max-request-memory": MEMORY}
    return Gateway(engine=engine, options=options, **changes)


def cases() -> list[tuple[str, int | str, Check]]:
    """Return every (engine, promise, check) there is."""
    return [
        (engine, promise, check)
        for engine, promises in ENGINES.items()
        for promise in promises
        for check in CHECKS[promise]
    ]
