# SPDX-License-Identifier: MIT
"""Tells the host the result of each test in the form that the C tests have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


class _Teller:
    """Prints ``TEST file::function kind text`` when a test is over."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.passed and report.when != "call":
            return
        path, _, case = report.nodeid.partition("::")
        name = f"{path.rpartition('/')[2].removesuffix('.py')}::{case.partition('[')[0]}"
        if report.passed:
            self._tell(name, "ok", f"{report.duration * 1000:.0f}")
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            self._tell(name, "SKIP", str(reason).removeprefix("Skipped: "))
        else:
            self._tell(name, "FAIL", report.longreprtext.strip().rpartition("\nE ")[2])

    def _tell(self, name: str, kind: str, text: str) -> None:
        # On a line of its own, wherever the dots have got to.
        self._terminal.write(f"\nTEST {name} {kind} {' '.join(text.split())}\n")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Add it once there is something to print with."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    config.pluginmanager.register(_Teller(terminal))


@pytest.fixture(scope="session")
def checkout(pytestconfig: pytest.Config) -> Path:
    """The folder of the project."""
    return pytestconfig.rootpath.parents[2]
