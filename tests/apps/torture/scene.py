# SPDX-License-Identifier: MIT
"""What the acts of a program play with: things of the snapshot, and what the request itself makes.

An `Area` knows what it was asked to be, so that a program notices within its own request when
memory is not what it should be: an engine that undoes effects must not disturb them before.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.apps import machine, observed

if TYPE_CHECKING:
    import subprocess
    import threading
    from collections.abc import Callable

PAGE = mmap.PAGESIZE
NONE, READ, WRITE, EXEC = 0, mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC
PRIVATE, ANONYMOUS, FIXED = mmap.MAP_PRIVATE, mmap.MAP_ANONYMOUS, 0x10

_WORD = struct.Struct("<Q")
FILLED = 0x5A5A5A5A5A5A5A5A

LIBC = machine.LIBC
LIBC.mmap.restype = LIBC.mremap.restype = LIBC.sbrk.restype = ctypes.c_void_p


class Refused(Exception):
    """An act that has nothing to work on, or may not."""


def call(name: str, *arguments: int | ctypes.c_void_p | None) -> int:
    """Call a function of the C library with machine words; raise its errno."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = getattr(LIBC, name)(*words)
    if result is None:
        return 0
    if result in (-1, ctypes.c_void_p(-1).value):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return int(result)


def map_at(address: int, pages: int, prot: int, flags: int, fd: int = -1) -> int:
    """mmap(2) of whole pages; return the address."""
    return call("mmap", address, pages * PAGE, prot, flags, fd, 0)


@dataclass
class Area:
    """Some pages, what may be done to each, and the word that must stand at both its ends.

    Parameters:
        start: address.
        prot: by page, a sum of READ, WRITE and EXEC; None for a page given up.
        words: by page; None where it cannot be known.
        dropped: what a page holds after MADV_DONTNEED; None where that depends.
        grows: there is something behind its end to grow into.
    """

    start: int
    prot: list[int | None]
    words: list[int | None]
    dropped: int | None = 0
    grows: bool = True

    def pages(self, at: int, count: int) -> range:
        """Return up to *count* pages from page *at*, all of them still there.

        Raises:
            Refused: there is none.
        """
        first = at % len(self.prot) if self.prot else 0
        found = range(first, min(first + 1 + count, len(self.prot)))
        if not found or any(self.prot[page] is None for page in found):
            raise Refused("those pages are gone")
        return found

    def address(self, page: int) -> int:
        """Return where *page* begins."""
        return self.start + page * PAGE

    def write(self, page: int, word: int) -> None:
        """Put *word* at both ends of a page that may be written to."""
        if (self.prot[page] or 0) & WRITE:
            for at in (0, PAGE - 8):
                ctypes.memmove(self.address(page) + at, _WORD.pack(word), 8)
            self.words[page] = word

    def check(self) -> None:
        """Assert that every page that can be read is as it should be."""
        for page, (prot, word) in enumerate(zip(self.prot, self.words, strict=True)):
            if prot is None or not prot & READ or word is None:
                continue
            for at in (0, PAGE - 8):
                found = _WORD.unpack(ctypes.string_at(self.address(page) + at, 8))[0]
                assert found == word, f"{found:#x} where {word:#x} was: page {page} of {self}"


def _filled(pages: int, prot: int) -> Area:
    start = map_at(0, pages, READ | WRITE, PRIVATE | ANONYMOUS)
    ctypes.memset(start, 0x5A, pages * PAGE)
    call("mprotect", start, pages * PAGE, prot)
    return Area(start, [prot] * pages, [FILLED] * pages)


def _mapped_file(pages: int) -> Area:
    path = observed.FOLDER / "mapped"
    path.write_bytes(b"\x5a" * (pages * PAGE))
    with open(path, "rb") as file:
        start = map_at(0, pages, READ | WRITE, PRIVATE, file.fileno())
    return Area(start, [READ | WRITE] * pages, [FILLED] * pages, FILLED, False)


