# SPDX-License-Identifier: MIT
"""A plugin for tests of the gateway inside a guest: its machine is slow, and its host listens."""

from __future__ import annotations

import pytest

from tests.contract import promises
from tests.harness import waiting
from tests.vm.guest_tests.telling import Teller


def _name(node: str) -> str:
    """What stands in brackets: no other test of that file has parameters like it."""
    return node.partition("[")[2].removesuffix("]") or node.rpartition("::")[2]


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin to tell, and be patient: without hardware virtualization it is 30 times slower."""
    waiting.patience = waiting.to_come_up = 150.0
    promises.TIMEOUT = "25s"
    Teller(config, _name)
