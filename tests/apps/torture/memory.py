# SPDX-License-Identifier: MIT
"""Acts on memory: objects, heap, break, stack, mappings of the snapshot and of the request."""

from __future__ import annotations

import ctypes
import functools
import gc
import mmap
import os
import sys

from tests.apps import observed
from tests.apps.torture.scene import (
    ANONYMOUS,
    EXEC,
    FILLED,
    FIXED,
    GRAPH,
    LIBC,
    NONE,
    PAGE,
    PRIVATE,
    READ,
    RESERVED,
    WRITE,
    Area,
    Refused,
    Scene,
    act,
    call,
    map_at,
)

_PROTECTIONS = (NONE, READ, READ | WRITE, READ | EXEC, READ | WRITE | EXEC)
# madvise(2): MADV_*, by what becomes of the contents.
_DROPS, _FREES, _GUARDS = (4, 24), 8, 102
_HINTS = (0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 25)
_ADVICE = (*_DROPS * 4, *[_FREES] * 4, _GUARDS, *_HINTS)
_MAYMOVE, _MREMAP_FIXED = 1, 2
_SYS_BRK, _SYS_VM_WRITEV, _SYS_MSEAL = 12, 311, 462


# Objects and the C library's heap.


@act()
def change_graph(scene: Scene, a: int, b: int) -> None:
    """Change, add and delete objects of the snapshot."""
    # The graph holds what its own definition says.
    GRAPH["numbers"][a] = -b  # type: ignore[index]
    GRAPH["names"].pop(f"name {b}", None)  # type: ignore[attr-defined]
    GRAPH["set"] ^= {a, b}  # type: ignore[operator]
    GRAPH["bytes"][a] = b  # type: ignore[index]
    GRAPH[f"new {a}"] = [GRAPH] * b
    if a % 4 == 0:
        del GRAPH["nested"]
        GRAPH["nested"] = GRAPH


@act()
def make_objects(scene: Scene, a: int, b: int) -> None:
    """Make many objects; keep some, drop some, collect."""
    made = [{n: str(n)} for n in range(a * 500)]
    scene.kept.append(made[:: b + 1])
    if b % 3 == 0:
        gc.collect()


@act()
def take_memory(scene: Scene, a: int, b: int) -> None:
    """Take up to 64 MiB in one block or many, and fill it."""
    if a % 2:
        scene.kept.append(bytearray(b"x" * (b << 20)))
    else:
        scene.kept.append([bytearray(b * 2000) for _ in range(500)])


@act()
def trim(scene: Scene, a: int, b: int) -> None:
    """malloc_trim(3): the top of the heap and free pages inside go back to the kernel."""
    scene.kept = scene.kept[b % 4 :]
    LIBC.malloc_trim(ctypes.c_size_t(a * PAGE))


@act()
def recurse(scene: Scene, a: int, b: int) -> None:
    """Grow the C stack far below where the snapshot's ended."""
    sys.setrecursionlimit(20_000)

    def deeper(_: object, left: int) -> int:
        return functools.reduce(deeper, [left - 1], 0) if left > 0 else 0

    try:
        deeper(0, a * 80)
    except RecursionError:
        raise Refused("too deep") from None


@act()
def move_break_up(scene: Scene, a: int, b: int) -> None:
    """Grow the break, write there; shrink it again where nobody else has moved it."""
    size = (a + 1) * PAGE
    start = call("sbrk", size)
    ctypes.memset(start, 0x77, size)
    if b % 2 and call("sbrk", 0) == start + size:
        call("sbrk", -size)


@act("breaking")
def move_break_down(scene: Scene, a: int, b: int) -> None:
    """Set the break below the snapshot's; what the heap held there would be gone."""
    now = call("sbrk", 0)
    call("syscall", _SYS_BRK, now - (a + 1) * PAGE)


# Areas.


@act()
def map_area(scene: Scene, a: int, b: int) -> None:
    """Map pages, private or shared, populated or not, and write to some."""
    kind = (PRIVATE, PRIVATE, mmap.MAP_SHARED)[a % 3] | ANONYMOUS
    extra = (0, 0x8000, 0x4000, 0x20000, 0x2000)[b % 5]  # POPULATE, NORESERVE, STACK, LOCKED
    pages = a + 1
    start = map_at(0, pages, READ | WRITE, kind | extra)
    private = bool(kind & PRIVATE)
    area = Area(start, [READ | WRITE] * pages, [0] * pages, 0 if private else None, private)
    scene.areas.append(area)
    for page in range(0, pages, 2):
        area.write(page, a * b)


@act()
def map_file(scene: Scene, a: int, b: int) -> None:
    """Map a file, private."""
    with open(observed.FOLDER / "mapped", "rb") as file:
        prot = _PROTECTIONS[a % len(_PROTECTIONS)]
        start = map_at(0, 4, prot, PRIVATE, file.fileno())
    scene.areas.append(Area(start, [prot] * 4, [FILLED] * 4, FILLED, False))


@act()
def write_area(scene: Scene, a: int, b: int) -> None:
    """Write to pages."""
    area = scene.area(a)
    for page in area.pages(b, a % 7):
        area.write(page, a << 8 | b)


