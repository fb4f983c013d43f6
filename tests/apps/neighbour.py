# SPDX-License-Identifier: MIT
"""Attacks of a context on processes that are not its own, as a debugger could do them.

Each is given a pid, and raises PermissionError where it is refused; whatever else comes of it, it
was let in.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import subprocess
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from tests.apps import observed
from tests.apps.machine import SYS_KCMP, call

if TYPE_CHECKING:
    from collections.abc import Callable

# <asm/unistd_64.h>, <sys/ptrace.h>
_READV, _WRITEV, _GET_ROBUST_LIST, _PIDFD_GETFD = 310, 311, 274, 438
_PTRACE, _ATTACH, _SEIZE, _DETACH = 101, 16, 0x4206, 17
_KCMP_FILES = 2
_HIGHEST_FD = 1010

MARK = ctypes.create_string_buffer(b"as in the snapshot", 64)
"""At the same address in every context of one snapshot; a victim's secret is put there."""


def _vector(address: int, size: int) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(struct.pack("PN", address, size), 16)


def _transfer(number: int, pid: int, own: ctypes.Array[ctypes.c_char]) -> None:
    """process_vm_readv(2) or process_vm_writev(2) between *own* and the MARK of *pid*."""
    here, there = _vector(ctypes.addressof(own), 64), _vector(ctypes.addressof(MARK), 64)
    call(number, pid, ctypes.addressof(here), 1, ctypes.addressof(there), 1, 0)


def _memory_file(pid: int) -> None:
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(ctypes.addressof(MARK))
        memory.read(64)


def _look(name: str) -> Callable[[int], object]:
    """Return the attack that reads a file of /proc/PID."""

    def look(pid: int) -> None:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            file.read(1)

    return look


def _take_descriptors(pid: int) -> None:
    """Take the first descriptor that can be taken of those an application has (pidfd_getfd(2))."""
    process = os.pidfd_open(pid)
    try:
        for number in range(_HIGHEST_FD):
            try:
                os.close(call(_PIDFD_GETFD, process, number, 0))
                return
            except OSError as error:
                if isinstance(error, PermissionError):
                    raise
    finally:
        os.close(process)


def _trace(request: int) -> Callable[[int], object]:
    """Return the attack that becomes the tracer of a process, and lets it go again."""

    def trace(pid: int) -> None:
        call(_PTRACE, request, pid, 0, 0)
        if request == _SEIZE:
            call(_PTRACE, 0x4207, pid, 0, 0)  # PTRACE_INTERRUPT: only what stands can be let go
        os.waitpid(pid, 0x40000000)  # __WALL
        call(_PTRACE, _DETACH, pid, 0, 0)

    return trace


def _robust_list(pid: int) -> None:
    answer = (ctypes.c_ulong * 2)()
    call(_GET_ROBUST_LIST, pid, ctypes.addressof(answer), ctypes.addressof(answer) + 8)


ATTACKS: dict[str, Callable[[int], object]] = {
    "read memory": lambda pid: _transfer(_READV, pid, ctypes.create_string_buffer(64)),
    "write memory": lambda pid: _transfer(
        _WRITEV, pid, ctypes.create_string_buffer(b"overwritten", 64)
    ),
    "open memory": _memory_file,
    "attach": _trace(_ATTACH),
    "seize": _trace(_SEIZE),
    "take descriptors": _take_descriptors,
    "state of descriptors": _look("fdinfo/1"),
    "see through descriptors": lambda pid: os.stat(f"/proc/{pid}/fd/1"),
    "maps": _look("maps"),
    "mapped files": lambda pid: os.listdir(f"/proc/{pid}/map_files"),
    "environment": _look("environ"),
    "auxiliary vector": _look("auxv"),
    "page map": _look("pagemap"),
    "directory": lambda pid: os.readlink(f"/proc/{pid}/cwd"),
    "root directory": lambda pid: os.readlink(f"/proc/{pid}/root"),
    "program": lambda pid: os.readlink(f"/proc/{pid}/exe"),
    "compare": lambda pid: call(SYS_KCMP, os.getpid(), pid, _KCMP_FILES, 0, 0),
    "robust list": _robust_list,
    "signal": lambda pid: os.kill(pid, 0),
}


def attack(pid: int) -> list[str]:
    """Try all of ATTACKS on a process; return those that were not refused."""
    let_in = []
    for name, act in ATTACKS.items():
        try:
            act(pid)
        except PermissionError:
            continue
        except ProcessLookupError:
            raise AssertionError(f"{pid} is gone: nothing can be said about it") from None
        except OSError:
            pass
        let_in.append(name)
    return let_in


def debug_child(_: str) -> list[str]:
    """Try them on a program this process has started; return what was refused of the needed."""
    program = subprocess.Popen(["sleep", "60"])
    try:
        needed = {"read memory", "attach", "state of descriptors", "maps", "environment", "signal"}
        return sorted(needed - set(attack(program.pid)))
    finally:
        program.kill()
        program.wait()


def be_victim(name: str) -> str:
    """Keep a secret while a program runs, until the file *name* is there; return what it is then."""
    MARK.value = f"the secret of {name}".encode()
    program = subprocess.Popen(["sleep", "60"])
    try:
        told = json.dumps({"pid": os.getpid(), "program": program.pid})
        (observed.FOLDER / f"{name}.starting").write_text(told)
        (observed.FOLDER / f"{name}.starting").rename(observed.FOLDER / f"{name}.started")
        for _ in range(6000):
            if (observed.FOLDER / name).exists():
                break
            time.sleep(0.01)
        return MARK.value.decode()
    finally:
        program.kill()
        program.wait()


def read_output(_: str) -> str:
    """Try to read what other requests write to standard output, whose pipe everybody has."""
    try:
        os.close(os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK))
    except PermissionError:
        return "refused"
    return "opened"


def gain(program: str) -> str:
    """Return what a set-user-ID program prints; `id -u` prints whose rights it has."""
    return subprocess.run([program, "-u"], capture_output=True, text=True, check=True).stdout


def move_files(_: str) -> list[str]:
    """Move and link a file from one directory into another, make a pipe; return what is there."""
    here, there = observed.FOLDER / "here", observed.FOLDER / "there"
    for folder in (here, there):
        folder.mkdir(exist_ok=True)
    (here / "a").touch()
    (here / "a").rename(there / "b")
    os.link(there / "b", here / "c")
    (here / "c").rename(there / "c")
    os.mkfifo(there / "d")
    found = sorted(path.name for path in there.iterdir())
    for name in found:
        (there / name).unlink()
    return found


def attack_all(query: str) -> dict[str, list[str]]:
    """Attack each process of the query, `name=pid`; return which attacks were not refused."""
    return {name: attack(int(pid)) for name, (pid,) in parse_qs(query).items()}


REQUESTS: dict[str, Callable[[str], object]] = {
    "victim": be_victim,
    "attack": attack_all,
    "debug_child": debug_child,
    "read_output": read_output,
    "gain": gain,
    "move_files": move_files,
}
"""What a request may ask for by its path, with the query."""
