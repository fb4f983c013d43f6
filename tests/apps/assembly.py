# SPDX-License-Identifier: MIT
"""What takes a few instructions of machine code (x86-64): registers, the stack, raw clones."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from tests.apps import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = 0x5AC4ED5A
"""What `deep_stack` writes."""


_PAGES: list[object] = []  # a task may still be in one when the function is gone


def _function(code: bytes, *arguments: type) -> ctypes._FuncPointer:
    """Return *code* as a function that takes *arguments* and returns an int."""
    page, start = machine.executable_page()
    page[: len(code)] = code
    function = ctypes.CFUNCTYPE(ctypes.c_int, *arguments)(start)
    _PAGES.append(page)
    return function


class VectorRegisters:
    """Fills and reads all vector registers, as wide as this processor has them."""

    def __init__(self) -> None:
        flags = Path("/proc/cpuinfo").read_text().partition("\nflags")[2].partition("\n")[0].split()
        self._width = 64 if "avx512f" in flags else 32 if "avx2" in flags else 16
        self._size = self._width * (32 if self._width == 64 else 16)
        self._store = _function(b"".join(self._moves(0x7F)) + b"\xc3", ctypes.c_void_p)
        self._load = _function(b"".join(self._moves(0x6F)) + b"\xc3", ctypes.c_void_p)

    def _moves(self, opcode: int) -> Iterator[bytes]:
        """Instructions that move each register n from or to [rdi + width n]."""
        for n in range(self._size // self._width):
            high, higher = n >> 3 & 1, n >> 4
            prefix = {
                16: (b"\xf3\x44" if high else b"\xf3") + b"\x0f",  # movdqu
                32: bytes([0xC5, 0x7E if high else 0xFE]),  # vmovdqu
                64: bytes([0x62, 0x61 | (1 - high) << 7 | (1 - higher) << 4, 0xFE, 0x48]),
            }[self._width]
            yield prefix + bytes([opcode, 0x87 | (n & 7) << 3])
            yield struct.pack("<i", self._width * n)

    def read(self) -> bytes:
        """Return the bytes of all registers."""
        values = ctypes.create_string_buffer(self._size)
        self._store(ctypes.addressof(values))
        return values.raw

    def fill(self, pattern: bytes) -> None:
        """Put 16 bytes of *pattern*, repeated, into each register."""
        values = ctypes.create_string_buffer(pattern * (self._size // 16), self._size)
        self._load(ctypes.addressof(values))


def deep_stack(size: int) -> None:
    """Write MARK into each page of the stack down to *size* bytes below here."""
    code = (
        b"\x48\x89\xe0"  # mov rax, rsp
        b"\x48\x89\xe1"  # mov rcx, rsp
        b"\x48\x29\xf9"  # sub rcx, rdi
        b"\x48\x2d\x00\x10\x00\x00"  # again: sub rax, 4096
        b"\xc7\x00" + struct.pack("<I", MARK) +  # mov dword [rax], MARK
        b"\x48\x39\xc8"  # cmp rax, rcx
        b"\x77\xef"  # ja again
        b"\xc3"
    )  # fmt: skip
    _function(code, ctypes.c_size_t)(size)


def vfork(status: int) -> int:
    """vfork(2); the child exits with *status* at once. Return its pid."""
    code = (
        b"\xb8\x3a\x00\x00\x00\x0f\x05"  # vfork
        b"\x85\xc0\x74\x01\xc3"  # if it returned something else than 0, return
        b"\xb8\xe7\x00\x00\x00\x0f\x05"  # exit_group, status still in edi
    )
    return int(_function(code, ctypes.c_int)(status))


CLONE_VM, SIGCHLD = 0x100, 17


def leave_sharing_task(stack: ctypes.Array[ctypes.c_char], counter: int) -> int:
    """Start a process that shares this one's memory, in a session of its own, and return its pid.

    It counts in the word at *counter* for ever.
    """
    code = (
        b"\x49\x89\xf0"  # mov r8, rsi
        b"\x48\x89\xfe"  # mov rsi, rdi
         b"\xbf" + struct.pack("<I", CLONE_VM | SIGCHLD) +  # mov edi, flags
        b"\x31\xd2\x45\x31\xd2"  # no more arguments
        b"\xb8\x38\x00\x00\x00\x0f\x05"  # clone
        b"\x85\xc0\x74\x01\xc3"  # the parent returns
        b"\xb8\x70\x00\x00\x00\x0f\x05"  # setsid
        b"\x49\xff\x00"  # again: inc qword [r8]
        b"\xf3\x90\xeb\xf9"  # pause, jmp again
    )  # fmt: skip
    top = ctypes.addressof(stack) + len(stack) - 64
    return int(_function(code, ctypes.c_size_t, ctypes.c_size_t)(top & ~63, counter))
