# SPDX-License-Identifier: MIT
"""Threads and children (promise 5), and what signals do. Those left behind sleep for an hour."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import select
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.apps import assembly, machine, observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEPT: list[object] = []  # what must not be collected before the request ends
SMALL_STACK = ctypes.create_string_buffer(2048)  # the least that sigaltstack(2) takes
OTHER_STACK = ctypes.create_string_buffer(16384)


def _sleep_on() -> None:
    while True:
        time.sleep(3600)


def leave_thread() -> bool:
    """A thread that is no daemon: Python would wait for it."""
    try:
        threading.Thread(target=_sleep_on, name="left behind").start()
    except RuntimeError:
        return False  # it is refused
    return True


def _fork(job: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            job()
        finally:
            os._exit(0)
    return pid


def leave_child() -> None:
    """A forked copy of the context."""
    _fork(_sleep_on)


def leave_stubborn_child() -> None:
    """A child that blocks every signal and leads a process group of its own."""

    def job() -> None:
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        _sleep_on()

    _fork(job)


def leave_stopped_child() -> None:
    """A child that is stopped."""
    os.kill(_fork(_sleep_on), signal.SIGSTOP)


def leave_orphan() -> None:
    """A grandchild whose parent is gone already."""
    os.waitpid(_fork(lambda: _fork(_sleep_on)), 0)


def leave_zombie() -> None:
    """A dead child nobody waited for."""
    pid = _fork(lambda: None)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def leave_program() -> None:
    """A program started by subprocess."""
    KEPT.append(subprocess.Popen(["sleep", "3600"], stdin=subprocess.DEVNULL))


def detach() -> None:
    """A child in a session of its own, by its pid in `detached`: it may live on."""
    pid = _fork(lambda: (os.setsid(), _sleep_on()))
    while os.getsid(pid) != pid:
        time.sleep(0.001)
    (observed.FOLDER / "detached").write_text(str(pid))


def leave_sharing_task() -> None:
    """A task that shares the memory, detached into a session of its own, and writes to it."""
    pid = assembly.leave_sharing_task(OTHER_STACK, ctypes.addressof(observed.HEAP))
    while os.getsid(pid) != pid:
        time.sleep(0.001)
    (observed.FOLDER / "sharing").write_text(str(pid))


# Those that have ended by then.


def fork_and_wait() -> None:
    """A child that has ended."""
    pid = _fork(lambda: os.close(observed.SECOND.fileno()))
    assert os.waitpid(pid, 0) == (pid, 0)


def vfork_and_wait() -> None:
    """vfork(2)."""
    pid = assembly.vfork(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def spawn_program() -> None:
    """posix_spawn(3)."""
    pid = os.posix_spawn("/bin/true", ["true"], os.environ)
    assert os.waitpid(pid, 0) == (pid, 0)


def run_program() -> None:
    """A program, its input and output through pipes: it ends when the last writer does."""
    done = subprocess.run(["cat"], input=b"in and out", capture_output=True, timeout=20, check=True)
    assert done.stdout == b"in and out"


def run_shell() -> None:
    """system(3)."""
    assert os.system("exit 3") >> 8 == 3


def join_thread() -> None:
    """A thread that has ended."""
    thread = threading.Thread(target=lambda: os.getpid())
    thread.start()
    thread.join()


# Signals.


def handle_signal() -> None:
    """A handler runs and returns."""
    seen: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _frame: seen.append(number))
    signal.raise_signal(signal.SIGUSR1)
    assert seen == [signal.SIGUSR1]


def block_signals() -> None:
    """All signals are blocked; life goes on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    assert signal.SIGSYS in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert observed.DATA.read_bytes()


def handle_sigsys() -> None:
    """A handler of the signal that a tracer of system calls might use; it does not run."""
    signal.signal(signal.SIGSYS, signal.SIG_IGN)
    signal.signal(signal.SIGSYS, lambda _number, _frame: os._exit(9))
    assert observed.DATA.read_bytes()


def change_alternate_stack() -> None:
    """An alternate stack that is too small for most."""
    machine.set_alternate_stack(SMALL_STACK)
    assert machine.alternate_stack() == (0, len(SMALL_STACK))
    assert observed.DATA.read_bytes()


def use_faulthandler() -> None:
    """The fault handler changes handlers and the alternate stack."""
    faulthandler.disable()
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR2)


def start_watchdog() -> None:
    """The fault handler waits in a thread of its own."""
    faulthandler.dump_traceback_later(3600)


_LONG = 20.0
"""Seconds: what nothing interrupts; far more than an alarm takes on a slow machine."""


class _Rang(Exception):
    """The alarm."""


@contextlib.contextmanager
def _interrupted() -> Iterator[None]:
    """What is inside must be interrupted by an alarm, and in time."""

    def ring(_number: int, _frame: object) -> None:
        raise _Rang

    signal.signal(signal.SIGALRM, ring)
    started = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.03)
    try:
        yield
        raise AssertionError("not interrupted")
    except _Rang:
        assert time.monotonic() - started < _LONG / 2


def alarm_in_sleep() -> None:
    """SIGALRM interrupts a sleep."""
    with _interrupted():
        time.sleep(_LONG)


def alarm_in_read() -> None:
    """… a read of an empty pipe."""
    with _interrupted():
        os.read(os.pipe()[0], 1)


def alarm_in_wait() -> None:
    """… the wait for a child, for a descriptor, for a lock."""
    KEPT.append(subprocess.Popen(["sleep", "3600"], stdin=subprocess.DEVNULL))
    with _interrupted():
        os.wait()
    with _interrupted():
        select.select([os.pipe()[0]], [], [], _LONG)
    lock = threading.Lock()
    with lock, _interrupted():
        lock.acquire(timeout=_LONG)


def write_name() -> bool:
    """What can be written to: the name of the task."""
    return _write("comm", "renamed")


def write_timer_slack() -> bool:
    """… how late its timers may be."""
    return _write("timerslack_ns", "123456")


def write_oom_score() -> bool:
    """… and what belongs to all processes that share the memory."""
    return _write("oom_score_adj", "500")


def _write(name: str, text: str) -> bool:
    try:
        Path(f"/proc/self/{name}").write_text(text)
    except PermissionError:  # of a process that is closed to its own user
        return False
    return True


ACTS = (
    leave_thread, leave_child, leave_stubborn_child, leave_stopped_child, leave_orphan,
    leave_zombie, leave_program, detach, leave_sharing_task, fork_and_wait, vfork_and_wait,
    spawn_program, run_program, run_shell, join_thread, handle_signal, block_signals,
    handle_sigsys, change_alternate_stack, use_faulthandler, start_watchdog, alarm_in_sleep,
    alarm_in_read, alarm_in_wait, write_name, write_timer_slack,
    write_oom_score,
)  # fmt: skip
