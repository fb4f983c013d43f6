# SPDX-License-Identifier: MIT
"""Gateways that serve more than one test."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.contract.promises import start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness import Gateway

    Gateways: TypeAlias = Callable[[str], Gateway]


@pytest.fixture(scope="module")
def gateways() -> Iterator[Gateways]:
    """The running gateway of a variant; one serves all tests of a module."""
    running: dict[str, Gateway] = {}
    with ExitStack() as stack:

        def gateway(variant: str) -> Gateway:
            if variant not in running:
                running[variant] = stack.enter_context(start(variant))
            return running[variant]

        yield gateway
