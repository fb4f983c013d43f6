# SPDX-License-Identifier: MIT
"""What the demo applications are tested with: each engine, and `rewind` once more verified."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from demo_apps.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Variant:
    """An engine with options for it.

    Parameters:
        engine: its name.
        options: for `lwcgi run`.
        isolates: no request sees what another has left in memory.
        posts: how many to send at once, a multiple of 8; fewer where each takes long.
    """

    engine: str
    options: tuple[str, ...] = ()
    isolates: bool = True
    posts: int = 208

    def complaints(self, log: str) -> list[str]:
        """Return the lines of a gateway's log that should not be in it."""
        bad = ("Traceback", "Warning", " WARNING ", " ERROR ", " verify: ")
        return [line for line in log.splitlines() if any(word in line for word in bad)]


VARIANTS = {
    "rewind": Variant("rewind"),
    "verified": Variant("rewind", ("--verify",), posts=48),
    "fork": Variant("fork"),
    "none": Variant("none", isolates=False),
}


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Variant:
    """The engine under test."""
    return VARIANTS[request.param]


@pytest.fixture(scope="session")
def nginx() -> str:
    """The path of the nginx program."""
    found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    assert found, "needs nginx (make test installs it)"
    return found


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, for all tests of the session."""
    with Postgres() as server:
        yield server
