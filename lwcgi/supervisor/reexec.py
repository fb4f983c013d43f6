# SPDX-License-Identifier: MIT
"""Executing lwcgi anew in this process: first on trial in a child, then for good.

The process keeps its pid, so that service managers and containers, which watch it, do not
take a new version for an end. What cannot even start must be found out before: hence the trial.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from . import processes
from .handover import VARIABLE, Handover, value
from .launch import die_with_parent
from .signals import WATCHED, held_back

_TRIAL_SECONDS = 60.0


class Reexec:
    """The way to another program in this process.

    Parameters:
        state: returns what is to be left to it, as things are.
        tell: takes level and text for the log.
    """

    def __init__(self, state: Callable[[], Handover], tell: Callable[[str, str], None]) -> None:
        self.wanted = False
        """It was asked for, and has not been tried yet."""
        self.passed = False
        """The trial went well."""
        self._state = state
        self._tell = tell
        self._trial: subprocess.Popen[bytes] | None = None
        self._kill_at = 0.0

    @property
    def pending(self) -> bool:
        """A trial runs, or has gone well."""
        return self._trial is not None or self.passed

    def try_out(self) -> None:
        """Start the new program with all that it will be left, to see whether it can take over."""
        self.wanted = False
        left = self._state()
        fd = left.write()
        try:
            with held_back() as restore:

                def prepare() -> None:
                    die_with_parent()
                    restore()

                self._trial = subprocess.Popen(
                    _command(),
                    stdin=subprocess.DEVNULL,
                    pass_fds=[fd, *left.descriptors()],
                    preexec_fn=prepare,
                    env={**os.environ, VARIABLE: value(fd, trial=True)},
                )
            self._kill_at = time.monotonic() + _TRIAL_SECONDS
        except OSError as error:
            self._refused(f"cannot be executed: {error.strerror}")
        finally:
            os.close(fd)

    def due(self) -> float | None:
        """Return the moment at which the trial has taken too long; None where there is none."""
        return self._kill_at if self._trial else None

    def tick(self) -> None:
        """End a trial that takes too long."""
        if self._trial and time.monotonic() >= self._kill_at:
            self.abandon()

    def abandon(self) -> None:
        """End the trial."""
        if self._trial and (found := processes.look_up(self._trial.pid)):
            processes.send([found], signal.SIGKILL)
            self._kill_at = time.monotonic() + _TRIAL_SECONDS

    def died(self, pid: int, status: int) -> bool:
        """Note that the child *pid* was waited for; return whether a trial ended in vain."""
        if self._trial is None or pid != self._trial.pid:
            return False
        self._trial.returncode = os.waitstatus_to_exitcode(status)
        self._trial = None
        self.passed = status == 0
        if not self.passed:
            self._refused(processes.describe(status))
        return not self.passed

    def execute(self) -> None:
        """Become the new program; returns only where that fails."""
        left = self._state()
        fd = left.write()
        inherited = [fd, *left.descriptors()]
        # Signals that arrive on the way wait for the new program's handlers.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        try:
            for kept in inherited:
                os.set_inheritable(kept, True)
            command = _command()
            environment = {**os.environ, VARIABLE: value(fd, trial=False)}
            os.execve(command[0], command, environment)
        except OSError as error:
            for kept in inherited:
                os.set_inheritable(kept, False)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(fd)
            self.passed = False
            self._refused(f"cannot be executed: {error.strerror}")

    def _refused(self, how: str) -> None:
        self._tell("error", f"SIGUSR2: the lwcgi that is installed {how}; this one goes on")


def _command() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]
