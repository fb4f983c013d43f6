# SPDX-License-Identifier: MIT
"""Attacks of a request on the root it shares a process with, and on the requests after it."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import socket
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.apps import assembly, machine, mess, mess_tasks, neighbour, observed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SYS_VMSPLICE, _SYS_CLONE, _SYS_PTRACE, _SYS_SECCOMP, _SYS_USERFAULTFD = 278, 56, 101, 317, 323
_PR_SET_PTRACER, _PR_GET_AUXV = 0x59616D61, 0x41555856
_PR_SET_MM, _PR_SET_MM_MAP_SIZE = 35, 15
_PR_SET_SYSCALL_USER_DISPATCH, _DISPATCH_ON = 59, 1
_SECCOMP_SET_MODE_FILTER = 1
_USER_MODE_ONLY = 1  # what userfaultfd(2) lets everybody
_SENDING = (1, 18, 20, 44, 46, 296, 307)  # write, pwrite64, writev, sendto, sendmsg, …
_CLONE_FILES, _SIGCHLD = 0x400, 17


def exchange() -> tuple[int, int]:
    """Return address and size of the memory in which a worker of `lwc` and its root talk."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if " rw-s " in line and line.endswith("/dev/zero (deleted)"):
            start, _, end = line.partition(" ")[0].partition("-")
            return int(start, 16), int(end, 16) - int(start, 16)
    raise LookupError("no memory is shared")


def _of_exchange() -> int:
    """Return a pipe that holds the very pages (vmsplice(2))."""
    start, size = exchange()
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 2 * size)
    vector = (ctypes.c_ulong * 2)(start, size)
    assert machine.call(_SYS_VMSPLICE, writer, ctypes.addressof(vector), 1, 0) == size
    return reader


_HANDLES: dict[str, Callable[[], int]] = {
    "memory": lambda: os.open("/proc/self/mem", os.O_RDWR),
    "mappings": lambda: os.open("/proc/self/maps", os.O_RDONLY),
    "file": lambda: os.dup(observed.FILE.fileno()),
    "exchange": _of_exchange,
}


def hand_over(path: str) -> list[str]:
    """Give whoever listens at *path* what can be had of this request; return the names of it."""
    found = {}
    for name, take in _HANDLES.items():
        try:
            found[name] = take()
        except (OSError, LookupError):
            pass
    with socket.socket(socket.AF_UNIX) as accomplice:
        accomplice.connect(path)
        socket.send_fds(accomplice, [json.dumps(list(found)).encode()], list(found.values()))
    return list(found)


def attack_from_child() -> list[str]:
    """Have a forked child attack this process, and return what was not refused to it."""
    reader, writer = os.pipe()
    attacked = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(neighbour.attack(attacked)).encode())
        finally:
            os._exit(0)  # never on as a second copy of the request
    os.close(writer)
    with open(reader, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return json.loads(told)  # type: ignore[no-any-return]


def _not_refused(ways: Mapping[str, Callable[[], object]], *refusals: int) -> list[str]:
    """Go all these ways; return those that were not refused, with one of these errors.

    Raises:
        OSError: it was another error, so the attack itself is wrong.
    """
    done = []
    for name, way in ways.items():
        try:
            way()
        except OSError as error:
            if error.errno not in refusals:
                raise
        else:
            done.append(name)
    return done


def _start_thread() -> None:
    try:
        thread = threading.Thread(target=lambda: None)
        thread.start()
    except RuntimeError as error:  # "can't start new thread" is all that Python says
        raise OSError(errno.EPERM, str(error)) from None
    thread.join()


def _vfork() -> None:
    pid = assembly.vfork(7)
    assert os.waitstatus_to_exitcode(os.waitpid(_pid(pid), 0)[1]) == 7


def _share_memory() -> None:
    _pid(assembly.leave_sharing_task(mess_tasks.OTHER_STACK, ctypes.addressof(observed.HEAP)))


def _pid(answer: int) -> int:
    """Return the answer of a bare system call, or raise its errno."""
    if answer < 0:
        raise OSError(-answer, os.strerror(-answer))
    return answer


def _share_descriptors() -> None:
    if machine.call(_SYS_CLONE, _CLONE_FILES | _SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)


def beside() -> list[str]:
    """Try to have something run in this very process, or on its memory; return what could."""
    return _not_refused(
        {
            "thread": _start_thread,
            "vfork": _vfork,
            "sharing task": _share_memory,
            "shared descriptors": _share_descriptors,
        },
        errno.EPERM,
    )


def fake_sends() -> list[str]:
    """Have the kernel answer every call that sends as if it had been made; return what could be.

    Or keep every call to ourselves (PR_SET_SYSCALL_USER_DISPATCH), though none is, yet.
    """
    load, allow = (0x20, 0, 0, 0), (0x06, 0, 0, 0x7FFF0000)
    done = (0x06, 0, 0, 0x00050000)  # SECCOMP_RET_ERRNO with 0
    rules = [load]
    for left, number in enumerate(reversed(_SENDING)):
        rules.insert(1, (0x15, left + 1, 0, number))
    rules += [allow, done]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    program = ctypes.create_string_buffer(
        struct.pack("HP", len(rules), ctypes.addressof(filters)), 16
    )
    at, mode = ctypes.addressof(program), machine.SECCOMP_MODE_FILTER
    selector = ctypes.create_string_buffer(1)  # SYSCALL_DISPATCH_FILTER_ALLOW
    dispatch = (_DISPATCH_ON, 0, 0, ctypes.addressof(selector))
    machine.prctl(machine.PR_SET_NO_NEW_PRIVS, 1)
    return _not_refused(
        {
            "user dispatch": lambda: _prctl(_PR_SET_SYSCALL_USER_DISPATCH, *dispatch),
            "prctl": lambda: _prctl(machine.PR_SET_SECCOMP, mode, at),
            "seccomp": lambda: machine.call(_SYS_SECCOMP, _SECCOMP_SET_MODE_FILTER, 0, at),
        },
        errno.EPERM,
    )


def _prctl(option: int, *arguments: int) -> int:
    values = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    return machine.check(machine.LIBC.prctl(option, *values))


def open_up() -> list[str]:
    """Try to open this process to others, or to change what it is; return what could be done."""
    into = ctypes.create_string_buffer(512)
    ways = {
        "dumpable": lambda: machine.prctl(machine.PR_SET_DUMPABLE, 1),
        "any tracer": lambda: machine.prctl(_PR_SET_PTRACER, -1),
        "be traced": lambda: machine.call(_SYS_PTRACE, 0, 0, 0, 0),
        "filter": lambda: _done(mess.ACTS["filter_calls"]()),
        "faults": lambda: machine.call(_SYS_USERFAULTFD, _USER_MODE_ONLY),
        "memory map": lambda: _prctl(_PR_SET_MM, _PR_SET_MM_MAP_SIZE, ctypes.addressof(into)),
    }
    # What the judge does not know is refused as the kernel does what it does not: before 6.4 this.
    later = {"later option": lambda: _prctl(_PR_GET_AUXV, ctypes.addressof(into), len(into))}
    return _not_refused(ways, errno.EPERM) + _not_refused(later, errno.EINVAL)


def _done(act: object) -> None:
    if act is False:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


REQUESTS: dict[str, Callable[[str], object]] = {
    "hand_over": lambda name: hand_over(str(observed.FOLDER / name)),
    "beside": lambda _: beside(),
    "open_up": lambda _: open_up(),
    "from_child": lambda _: attack_from_child(),
    "fake_sends": lambda _: fake_sends(),
}
"""What a request may ask for by its path, with the query."""
