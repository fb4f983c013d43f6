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
    [
        pytest.param(variant, check, id=f"{variant}-{promise}-{check.__name__}")
        for variant, promise, check in cases()
    ],
)
def test_promise(gateways: Gateways, variant: str, check: Check) -> None:
    """The check's own docstring says what must hold."""
    check(gateways(variant))
