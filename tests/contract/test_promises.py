# SPDX-License-Identifier: MIT
"""Each engine keeps each promise it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.promises import cases

if TYPE_CHECKING:
    from tests.contract.checks import Check
    from tests.contract.conftest import Gateways


@pytest.mark.parametrize(
    ("variant", "check"),
    [pytest.param(variant, check, id=name) for name, variant, check in cases()],
)
def test_promise(gateways: Gateways, variant: str, check: Check) -> None:
    """The check's own docstring says what must hold."""
    check(gateways(variant))
