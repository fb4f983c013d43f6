# SPDX-License-Identifier: MIT
"""Which engine makes which promise, and what to start it with. A new variant is one line here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.contract.checks import CHECKS
from tests.harness import Gateway

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from tests.contract.checks import Check


@dataclass(frozen=True)
class Variant:
    """An engine with some of its options, and what it promises then.

    Parameters:
        engine: its name.
        promises: keys of CHECKS.
        options: as for `Gateway`.
    """

    engine: str
    promises: Collection[int | str]
    options: Mapping[str, object] = field(default_factory=dict)


_ALL = tuple(range(1, 10))
_WATCHED = {"verify": True, "log-level": "debug"}  # whose log says how each request was undone

VARIANTS = {
    "fork": Variant("fork", (*_ALL, "separation", "hostile")),
    "none": Variant("none", (7, 8)),
    "rewind": Variant("rewind", (*_ALL, "shared memory"), _WATCHED),
    "rewind-blind": Variant("rewind", (*_ALL, "shared memory"), _WATCHED | {"no-dispatch": True}),
}

# Long enough for a slow machine to answer, short enough to wait for where a request hangs.
TIMEOUT = "1s"
MEMORY = "256m"


def start(variant: str, **changes: Any) -> Gateway:
    """Return a gateway for the contract's checks: one worker, limits that can be reached."""
    chosen = VARIANTS[variant]
    options = {"workers": 1, "timeout": TIMEOUT, "max-request-memory": MEMORY, **chosen.options}
    return Gateway(engine=chosen.engine, options=options, **changes)


def cases() -> list[tuple[str, int | str, Check]]:
    """Return every (variant, promise, check) there is."""
    return [
        (variant, promise, check)
        for variant, chosen in VARIANTS.items()
        for promise in chosen.promises
        for check in CHECKS[promise]
    ]
