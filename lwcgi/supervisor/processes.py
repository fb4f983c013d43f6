# SPDX-License-Identifier: MIT
"""The processes of one session: found in /proc (proc(5)), signalled without mistaking a pid.

The snapshot process leads a session; all its descendants are members of it unless they
detached on purpose.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    """A live process: its pid, its parent's, and its session's leader."""

    pid: int
    parent: int
    session: int


def look_up(pid: int) -> Process | None:
    """Return the process with this *pid*; None when there is none, or only a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may hold anything, so parse from its end.
            state, parent, _, session = file.read().rpartition(b")")[2].split()[:4]
    except (OSError, ValueError):
        return None
    if state in b"ZX":
        return None
    return Process(pid, int(parent), int(session))


def members(session: int | None) -> list[Process]:
    """Return the live processes of *session*, or of all, this process left out."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    found = (look_up(pid) for pid in pids if pid != os.getpid())
    return [process for process in found if process and session in (None, process.session)]


def children(session: int | None) -> list[Process]:
    """Return this process's live children that are in *session*, or all of them."""
    return [process for process in members(session) if process.parent == os.getpid()]


def send(receivers: Collection[Process], number: int) -> None:
    """Send the signal *number* to each of *receivers* that still is who it was when found."""
    for receiver in receivers:
        try:
            pidfd = os.pidfd_open(receiver.pid)
        except OSError:
            continue
        try:
            # The pid may have been used again since; from here on the descriptor holds it.
            now = look_up(receiver.pid)
            if now is not None and now.session == receiver.session:
                signal.pidfd_send_signal(pidfd, number)
        except OSError:
            pass
        finally:
            os.close(pidfd)


def describe(status: int) -> str:
    """Return how a process ended, in words, from its wait status (waitpid(2))."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
