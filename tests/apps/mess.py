# SPDX-License-Identifier: MIT
"""Everything a request may leave behind, by promise; each act is one function.

An act spoils what tests.apps.observed looks at. Acts that need root do nothing without it and
say so by returning False, as do those the kernel or the processor lacks something for.
"""

from __future__ import annotations

import builtins
import ctypes
import importlib
import mmap
import os
import resource
import signal
import struct
import sys
import threading
from typing import TYPE_CHECKING

from tests.apps import assembly, machine, mess_files, mess_mappings, mess_tasks, observed

if TYPE_CHECKING:
    from collections.abc import Callable

REGISTERS = assembly.VectorRegisters()
REGISTER_MARK = bytes.fromhex("c0ffee15badc0de5a11ce5b0b5ca7d09")
ALTERNATE_STACK = ctypes.create_string_buffer(65536)


# Promise 1: memory and CPU state.


def leak_globals() -> None:
    """Python objects of every age."""
    # A dict of objects: the list in it is known to be one.
    observed.GLOBALS["list"].append("leak")  # type: ignore[attr-defined]
    observed.GLOBALS["leak"] = object
    builtins.leak = "leak"  # type: ignore[attr-defined]
    threading.Thread.spoiled = True  # type: ignore[attr-defined]
    os.environ["LEAK"] = "leak"
    importlib.import_module("sndhdr" if sys.version_info < (3, 13) else "this")
    sys.setrecursionlimit(1234)


def spoil_c_memory() -> None:
    """A global of the C library and a block of the heap."""
    observed.OPTIND.value = 77
    ctypes.memset(observed.HEAP, 0x5A, len(observed.HEAP))


def give_pages_back() -> None:
    """madvise(MADV_DONTNEED): the kernel drops the contents."""
    observed.GIVEN_BACK.madvise(mmap.MADV_DONTNEED)


def spoil_thread_local() -> None:
    """Thread-local storage."""
    observed.LOCAL.value = "spoiled"


def round_upward() -> None:
    """The rounding mode of both floating-point units."""
    machine.LIBM.fesetround(machine.FE_UPWARD)


def move_gs() -> None:
    """The GS base, which user space may use as it likes."""
    machine.set_gs_base(ctypes.addressof(observed.HEAP))


def fill_registers() -> None:
    """All sixteen vector registers."""
    REGISTERS.fill(REGISTER_MARK)


# Promise 4: attributes of the process.


def change_directory() -> None:
    """The working directory and the umask."""
    os.chdir("/proc")
    os.umask(0o001)


def change_root() -> bool:
    """The root directory; nothing of /proc can be looked at any more."""
    before = os.stat("/").st_ino
    try:
        os.chroot(observed.FOLDER)
    except PermissionError:
        return False
    return os.stat("/").st_ino != before


def lower_limits() -> None:
    """Resource limits that cannot be raised again."""
    for name, value in (("NOFILE", 40), ("CPU", 1000), ("FSIZE", 1 << 30)):
        kind = getattr(resource, f"RLIMIT_{name}")
        # Below what another has lowered them to already, or equal.
        soft, hard = ((value if now < 0 else min(value, now)) for now in resource.getrlimit(kind))
        resource.setrlimit(kind, (soft, hard))


def change_priority() -> None:
    """Nice value, scheduler, affinity and I/O priority."""
    os.nice(1)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    machine.check(machine.LIBC.syscall(machine.SYS_IOPRIO_SET, 1, 0, 3 << 13))


def change_signals() -> None:
    """Handlers, mask, pending signals, the alternate stack."""
    signal.signal(signal.SIGUSR1, lambda _number, _frame: None)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    os.kill(os.getpid(), signal.SIGUSR2)
    machine.set_alternate_stack(ALTERNATE_STACK)


def set_timers() -> None:
    """Interval timers and a POSIX timer, far in the future."""
    signal.setitimer(signal.ITIMER_REAL, 10000.0)
    signal.setitimer(signal.ITIMER_PROF, 10000.0)
    made = ctypes.c_int()
    machine.check(machine.LIBC.syscall(machine.SYS_TIMER_CREATE, 1, None, ctypes.byref(made)))


def change_flags_of_process() -> None:
    """What prctl(2) and friends set, for the task and for its memory as a whole."""
    machine.prctl(machine.PR_SET_DUMPABLE, 0)
    machine.prctl(machine.PR_SET_KEEPCAPS, 1)
    machine.prctl(machine.PR_SET_TIMERSLACK, 123456)
    machine.prctl(machine.PR_SET_THP_DISABLE, not machine.prctl(machine.PR_GET_THP_DISABLE))
    machine.prctl(machine.PR_SET_PDEATHSIG, 0)
    machine.prctl(machine.PR_SET_NO_NEW_PRIVS, 1)
    name = ctypes.create_string_buffer(b"spoiled")
    machine.prctl(machine.PR_SET_NAME, ctypes.addressof(name))
    machine.LIBC.personality(0x0040000)


def filter_calls() -> bool:
    """A filter of system calls that lets all of them pass."""
    machine.prctl(machine.PR_SET_NO_NEW_PRIVS, 1)
    allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000), 8)
    program = ctypes.create_string_buffer(struct.pack("HP", 1, ctypes.addressof(allow)))
    try:
        machine.check(
            machine.LIBC.prctl(machine.PR_SET_SECCOMP, machine.SECCOMP_MODE_FILTER, program, 0, 0)
        )
    except PermissionError:
        return False
    return True


def unshare_namespaces() -> bool:
    """Mounts and host name of its own."""
    try:
        machine.check(machine.LIBC.unshare(machine.CLONE_NEWNS | machine.CLONE_NEWUTS))
    except PermissionError:
        return False
    return True


def place_memory() -> bool:
    """The policy by which memory is taken from nodes."""
    try:
        machine.call(machine.SYS_SET_MEMPOLICY, 4, 0, 0)  # MPOL_LOCAL
    except OSError:
        return False
    return True


def hop_processors() -> bool:
    """Run on each processor in turn, and believe what the C library says where that is."""
    for processor in sorted(os.sched_getaffinity(0)):
        os.sched_setaffinity(0, {processor})
        assert machine.LIBC.sched_getcpu() == processor
    return True


def lock_memory() -> None:
    """mlock(2), which shows as locked pages of the whole memory."""
    machine.check(machine.LIBC.mlock(observed.HEAP, len(observed.HEAP)))


def new_group() -> None:
    """The context joins the process group of its worker."""
    os.setpgid(0, os.getpgid(os.getppid()))


def change_user() -> bool:
    """Groups, user, and with them every capability."""
    try:
        os.setgroups([65534])
    except PermissionError:
        return False
    os.setgid(65534)
    os.setuid(65534)
    machine.prctl(machine.PR_SET_DUMPABLE, 1)  # or it could not look at itself
    return True


def change_user_only() -> bool:
    """The user alone: the kernel then keeps others from looking into this memory."""
    try:
        os.setresuid(65534, 65534, 65534)
    except PermissionError:
        return False
    return True


ACTS: dict[str, Callable[[], bool | None]] = {
    act.__name__: act
    for act in (
        leak_globals, spoil_c_memory, give_pages_back, spoil_thread_local, round_upward, move_gs,
        fill_registers, change_directory, change_root, lower_limits, change_priority,
        change_signals, set_timers, change_flags_of_process, filter_calls, unshare_namespaces,
        place_memory, hop_processors, lock_memory, new_group, change_user,
        change_user_only,
        *mess_mappings.ACTS, *mess_files.ACTS, *mess_tasks.ACTS,
    )
}  # fmt: skip
