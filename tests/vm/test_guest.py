# SPDX-License-Identifier: MIT
"""The Python tests that need the module, run in a guest with this checkout and this Python."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.vm import guest, names
from tests.vm.conftest import Boots, check_clean, check_result, needed, remember, selected

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

    from tests.vm.verdict import Verdict

pytestmark = pytest.mark.timeout(1800)


def _kernels() -> list[ParameterSet]:
    """All that can mount the host's files; one of them is enough for `make test`."""
    chosen = bool(os.environ.get("LWC_KERNELS"))
    return [
        pytest.param(name, marks=[] if chosen or name == names.GUEST_KERNEL else [pytest.mark.slow])
        for name in names.with_files()
    ]


def _cases() -> list[ParameterSet]:
    return [
        pytest.param(case, marks=[pytest.mark.slow] if "::test_long_" in case else [])
        for case in names.guest_tests()
    ]


@pytest.fixture(scope="module")
def python_run(request: pytest.FixtureRequest) -> Boots:
    """Boots a kernel with the Python tests that this session has selected for it."""

    def boot(kernel: str) -> Verdict:
        return remember(guest.run_tests(kernel, selected(request, kernel, "case")))

    return Boots(needed(request), boot)


@pytest.mark.parametrize("kernel", _kernels())
@pytest.mark.parametrize("case", _cases())
def test_python(kernel: str, case: str, python_run: Boots) -> None:
    """The test passes in the guest."""
    check_result(python_run(kernel), case)


@pytest.mark.parametrize("kernel", _kernels())
def test_the_boot_was_clean(kernel: str, python_run: Boots) -> None:
    """The guest came to its end, nothing in the kernel complained, no object of ours was left."""
    verdict = python_run(kernel)
    check_clean(verdict)
    assert set(verdict.results) <= set(names.guest_tests())
