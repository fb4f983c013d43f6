# SPDX-License-Identifier: MIT
"""Tells the host the result of each test in the form that the C tests have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class Teller:
    """Prints ``TEST name kind text`` when a test is over.

    Parameters:
        config: of this run of pytest, once it has something to print with.
        name: makes the name from a node's id; no space may be in it.
    """

    def __init__(self, config: pytest.Config, name: Callable[[str], str]) -> None:
        self._terminal = config.pluginmanager.getplugin("terminalreporter")
        self._name = name
        config.pluginmanager.register(self)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell what is worth telling of a phase of a test."""
        if report.passed and report.when != "call":
            return
        name = self._name(report.nodeid)
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
