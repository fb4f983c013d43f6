# SPDX-License-Identifier: MIT
"""Attacks of a request on the root it shares a process with, and on the requests after it."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.apps import machine, mess, neighbour, observed

if TYPE_CHECKING:
    from collections.abc import Callable

_SYS_VMSPLICE, _SYS_CLONE, _SYS_PTRACE, _PR_SET_PTRACER = 278, 56, 101, 0x59616D61
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
        os.write(writer, json.dumps(neighbour.attack(attacked)).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return json.loads(told)  # type: ignore[no-any-return]


def _start_thread() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


def _share_descriptors() -> None:
    if machine.call(_SYS_CLONE, _CLONE_FILES | _SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)


def beside() -> list[str]:
    """Try to have something run in this very process, or on its memory; return what could."""
    ways: dict[str, Callable[[], object]] = {
        "thread": _start_thread,
        "vfork": mess.ACTS["vfork_and_wait"],
        "sharing task": mess.ACTS["leave_sharing_task"],
        "shared descriptors": _share_descriptors,
    }
    done = []
    for name, way in ways.items():
        try:
            way()
        except (OSError, RuntimeError, AssertionError):
            continue
        done.append(name)
    return done


def fake_sends() -> str:
    """Have the kernel answer every call that sends as if it had been made (seccomp(2))."""
    machine.prctl(machine.PR_SET_NO_NEW_PRIVS, 1)
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
    try:
        machine.check(
            machine.LIBC.prctl(machine.PR_SET_SECCOMP, machine.SECCOMP_MODE_FILTER, program, 0, 0)
        )
    except OSError:
        return "refused"
    return "filtered"


def _done(act: object) -> None:
    if act is False:
        raise PermissionError


def open_up() -> list[str]:
    """Try to open this process to others; return what could be done."""
    ways: dict[str, Callable[[], object]] = {
        "dumpable": lambda: machine.prctl(machine.PR_SET_DUMPABLE, 1),
        "any tracer": lambda: machine.prctl(_PR_SET_PTRACER, -1),
        "be traced": lambda: machine.call(_SYS_PTRACE, 0, 0, 0, 0),
        "filter": lambda: _done(mess.ACTS["filter_calls"]()),
    }
    done = []
    for name, way in ways.items():
        try:
            way()
        except OSError:
            continue
        done.append(name)
    return done


REQUESTS: dict[str, Callable[[str], object]] = {
    "hand_over": lambda name: hand_over(str(observed.FOLDER / name)),
    "beside": lambda _: beside(),
    "open_up": lambda _: open_up(),
    "from_child": lambda _: attack_from_child(),
    "fake_sends": lambda _: fake_sends(),
}
"""What a request may ask for by its path, with the query."""
