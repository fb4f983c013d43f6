# SPDX-License-Identifier: MIT
"""The ways to run a request in a context: one promise, several engines."""

from __future__ import annotations

from . import fork, lwc, none, rewind
from .base import Engine

ENGINES: dict[str, Engine] = {
    engine.name: engine for engine in (rewind.ENGINE, lwc.ENGINE, fork.ENGINE, none.ENGINE)
}
"""Every engine by name, the cheapest that isolates first."""


def choose(name: str) -> Engine:
    """Return the engine of that name; ``auto`` is the cheapest that isolates and runs here.

    Raises:
        KeyError: there is no such engine.
    """
    if name == "auto":
        return next(
            engine
            for engine in ENGINES.values()
            if engine.automatic and engine.isolates and not engine.examine().lacks
        )
    return ENGINES[name]
