# SPDX-License-Identifier: MIT
"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from tests.harness import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _many_descriptors() -> None:
    """The tests hold more than 1024 connections; what they start inherits the limit."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))


@pytest.fixture(scope="session", params=["fork", "none"])
def served(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway that serves tests.apps.acts with one worker, for tests that leave it whole."""
    with Gateway(engine=request.param) as gateway:
        yield gateway