PLAIN = _filled(64, READ | WRITE)
READABLE = _filled(16, READ)
MAPPED = _mapped_file(16)
# What an allocator reserves and makes accessible later.
RESERVED = Area(map_at(0, 16, NONE, PRIVATE | ANONYMOUS), [NONE] * 16, [0] * 16)
SCRIBBLED = _filled(1, READ | WRITE)  # by others, at any time
SNAPSHOT = (PLAIN, READABLE, MAPPED, RESERVED)

# Objects of every usual kind, to be changed by name.
GRAPH: dict[str, object] = {
    "numbers": list(range(100)),
    "names": {f"name {n}": [n, str(n), float(n)] for n in range(50)},
    "set": set(range(20)),
    "bytes": bytearray(range(256)),
    "nested": [[[n] for n in range(10)] for _ in range(10)],
}

# More than a list of saved descriptors of a small fixed size would hold.
FILES = [os.open(observed.DATA, os.O_RDONLY) for _ in range(36)]
FILES += [os.open(observed.FOLDER, os.O_RDONLY | os.O_DIRECTORY), os.open("/dev/null", os.O_RDWR)]
FILES += [observed.FILE.fileno(), observed.SECOND.fileno()]


@dataclass
class Scene:
    """One request's doings.

    Parameters:
        areas: the snapshot's and the request's own.
        descriptors: opened by the request.
        kept: what must live to the end of the request.
        threads, programs: started.
        copy: this is a child that is to come to the end of the request as well.
    """

    areas: list[Area] = field(default_factory=lambda: list(SNAPSHOT))
    descriptors: list[int] = field(default_factory=list)
    kept: list[object] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)
    alone: bool = True
    copy: bool = False

    def area(self, which: int) -> Area:
        """Return one of the areas."""
        return self.areas[which % len(self.areas)]

    def own(self, which: int) -> Area:
        """Return an area the request mapped."""
        mine = self.areas[len(SNAPSHOT) :]
        if not mine:
            raise Refused("nothing mapped")
        return mine[which % len(mine)]

    def descriptor(self, which: int) -> int:
        """Return a descriptor the request opened."""
        if not self.descriptors:
            raise Refused("nothing open")
        return self.descriptors[which % len(self.descriptors)]

    def any_descriptor(self, which: int) -> int:
        """Return a descriptor of the request or of the snapshot."""
        known = [*self.descriptors, *FILES]
        return known[which % len(known)]


ACTS: dict[str, Callable[[Scene, int, int], object]] = {}
KINDS: dict[str, str] = {}


def act(
    kind: str = "plain",
) -> Callable[[Callable[[Scene, int, int], object]], Callable[[Scene, int, int], object]]:
    """Register a function as an act, with what a program that holds it may come to.

    Parameters:
        kind: `plain`, the request goes on; `doubtful`, it may not; `masking`, signals may be
            blocked, ignored or handled from here on; `parting`, the request has a table of
            descriptors of its own from here on; `robbing`, it reaches for descriptors that are
            the root's; `breaking`, a kernel that does as it is told leaves a process
            that cannot go on; `detaching`, a process may live on.
    """

    def register(
        function: Callable[[Scene, int, int], object],
    ) -> Callable[[Scene, int, int], object]:
        ACTS[function.__name__] = function
        KINDS[function.__name__] = kind
        return function

    return register


_SEEN = {"plain": PLAIN, "readable": READABLE, "mapped": MAPPED, "scribbled": SCRIBBLED}


def fingerprint() -> dict[str, object]:
    """Return what a pristine request sees of the things above."""
    found: dict[str, object] = {"graph": zlib.crc32(repr(GRAPH).encode())}
    for name, area in _SEEN.items():
        found[name] = zlib.crc32(ctypes.string_at(area.start, len(area.prot) * PAGE))
    call("mprotect", RESERVED.start, len(RESERVED.prot) * PAGE, READ)
    found["reserved"] = ctypes.string_at(RESERVED.start, 16 * PAGE).count(0)
    call("mprotect", RESERVED.start, len(RESERVED.prot) * PAGE, NONE)
    return found
