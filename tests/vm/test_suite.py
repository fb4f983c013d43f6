# SPDX-License-Identifier: MIT
"""The C tests of the module, each in every kernel we build for."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.vm import names
from tests.vm.conftest import check_clean, check_result

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

    from tests.vm.conftest import Boots

# The first test of a kernel waits for the boot and all the others; it may also be downloaded.
pytestmark = pytest.mark.timeout(1800)


def _is_slow(kernel: str, test: str) -> bool:
    chosen = bool(os.environ.get("LWC_KERNELS"))
    return test.startswith("long_") or not (chosen or kernel in names.QUICK_KERNELS)


def _has(kernel: str, test: str) -> bool:
    """Whether it runs there: unasked, the long loops do so on one flavour of each series.

    On the other, which can mount the host's files, Python's long sequences do.
    """
    return kernel.endswith("-cloud") or bool(os.environ.get("LWC_KERNELS")) or test[:5] != "long_"


def _cases() -> list[ParameterSet]:
    return [
        pytest.param(
            kernel,
            test,
            id=f"{kernel}-{test}",
            marks=[pytest.mark.slow] if _is_slow(kernel, test) else [],
        )
        for kernel in names.kernels()
        for test in names.suite_tests()
        if _has(kernel, test)
    ]


def _kernels() -> list[ParameterSet]:
    return [
        pytest.param(kernel, marks=[pytest.mark.slow] if _is_slow(kernel, "") else [])
        for kernel in names.kernels()
    ]


@pytest.mark.parametrize(("kernel", "test"), _cases())
def test_guest(kernel: str, test: str, suite_run: Boots) -> None:
    """The test passes in the guest."""
    check_result(suite_run(kernel), test)


@pytest.mark.parametrize("kernel", _kernels())
def test_the_boot_was_clean(kernel: str, suite_run: Boots) -> None:
    """The guest came to its end, nothing in the kernel complained, no object of ours was left."""
    check_clean(suite_run(kernel))


@pytest.mark.parametrize("kernel", _kernels())
def test_every_test_of_the_program_is_known(kernel: str, suite_run: Boots) -> None:
    """What the program lists and what it reports is what the sources name."""
    verdict = suite_run(kernel)
    listed = re.findall(r"^LWCVM listed (\S+)$", verdict.told, re.MULTILINE)
    assert sorted(listed) == sorted(names.suite_tests())
    assert set(verdict.results) <= set(listed)
