# SPDX-License-Identifier: MIT
"""What a request may do to its mappings (promise 2) and to its memory as a whole."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
from pathlib import Path
from typing import TYPE_CHECKING

from tests.apps import assembly, machine, observed

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT: list[object] = []  # what must not be collected before the request ends
_A_PAGE = mmap.PAGESIZE
_OVER = mmap.MAP_PRIVATE | 0x10  # MAP_FIXED
_READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE


def _sbrk(step: int) -> int:
    machine.LIBC.sbrk.restype = ctypes.c_void_p
    result = machine.LIBC.sbrk(ctypes.c_long(step))
    return -1 if result == machine.FAILED else int(result)


def _try(act: Callable[[], object]) -> bool:
    """Run *act*; False where this kernel or processor lacks something for it."""
    try:
        act()
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EINVAL, errno.ENOSPC, errno.EPERM, errno.ENOMEM):
            return False
        raise
    return True


# Mappings.


def map_more() -> None:
    """A new mapping that stays."""
    KEPT.append(mmap.mmap(-1, 64 * _A_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def unmap() -> None:
    """A mapping of the snapshot is gone."""
    machine.unmap(observed.ADDRESSES["unmapped"], 16 * _A_PAGE)


def unmap_a_part() -> None:
    """The middle of a mapping of the snapshot is gone."""
    machine.unmap(observed.ADDRESSES["unmapped"] + 4 * _A_PAGE, 4 * _A_PAGE)


def unmap_shared() -> None:
    """A shared mapping of the snapshot is gone."""
    machine.unmap(observed.ADDRESSES["shared"], 4 * _A_PAGE)


def protect() -> None:
    """Half of a mapping of the snapshot cannot be touched any more."""
    machine.protect(observed.ADDRESSES["spoiled"], 8 * _A_PAGE, 0)


def unprotect() -> None:
    """Memory of the snapshot that is read-only is writable; nothing is written."""
    machine.protect(observed.ADDRESSES["code"], _A_PAGE, _READ_WRITE)


def grow() -> bool:
    """mremap(2) moves a mapping of the snapshot; it may be refused."""
    machine.LIBC.mremap.restype = ctypes.c_void_p
    size = ctypes.c_size_t(16 * _A_PAGE)
    address = ctypes.c_void_p(observed.ADDRESSES["grown"])
    moved = machine.LIBC.mremap(address, size, ctypes.c_size_t(64 * _A_PAGE), 1)
    if moved == machine.FAILED:
        assert ctypes.get_errno() == errno.ENOMEM
        return False
    return True


def map_over() -> None:
    """Another mapping, of the same kind and access, in place of one of the snapshot."""
    address = observed.ADDRESSES["replaced"]
    flags = _OVER | mmap.MAP_ANONYMOUS
    assert machine.map_at(address, 16 * _A_PAGE, _READ_WRITE, flags) == address


def map_file_over() -> None:
    """A file in place of a part of a mapping of the snapshot."""
    address = observed.ADDRESSES["replaced"] + 2 * _A_PAGE
    with open(observed.PATTERN_FILE, "rb") as file:
        machine.map_at(address, 4 * _A_PAGE, mmap.PROT_READ, _OVER, file.fileno())


def map_over_shared() -> None:
    """A mapping in place of a shared one of the snapshot."""
    address = observed.ADDRESSES["shared"]
    machine.map_at(address, 4 * _A_PAGE, _READ_WRITE, _OVER | mmap.MAP_ANONYMOUS)


def free_large_block() -> None:
    """free(3) of a block of the snapshot; another mapping and a library may take its place."""
    machine.LIBC.free(ctypes.c_void_p(observed.BLOCK))
    for _ in range(4):
        map_more()
    load_library()


def load_library() -> None:
    """A shared library that was not there."""
    KEPT.append(ctypes.CDLL("libanl.so.1"))


def move_break() -> None:
    """brk(2) grows the heap."""
    assert _sbrk(1 << 20) > 0


def raise_and_lower_break() -> None:
    """The heap grows, and shrinks by less."""
    assert _sbrk(1 << 20) > 0
    assert _sbrk(-(1 << 19)) > 0


def lower_break() -> bool:
    """The heap shrinks below what it was; that may be refused. Its end holds nothing."""
    return _sbrk(-16 * _A_PAGE) > 0


def deepen_stack() -> None:
    """The stack is written far below where it ended in the snapshot."""
    assembly.deep_stack(3 << 20)


# Pages.


def free_pages() -> None:
    """madvise(MADV_FREE): the kernel drops the contents when it likes."""
    address = observed.ADDRESSES["given back"]
    machine.advise(address, 16 * _A_PAGE, machine.MADV_FREE)
    machine.advise(address, 16 * _A_PAGE, machine.MADV_PAGEOUT)


def give_file_pages_back() -> None:
    """madvise(MADV_DONTNEED) of a private mapping of a file that differs from it."""
    observed.FROM_FILE.madvise(mmap.MADV_DONTNEED)


def fill_wiped() -> None:
    """Memory that is wiped on every fork."""
    observed.WIPED[:] = observed.PATTERN * 2


def rewrite_code() -> None:
    """Memory of the snapshot that is executable and read-only, made writable for a moment."""
    address = observed.ADDRESSES["code"]
    machine.protect(address, _A_PAGE, _READ_WRITE)
    ctypes.memset(address, 0xCC, _A_PAGE)
    machine.protect(address, _A_PAGE, mmap.PROT_READ | mmap.PROT_EXEC)


def _poke(address: int) -> None:
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        assert memory.write(b"poked") == 5


def poke_data() -> None:
    """A write through /proc/self/mem."""
    _poke(ctypes.addressof(observed.HEAP) + 5000)


def poke_code() -> None:
    """The same, to memory that is read-only."""
    _poke(observed.ADDRESSES["code"] + 10)


# Memory as a whole: what the kernel keeps once for all who share it.


def name_mapping() -> bool:
    """A name for a mapping of the snapshot, for /proc/self/maps."""
    name = ctypes.create_string_buffer(b"spoiled")
    size = ctypes.c_ulong(16 * _A_PAGE)
    return not machine.LIBC.prctl(
        machine.PR_SET_VMA, machine.PR_SET_VMA_ANON_NAME, ctypes.c_ulong(observed.ADDRESSES["spoiled"]), size, name
    )  # fmt: skip


def hint() -> None:
    """Advice on a mapping of the snapshot that would show in its flags."""
    for advice in (mmap.MADV_RANDOM, mmap.MADV_NOHUGEPAGE, mmap.MADV_DONTDUMP):
        observed.SPOILED.madvise(advice)


def not_inherited() -> None:
    """Memory of the snapshot that children will not have."""
    observed.SPOILED.madvise(mmap.MADV_DONTFORK)


def file_not_inherited() -> None:
    """A private mapping of a file that children will not have."""
    observed.FROM_FILE.madvise(mmap.MADV_DONTFORK)


def guard_pages() -> bool:
    """Guard pages in memory of the snapshot."""
    address = observed.ADDRESSES["spoiled"]
    return _try(lambda: machine.advise(address, _A_PAGE, machine.MADV_GUARD_INSTALL))


def guard_file_pages() -> None:
    """Guard pages in a private mapping of a file: old kernels refuse it, and so does the engine."""
    with contextlib.suppress(OSError):
        address = observed.address_of(observed.FROM_FILE)
        machine.advise(address, _A_PAGE, machine.MADV_GUARD_INSTALL)


def lock_everything() -> bool:
    """mlockall(2) of what there is."""
    return _try(lambda: machine.check(machine.LIBC.mlockall(1)))


def lock_future() -> bool:
    """… of what is to come."""
    return _try(lambda: machine.check(machine.LIBC.mlockall(2)))


def seal_mapping() -> bool:
    """mseal(2): a mapping that can never be changed again."""
    return _try(
        lambda: machine.call(machine.SYS_MSEAL, observed.ADDRESSES["spoiled"], 16 * _A_PAGE, 0)
    )


def forbid_write_and_execute() -> bool:
    """No mapping may become executable any more, for good."""
    return _try(lambda: machine.prctl(machine.PR_SET_MDWE, 1))


def merge_pages() -> bool:
    """The kernel may merge equal pages."""
    return _try(lambda: machine.prctl(machine.PR_SET_MEMORY_MERGE, 1))


def register_membarrier() -> bool:
    """The kernel is to interrupt this memory's tasks on demand, for good."""
    return _try(lambda: machine.membarrier(machine.MEMBARRIER_REGISTER_PRIVATE))


