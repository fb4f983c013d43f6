# SPDX-License-Identifier: MIT
"""The engine `lwc` keeps the contract (tests/contract), in guests that have the module."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.contract import promises
from tests.vm import guest, names
from tests.vm.conftest import Boots, check_clean, check_result, needed, remember, selected

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

    from tests.vm.verdict import Verdict

pytestmark = pytest.mark.timeout(7200)

QUICK = frozenset(
    {
        "lwc-2-mappings_are_restored",
    }
)
"""What `make test` runs: one gateway, and a boot that takes as long as the checks."""


def _kernels() -> list[str]:
    return [name for name in names.kernels() if not name.endswith("-cloud")]


def _cases() -> list[ParameterSet]:
    chosen = bool(os.environ.get("LWC_KERNELS"))
    return [
        pytest.param(name, marks=[] if chosen or name in QUICK else [pytest.mark.slow])
        for name, _, _ in promises.cases(promises.GUEST_VARIANTS)
    ]


@pytest.fixture(scope="module")
def contract_run(request: pytest.FixtureRequest) -> Boots:
    """Boots a kernel with the checks that this session has selected for it."""

    def boot(kernel: str) -> Verdict:
        cases = selected(request.session, kernel, "check")
        # A whole contract takes 15 minutes each way.
        seconds = 60 + 60 * len(cases)
        return remember(guest.run_contract(kernel, "test_promises::test_promise", cases, seconds))

    return Boots(needed(request), boot)


@pytest.mark.parametrize("kernel", _kernels())
@pytest.mark.parametrize("check", _cases())
def test_promise(kernel: str, check: str, contract_run: Boots) -> None:
    """The engine keeps this promise."""
    check_result(contract_run(kernel), check)


@pytest.mark.parametrize("kernel", _kernels())
def test_the_boot_was_clean(kernel: str, contract_run: Boots) -> None:
    """Nothing in the kernel complained, no object of the module was left."""
    check_clean(contract_run(kernel))


def test_the_quick_ones_exist() -> None:
    """No name that `make test` runs is out of date."""
    assert {name for name, _, _ in promises.cases(promises.GUEST_VARIANTS)} >= QUICK
