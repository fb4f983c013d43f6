# SPDX-License-Identifier: MIT
"""nginx and gateways with the engine `lwc` in a guest: thousands of requests, one in ten a crash.

What is asked, and what each answer must be, is in tests/vm/traffic; here is how it ended.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.apps.marks import FRESH
from tests.vm import build, guest, names
from tests.vm.conftest import Boots, check_clean, check_result, needed, remember

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

    from tests.vm.verdict import Verdict

RESET, CREATE = 8500, 1500
FEW_RESET, FEW_CREATE = 72, 24

_HOUR = 3600

CASES = ("traffic_reset", "traffic_create", "no_context_is_left", "the_kernel_is_not_tainted")


def _quick_kernels() -> list[ParameterSet]:
    """One of them, unless others are asked for."""
    chosen = bool(os.environ.get("LWC_KERNELS"))
    return [
        pytest.param(name, marks=[] if chosen or name == names.GUEST_KERNEL else [pytest.mark.slow])
        for name in names.with_files()
    ]


def _boot(kernel: str, *, label: str, options: str, seconds: float) -> Verdict:
    command = f'"$PYTHON" -m tests.vm.traffic {options}'
    return remember(guest.run(kernel, command, label=label, seconds=seconds))


@pytest.fixture(scope="module")
def few(request: pytest.FixtureRequest) -> Boots:
    """Boots a kernel for few requests, to one gateway."""
    options = f"--requests {FEW_RESET} --create {FEW_CREATE} --small"
    return Boots(needed(request), partial(_boot, label="few", options=options, seconds=1500))


@pytest.fixture(scope="module")
def many(request: pytest.FixtureRequest) -> Boots:
    """Boots a kernel for many requests, to all demo applications that need no database server."""
    options = f"--requests {RESET} --create {CREATE}"
    return Boots(
        needed(request), partial(_boot, label="traffic", options=options, seconds=4 * _HOUR)
    )


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kernel", _quick_kernels())
@pytest.mark.parametrize("ending", CASES)
def test_few_requests(kernel: str, ending: str, few: Boots) -> None:
    """A gateway answers each request as it must, and leaves nothing behind when it stops."""
    check_result(few(kernel), ending)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kernel", _quick_kernels())
def test_the_boot_was_clean_after_few(kernel: str, few: Boots) -> None:
    """The guest came to its end, nothing in the kernel complained, no object of ours was left."""
    check_clean(few(kernel))


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.timeout(4 * _HOUR)
@pytest.mark.parametrize("kernel", names.with_files())
@pytest.mark.parametrize("ending", CASES)
def test_many_requests(kernel: str, ending: str, many: Boots) -> None:
    """Seven gateways with the demo's applications do, for 10,000 requests."""
    check_result(many(kernel), ending)


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.timeout(4 * _HOUR)
@pytest.mark.parametrize("kernel", names.with_files())
def test_the_boot_was_clean_after_many(kernel: str, many: Boots) -> None:
    """The guest came to its end, nothing in the kernel complained, no object of ours was left."""
    check_clean(many(kernel))


def test_what_a_request_leaves_is_noticed() -> None:
    """Where nothing is undone, the same requests find what others have left, of each kind."""
    command = [sys.executable, "-m", "tests.vm.traffic", "--engine", "none", "--small"]
    done = subprocess.run(
        [*command, "--requests", "120", "--create", "0"],
        cwd=build.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "TEST traffic_reset FAIL" in done.stdout
    left = "".join(re.findall(r"left by another: .*", done.stdout))
    assert [kind for kind in FRESH if f"'{kind}'" not in left] == []
    assert "You are visitor 2" in done.stdout
