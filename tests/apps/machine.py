# SPDX-License-Identifier: MIT
"""What Python has no word for: system calls, prctl and a few lines of machine code (x86-64)."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
LIBM = ctypes.CDLL("libm.so.6")

# <linux/prctl.h>, <asm/prctl.h>, <asm/unistd_64.h>
PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2
PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4
PR_GET_KEEPCAPS, PR_SET_KEEPCAPS = 7, 8
PR_SET_NAME = 15
PR_GET_TIMERSLACK, PR_SET_TIMERSLACK = 30, 29
PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 38, 39
PR_SET_THP_DISABLE, PR_GET_THP_DISABLE = 41, 42
PR_GET_CHILD_SUBREAPER = 37
PR_SET_MDWE, PR_GET_MDWE = 65, 66
PR_SET_MEMORY_MERGE, PR_GET_MEMORY_MERGE = 67, 68
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
PR_SET_VMA, PR_SET_VMA_ANON_NAME = 0x53564D41, 0
ARCH_SET_GS, ARCH_GET_FS, ARCH_GET_GS = 0x1001, 0x1003, 0x1004
SYS_TIMER_CREATE, SYS_ARCH_PRCTL, SYS_IOPRIO_SET, SYS_IOPRIO_GET = 222, 158, 251, 252
SYS_EXIT, SYS_IO_SETUP, SYS_SET_MEMPOLICY, SYS_GET_MEMPOLICY = 60, 206, 238, 239
SYS_PERSONALITY, SYS_GETDENTS64 = 135, 217
SYS_KCMP, SYS_MEMBARRIER, SYS_PKEY_ALLOC, SYS_MSEAL = 312, 324, 330, 462
KCMP_VM = 1

FE_UPWARD = 0x800

# <asm-generic/mman-common.h>, <linux/membarrier.h>, newer than Python's modules
MADV_FREE, MADV_PAGEOUT, MADV_WIPEONFORK, MADV_GUARD_INSTALL = 8, 21, 18, 102
MEMBARRIER_PRIVATE, MEMBARRIER_REGISTER_PRIVATE, MEMBARRIER_GET_REGISTRATIONS = 8, 16, 512
CLONE_NEWNS, CLONE_NEWUTS = 0x00020000, 0x04000000
FAILED = ctypes.c_void_p(-1).value  # MAP_FAILED


def check(result: int) -> int:
    """Return *result* of a C call, or raise its errno."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def prctl(option: int, argument: int = 0) -> int:
    """prctl(2) with one argument and zeros for the rest."""
    zero = ctypes.c_ulong(0)
    return check(LIBC.prctl(option, ctypes.c_ulong(argument), zero, zero, zero))


def prctl_into(option: int) -> int:
    """prctl(2) that writes its answer into an int."""
    answer = ctypes.c_int(-1)
    zero = ctypes.c_ulong(0)
    check(LIBC.prctl(option, ctypes.byref(answer), zero, zero, zero))
    return answer.value


def segment_base(option: int) -> int:
    """ARCH_GET_FS or ARCH_GET_GS (arch_prctl(2))."""
    base = ctypes.c_ulong(0)
    check(LIBC.syscall(SYS_ARCH_PRCTL, option, ctypes.byref(base)))
    return base.value


def set_gs_base(address: int) -> None:
    """arch_prctl(2) ARCH_SET_GS."""
    check(LIBC.syscall(SYS_ARCH_PRCTL, ARCH_SET_GS, ctypes.c_ulong(address)))


def alternate_stack() -> tuple[int, int]:
    """Return flags and size of the alternate signal stack (sigaltstack(2))."""
    current = (ctypes.c_ulong * 3)()
    check(LIBC.sigaltstack(None, current))
    return current[1] & 0xFFFFFFFF, current[2]


def set_alternate_stack(memory: ctypes.Array[ctypes.c_char]) -> None:
    """Use *memory* as the alternate signal stack."""
    wanted = (ctypes.c_ulong * 3)(ctypes.addressof(memory), 0, len(memory))
    check(LIBC.sigaltstack(wanted, None))


def call(number: int, *arguments: int) -> int:
    """syscall(2) with whole numbers."""
    return check(LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)))


def membarrier(command: int) -> int:
    """membarrier(2)."""
    return call(SYS_MEMBARRIER, command, 0, 0)


def registered_barriers() -> int:
    """Return what membarrier(2) is registered for; before Linux 6.3, whether it may be used."""
    try:
        return membarrier(MEMBARRIER_GET_REGISTRATIONS)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    try:
        return int(membarrier(MEMBARRIER_PRIVATE) == 0)
    except PermissionError:
        return 0


def memory_policy() -> int:
    """Return the mode of get_mempolicy(2)."""
    mode = ctypes.c_int(-1)
    call(SYS_GET_MEMPOLICY, ctypes.addressof(mode), 0, 0, 0, 0)
    return mode.value


def shares_memory(pid: int) -> bool:
    """Tell whether *pid* has the same memory as this process, by kcmp(2)."""
    return LIBC.syscall(SYS_KCMP, os.getpid(), pid, KCMP_VM, 0, 0) == 0


def allocate(size: int) -> int:
    """malloc(3)."""
    LIBC.malloc.restype = ctypes.c_void_p
    return int(LIBC.malloc(ctypes.c_size_t(size)))


def protect(address: int, size: int, access: int) -> None:
    """mprotect(2)."""
    check(LIBC.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), access))


def advise(address: int, size: int, advice: int) -> None:
    """madvise(2)."""
    check(LIBC.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), advice))


def unmap(address: int, size: int) -> None:
    """munmap(2)."""
    check(LIBC.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size)))


def map_at(address: int, size: int, access: int, flags: int, file: int = -1) -> int:
    """mmap(2); *address* 0 lets the kernel choose. Return where it is mapped."""
    LIBC.mmap.restype = ctypes.c_void_p
    zero, length = ctypes.c_long(0), ctypes.c_size_t(size)
    at = LIBC.mmap(ctypes.c_void_p(address), length, access, flags, file, zero)
    return check(-1) if at == FAILED else int(at)


def mapped_at(path: os.PathLike[str], access: str) -> int:
    """Return where the file *path* is mapped with *access*, as /proc/self/maps spells it."""
    with open("/proc/self/maps") as lines:
        for line in lines:
            if line.rstrip().endswith(os.fspath(path)) and f" {access} " in line:
                return int(line.partition("-")[0], 16)
    raise LookupError(path)


def executable_page() -> tuple[mmap.mmap, int]:
    """Return a page for machine code and its address."""
    page = mmap.mmap(
        -1,
        mmap.PAGESIZE,
        flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
        prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC,
    )
    return page, ctypes.addressof(ctypes.c_char.from_buffer(page))


def call_itself() -> None:
    """Run a function that does nothing but call itself; Python counts none of these calls."""
    page, start = executable_page()
    page[:5] = b"\xe8" + struct.pack("<i", -5)  # call, relative to the next instruction
    ctypes.CFUNCTYPE(None)(start)()
