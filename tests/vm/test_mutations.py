# SPDX-License-Identifier: MIT
"""Each step of the module's clean-up is needed: without it, a test named in the table fails."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.vm import names, runs
from tests.vm.conftest import Boots, needed, remember
from tests.vm.mutations import MUTATIONS

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

    from tests.vm.verdict import Verdict

pytestmark = pytest.mark.timeout(1800)

_PARAMETER = "/sys/module/lwc/parameters/leave_out"
_NONE, _AT_THE_END = "none", "none_at_the_end"  # no step is called so
_OF_THE_KERNEL = ("the kernel says: ", "kmemleak: ")
_STEPS = names.mutations()


def _kernels() -> list[ParameterSet]:
    """One of them is enough for `make test`; what a debug kernel would say is not asked here."""
    chosen = bool(os.environ.get("LWC_KERNELS"))
    return [
        pytest.param(
            name, marks=[] if chosen or name == names.MUTATED_KERNEL else [pytest.mark.slow]
        )
        for name in names.kernels()
        if not name.startswith("debug-") and (chosen or name in names.QUICK_KERNELS)
    ]


def _sections(told: str) -> dict[str, str]:
    """Return what the guest told while a step was left out, by the name of the step."""
    parts = re.split(r"^LWCVM without (\w+)$", told, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _without(step: str, tests: tuple[str, ...], label: str = "") -> str:
    """Return the lines of a script that run tests while a step is left out."""
    # printf, as the parameter keeps a newline.
    return (
        f"printf {step} >{_PARAMETER} || exit 3\n"
        f"echo LWCVM without {label or step}\n"
        f"/lwc-suite {' '.join(tests)}\n"
        f"printf {_NONE} >{_PARAMETER}\n"
    )


def _boot(kernel: str, label: str, script: str) -> Verdict:
    verdict = runs.suite(
        kernel, label=f"mutations{label}", defines=["LWC_MUTATIONS"], script=script, seconds=600
    )
    return remember(verdict)


@pytest.fixture(scope="module")
def mutated(request: pytest.FixtureRequest) -> Boots:
    """Boots a kernel once, in which every step is left out in turn, first of all none."""

    def boot(kernel: str) -> Verdict:
        shared = {
            name: mutation
            for name, mutation in MUTATIONS.items()
            if name in _STEPS and not mutation.own_boot and _needs(kernel, name)
        }
        tests = tuple(dict.fromkeys(t for m in shared.values() for t in m.tests))
        script = _without(_NONE, tests)
        script += "".join(_without(name, m.tests) for name, m in shared.items())
        # What one of them had left behind would have made those after it fail.
        script += _without(_NONE, tests, label=_AT_THE_END)
        return _boot(kernel, "", script)

    return Boots(needed(request), boot)


def test_every_step_has_an_entry() -> None:
    """The table has the steps of the sources and no others."""
    assert sorted(MUTATIONS) == _STEPS


def test_the_tests_exist() -> None:
    """The table names tests that there are, and for each step one at least."""
    named = {test for mutation in MUTATIONS.values() for test in mutation.tests}
    assert named <= set(names.suite_tests())
    assert all(mutation.tests for mutation in MUTATIONS.values())


@pytest.mark.parametrize("kernel", _kernels())
def test_tests_pass_with_all_steps(kernel: str, mutated: Boots) -> None:
    """In the build that can leave steps out, the tests of the table pass while none is."""
    verdict = mutated(kernel)
    for label in (_NONE, _AT_THE_END):
        _check_passes(verdict, label)


def _check_passes(verdict: Verdict, label: str) -> None:
    section = _sections(verdict.told).get(label)
    assert section is not None, verdict.report()
    assert "\nTEST " in section
    assert not re.findall(r"^TEST \S+ FAIL.*$", section, re.MULTILINE)


def _cases() -> list[ParameterSet]:
    """Kernels and steps; those with a boot of their own take too long for `make test`."""
    return [
        pytest.param(
            *kernel.values,
            step,
            marks=[*kernel.marks, *([pytest.mark.slow] if MUTATIONS[step].own_boot else [])],
        )
        for kernel in _kernels()
        for step in _STEPS
        if step in MUTATIONS and _needs(str(kernel.values[0]), step)
    ]


def _needs(kernel: str, step: str) -> bool:
    series = MUTATIONS[step].series
    return not series or series in (kernel, kernel.removesuffix("-cloud"))


@pytest.mark.parametrize(("kernel", "step"), _cases())
def test_is_caught_without(kernel: str, step: str, mutated: Boots) -> None:
    """With the step left out, one of its tests fails; or the kernel complains, where it may."""
    mutation = MUTATIONS[step]
    if mutation.own_boot:
        script = _without(_NONE, mutation.tests) + _without(step, mutation.tests)
        verdict = _boot(kernel, f"-{step}", script)
        _check_passes(verdict, _NONE)
    else:
        verdict = mutated(kernel)
    section = _sections(verdict.told).get(step)
    assert section is not None, f"not reached; {verdict.report()}"
    failed = re.search(r"^TEST \S+ FAIL", section, re.MULTILINE)
    complained = any(problem.startswith(_OF_THE_KERNEL) for problem in verdict.problems)
    assert failed or (mutation.own_boot and complained), f"nothing failed:\n{section}"
