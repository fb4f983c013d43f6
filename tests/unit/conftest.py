# SPDX-License-Identifier: MIT
"""The fixture that all tests of the gate share."""

from __future__ import annotations

import pytest

from tests.unit.gate_probe import Gate


@pytest.fixture
def fresh() -> Gate:
    """A gate that knows what the test runner itself has."""
    return Gate()
