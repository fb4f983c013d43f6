# SPDX-License-Identifier: MIT
"""Attacks of a context on the root: over the channel it was given, on a table they share."""

from __future__ import annotations

import array
import errno
import fcntl
import os
import select
import socket
import stat
import struct
import termios
import time
from typing import TYPE_CHECKING

from tests.apps import observed

if TYPE_CHECKING:
    from collections.abc import Callable


def _open() -> dict[int, os.stat_result]:
    """Return what is open, by descriptor."""
    # The one that has listed them is closed.
    numbers = [
        int(fd) for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")
    ]
    return {fd: os.fstat(fd) for fd in numbers}


def _channel() -> int:
    """Return the descriptor of the channel: the highest socket there is."""
    return max(fd for fd, status in _open().items() if stat.S_ISSOCK(status.st_mode))


def _door() -> int:
    """Return the descriptor of the door: the device may be another user's."""
    device = os.stat("/dev/lwc").st_rdev
    return next(fd for fd, status in _open().items() if status.st_rdev == device)


def linger(seconds: int) -> None:
    """Send the root the last reference of a connection whose close() waits for *seconds*."""
    channel = socket.socket(fileno=os.dup(_channel()))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        peer = listener.accept()[0]
    if os.fork() == 0:
        # Holds the other end open, and never reads.
        os.setsid()
        client.close()
        os.closerange(channel.fileno(), 2000)
        (observed.FOLDER / "holder").write_text(str(os.getpid()))
        time.sleep(60)
        os._exit(0)
    peer.close()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))
    client.setblocking(False)
    try:
        while True:
            client.send(bytes(1 << 16))
    except BlockingIOError:
        pass
    handed = array.array("i", [client.fileno()])
    try:
        channel.sendmsg([b"LDhello"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handed)])
    finally:
        client.close()
    time.sleep(60)


def flood(children: int) -> None:
    """Leave *children* behind that send log lines for half a minute."""
    channel = _channel()
    for _ in range(children):
        if os.fork() == 0:
            end = time.monotonic() + 30
            out = socket.socket(fileno=channel)
            while time.monotonic() < end:
                try:
                    out.send(b"LDx")
                except OSError:
                    break
            os._exit(0)
    time.sleep(0.3)


def switch(kind: str) -> None:
    """Go to the root of a worker of `lwc` in a way that it must withstand."""
    from lwcgi import lwc  # an application of other engines needs it not

    lwc.use_door(lwc.Door.inherited(_door()))
    word = {"block": 1, "read": 2, "write": 3, "log": 4, "leave": 6, "none": 99}
    name, *rest = kind.split(".")
    if name in word:
        told = lwc.switch(lwc.ROOT, word[name], *map(int, rest))
        assert told.args == ((-errno.EINVAL) % (1 << 64),), told
    elif name == "discard":
        lwc.switch(lwc.ROOT, word["log"], 0, discard=True)
    elif name == "contexts":
        assert lwc.SELF.info().contexts == 3, "root, snapshot and worker"
    elif name == "offspring":
        lwc.create()  # and leave it behind
    elif name == "another":
        # What is refused to us is refused to what we make; the root gives up after one call.
        os.umask(os.umask(0o77))
        made = lwc.create(flags=lwc.Flag.SAME_RIGHTS | lwc.Flag.TRAP_SYSCALLS)
        if isinstance(made, lwc.Created):
            made.context.refuse(())
            back = lwc.switch(made.context)
            raise AssertionError(f"it came back: {back}")
        lwc.switch(lwc.ROOT, word["log"], 0)
    else:
        raise ValueError(kind)


def grab() -> dict[str, object]:
    """Try what can be done with descriptors on those that are listed and not this process's.

    Returns how many there are, and every call that took one for a descriptor of ours.
    """
    own, pipe, epoll = observed.FILE.fileno(), os.pipe()[1], select.epoll()
    listed = [int(name) for name in os.listdir("/proc/self/fd")]
    # But for the one that listed them.
    there = [number for number in listed if os.path.lexists(f"/proc/self/fd/{number}")]
    others = [number for number in there if not observed.usable(number)]
    tries: dict[str, Callable[[int], object]] = {
        "read": lambda fd: os.read(fd, 1),
        "write": lambda fd: os.write(fd, b"x"),
        "stat": os.fstat,
        "close": os.close,
        "dup": os.dup,
        "dup2 from": lambda fd: os.dup2(fd, 800),
        "dup2 to": lambda fd: os.dup2(own, fd),
        "fcntl": lambda fd: fcntl.fcntl(fd, fcntl.F_GETFL),
        "F_DUPFD": lambda fd: fcntl.fcntl(fd, fcntl.F_DUPFD, 0),
        "ioctl": lambda fd: fcntl.ioctl(fd, termios.FIONREAD, bytes(4)),
        "seek": lambda fd: os.lseek(fd, 0, os.SEEK_SET),
        "accept": lambda fd: socket.socket(fileno=fd).accept(),
        "epoll": epoll.register,
        "sendfile": lambda fd: os.sendfile(fd, own, 0, 1),
        "splice": lambda fd: os.splice(fd, pipe, 1),
    }
    taken = []
    for number in others:
        for name, act in tries.items():
            try:
                act(number)
                taken.append(f"{name} {number}")
            except OSError as error:
                if error.errno != (errno.EBUSY if name == "dup2 to" else errno.EBADF):
                    taken.append(f"{name} {number}: {error}")
    return {"descriptors": len(others), "taken": taken}
