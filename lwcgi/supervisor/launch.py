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

from .. import __version__
from ..config import Settings
from . import processes, wire
from .environment import for_application
from .identity import Identity, credentials
from .signals import held_back

# More than a snapshot process has to say; what floods us is not to keep us from our signals.
_MESSAGES = 16

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

# Loaded here and not in the snapshot process: ctypes may leave a mapping behind.
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Have orphaned descendants reparented to this process (PR_SET_CHILD_SUBREAPER, prctl(2)).

    Raises:
        OSError: the kernel refuses.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Have this process killed when *parent*, which made it, ends (PR_SET_PDEATHSIG, prctl(2))."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
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
        queue: sending and receiving end of the queue of connections, which all workers share.
        door: of the kernel module, where the application's user may not open it; -1 for none.
    """

    listeners: Sequence[int]
    events: int
    output: int
    access_log: int
    queue: tuple[int, int]
    door: int = -1

    def inherited(self) -> list[int]:
        """Return those that keep their number in the snapshot process."""
        more = [fd for fd in (self.access_log, self.door) if fd >= 0]
        return [self.events, *self.listeners, *self.queue, *more]


class Snapshot:
    """A running snapshot process.

    Parameters:
        pid: its pid; it is a child of ours.
        control: our end of its control socket.
        process: for one that was started here.
    """

    def __init__(
        self, pid: int, control: socket.socket, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.pid = pid
        self.control = control
        self._process = process

    @classmethod
    def start(
        cls,
        settings: Settings,
        descriptors: Descriptors,
        check: bool,
        identity: Identity | None = None,
    ) -> Snapshot:
        """Start one.

        Parameters:
            settings: what it is to load.
            descriptors: what it inherits.
            check: load and freeze, report, and end.
            identity: the user it is to be; None for this process's.

        Raises:
            OSError: no process or no socket could be made.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        order = wire.pack_message(
            {
                "version": __version__,
                "settings": settings.to_json(),
                "listeners": list(descriptors.listeners),
                "events": descriptors.events,
                "access_log": descriptors.access_log,
                "queue": list(descriptors.queue),
                "door": descriptors.door,
                "check": check,
            }
        )
        try:
            control.send(order)
            with held_back() as restore:

                def prepare() -> None:
                    become_subreaper()
                    restore()

                process = subprocess.Popen(
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
                    pass_fds=[theirs.fileno(), *descriptors.inherited()],
                    start_new_session=True,
                    preexec_fn=prepare,
                    env=for_application(identity),
                    **credentials(identity),
                )
        except BaseException:
            control.close()
            raise
        finally:
            theirs.close()
        return cls(process.pid, control, process)

    def receive(self) -> list[dict[str, object]] | None:
        """Return the next messages that have arrived; None at the end; never waits."""
        messages: list[dict[str, object]] = []
        for _ in range(_MESSAGES):
            try:
                datagram = self.control.recv(wire.LARGEST_MESSAGE)
            except BlockingIOError:
                return messages
            except OSError:
                datagram = b""
            if not datagram:
                return messages or None
            messages.append(wire.unpack_message(datagram))
        return messages

    def stop(self, quick: bool) -> None:
        """Ask it to stop its workers and end."""
        self._order(wire.stop(quick))

    def resize(self, workers: int) -> None:
        """Ask it to have so many workers."""
        self._order(wire.resize(workers))

    def _order(self, message: bytes) -> None:
        try:
            self.control.send(message)
        except OSError:
            pass  # its end is on the way, or the deadline of the stop gets it

    def send(self, number: int) -> None:
        """Send the signal *number* to the process itself."""
        if (found := processes.look_up(self.pid)) is not None:
            processes.send([found], number)

    def reaped(self, status: int) -> None:
        """Note that it was waited for, with this wait *status* (waitpid(2))."""
        if self._process is not None:
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
