# SPDX-License-Identifier: MIT
"""A few seconds of `make torture`: enough to see that it works, and what breaks at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture import regression
from tests.torture.__main__ import torture
from tests.torture.arena import Arena

if TYPE_CHECKING:
    from collections.abc import Mapping

SEED = 20261124


@pytest.mark.parametrize(
    "options",
    [{"verify": True}, {"verify": True, "no-dispatch": True}],
    ids=["rewind", "rewind-blind"],
)
def test_random_programs(options: Mapping[str, object]) -> None:
    """What random programs do is undone, and they are answered as they should be."""
    with Arena("rewind", options) as arena:
        found = torture(arena, 6.0, SEED, most=1)
    assert not found, found[0]
    assert arena.count["programs"] > 10


def test_a_module_of_cpythons_tests() -> None:
    """A module of CPython's own tests gives the same results in a request, and leaves nothing."""
    with Arena("rewind", {**regression.OPTIONS, "verify": True}) as arena:
        found = regression.run(arena, ["test_json"], lambda _: None)
    assert not found, found[0]
