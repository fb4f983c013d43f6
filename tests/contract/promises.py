# SPDX-License-Identifier: MIT
"""Which engine makes which promise, and what to start it with. A new variant is one line here."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.contract.checks import CHECKS, leftovers
from tests.harness import Gateway, opened

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tests.contract.checks import Check


@dataclass(frozen=True)
class Variant:
    """An engine with some of its options, and what it promises then.

    Parameters:
        engine: its name.
        promises: keys of CHECKS.
        options: as for `Gateway`.
        but: checks of these promises that make no sense under these options.
    """

    engine: str
    promises: Collection[int | str]
    options: Mapping[str, object] = field(default_factory=dict)
    but: Collection[Check] = ()


_ALL = tuple(range(1, 10))
_SHARING = (*_ALL, "signals", "shared memory")
_APART = (*_ALL, "separation", "signals")
# Tests run as root, for whom the level is refused.
_HOSTILE = {"isolate": "hostile"} | ({} if os.geteuid() else {"user": "nobody"})
_NOT_HOSTILE = (leftovers.a_detached_child_lives_on,)
_WATCHED = {"verify": True, "log-level": "debug"}  # whose log says how each request was undone

VARIANTS = {
    "fork": Variant("fork", (*_ALL, "separation", "signals", "channel")),
    "fork-hostile": Variant(
        "fork",
        (*_ALL, "separation", "signals", "channel", "neighbours", "attacks"),
        _HOSTILE,
        _NOT_HOSTILE,
    ),
    "none": Variant("none", (7, 8)),
    "rewind": Variant("rewind", _SHARING, _WATCHED),
    "rewind-blind": Variant("rewind", _SHARING, _WATCHED | {"no-dispatch": True}),
}
GUEST_VARIANTS = {
    "lwc": Variant("lwc", (*_APART, "switches"), _WATCHED),
    "lwc-hostile": Variant(
        "lwc", (*_APART, "switches", "neighbours", "attacks"), _WATCHED | _HOSTILE, _NOT_HOSTILE
    ),
    "lwc-create": Variant("lwc", (*_APART, "switches"), _WATCHED | {"lwc-way": "create"}),
}
"""What needs the kernel module, and so a guest: tests/vm/test_engine.py."""


def has_module() -> bool:
    """Return whether this machine has it: a guest, mostly."""
    return os.path.exists("/dev/lwc")


if has_module():
    VARIANTS |= GUEST_VARIANTS

# Long enough for a slow machine to answer, short enough to wait for where a request hangs.
TIMEOUT = "2s"
MEMORY = "256m"


class Verified(Gateway):
    """A gateway that must not have seen a request leave anything behind (--verify)."""

    def __exit__(self, *error: object) -> None:
        differs = [] if error[0] else [x for x in self.log().splitlines() if " verify: " in x]
        super().__exit__(*error)
        assert not differs, differs

    def another(self, **changes: Any) -> Gateway:
        """Return a gateway like this one, not started, with some parameters changed."""
        other = super().another(**changes)
        return Verified(
            other.app, other.engine, other.options, other.environ, other.program, other.privileged
        )


def start(variant: str, kind: type[Gateway] = Verified, **changes: Any) -> Gateway:
    """Return a gateway for the contract's checks: one worker, limits that can be reached."""
    chosen = VARIANTS[variant]
    options = {"workers": 1, "timeout": TIMEOUT, "max-request-memory": MEMORY, **chosen.options}
    if "user" in options:
        changes = {"program": opened.program()} | changes
    return kind(engine=chosen.engine, options=options, **changes)


def cases(variants: Mapping[str, Variant] = VARIANTS) -> list[tuple[str, str, Check]]:
    """Return (name, variant, check) for all that these variants promise."""
    return [
        (f"{variant}-{promise}-{check.__name__}".replace(" ", "-"), variant, check)
        for variant, chosen in variants.items()
        for promise in chosen.promises
        for check in CHECKS[promise]
        if check not in chosen.but
    ]
