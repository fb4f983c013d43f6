# SPDX-License-Identifier: MIT
"""A few seconds of `make torture`: enough to see that it works, and what breaks at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture import regression
from tests.torture.__main__ import torture
from tests.torture.arena import Arena

if TYPE_CHECKING:
    from tests.torture.programs import Program

SEED = 20261124
SECONDS = 4.0
WAYS = {
    "fork": ("fork", {}),
    "rewind": ("rewind", {"verify": True}),
    "rewind-blind": ("rewind", {"verify": True, "no-dispatch": True}),
}


@pytest.mark.timeout(600)  # a program that failed is made smaller
@pytest.mark.parametrize("way", WAYS)
def test_random_programs(way: str) -> None:
    """What random programs do is undone, and they are answered as they should be."""
    engine, options = WAYS[way]
    with Arena(engine, options) as arena:
        found = torture(arena, SECONDS, SEED, most=1)
        assert arena.count["programs"] > 10
    assert not found, found[0]


FOUND: tuple[Program, ...] = (
    [["advise_area", 18, 14]],  # guard pages over a file's pages kept the kernel busy for ever
    [["detach", 20, 27], ["abort", 1, 0]],  # who inherited the connection kept it open
    [["lower_limit", 0, 0], ["spoil", 28, 0]],
    [["watchdog", 1, 0], ["block", 0, 0]],
)
"""Programs that were answered wrongly once."""


@pytest.mark.parametrize("way", WAYS)
def test_programs_found_before(way: str) -> None:
    """What random programs found stays mended."""
    engine, options = WAYS[way]
    with Arena(engine, options) as arena:
        for program in FOUND:
            if not any(act in arena.unfit for act, *_ in program):
                arena.attempt(program)


def test_modules_of_cpythons_tests() -> None:
    """CPython's own tests have the same results in a request, and leave nothing behind."""
    if missing := regression.lacking():
        pytest.skip(missing)
    said: list[str] = []
    with Arena("rewind", {**regression.OPTIONS, "verify": True}) as arena:
        wrong = regression.run(arena, ("test_json", "test_struct", "test_mmap"), said.append)
    assert not wrong, "\n".join(said)
