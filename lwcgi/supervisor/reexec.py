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
from .signals import WATCHED, Signals, held_back

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

    @property
    def ready(self) -> bool:
        """The next step, a trial or the new program, can be made."""
        return self.passed or (self.wanted and self._trial is None)

    def try_out(self) -> None:
        """Start the new program with all that it will be left, to see whether it can take over."""
        self.wanted = False
        fd, own = -1, os.getpid()
        try:
            left = self._state()
            fd = left.write()
            with held_back() as restore:

                def prepare() -> None:
                    die_with_parent(own)
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
            if fd >= 0:
                os.close(fd)

    def due(self) -> float | None:
        """Return the moment at which the trial has taken too long; None where there is none."""
        return self._kill_at if self._trial and self._kill_at else None

    def tick(self) -> None:
        """End a trial that takes too long."""
        if (due := self.due()) is not None and time.monotonic() >= due:
            self.abandon()
            self._refused(f"did not get ready within {_TRIAL_SECONDS:g} s")

    def abandon(self) -> None:
        """End the trial, whose result is not wanted any more."""
        self._kill_at = 0.0
        if self._trial and (found := processes.look_up(self._trial.pid)):
            processes.send([found], signal.SIGKILL)

    def died(self, pid: int, status: int) -> None:
        """Note that the child *pid* was waited for, with this wait *status*."""
        if self._trial is None or pid != self._trial.pid:
            return
        self._trial.returncode = os.waitstatus_to_exitcode(status)
        self._trial = None
        if self._kill_at:
            # Asked for once more, it may have been replaced since: it is tried once more.
            self.passed = status == 0 and not self.wanted
            if status != 0:
                self._refused(processes.describe(status))

    def execute(self, signals: Signals) -> None:
        """Become the new program; returns only where that fails, or where signals come first."""
        # Those that arrive from here on wait for the new program's handlers.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        if signals.waiting():
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            return
        inherited: list[int] = []
        try:
            left = self._state()
            inherited = [left.write(), *left.descriptors()]
            for kept in inherited:
                os.set_inheritable(kept, True)
            command = _command()
            environment = {**os.environ, VARIABLE: value(inherited[0], trial=False)}
            os.execve(command[0], command, environment)
        except OSError as error:
            for kept in inherited:
                os.set_inheritable(kept, False)
            for fd in inherited[:1]:
                os.close(fd)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self.passed = False
            self._refused(f"cannot be executed: {error.strerror}")

    def _refused(self, how: str) -> None:
        self._tell("error", f"SIGUSR2: the lwcgi that is installed {how}; this one goes on")


def _command() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]
