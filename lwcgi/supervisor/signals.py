# SPDX-License-Identifier: MIT
"""Signals as something to read: they wake the master's loop and are handled there."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

WATCHED = (
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGCHLD,
)


class Signals:
    """Context manager that turns the WATCHED signals into bytes of a socket.

    Handlers are replaced inside and put back at the end. Programs started inside get the
    default ones (execve(2) resets handlers, but keeps a signal ignored that was ignored).
    """

    def __enter__(self) -> Signals:
        self._receive, self._send = socket.socketpair()
        self._receive.setblocking(False)
        self._send.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._send.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _noted) for number in WATCHED}
        # Whoever started us may have had them blocked; what came meanwhile arrives now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(self._wakeup)
        self._receive.close()
        self._send.close()

    def fileno(self) -> int:
        """Return the descriptor that is readable when signals have arrived."""
        return self._receive.fileno()

    def waiting(self) -> bool:
        """Return whether signals have arrived since the last call of `arrived`."""
        try:
            return bool(self._receive.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False

    def arrived(self) -> list[int]:
        """Return the numbers of the signals since the last call, oldest first."""
        try:
            return list(self._receive.recv(4096))
        except BlockingIOError:
            return []


def _noted(number: int, frame: FrameType | None) -> None:
    """Do nothing: the wake-up descriptor has got the number."""


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Hold the WATCHED signals back while a program is started.

    Between fork and exec our handlers would still write to our wake-up socket. Yields what the
    new process calls in between: it puts everything back as whoever started us had it.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)

    def restore() -> None:
        for number in WATCHED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        yield restore
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
