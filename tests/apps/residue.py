# SPDX-License-Identifier: MIT
"""Searches memory for bytes of another request, without holding those bytes.

A needle arrives with 1 added to each byte. The search adds 1 to each byte of a copy of the memory
and looks for the needle there. Neither the needle nor the changed copy, should the search
come across them, changes into something that would be taken for a find.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
from typing import TYPE_CHECKING

from tests.apps import machine

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator

ADD_ONE = bytes((b + 1) % 256 for b in range(256))
_WINDOW = 256 << 10
_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \d+ *(.*)")


def _readable(pid: int) -> Iterator[tuple[int, int, str]]:
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            match = _LINE.match(line)
            if match and match[3] not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                yield int(match[1], 16), int(match[2], 16), match[3]


class _Own:
    """This process's memory, where it may not open the file: the kernel reads it into a pipe."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        fcntl.fcntl(self._writer, fcntl.F_SETPIPE_SZ, 2 * _WINDOW)
        self._at = 0

    def seek(self, address: int) -> None:
        self._at = address

    def read(self, size: int) -> bytes:
        buffer = ctypes.c_void_p(self._at)
        written = machine.check(machine.LIBC.write(self._writer, buffer, ctypes.c_size_t(size)))
        return os.read(self._reader, written)

    def __enter__(self) -> _Own:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._reader)
        os.close(self._writer)


def _open(pid: int) -> io.FileIO | _Own:
    try:
        return open(f"/proc/{pid}/mem", "rb", buffering=0)
    except PermissionError:
        if pid != os.getpid():
            raise
        return _Own()


def search(pid: int, needles: Iterable[bytes]) -> list[str]:
    """Return where in the memory of *pid* a needle lies, as "address name".

    Parameters:
        pid: a process this one may read (ptrace(2), access mode ATTACH).
        needles: what to look for, each byte with 1 added (ADD_ONE).

    Raises:
        PermissionError: its memory cannot be read.
    """
    wanted = list(needles)
    memory = _open(pid)
    overlap = max(map(len, wanted)) - 1
    found = []
    with memory:
        for start, end, name in list(_readable(pid)):
            for at in range(start, end, _WINDOW):
                first = max(start, at - overlap)
                try:
                    memory.seek(first)
                    window = memory.read(min(at + _WINDOW, end) - first)
                except OSError:
                    continue  # a page nobody may read, such as PROT_NONE in disguise
                if not window.strip(b"\0"):
                    continue  # never used
                changed = window.translate(ADD_ONE)
                found += [
                    f"{first + changed.find(needle):x} {name}"
                    for needle in wanted
                    if needle in changed
                ]
    return found
