# SPDX-License-Identifier: MIT
"""Each engine keeps each promise it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.promises import cases, start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.checks import Check
    from tests.harness import Gateway


@pytest.fixture(scope="module")
def gateways() -> Iterator[dict[str, Gateway]]:
    """The running gateways by engine; one serves all checks of its engine."""
    running: dict[str, Gateway] = {}
    yield running
    for gateway in running.values():
        gateway.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("engine", "check"),
    [
        pytest.param(engine, check, id=f"{engine}-{promise}-{check.__name__}")
        for engine, promise, check in cases()
    ],
)
def test_promise(gateways: dict[str, Gateway], engine: str, check: Check) -> None:
    """The check's own docstring says what must hold."""
    if engine not in gateways:
        gateways[engine] = start(engine).__enter__()
    check(gateways[engine])
