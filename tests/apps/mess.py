# SPDX-License-Identifier: MIT
"""Everything a request may leave behind, by promise; each act is one function.

An act spoils what tests.apps.observed looks at. Acts that need root do nothing without it and
say so by returning False.
"""

from __future__ import annotations

import builtins
import ctypes
import fcntl
import importlib
import mmap
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from tests.apps import machine, observed

if TYPE_CHECKING:
    from collections.abc import Callable

REGISTERS = machine.VectorRegisters()
REGISTER_MARK = bytes.fromhex("c0ffee15badc0de5a11ce5b0b5ca7d09")
ALTERNATE_STACK = ctypes.create_string_buffer(65536)
KEPT: list[object] = []  # what must not be collected before the request ends

_A_PAGE = mmap.PAGESIZE


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


# Promise 2: mappings.


def map_more() -> None:
    """A new mapping that stays."""
    KEPT.append(mmap.mmap(-1, 64 * _A_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def unmap() -> None:
    """A mapping of the snapshot is gone."""
    machine.check(
        machine.LIBC.munmap(ctypes.c_void_p(observed.ADDRESSES["unmapped"]), 16 * _A_PAGE)
    )


def protect() -> None:
    """Half of a mapping of the snapshot cannot be touched any more."""
    machine.check(
        machine.LIBC.mprotect(ctypes.c_void_p(observed.ADDRESSES["spoiled"]), 8 * _A_PAGE, 0)
    )


def grow() -> None:
    """mremap(2) moves a mapping of the snapshot."""
    machine.LIBC.mremap.restype = ctypes.c_void_p
    size = ctypes.c_size_t(16 * _A_PAGE)
    address = ctypes.c_void_p(observed.ADDRESSES["grown"])
    moved = machine.LIBC.mremap(address, size, ctypes.c_size_t(64 * _A_PAGE), 1)
    if moved in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "mremap")


def move_break() -> None:
    """brk(2) grows the heap."""
    machine.LIBC.sbrk.restype = ctypes.c_void_p
    machine.LIBC.sbrk(1 << 20)


def load_library() -> None:
    """A shared library that was not there."""
    KEPT.append(ctypes.CDLL("libanl.so.1"))


# Promise 3: descriptors.


def open_file() -> None:
    """A descriptor that is never closed."""
    KEPT.append(os.open(observed.DATA, os.O_RDONLY))


def close_file() -> None:
    """A descriptor of the snapshot is closed."""
    os.close(observed.SECOND.fileno())


def replace_file() -> None:
    """A descriptor of the snapshot is something else now."""
    other = os.open("/dev/zero", os.O_RDONLY)
    os.dup2(other, observed.SECOND.fileno())
    os.close(other)


def seek() -> None:
    """The offset of a file of the snapshot."""
    os.lseek(observed.FILE.fileno(), 321, os.SEEK_SET)


def change_flags() -> None:
    """The status flags of a file of the snapshot."""
    flags = fcntl.fcntl(observed.FILE, fcntl.F_GETFL)
    fcntl.fcntl(observed.FILE, fcntl.F_SETFL, flags | os.O_APPEND | os.O_NONBLOCK)


def lock_file() -> None:
    """flock(2) on a file of the snapshot."""
    fcntl.flock(observed.FILE, fcntl.LOCK_EX)


def lock_record() -> None:
    """fcntl(2) F_OFD_SETLK on a file of the snapshot."""
    fcntl.fcntl(observed.FILE, fcntl.F_OFD_SETLK, observed.WRITE_LOCK)


def close_everything() -> None:
    """Every descriptor from 3 up, whoever it belongs to."""
    os.closerange(3, 65536)


# Promise 4: attributes of the process.


def change_directory() -> None:
    """The working directory and the umask."""
    os.chdir("/proc")
    os.umask(0o001)


def change_root() -> bool:
    """The root directory; nothing of /proc can be looked at any more."""
    if os.geteuid():
        return False
    before = os.stat("/").st_ino
    os.chroot(observed.FOLDER)
    return os.stat("/").st_ino != before


def lower_limits() -> None:
    """Resource limits that cannot be raised again."""
    for name, value in (("NOFILE", 40), ("CPU", 1000), ("FSIZE", 1 << 30)):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def change_priority() -> None:
    """Nice value, scheduler, affinity and I/O priority."""
    os.nice(5)
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
    machine.prctl(machine.PR_SET_THP_DISABLE, 1)
    machine.prctl(machine.PR_SET_PDEATHSIG, 0)
    machine.prctl(machine.PR_SET_NO_NEW_PRIVS, 1)
    name = ctypes.create_string_buffer(b"spoiled")
    machine.prctl(machine.PR_SET_NAME, ctypes.addressof(name))
    machine.LIBC.personality(0x0040000)
    try:
        machine.prctl(machine.PR_SET_MDWE, 1)
    except OSError:
        pass  # before Linux 6.3


def lock_memory() -> None:
    """mlock(2), which shows as locked pages of the whole memory."""
    machine.check(machine.LIBC.mlock(observed.HEAP, len(observed.HEAP)))


def new_group() -> None:
    """The context joins the process group of its worker."""
    os.setpgid(0, os.getpgid(os.getppid()))


def change_user() -> bool:
    """Groups, user, and with them every capability."""
    if os.geteuid():
        return False
    os.setgroups([65534])
    os.setgid(65534)
    os.setuid(65534)
    machine.prctl(machine.PR_SET_DUMPABLE, 1)  # or it could not look at itself
    return True


# Promise 5: threads and children. Those left behind sleep for an hour.


def _sleep_on() -> None:
    while True:
        time.sleep(3600)


def leave_thread() -> None:
    """A thread that is no daemon: Python would wait for it."""
    threading.Thread(target=_sleep_on, name="left behind").start()


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


ACTS: dict[str, Callable[[], bool | None]] = {
    act.__name__: act
    for act in (
        leak_globals, spoil_c_memory, give_pages_back, spoil_thread_local, round_upward, move_gs,
        fill_registers, map_more, unmap, protect, grow, move_break, load_library, open_file,
        close_file, replace_file, seek, change_flags, lock_file, lock_record, close_everything,
        change_directory, change_root, lower_limits, change_priority, change_signals, set_timers,
        change_flags_of_process, lock_memory, new_group, change_user, leave_thread, leave_child,
        leave_stubborn_child, leave_stopped_child, leave_orphan, leave_zombie, leave_program,
        detach,
    )
}  # fmt: skip
