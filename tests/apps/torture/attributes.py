# SPDX-License-Identifier: MIT
"""Acts on what the kernel keeps for a process besides memory and descriptors."""

from __future__ import annotations

import ctypes
import os
import resource
from typing import TYPE_CHECKING

from tests.apps import machine, mess
from tests.apps.torture.scene import FILES, Refused, Scene, act, call

if TYPE_CHECKING:
    from collections.abc import Callable

# <linux/sched.h>
_NEW = (0x00020000, 0x04000000, 0x08000000, 0x00000200, 0x00000400, 0x00040000, 0x20000000,
        0x40000000, 0x10000000)  # fmt: skip
_SYS_SECCOMP, _SYS_MEMBARRIER, _SYS_PKEY_ALLOC, _SYS_IO_SETUP = 317, 324, 330, 206
_SYS_SET_ROBUST_LIST, _SYS_SET_MEMPOLICY, _SYS_RSEQ = 273, 238, 334
_PR_SET_MEMORY_MERGE, _PR_CAPBSET_DROP, _PR_SET_DISPATCH = 67, 24, 59
_PR_SET_CHILD_SUBREAPER, _PR_SET_SECUREBITS, _PR_SET_TIMERSLACK = 36, 28, 29

_RSEQ = ctypes.create_string_buffer(64)


@act()
def change_directory(scene: Scene, a: int, b: int) -> None:
    """chdir(2) and fchdir(2)."""
    if a % 2:
        os.chdir(("/", "/tmp", "/proc")[b % 3])
        assert os.getcwd() == ("/", "/tmp", "/proc")[b % 3]
    else:
        os.fchdir(FILES[36])


@act()
def change_umask(scene: Scene, a: int, b: int) -> None:
    """umask(2)."""
    os.umask(a)
    assert os.umask(a) == a


