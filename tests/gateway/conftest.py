# SPDX-License-Identifier: MIT
"""Fixtures for an application whose code changes while it is served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Gateway
from tests.harness.code import Code


@pytest.fixture
def code(tmp_path: Path) -> Code:
    """The application; version one."""
    return Code(tmp_path)


@pytest.fixture
def serve(code: Code) -> Callable[..., Gateway]:
    """A function that makes a gateway, not started, for the code."""

    def make(engine: str = "fork", **options: object) -> Gateway:
        named = {name.replace("_", "-"): value for name, value in options.items()}
        return Gateway(Code.app, engine, {"pythonpath": str(code.folder), **named})

    return make