@act()
def read_into_area(scene: Scene, a: int, b: int) -> None:
    """Have the kernel write to a page: by read(2), and by process_vm_writev(2)."""
    area = scene.area(a)
    page = area.pages(b, 0)[0]
    if not (area.prot[page] or 0) & WRITE:
        raise Refused("not writable")
    value = (b << 16 | a).to_bytes(8, "little") * (PAGE // 8)
    target = (ctypes.c_char * PAGE).from_address(area.address(page))
    if a % 2:
        reader, writer = os.pipe()
        os.write(writer, value)
        assert os.readv(reader, [target]) == PAGE
        os.close(reader)
        os.close(writer)
    else:
        source = ctypes.create_string_buffer(value, PAGE)
        here = (ctypes.c_long * 2)(ctypes.addressof(source), PAGE)
        there = (ctypes.c_long * 2)(area.address(page), PAGE)
        moved = [ctypes.addressof(here), 1, ctypes.addressof(there), 1, 0]
        assert call("syscall", _SYS_VM_WRITEV, os.getpid(), *moved) == PAGE
    area.words[page] = b << 16 | a


@act()
def write_by_proc_mem(scene: Scene, a: int, b: int) -> None:
    """Write to any page, writable or not, through /proc/self/mem."""
    area = scene.area(a)
    page = area.pages(b, 0)[0]
    if area is RESERVED:
        raise Refused("would have to be made accessible first")
    value = (b << 24 | a).to_bytes(8, "little") * (PAGE // 8)
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(area.address(page))
        memory.write(value)
    area.words[page] = b << 24 | a


@act()
def protect_area(scene: Scene, a: int, b: int) -> None:
    """mprotect(2) of some pages."""
    area = scene.area(a)
    prot = _PROTECTIONS[(a + b) % len(_PROTECTIONS)]
    pages = area.pages(b, a % 9)
    call("mprotect", area.address(pages[0]), len(pages) * PAGE, prot)
    for page in pages:
        area.prot[page] = prot


@act()
def advise_area(scene: Scene, a: int, b: int) -> None:
    """madvise(2) of some pages, often with advice that drops their contents."""
    area = scene.area(a)
    advice = _ADVICE[(7 * a + b) % len(_ADVICE)]
    pages = area.pages(b, a % 5)
    call("madvise", area.address(pages[0]), len(pages) * PAGE, advice)
    for page in pages:
        if advice in _DROPS:
            area.words[page] = area.dropped
        elif advice == _FREES:
            area.words[page] = None
        elif advice == _GUARDS:
            area.prot[page] = None


@act()
def unmap_area(scene: Scene, a: int, b: int) -> None:
    """munmap(2) of some pages."""
    area = scene.area(a)
    pages = area.pages(b, a % 6)
    call("munmap", area.address(pages[0]), len(pages) * PAGE)
    for page in pages:
        area.prot[page] = None


@act()
def map_over_area(scene: Scene, a: int, b: int) -> None:
    """mmap(2) with MAP_FIXED over some pages."""
    area = scene.area(a)
    pages = area.pages(b, a % 3)
    map_at(area.address(pages[0]), len(pages), READ | WRITE, PRIVATE | ANONYMOUS | FIXED)
    for page in pages:
        area.prot[page], area.words[page] = READ | WRITE, 0
        area.write(page, a + b)


@act()
def remap_area(scene: Scene, a: int, b: int) -> None:
    """mremap(2): grow, shrink or move an area that nothing was done to."""
    area = scene.area(a)
    if len(set(area.prot)) != 1 or area.prot[0] is None:
        raise Refused("is not one mapping any more")
    pages, wanted = len(area.prot), b + 1
    if wanted > pages and not area.grows:
        raise Refused("nothing behind its end")
    area.start = call("mremap", area.start, pages * PAGE, wanted * PAGE, _MAYMOVE)
    area.prot = (area.prot + [area.prot[0]] * wanted)[:wanted]
    area.words = (area.words + [None] * wanted)[:wanted]


@act()
def move_over_snapshot(scene: Scene, a: int, b: int) -> None:
    """mremap(2) moves pages of the request over pages of the snapshot."""
    own, area = scene.own(a), scene.area(b % 4)
    to = area.pages(b, 0)[0]
    if len(set(own.prot)) != 1 or own.prot[0] is None:
        raise Refused("is not one mapping any more")
    flags = _MAYMOVE | _MREMAP_FIXED
    moved = call("mremap", own.start, PAGE, PAGE, flags, area.address(to))
    assert moved == area.address(to)
    area.prot[to], area.words[to] = own.prot[0], own.words[0]
    own.prot[0] = None


@act()
def seal_area(scene: Scene, a: int, b: int) -> None:
    """mseal(2): these pages can never be unmapped or protected again."""
    area = scene.area(a)
    page = area.pages(b, 0)[0]
    call("syscall", _SYS_MSEAL, area.address(page), PAGE, 0)


@act()
def lock_area(scene: Scene, a: int, b: int) -> None:
    """mlock(2), mlock2(2), munlock(2)."""
    area = scene.area(a)
    pages = area.pages(b, a % 4)
    name = ("mlock", "mlock", "munlock")[b % 3]
    call(name, area.address(pages[0]), len(pages) * PAGE)


@act()
def look(scene: Scene, a: int, b: int) -> None:
    """Assert that all areas are what the request has made of them."""
    for area in scene.areas:
        area.check()