# Lowered so that something may fail that the request needs to come to its end.
_TIGHT = ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_SIGPENDING")
_HARMLESS = ("RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_NPROC", "RLIMIT_CORE", "RLIMIT_MEMLOCK",
             "RLIMIT_CPU", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO")  # fmt: skip


def _lower(name: str, soft: int, hard: int) -> None:
    limit = getattr(resource, name)
    most = resource.getrlimit(limit)[1]
    hard = hard if most == resource.RLIM_INFINITY else min(hard, most)
    resource.setrlimit(limit, (min(soft, hard), hard))


@act()
def lower_limit(scene: Scene, a: int, b: int) -> None:
    """setrlimit(2): limits nobody needs any more, as low as zero."""
    name = _HARMLESS[a % len(_HARMLESS)]
    _lower(name, 1000 if name == "RLIMIT_CPU" else b, 1000 if name == "RLIMIT_CPU" else b)


@act("doubtful")
def lower_limit_tightly(scene: Scene, a: int, b: int) -> None:
    """setrlimit(2): limits of memory, to what is in use or less."""
    name = _TIGHT[a % len(_TIGHT)]
    _lower(name, b << 16, b << 20)


@act()
def change_priority(scene: Scene, a: int, b: int) -> None:
    """Nice value, scheduler, affinity, I/O priority."""
    if a % 2:
        mess.ACTS["change_priority"]()
    else:
        os.nice(b % 4)


@act()
def change_flags(scene: Scene, a: int, b: int) -> None:
    """prctl(2): one of the flags of the task."""
    options: tuple[tuple[int, int], ...] = (
        (machine.PR_SET_KEEPCAPS, 1),
        (_PR_SET_TIMERSLACK, 54321),
        (machine.PR_SET_PDEATHSIG, 0),
        (machine.PR_SET_NO_NEW_PRIVS, 1),
        (_PR_SET_CHILD_SUBREAPER, 1),
        (_PR_SET_SECUREBITS, 1),
        (_PR_CAPBSET_DROP, b),
        (machine.PR_SET_DUMPABLE, 0),
        (machine.PR_SET_THP_DISABLE, 1 - b % 2),
    )
    machine.prctl(*options[a % len(options)])


@act()
def change_name(scene: Scene, a: int, b: int) -> None:
    """The name of the task, by prctl(2) or /proc."""
    if a % 2:
        name = ctypes.create_string_buffer(b"tortured")
        machine.prctl(machine.PR_SET_NAME, ctypes.addressof(name))
    else:
        with open("/proc/self/comm", "w") as file:
            file.write("tortured too")


@act()
def change_by_proc(scene: Scene, a: int, b: int) -> None:
    """oom_score_adj, coredump_filter, timerslack_ns, autogroup by writing to /proc/self."""
    name, value = (
        ("oom_score_adj", str(b)),
        ("coredump_filter", "0x1"),
        ("timerslack_ns", "12345"),
        ("clear_refs", "1"),
    )[a % 4]
    with open(f"/proc/self/{name}", "w") as file:
        file.write(value)


@act()
def change_memory_flags(scene: Scene, a: int, b: int) -> None:
    """What belongs to the memory as a whole and stays: MDWE, KSM, membarrier, mlockall, keys."""
    acts: tuple[Callable[[], object], ...] = (
        lambda: machine.prctl(machine.PR_SET_MDWE, 1),
        lambda: machine.prctl(_PR_SET_MEMORY_MERGE, 1),
        lambda: call("syscall", _SYS_MEMBARRIER, 16, 0, 0),
        lambda: call("mlockall", 1 + b % 2),
        lambda: call("munlockall"),
        lambda: call("syscall", _SYS_PKEY_ALLOC, 0, 0),
        lambda: call("syscall", _SYS_IO_SETUP, 1, ctypes.addressof(ctypes.c_ulong(0))),
    )
    acts[a % len(acts)]()


@act()
def change_machine_state(scene: Scene, a: int, b: int) -> None:
    """Registers and segment bases."""
    (
        mess.ACTS["fill_registers"],
        mess.ACTS["round_upward"],
        mess.ACTS["move_gs"],
        mess.ACTS["spoil_thread_local"],
    )[a % 4]()


@act()
def change_personality(scene: Scene, a: int, b: int) -> None:
    """personality(2), NUMA policy, robust list; restartable sequences, which are refused."""
    call("personality", (0x0040000, 0x0020000, 0x0000001)[a % 3])
    call("syscall", _SYS_SET_MEMPOLICY, 1, 0, 0)
    if b % 2:
        call("syscall", _SYS_SET_ROBUST_LIST, 0, 24)
    if b % 3 == 0:
        # Aligned to 32 bytes, and never freed: the kernel writes there.
        call("syscall", _SYS_RSEQ, (ctypes.addressof(_RSEQ) + 31) & ~31, 32, 0, 0x53053053)


@act()
def change_session(scene: Scene, a: int, b: int) -> None:
    """Process group or session."""
    if a % 2:
        os.setsid()
    else:
        os.setpgid(0, 0)


@act("parting")
def unshare(scene: Scene, a: int, b: int) -> None:
    """unshare(2): namespaces, directory, descriptors."""
    call("unshare", _NEW[a % len(_NEW)])


@act()
def change_root(scene: Scene, a: int, b: int) -> None:
    """chroot(2)."""
    if mess.ACTS["change_root"]() is False:
        raise Refused("needs root")


@act()
def change_user(scene: Scene, a: int, b: int) -> None:
    """Credentials, for good or for a while."""
    if os.geteuid():
        raise Refused("needs root")
    if a % 3 == 0:
        mess.ACTS["change_user"]()
    elif a % 3 == 1:
        os.seteuid(65534)
        if b % 2:
            os.seteuid(0)
    else:
        os.setgroups([b])
        os.setegid(b)


@act()
def filter_calls(scene: Scene, a: int, b: int) -> None:
    """seccomp(2): a filter that lets everything pass, and stays."""
    machine.prctl(machine.PR_SET_NO_NEW_PRIVS, 1)
    allow = (ctypes.c_uint64 * 1)(0x7FFF0000 << 32 | 0x06)
    program = (ctypes.c_uint64 * 2)(1, ctypes.addressof(allow))
    call("syscall", _SYS_SECCOMP, 1, 0, ctypes.addressof(program))


@act("parting")
def stop_dispatch(scene: Scene, a: int, b: int) -> None:
    """prctl(2) PR_SET_SYSCALL_USER_DISPATCH off: whoever watches system calls sees none now."""
    machine.prctl(_PR_SET_DISPATCH, 0)
