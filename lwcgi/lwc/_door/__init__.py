# SPDX-License-Identifier: MIT
"""The door to the module: one function per call, and the only place that sees cffi.

Plain numbers go in and come out; a refusal is raised. See ``kmod/uapi/lwc.h``.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import Any

from ..errors import from_errno
from ._lwc import ffi, lib

ABI: int = lib.LWC_ABI
MAX_ARGS: int = lib.LWC_MAX_ARGS
MAX_SPECS: int = lib.LWC_MAX_SPECS
ALL: int = lib.LWC_ALL
PAGE: int = mmap.PAGESIZE

FD_NONE: int = lib.LWC_FD_NONE
FD_SELF: int = lib.LWC_FD_SELF
FD_ROOT: int = lib.LWC_FD_ROOT

FEATURE_OVERLAY: int = lib.LWC_FEATURE_OVERLAY
FEATURE_RESTRICT: int = lib.LWC_FEATURE_RESTRICT
FEATURE_SYSCALL: int = lib.LWC_FEATURE_SYSCALL
FEATURE_TRAP: int = lib.LWC_FEATURE_TRAP
FEATURE_THREADS: int = lib.LWC_FEATURE_THREADS

MEMORY: int = lib.LWC_MEMORY
FILES: int = lib.LWC_FILES
CREDENTIALS: int = lib.LWC_CREDENTIALS

COPY: int = lib.LWC_COPY
SHARE: int = lib.LWC_SHARE
UNMAP: int = lib.LWC_UNMAP

MAY_ACCESS: int = lib.LWC_MAY_ACCESS

MAY_RETURN: int = lib.LWC_MAY_RETURN
SAME_RIGHTS: int = lib.LWC_SAME_RIGHTS
SUSPEND_ONLY: int = lib.LWC_SUSPEND_ONLY
SHARE_SIGNALS: int = lib.LWC_SHARE_SIGNALS
TRAP_SYSCALLS: int = lib.LWC_TRAP_SYSCALLS
WITH_THREADS: int = lib.LWC_WITH_THREADS

CREATED: int = lib.LWC_CREATED
ENTERED: int = lib.LWC_ENTERED
TRAPPED: int = lib.LWC_TRAPPED

DISCARD: int = lib.LWC_DISCARD
BY_TRAP: int = lib.LWC_BY_TRAP
MAY_ENTER: int = lib.LWC_MAY_ENTER

IS_RUNNING: int = lib.LWC_IS_RUNNING
IS_ROOT: int = lib.LWC_IS_ROOT
IS_SNAPSHOT: int = lib.LWC_IS_SNAPSHOT
IS_WORKER: int = lib.LWC_IS_WORKER
IS_ENTERED: int = lib.LWC_IS_ENTERED

RESTRICT_COPY: int = lib.LWC_RESTRICT_COPY

TRAP_NONE: int = lib.LWC_TRAP_NONE
TRAP_ALL: int = lib.LWC_TRAP_ALL
TRAP_SOME: int = lib.LWC_TRAP_SOME

TRAP_COMPAT: int = lib.LWC_TRAP_COMPAT
TRAP_AGAIN: int = lib.LWC_TRAP_AGAIN
TRAP_ONCE: int = lib.LWC_TRAP_ONCE

Specs = Sequence[tuple[int, int, int, int]]


def abi(door: int) -> tuple[int, int]:
    """Return version and features (``LWC_IOC_ABI``)."""
    said = ffi.new("struct lwc_abi *")
    _call(door, "abi", lib.LWC_IOC_ABI, said)
    return said.abi, said.features


def create(door: int, flags: int, specs: Specs) -> tuple[int, int, int, tuple[int, ...]]:
    """Make an lwC (``LWC_IOC_CREATE``), between the hooks of a fork.

    Returns:
        The event; the descriptor; and in the new one its caller and words.
    """
    packed = pack(specs)
    new = ffi.new("struct lwc_create *")
    new.flags = flags
    new.nspecs = len(specs)
    new.specs = int(ffi.cast("uintptr_t", packed))
    _check("create", lib.door_create(door, new))
    return new.event, new.fd, new.caller, tuple(new.args[0 : new.nargs])


def pack(specs: Specs) -> Any:
    """Return specifications as an array of ``struct lwc_spec``.

    Raises:
        OverflowError: a number does not fit its field.
    """
    return ffi.new("struct lwc_spec[]", list(specs))


def switch(
    door: int, target: int, flags: int, args: Sequence[int]
) -> tuple[int, int, tuple[int, ...]]:
    """Enter another lwC (``LWC_IOC_SWITCH``); return flags, caller and its words when back."""
    words = ffi.new("struct lwc_switch *")
    words.target = target
    words.flags = flags
    words.nargs = len(args)
    words.args[0 : len(args)] = args
    _call(door, "switch", lib.LWC_IOC_SWITCH, words)
    return words.flags, words.caller, tuple(words.args[0 : words.nargs])


def clone(door: int, snapshot: int) -> int:
    """Make a worker (``LWC_IOC_CLONE``); return its descriptor."""
    new = ffi.new("struct lwc_clone *", {"snapshot": snapshot})
    _call(door, "clone", lib.LWC_IOC_CLONE, new)
    fd: int = new.fd
    return fd


def reset(door: int, worker: int) -> tuple[int, int, int, int]:
    """Put a worker back (``LWC_IOC_RESET``); return the four counts of the structure."""
    done = ffi.new("struct lwc_reset *", {"worker": worker})
    _call(door, "reset", lib.LWC_IOC_RESET, done)
    return done.pages_copied, done.pages_checked, done.pages_private, done.mappings


def grant(door: int, target: int, holder: int, rights: int) -> None:
    """Say what one lwC may do to another (``LWC_IOC_GRANT``)."""
    words = {"target": target, "holder": holder, "rights": rights}
    _call(door, "grant", lib.LWC_IOC_GRANT, ffi.new("struct lwc_grant *", words))


def info(door: int, fd: int) -> tuple[int, int, int, int, int, int, int, int]:
    """Return what is known about an lwC (``LWC_IOC_INFO``), in the order of the structure."""
    said = ffi.new("struct lwc_info *", {"fd": fd})
    _call(door, "info", lib.LWC_IOC_INFO, said)
    return (
        said.id,
        said.creator,
        said.snapshot,
        said.state,
        said.contexts,
        said.pages_private,
        said.switches,
        said.bytes,
    )


def overlay(door: int, source: int, specs: Specs) -> None:
    """Map resources of another lwC (``LWC_IOC_OVERLAY``)."""
    packed = pack(specs)
    words = ffi.new("struct lwc_overlay *", {"source": source, "nspecs": len(specs)})
    words.specs = int(ffi.cast("uintptr_t", packed))
    _call(door, "overlay", lib.LWC_IOC_OVERLAY, words)


def restrict(door: int, fd: int, flags: int, specs: Specs) -> int:
    """Narrow the mask of a descriptor (``LWC_IOC_RESTRICT``); return the new one, or FD_NONE."""
    packed = pack(specs)
    words = ffi.new("struct lwc_restrict *", {"fd": fd, "flags": flags, "nspecs": len(specs)})
    words.specs = int(ffi.cast("uintptr_t", packed))
    _call(door, "restrict", lib.LWC_IOC_RESTRICT, words)
    restricted: int = words.restricted
    return restricted


def syscall(door: int, target: int, mask: int, nr: int, args: Sequence[int]) -> int:
    """Perform a system call as another lwC (``LWC_IOC_SYSCALL``); return its result as it is."""
    words = ffi.new("struct lwc_syscall *", {"target": target, "mask": mask, "nr": nr})
    words.args[0 : len(args)] = args
    _call(door, "syscall", lib.LWC_IOC_SYSCALL, words)
    result: int = words.result
    return result


def trap(door: int, fd: int, mode: int, calls: bytes) -> None:
    """Say which system calls of an lwC are refused (``LWC_IOC_TRAP``); *calls* are 64 bytes."""
    held = ffi.from_buffer(calls)
    words = ffi.new("struct lwc_trap *", {"fd": fd, "mode": mode})
    words.calls = int(ffi.cast("uintptr_t", held))
    _call(door, "trap", lib.LWC_IOC_TRAP, words)


def address(buffer: mmap.mmap | memoryview, *, writable: bool = True) -> int:
    """Return where a mapping or another buffer begins.

    Raises:
        TypeError: it is a read-only one, and *writable* asks for more.
    """
    pointer = ffi.from_buffer(buffer, require_writable=writable)
    return int(ffi.cast("uintptr_t", pointer))


def _call(door: int, name: str, request: int, structure: Any) -> None:
    _check(name, lib.door_call(door, request, structure))


def _check(name: str, ret: int) -> None:
    if ret:
        raise from_errno(name, -ret)
