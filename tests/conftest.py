# SPDX-License-Identifier: MIT
"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import re
import resource
import signal
from typing import TYPE_CHECKING

import pytest

from tests.harness import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a machine may lack without the run being worth less. Any other skip fails the run.
_ALLOWED_SKIPS = re.compile(
    r"this kernel or user cannot make the change '(io_flusher|arg_start|drop_capabilities|protection_key)'"
    r"|needs CPython 3\.12: immortal objects"
    r"|no Python 3\.1[123] here"
    r"|no compiler for C\+\+ here"
    r"|this Python comes without its own tests"
    r"|[\[-]6\.1[-\]].*: in the guest: mseal$"  # no such call in Linux 6.1
    r"|in the guest: a kernel that makes allocations fail \(fail-nth\)$"  # `make kmod-debug` has
    r"|got empty parameter set for \(kernel(, step)?\)"  # LWC_KERNELS has none that can
)
_unexpected: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note skips that nobody has allowed."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        told = f"{report.nodeid}: {reason.removeprefix('Skipped: ')}"
        if not _ALLOWED_SKIPS.search(told):
            _unexpected.append(told)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skip is a third result, and not a good one."""
    if _unexpected and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name them."""
    for line in _unexpected:
        terminalreporter.write_line(f"skipped, and not allowed to be: {line}")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Started in the background, or by nohup(1), all that the tests start would ignore signals."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def _many_descriptors() -> None:
    """The tests hold more than 1024 connections; what they start inherits the limit."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))


@pytest.fixture(scope="session", params=["fork", "none"])
def served(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway that serves tests.apps.acts with one worker, for tests that leave it whole."""
    with Gateway(engine=request.param) as gateway:
        yield gateway
