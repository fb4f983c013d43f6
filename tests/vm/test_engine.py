# SPDX-License-Identifier: MIT
"""The engine `lwc` keeps the contract (tests/contract), in guests that have the module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract import mutants, promises
from tests.contract.guest_steps import IN_A_GUEST
from tests.vm import guest, names
from tests.vm.conftest import Boots, check_clean, check_result, needed, remember, selected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.mark import ParameterSet

    from tests.vm.verdict import Verdict

pytestmark = pytest.mark.timeout(7200)

QUICK = frozenset(
    {
        "lwc-1-registers_are_restored",
        "lwc-3-descriptors_can_be_spoiled",
        "lwc-4-attributes_are_the_applications",
        "lwc-6-fork_hooks_have_run",
        "lwc-separation-a_context_holds_nothing_of_the_root",
        "lwc-switches-switches_that_cannot_be_meant",
    }
)
"""What `make test` runs: one gateway, and checks that take no longer than its start."""

_BOOT, _EACH = 90.0, 60.0  # seconds, several times what they take
_CHECKED = "test_mutations::test_checks_pass_with_the_steps"
_MUTATED = "test_mutations::test_check_fails_without_the_step"

_STEPS = [f"{variant}-{step}" for variant, steps in IN_A_GUEST.items() for step in steps]


def _kernels(*quick: str) -> list[ParameterSet]:
    """All that can mount the host's files; *quick* ones are for `make test` too."""
    return [
        pytest.param(name, marks=[] if name in quick else [pytest.mark.slow])
        for name in names.with_files()
    ]


_BOTH = _kernels("6.1", "6.12")


def _cases() -> list[ParameterSet]:
    return [
        pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow])
        for name, _, _ in promises.cases(promises.GUEST_VARIANTS)
    ]


@pytest.fixture(scope="module")
def contract_run(request: pytest.FixtureRequest) -> Boots:
    """Boots a kernel with the checks that this session has selected for it."""

    def boot(kernel: str) -> Verdict:
        cases = selected(request, kernel, "check") or sorted(QUICK)
        tests = [f"test_promises::test_promise[{case}]" for case in cases]
        seconds = _BOOT + _EACH * len(cases)
        return remember(guest.run_contract(kernel, "promises", tests, seconds))

    return Boots(needed(request), boot)


@pytest.mark.parametrize("kernel", _BOTH)
@pytest.mark.parametrize("check", _cases())
def test_promise(kernel: str, check: str, contract_run: Boots) -> None:
    """The engine keeps this promise."""
    check_result(contract_run(kernel), check)


@pytest.mark.parametrize("kernel", _BOTH)
def test_the_boot_was_clean(kernel: str, contract_run: Boots) -> None:
    """Nothing in the kernel complained, no object of the module was left."""
    check_clean(contract_run(kernel))


def test_the_quick_ones_exist() -> None:
    """No name that `make test` runs is out of date."""
    assert {name for name, _, _ in promises.cases(promises.GUEST_VARIANTS)} >= QUICK


@pytest.fixture(scope="module")
def mutated_core() -> Iterator[str]:
    """A build that can leave steps out."""
    with mutants.built() as folder:
        yield str(folder)


@pytest.fixture(scope="module")
def mutation_run(request: pytest.FixtureRequest, mutated_core: str) -> Boots:
    """Boots a kernel in which first none, then one step of the core after the other is left out."""

    def boot(kernel: str) -> Verdict:
        variants = selected(request, kernel, "variant")
        steps = selected(request, kernel, "step")
        checks = sum(len(IN_A_GUEST[variant]) for variant in variants)
        tests = [f"{_CHECKED}[{variant}]" for variant in variants]
        tests += [f"{_MUTATED}[{step}]" for step in steps]
        seconds = _BOOT + 2 * _EACH * (checks + len(steps))
        return remember(guest.run_contract(kernel, "mutations", tests, seconds, mutated_core))

    return Boots(needed(request), boot)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", _kernels())
@pytest.mark.parametrize("variant", IN_A_GUEST)
def test_the_checks_hold_with_all_steps(kernel: str, variant: str, mutation_run: Boots) -> None:
    """In the same build and boot, as patient, the checks of guest_steps.py pass."""
    check_result(mutation_run(kernel), variant)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", _kernels())
@pytest.mark.parametrize("step", _STEPS)
def test_a_check_fails_without(kernel: str, step: str, mutation_run: Boots) -> None:
    """Without this step of the clean-up, or this wall, the check named in guest_steps.py fails."""
    check_result(mutation_run(kernel), step)
