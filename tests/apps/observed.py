# SPDX-License-Identifier: MIT
"""What a request can see of its own process: the state every request must find unchanged.

Made before freezing, so that there is something to spoil: patterned memory of several kinds,
a mapping, an open file, a generator.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import fcntl
import hashlib
import mmap
import os
import random
import re
import resource
import signal
import struct
import sys
import threading
import zlib
from pathlib import Path

from tests.apps import machine

FOLDER = Path(os.environ["ACTS_FOLDER"])
PATTERN = bytes(range(256)) * 16

GLOBALS: dict[str, object] = {"list": []}
HEAP = ctypes.create_string_buffer(PATTERN * 64, len(PATTERN) * 64)
LOCAL = threading.local()
LOCAL.value = "pristine"
GENERATOR = random.Random(1)


def _private_mapping(pages: int) -> mmap.mmap:
    memory = mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory[:] = PATTERN * pages
    return memory


GIVEN_BACK = _private_mapping(16)  # pages a request hands back to the kernel
SPOILED = _private_mapping(16)  # a mapping whose protection and size change
UNMAPPED = _private_mapping(16)
GROWN = _private_mapping(16)
REPLACED = _private_mapping(16)  # … over which another is mapped
OPTIND = ctypes.c_int.in_dll(machine.LIBC, "optind")  # a global variable of the C library

DATA = FOLDER / "data.txt"
DATA.write_bytes(b"0123456789" * 100)
FILE = open(DATA, "r+b", buffering=0)  # noqa: SIM115 - lives as long as the application
FILE.seek(5)
# struct flock of x86-64: an exclusive lock on the whole file
WRITE_LOCK = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
SECOND = open(DATA, "rb", buffering=0)  # noqa: SIM115 - likewise


CODE = _private_mapping(1)  # readable and executable once frozen
PATTERN_FILE = FOLDER / "pattern"
PATTERN_FILE.write_bytes(PATTERN * 4)
with open(PATTERN_FILE, "r+b") as _file:
    FROM_FILE = mmap.mmap(_file.fileno(), 0, access=mmap.ACCESS_COPY)
    FROM_FILE[:100] = bytes(100)  # differs from the file
    SHARED = mmap.mmap(_file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
DIRECTORY = os.open("/usr", os.O_RDONLY | os.O_DIRECTORY)
WIPED = _private_mapping(2)  # … on every fork, as the state of a generator would be
WIPED.madvise(machine.MADV_WIPEONFORK)


def address_of(memory: mmap.mmap) -> int:
    """Return where *memory*, which is writable, is mapped."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


ADDRESSES = {
    "given back": address_of(GIVEN_BACK),
    "spoiled": address_of(SPOILED),
    "unmapped": address_of(UNMAPPED),
    "grown": address_of(GROWN),
    "replaced": address_of(REPLACED),
    "code": address_of(CODE),
    "shared": machine.mapped_at(PATTERN_FILE, "r--s"),
}
machine.protect(ADDRESSES["code"], mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC)

# A block so large that malloc(3) has it in a mapping of its own.
BLOCK_SIZE = 2 << 20
BLOCK = machine.allocate(BLOCK_SIZE)
ctypes.memset(BLOCK, 0x42, BLOCK_SIZE)


def memory() -> dict[str, object]:
    """Promise 1: objects, C globals, heap, pages given back, registers."""
    one, three = float(len("a")), float(len("abc"))
    return {
        "globals": repr(GLOBALS),
        "builtins": sorted(vars(builtins)),
        "modules": sorted(sys.modules),
        "class": repr(getattr(threading.Thread, "spoiled", None)),
        "environ": dict(os.environ),
        "recursion limit": sys.getrecursionlimit(),
        "C global": OPTIND.value,
        "heap": zlib.crc32(HEAP.raw),
        "given back": hashlib.md5(GIVEN_BACK).hexdigest(),
        "replaced": hashlib.md5(REPLACED).hexdigest(),
        "code": hashlib.md5(CODE).hexdigest(),
        "from a file": hashlib.md5(FROM_FILE).hexdigest(),
        "a large block": zlib.crc32(ctypes.string_at(BLOCK, BLOCK_SIZE)),
        "not wiped": any(WIPED[:]),
        "thread-local": getattr(LOCAL, "value", None),
        "rounding mode": machine.LIBM.fegetround(),
        "a third": (one / three).hex(),
        "FS base": machine.segment_base(machine.ARCH_GET_FS),
        "GS base": machine.segment_base(machine.ARCH_GET_GS),
    }


# The inode of shared memory without a name is another whenever it is mapped.
_UNNAMED = re.compile(r" \d+ +(?=/dev/zero \(deleted\)$)")


def _joined(lines: list[str]) -> list[str]:
    """Join anonymous neighbours that differ in nothing: the kernel keeps some of them apart."""
    joined: list[str] = []
    for line in (_UNNAMED.sub(" 0 ", line) for line in lines):
        addresses, _, rest = line.partition(" ")
        start, _, end = addresses.partition("-")
        if joined and rest.split()[3] == "0":
            before, _, same = joined[-1].partition(" ")
            if before.endswith(f"-{start}") and same.strip() == rest.strip():
                joined[-1] = f"{before.partition('-')[0]}-{end} {same}"
                continue
        joined.append(line)
    return joined


