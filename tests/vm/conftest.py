# SPDX-License-Identifier: MIT
"""One boot per kernel for all tests of it, when the first of them is asked for."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.vm import runs
from tests.vm.errors import VmError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.vm.verdict import Verdict

collect_ignore = ["guest_tests"]

_booted: list[Verdict] = []
_reported: list[Verdict] = []


def remember(verdict: Verdict) -> Verdict:
    """Count a boot for the last line; return it."""
    _booted.append(verdict)
    return verdict


class Boots:
    """Boots kernels once, two at a time, when a result of one of them is first asked for.

    Parameters:
        kernels: names of those that this session needs.
        boot: called with the name of a kernel, in a thread.
    """

    def __init__(self, kernels: Sequence[str], boot: Callable[[str], Verdict]) -> None:
        self._kernels = kernels
        self._boot = boot
        self._runs: dict[str, Future[Verdict]] = {}
        self._failed: set[str] = set()

    def __call__(self, kernel: str) -> Verdict:
        """Return the verdict on a kernel; where there was no run, fail the test with the reason."""
        if not self._runs:
            # A boot is mostly one processor's work, and that is what machines have at least two of.
            pool = ThreadPoolExecutor(2)
            self._runs = {name: pool.submit(self._boot, name) for name in self._kernels}
            pool.shutdown(wait=False)
        try:
            return self._runs[kernel].result()
        except VmError as error:
            again = kernel in self._failed
            self._failed.add(kernel)
            pytest.fail("as the first test of this kernel" if again else str(error), pytrace=False)


def _parameters(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """Return the parameters of the tests in this session that use the fixture of a request."""
    return [
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and request.fixturename in item.fixturenames
        and request.node in item.listchain()  # one of that name in another module is another one
        and hasattr(item, "callspec")
    ]


def needed(request: pytest.FixtureRequest) -> list[str]:
    """Return the kernels of the tests that this session runs with the fixture of a request."""
    return list(dict.fromkeys(parameters["kernel"] for parameters in _parameters(request)))


def selected(request: pytest.FixtureRequest, kernel: str, parameter: str) -> list[str]:
    """Return what a parameter is in the tests of a kernel that this session runs with a fixture."""
    return [
        parameters[parameter]
        for parameters in _parameters(request)
        if parameters["kernel"] == kernel and parameter in parameters
    ]


def check_result(verdict: Verdict, name: str) -> None:
    """Let a test of ours end as the test of that name ended in the guest."""
    result = verdict.results.get(name)
    if result is None:
        # The reason is the same for all that were to come after it.
        again = verdict in _reported
        _reported.append(verdict)
        what = "; ".join(verdict.problems) if again else verdict.report()
        pytest.fail(f"{name} has no result; {what}", pytrace=False)
    if result.kind == "SKIP":
        pytest.skip(f"in the guest: {result.text}")
    if result.kind != "ok":
        pytest.fail(f"{result.text}\n{verdict.around(name)}", pytrace=False)


def check_clean(verdict: Verdict) -> None:
    """Fail unless the guest came to its end, with a clean log and no object of ours left."""
    if verdict.problems or verdict.live != 0:
        pytest.fail(verdict.report(), pytrace=False)


@pytest.fixture(scope="session")
def suite_run(request: pytest.FixtureRequest) -> Boots:
    """Boots a kernel with the C tests that this session has selected for it."""

    def boot(kernel: str) -> Verdict:
        tests = " ".join(selected(request, kernel, "test"))
        # Without names it would run them all.
        run = f"/lwc-suite {tests}\n" if tests else ""
        script = f"/lwc-suite --list | sed 's/^/LWCVM listed /'\n{run}"
        return remember(runs.suite(kernel, script=script, seconds=600))

    return Boots(needed(request), boot)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell in one line what ran in guests."""
    if not _booted:
        return
    for verdict in _booted:
        for name, result in verdict.results.items():
            if name.startswith("traffic_"):
                terminalreporter.write_line(f"{verdict.title}: {name} {result.kind}: {result.text}")
    kernels = {verdict.title.split()[0] for verdict in _booted}
    kinds = [result.kind for verdict in _booted for result in verdict.results.values()]
    # Mutated modules are meant to leave something behind.
    whole = [v for v in _booted if "mutation" not in v.title]
    live = sum(verdict.live or 0 for verdict in whole)
    terminalreporter.write_line(
        f"vm: {len(kernels)} kernels in {len(_booted)} boots, {len(kinds)} tests run there, "
        f"{sum(len(v.failed) for v in whole)} failed, {live} live objects at unload "
        f"({sum(verdict.seconds for verdict in _booted):.0f} s of machine time)"
    )
