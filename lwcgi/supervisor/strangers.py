# SPDX-License-Identifier: MIT
"""What requests at `--isolate hostile` leave to the master, who ends it.

It comes to us, detached into a session of its own, where a snapshot process dies that should
have ended it. Other children are not ours to end: what the shell that became lwcgi had started,
and helpers that the application started while it was loaded.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Collection

from . import processes
from .ending import QUICK_SECONDS


class Strangers:
    """The children that the master has not started.

    Parameters:
        spared: pids of those that were there before lwcgi.
    """

    def __init__(self, spared: Collection[int]) -> None:
        self.spared = set(spared)
        self.unwelcome = False
        """Requests of that level are served, or have been."""

    def died(self, pid: int) -> None:
        """Note that the child *pid* was waited for: the pid may now be another's."""
        self.spared.discard(pid)

    def kill(self, generations: Collection[int]) -> None:
        """Kill those that requests have left, but none of the sessions of *generations*."""
        if self.unwelcome:
            found = processes.children(None)
            left = [one for one in found if one.session not in generations and self._is_left(one)]
            processes.send(left, signal.SIGKILL)

    def end(self, generations: Collection[int]) -> None:
        """End them all, and those sessions too, at the end of lwcgi."""
        if self.unwelcome:
            processes.end_children(
                lambda one: one.session not in generations and not self._is_left(one), QUICK_SECONDS
            )

    def _is_left(self, process: processes.Process) -> bool:
        # Every request of that level is bound. No other session can join ours.
        return (
            process.session != os.getsid(0)
            and process.pid not in self.spared
            and processes.is_bound(process.pid)
        )