def set_up_io() -> bool:
    """io_setup(2): a ring for asynchronous I/O."""
    context = ctypes.c_ulong(0)
    return _try(lambda: machine.call(machine.SYS_IO_SETUP, 8, ctypes.addressof(context)))


def take_protection_key() -> bool:
    """pkey_alloc(2)."""
    return _try(lambda: machine.call(machine.SYS_PKEY_ALLOC, 0, 0))


def map_execute_only() -> bool:
    """Memory that may only be executed: the kernel takes a protection key for it, for good."""
    if not Path("/proc/cpuinfo").read_text().count(" ospke"):
        return False  # then nothing of it stays
    mmap.mmap(-1, _A_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_EXEC).close()
    return True


def filter_core_dumps() -> bool:
    """Which mappings a core dump has."""
    try:
        Path("/proc/self/coredump_filter").write_text("0x7f")
    except PermissionError:  # of a process that is closed to its own user
        return False
    return True


ACTS = (
    map_more, unmap, unmap_a_part, unmap_shared, protect, unprotect, grow, map_over, map_file_over,
    map_over_shared, free_large_block, load_library, move_break, raise_and_lower_break,
    lower_break, deepen_stack, free_pages, give_file_pages_back, fill_wiped, rewrite_code,
    poke_data, poke_code, name_mapping, hint, not_inherited, file_not_inherited, guard_pages,
    guard_file_pages, lock_everything, lock_future, seal_mapping, forbid_write_and_execute,
    merge_pages, register_membarrier, set_up_io, take_protection_key,
    map_execute_only, filter_core_dumps,
)  # fmt: skip
