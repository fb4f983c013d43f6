# SPDX-License-Identifier: MIT
"""The ways a request can end."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, NoReturn

from tests.apps import machine

if TYPE_CHECKING:
    from collections.abc import Callable


class Oops(Exception):
    """An application's own error."""


def goes_on() -> None:
    """No end at all: the request returns."""


def exception() -> NoReturn:
    """An exception the application does not catch."""
    raise Oops("this request fails on purpose")


def sys_exit() -> NoReturn:
    """SystemExit."""
    sys.exit(3)


def os_exit() -> NoReturn:
    """_exit(2) with code 0: no sign of trouble but the missing answer."""
    os._exit(0)


def exit_code() -> NoReturn:
    """_exit(2) with a code."""
    os._exit(7)


def kill_group() -> None:
    """SIGTERM to the process group, as scripts clean up."""
    os.killpg(0, signal.SIGTERM)


def abort() -> NoReturn:
    """abort(3)."""
    os.abort()


def segfault() -> None:
    """A read of address 0 in C, called without the interpreter's lock."""
    machine.LIBC.strlen(None)


def segfault_with_lock() -> None:
    """A read of address 0 in C that holds the interpreter's lock."""
    ctypes.PyDLL(None).strlen(None)


def segfault_in_thread() -> None:
    """A crash in a second thread while the first waits."""
    thread = threading.Thread(target=segfault)
    try:
        thread.start()
    except RuntimeError:
        segfault()  # there are no threads for code under attack
    thread.join()


def crash_in_malloc() -> NoReturn:
    """malloc(3) finds its arena destroyed and aborts, holding the arena's lock."""
    malloc = ctypes.PyDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    block = malloc(100_000)
    ctypes.memset(block, 0xFF, 100_000 + 4096)
    while True:
        malloc(100_000)


def floating_point() -> None:
    """SIGFPE, as a division by zero in C raises it."""
    signal.raise_signal(signal.SIGFPE)


def illegal_instruction() -> None:
    """SIGILL."""
    signal.raise_signal(signal.SIGILL)


def stack_overflow() -> None:
    """Calls in C without end, out of sight of Python's own limit of recursion."""
    machine.call_itself()


def recursion() -> None:
    """RecursionError."""
    recursion()


def memory_limit() -> NoReturn:
    """More memory than a request may have: MemoryError, not caught."""
    hoard = []
    while True:
        hoard.append(bytearray(16 << 20))


def kill() -> None:
    """SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def terminate() -> None:
    """SIGTERM, sent by the application to itself, with the default action."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def stuck_in_python() -> NoReturn:
    """A loop without end."""
    while True:
        time.sleep(0.01)


def stuck_in_c() -> None:
    """A wait in C that holds the interpreter's lock, so that no Python handler runs."""
    while True:
        ctypes.PyDLL(None).usleep(100_000)


def stuck_deaf() -> NoReturn:
    """A loop without end, every signal blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        time.sleep(0.01)


def stopped() -> NoReturn:
    """SIGSTOP: it cannot even die of SIGABRT."""
    os.kill(os.getpid(), signal.SIGSTOP)
    stuck_in_python()


def become_program() -> NoReturn:
    """Another program, which ends well, in the place of this one."""
    os.execv("/bin/true", ["true"])


def become_sleeper() -> NoReturn:
    """… which does not end."""
    os.execv("/bin/sleep", ["sleep", "3600"])


def leader_exits() -> None:
    """The first thread ends; another lives on."""
    threading.Thread(target=stuck_in_python, daemon=True).start()
    machine.LIBC.syscall(machine.SYS_EXIT, 0)


ENDS: dict[str, Callable[[], object]] = {
    end.__name__: end
    for end in (
        goes_on, exception, sys_exit, os_exit, exit_code, abort, segfault, segfault_with_lock,
        segfault_in_thread, crash_in_malloc, floating_point, illegal_instruction, stack_overflow,
        recursion, memory_limit, kill, kill_group, terminate, stuck_in_python, stuck_in_c,
        stuck_deaf, stopped, become_program, become_sleeper, leader_exits,
    )
}  # fmt: skip
