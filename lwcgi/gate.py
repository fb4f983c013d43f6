# SPDX-License-Identifier: MIT
"""The snapshot gate: what the loaded application holds that requests must not share.

A thread does not survive the copy. A socket, a pipe, an epoll set or a writable shared mapping
does, and stays one and the same for every request: what one does to it, another sees.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from types import FrameType

_STANDARD = frozenset({0, 1, 2})
_ANON_INODE = "anon_inode:"
_UNBOUND = ("", b"", ("0.0.0.0", 0), ("::", 0))
_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ .w.s [0-9a-f]+ \S+ \d+ *(.*)")


@dataclass(frozen=True)
class Finding:
    """Something that cannot be frozen.

    Parameters:
        kind: thread, socket, pipe, event, shared-mapping or file; ``--allow`` takes it.
        what: names the thing.
        remedy: what to do about it.
    """

    kind: str
    what: str
    remedy: str


def inspect(own_fds: frozenset[int], allow: frozenset[str]) -> list[Finding]:
    """Return everything that must not be frozen, in a stable order.

    Parameters:
        own_fds: descriptors of the gateway itself. Standard input, output and error are its too.
        allow: kinds to let pass.
    """
    found = [*_threads(), *_descriptors(own_fds), *_mappings()]
    return [finding for finding in found if finding.kind not in allow]


def application_fds(own_fds: frozenset[int]) -> list[int]:
    """Return the open descriptors that are the application's, of any kind, ascending."""
    return [fd for fd in _open_fds() if fd not in own_fds and fd not in _STANDARD]


def native_threads() -> int:
    """Return how many threads run that are not Python's, such as those of a BLAS library.

    They do not survive the copy either, but start again by themselves.
    """
    return max(0, extra_threads() + 1 - len(_python_threads()))


def extra_threads() -> int:
    """Return how many threads run beside this one, of any kind."""
    return len(os.listdir("/proc/self/task")) - 1


# --- threads -----------------------------------------------------------------


def _python_threads() -> dict[int, FrameType]:
    """Return the current frame of each thread that has a Python state, by its identity."""
    return sys._current_frames()


def _threads() -> Iterator[Finding]:
    known = {thread.ident: thread for thread in threading.enumerate()}
    frames = _python_threads()
    frames.pop(threading.get_ident())
    for ident, frame in frames.items():
        thread = known.get(ident)
        code = frame.f_code
        place = f"in {code.co_name} ({code.co_filename}:{frame.f_lineno})"
        if thread is None or isinstance(thread, threading._DummyThread):
            what = f"thread {ident} without a name, {place}"
        else:
            kind = type(thread)
            what = f"thread {thread.name!r} ({kind.__module__}.{kind.__qualname__})"
            what += f"{_target(thread)}, {place}"
        yield Finding(
            "thread",
            what,
            "stop the thread in a before_snapshot hook, start it in after_restore if requests "
            "need it",
        )


def _target(thread: threading.Thread) -> str:
    """Return what tells the function that *thread* was made with; empty for a class's own."""
    function = getattr(thread, "_target", None)
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__qualname__", None)
    return f" running {getattr(function, '__module__', None) or 'builtins'}.{name}" if name else ""


# --- descriptors -------------------------------------------------------------


def _open_fds() -> list[int]:
    # The descriptor that the listing itself took is in it, and closed by now.
    return sorted(fd for fd in map(int, os.listdir("/proc/self/fd")) if _identity(fd))


def _descriptors(own_fds: frozenset[int]) -> Iterator[Finding]:
    standard = set(map(_identity, _STANDARD))
    for fd in application_fds(own_fds):
        mode = os.fstat(fd).st_mode
        target = os.readlink(f"/proc/self/fd/{fd}")
        if stat.S_ISSOCK(mode):
            yield _socket(fd)
        elif stat.S_ISFIFO(mode):
            # A duplicate of standard output or error is the gateway's pipe.
            if _identity(fd) not in standard:
                yield _pipe(fd, target)
        elif target.startswith((_ANON_INODE, "pidfd:")):
            yield _event(fd, target)
        else:
            yield from _file(fd, target)


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _socket(fd: int) -> Finding:
    with socket.socket(fileno=os.dup(fd)) as copy:
        kind = f"{copy.family.name} {copy.type.name}" if _is_named(copy) else "socket"
        try:
            state = f"connected to {_address(copy.getpeername())}"
        except OSError:
            name = copy.getsockname()
            if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                state = f"listening on {_address(name)}"
            elif name in _UNBOUND or name[:2] in _UNBOUND:
                state = "neither bound nor connected"
            else:
                state = f"bound to {_address(name)}"
    return Finding(
        "socket",
        f"descriptor {fd}, {kind} {state}",
        "close the connection (or the pool, or the event loop) in a before_snapshot hook; it is "
        "made again at first use, or in after_restore",
    )


def _is_named(sock: socket.socket) -> bool:
    return isinstance(sock.family, socket.AddressFamily) and isinstance(
        sock.type, socket.SocketKind
    )


def _address(address: object) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    if isinstance(address, bytes):  # the abstract namespace
        return "@" + address[1:].decode("utf-8", "backslashreplace")
    return str(address) or "a socket without a name"


def _pipe(fd: int, target: str) -> Finding:
    access = os.O_ACCMODE & _flags(fd)
    end = {os.O_RDONLY: "read", os.O_WRONLY: "write"}.get(access, "read and write")
    return Finding(
        "pipe",
        f"descriptor {fd}, {end} end of {target}",
        "close it, or end the child process at its other end, in a before_snapshot hook",
    )


def _event(fd: int, target: str) -> Finding:
    name = target.removeprefix(_ANON_INODE).strip("[]")
    return Finding(
        "event",
        f"descriptor {fd}, {name}",
        "close the event loop or the watcher that owns it in a before_snapshot hook",
    )


def _file(fd: int, target: str) -> Iterator[Finding]:
    """Workers open the application's files anew, so that nobody shares their offsets."""
    # Nothing that changes the file, nothing that waits; O_TMPFILE would ask for another one.
    kept = os.O_ACCMODE | os.O_PATH | os.O_APPEND
    try:
        again = os.open(
            f"/proc/self/fd/{fd}", _flags(fd) & kept | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        )
    except OSError as error:
        yield Finding(
            "file",
            f"descriptor {fd}, {target}, cannot be opened again: {error.strerror}",
            "close the file in a before_snapshot hook, or give the gateway's user the right to "
            "open it",
        )
    else:
        os.close(again)


def _flags(fd: int) -> int:
    with open(f"/proc/self/fdinfo/{fd}") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name == "flags":
                return int(value, 8)
    raise OSError(f"/proc/self/fdinfo/{fd} has no flags")


# --- mappings ----------------------------------------------------------------


def _mappings() -> Iterator[Finding]:
    with open("/proc/self/maps") as lines:
        found = [match[1] for match in map(_MAPPING.match, lines) if match]
    for path in dict.fromkeys(found):
        yield Finding("shared-mapping", *_explain_mapping(path))


def _explain_mapping(path: str) -> tuple[str, str]:
    if path.startswith("/dev/shm/sem."):
        return (
            f"{path}, a lock or semaphore of multiprocessing",
            "make the lock in after_restore, or use one of threading",
        )
    if path.endswith("-shm"):
        return (
            f"{path}, most likely the index of an SQLite database in WAL mode",
            "close the database connection in a before_snapshot hook",
        )
    what = "memory without a name" if path.startswith("/dev/zero") else path
    return (
        f"{what}, writable and shared",
        "unmap it in a before_snapshot hook, or map it privately or read-only",
    )
