# SPDX-License-Identifier: MIT
"""The processes of one session: found in /proc (proc(5)), signalled without mistaking a pid.

The snapshot process leads a session; all its descendants are members of it unless they
detached on purpose.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

MOST = 500
"""Children that are reaped in one go, before others have their turn."""


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
            found = file.read().rpartition(b")")[2].split()
        state, parent, session, threads = found[0], found[1], found[3], int(found[17])
    except OSError:
        return _hidden(pid)
    except (ValueError, IndexError):
        return None
    # Where only the first thread has ended, the state is that of a zombie too.
    if state == b"X" or (state == b"Z" and threads <= 1):
        return None
    return Process(pid, int(parent), int(session))


def _hidden(pid: int) -> Process | None:
    """Return a child of ours that /proc does not show (hidepid, of one that is not dumpable)."""
    try:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return None
        return Process(pid, os.getpid(), os.getsid(pid))
    except (ChildProcessError, ProcessLookupError):
        return None


def members(session: int | None) -> list[Process]:
    """Return the live processes of *session*, or of all, this process left out."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return _live((pid for pid in pids if pid != os.getpid()), session)


def _live(pids: Iterable[int], session: int | None) -> list[Process]:
    found = map(look_up, pids)
    return [process for process in found if process and session in (None, process.session)]


def children(session: int | None) -> list[Process]:
    """Return this process's live children that are in *session*, or all of them."""
    try:
        # Much quicker than all of /proc, so that hardly any ends on the way and leaves another.
        with open("/proc/thread-self/children", "rb") as file:
            pids = [int(pid) for pid in file.read().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return [process for process in members(session) if process.parent == os.getpid()]
    return _live(pids, session)


def is_bound(pid: int) -> bool:
    """Tell whether the process gains no rights, for good (no_new_privs, prctl(2)).

    One that hides from us is taken for one.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            return b"\nNoNewPrivs:\t1\n" in file.read()
    except OSError:
        return look_up(pid) is not None


def end_children(spared: Callable[[Process], bool], seconds: float) -> None:
    """Kill and reap this process's children, and what they leave to it, but those *spared*.

    Returns when there is none, or after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reap(lambda _pid, _status: None)
        found = [process for process in children(None) if not spared(process)]
        send(found, signal.SIGKILL)
        # Who died while we looked may have left what we did not see.
        if not found and reap(lambda _pid, _status: None) == 0:
            return
        time.sleep(0.001)


def reap(note: Callable[[int, int], None]) -> int:
    """Wait for children that have ended, but for MOST at most: there may be ever more.

    Parameters:
        note: called with the pid and the status of each (waitpid(2)).

    Returns how many there were.
    """
    for count in range(MOST):
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return count
        if pid == 0:
            return count
        note(pid, status)
    return MOST


def send(receivers: Collection[Process], number: int) -> None:
    """Send the signal *number* to each of *receivers* that still is who it was when found."""
    for receiver in receivers:
        try:
            pidfd = os.pidfd_open(receiver.pid)
        except OSError:
            continue
        try:
            # The pid may have been used again since; from here on the descriptor holds it.
            # Only a child of ours, whom nobody else reaps, may have changed its session.
            now = look_up(receiver.pid)
            if now is not None and (
                now.session == receiver.session or now.parent == receiver.parent == os.getpid()
            ):
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
