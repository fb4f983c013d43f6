# SPDX-License-Identifier: MIT
"""Tells the host the results of the tests in this folder as ``file::function``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vm.guest_tests.telling import Teller

if TYPE_CHECKING:
    from pathlib import Path


def _name(node: str) -> str:
    path, _, case = node.partition("::")
    return f"{path.rpartition('/')[2].removesuffix('.py')}::{case.partition('[')[0]}"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin to tell."""
    Teller(config, _name)


@pytest.fixture(scope="session")
def checkout(pytestconfig: pytest.Config) -> Path:
    """The folder of the project."""
    return pytestconfig.rootpath.parents[2]