def mappings() -> dict[str, object]:
    """Promise 2: every mapping of /proc/self/maps, and the break."""
    machine.LIBC.sbrk.restype = ctypes.c_void_p
    return {
        "maps": _joined(Path("/proc/self/maps").read_text().splitlines()),
        "break": machine.LIBC.sbrk(0),
    }


def usable(number: int) -> bool:
    """Tell whether *number* is a descriptor to this process.

    The one that listed a directory is none any more; nor, under `rewind`, are those of the root.
    """
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
    except OSError:
        return False
    return True


def _descriptor(number: int) -> dict[str, object]:
    info = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/self/fdinfo/{number}").read_text().splitlines()
        if ":\t" in line
    )
    kind, _, _ = os.readlink(f"/proc/self/fd/{number}").partition(":[")
    return {"is": kind, "flags": info["flags"], "offset": info["pos"]}


def _locks() -> dict[str, bool]:
    free = {"flock is free": True, "record lock is free": True}
    with open(DATA, "r+b") as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            free["flock is free"] = False
        try:
            fcntl.fcntl(other, fcntl.F_OFD_SETLK, WRITE_LOCK)
        except BlockingIOError:
            free["record lock is free"] = False
    return free


def descriptors() -> dict[str, object]:
    """Promise 3: every descriptor with target, flags and offset, and whether locks are free."""
    numbers = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    return {"table": {str(n): _descriptor(n) for n in numbers if usable(n)}, **_locks()}


# A process that is closed to others cannot list them.
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "user", "uts")
_STATUS = (
    "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs",
    "Seccomp", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "VmLck", "Name", "Umask",
)  # fmt: skip


def _status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {name: fields[name] for name in _STATUS if name in fields}


def _thread_flags() -> dict[str, object]:
    flags: dict[str, object] = {
        "dumpable": machine.prctl(machine.PR_GET_DUMPABLE),
        "keepcaps": machine.prctl(machine.PR_GET_KEEPCAPS),
        "timer slack": machine.prctl(machine.PR_GET_TIMERSLACK),
        "no huge pages": machine.prctl(machine.PR_GET_THP_DISABLE),
        "death signal": machine.prctl_into(machine.PR_GET_PDEATHSIG),
        "subreaper": machine.prctl_into(machine.PR_GET_CHILD_SUBREAPER),
    }
    with contextlib.suppress(OSError):  # Linux 6.3
        flags["no write and execute"] = machine.prctl(machine.PR_GET_MDWE)
    with contextlib.suppress(OSError):  # Linux 6.4
        flags["pages are merged"] = machine.prctl(machine.PR_GET_MEMORY_MERGE)
    with contextlib.suppress(OSError):  # a kernel for more than one memory node
        flags["memory policy"] = machine.memory_policy()
    with contextlib.suppress(OSError):  # a kernel without membarrier(2)
        flags["membarrier"] = machine.registered_barriers()
    return flags


def attributes() -> dict[str, object]:
    """Promise 4: what the kernel keeps for a process besides memory and descriptors."""
    limits = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
    return {
        "cwd": os.getcwd(),
        "root": os.stat("/").st_ino,
        "status": _status(),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in limits},
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "scheduler": os.sched_getscheduler(0),
        "affinity": sorted(os.sched_getaffinity(0)),
        "I/O priority": machine.LIBC.syscall(machine.SYS_IOPRIO_GET, 1, 0),
        "handlers": {str(s): repr(signal.getsignal(s)) for s in signal.valid_signals()},
        "alternate stack": machine.alternate_stack(),
        "interval timers": [signal.getitimer(kind) for kind in range(3)],
        "timers": Path("/proc/self/timers").read_text(),
        "personality": machine.call(machine.SYS_PERSONALITY, 0xFFFFFFFF),
        "oom score": Path("/proc/self/oom_score_adj").read_text(),
        "core dumps": Path("/proc/self/coredump_filter").read_text(),
        "namespaces": [os.readlink(f"/proc/self/ns/{name}") for name in _NAMESPACES],
        "session": os.getsid(0),
        "leads its group": os.getpgrp() == os.getpid(),
        "flags": _thread_flags(),
    }


def tasks() -> dict[str, object]:
    """Promise 5: threads of this process, and the live and dead children of it and its root.

    Under `rewind` the root has a second child of its own, which is there all the time.
    """
    children: list[str] = []
    for task in Path("/proc/self/task").iterdir():
        children += (task / "children").read_text().split()
    root = Path(f"/proc/{os.getppid()}/task/{os.getppid()}/children").read_text().split()
    session = os.getsid(0)
    own = [pid for pid in root if int(pid) != os.getpid() and os.getsid(int(pid)) == session]
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "python threads": [thread.name for thread in threading.enumerate()],
        "children": children,
        "siblings": len(own),
    }


PARTS = {part.__name__: part for part in (memory, mappings, descriptors, attributes, tasks)}


def state() -> dict[str, object]:
    """Everything, by promise; and who looks."""
    found = {name: part() for name, part in PARTS.items()}
    return found | {"pid": os.getpid(), "root": os.getppid()}
