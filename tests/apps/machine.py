# SPDX-License-Identifier: MIT
"""What Python has no word for: system calls, prctl and a few lines of machine code (x86-64)."""

from __future__ import annotations

import ctypes
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
ARCH_SET_GS, ARCH_GET_FS, ARCH_GET_GS = 0x1001, 0x1003, 0x1004
SYS_TIMER_CREATE, SYS_ARCH_PRCTL, SYS_IOPRIO_SET, SYS_IOPRIO_GET = 222, 158, 251, 252

FE_UPWARD = 0x800


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


def _executable_page() -> tuple[mmap.mmap, int]:
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
    page, start = _executable_page()
    page[:5] = b"\xe8" + struct.pack("<i", -5)  # call, relative to the next instruction
    ctypes.CFUNCTYPE(None)(start)()


class VectorRegisters:
    """Fills and reads xmm0 to xmm15 by a few lines of machine code."""

    def __init__(self) -> None:
        self._page, start = _executable_page()
        store, load = self._moves(0x7F), self._moves(0x6F)
        self._page[: len(store)] = store
        self._page[1024 : 1024 + len(load)] = load
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        self._store, self._load = kind(start), kind(start + 1024)

    @staticmethod
    def _moves(opcode: int) -> bytes:
        # movdqu between xmmN and [rdi + 16 N], then ret
        code = b""
        for n in range(16):
            rex = b"\x44" if n >= 8 else b""
            code += b"\xf3" + rex + bytes([0x0F, opcode, 0x87 | (n & 7) << 3])
            code += struct.pack("<i", 16 * n)
        return code + b"\xc3"

    def read(self) -> bytes:
        """Return the 256 bytes of the sixteen registers."""
        values = ctypes.create_string_buffer(256)
        self._store(ctypes.addressof(values))
        return values.raw

    def fill(self, pattern: bytes) -> None:
        """Put 16 bytes of *pattern* into each register."""
        values = ctypes.create_string_buffer(pattern * 16, 256)
        self._load(ctypes.addressof(values))
