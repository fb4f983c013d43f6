# SPDX-License-Identifier: MIT
"""The master's end of a snapshot process: started, told, heard, killed."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ..config import Settings
from . import processes, wire
from .signals import WATCHED

_PR_SET_CHILD_SUBREAPER = 36

# Loaded here and not in the snapshot process: ctypes may leave a mapping behind.
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Have orphaned descendants reparented to this process (PR_SET_CHILD_SUBREAPER, prctl(2)).

    Raises:
        OSError: the kernel refuses.
    """
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass(frozen=True)
class Descriptors:
    """What a snapshot process inherits.

    Parameters:
        listeners: listening sockets, non-blocking.
        events: where it and its workers send log lines.
        output: standard output and error of application code.
        access_log: where the workers write the access log; -1 for nowhere.
    """

    listeners: Sequence[int]
    events: int
    output: int
    access_log: int


class Snapshot:
    """A running snapshot process.

    Parameters:
        settings: what it is to load.
        descriptors: what it inherits.
        check: load and freeze, report, and end.

    Raises:
        OSError: no process or no socket could be made.
    """

    def __init__(self, settings: Settings, descriptors: Descriptors, check: bool) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setblocking(False)
        start = wire.pack_message(
            {
                "settings": settings.to_json(),
                "listeners": list(descriptors.listeners),
                "events": descriptors.events,
                "access_log": descriptors.access_log,
                "check": check,
            }
        )
        inherited = [theirs.fileno(), descriptors.events, *descriptors.listeners]
        if descriptors.access_log >= 0:
            inherited.append(descriptors.access_log)
        # Between fork and exec our handlers would still write to our wake-up socket.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)

        def prepare() -> None:
            become_subreaper()
            for number in WATCHED:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

        try:
            self.control.send(start)
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "lwcgi.supervisor.snapshot",
                    str(theirs.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=descriptors.output,
                stderr=descriptors.output,
                pass_fds=inherited,
                start_new_session=True,
                preexec_fn=prepare,
            )
        except BaseException:
            self.control.close()
            raise
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.pid = self._process.pid

    def receive(self) -> list[dict[str, object]] | None:
        """Return the messages that have arrived; None at the end; never waits."""
        messages: list[dict[str, object]] = []
        while True:
            try:
                datagram = self.control.recv(wire.LARGEST_MESSAGE)
            except BlockingIOError:
                return messages
            except OSError:
                datagram = b""
            if not datagram:
                return messages or None
            messages.append(wire.unpack_message(datagram))

    def stop(self, quick: bool) -> None:
        """Ask it to stop its workers and end."""
        try:
            self.control.send(wire.pack_message({"command": "stop", "quick": quick}))
        except OSError:
            pass  # its end is on the way, or the deadline of the stop gets it

    def reaped(self, status: int) -> None:
        """Note that it was waited for, with this wait *status* (waitpid(2))."""
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.control.close()

    def interrupt_orphans(self) -> None:
        """Have its workers, ours now that it is dead, stop quickly."""
        processes.send(processes.children(self.pid), signal.SIGINT)

    def kill_leftovers(self) -> bool:
        """Kill every process of its session; return whether there was any."""
        found = processes.members(self.pid)
        processes.send(found, signal.SIGKILL)
        return bool(found)
