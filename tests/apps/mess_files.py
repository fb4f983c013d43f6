# SPDX-License-Identifier: MIT
"""What a request may do to its descriptors (promise 3)."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import signal
import socket

from tests.apps import machine, observed

KEPT: list[object] = []  # what must not be collected before the request ends


def open_file() -> None:
    """A descriptor that is never closed."""
    KEPT.append(os.open(observed.DATA, os.O_RDONLY))


def open_hundreds() -> None:
    """More descriptors than anybody cares to remember."""
    KEPT.append([os.open("/dev/null", os.O_RDONLY) for _ in range(300)])


def _unnamed_file() -> int:
    """A file without a name; in memory where the file system has none (overlayfs before 6.3)."""
    try:
        return os.open("/tmp", os.O_TMPFILE | os.O_RDWR)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return os.memfd_create("unnamed")


def open_kinds() -> None:
    """One of each kind of descriptor."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    epoll = select.epoll()
    epoll.register(listener)
    KEPT.extend([os.pipe(), socket.socketpair(), listener, client, listener.accept(), epoll])
    KEPT.extend([os.memfd_create("spoiled"), os.eventfd(0), os.pidfd_open(os.getpid())])
    KEPT.extend([_unnamed_file(), os.scandir("/")])


def receive_descriptor() -> None:
    """A descriptor that came in a message."""
    one, other = socket.socketpair()
    socket.send_fds(one, [b"take"], [observed.FILE.fileno(), 0])
    KEPT.append((one, other, socket.recv_fds(other, 10, 2)))


def duplicate() -> None:
    """More names for a file of the snapshot, near and far."""
    number = observed.FILE.fileno()
    KEPT.append([os.dup(number), fcntl.fcntl(number, fcntl.F_DUPFD, 400)])
    os.dup2(number, 700)


def close_file() -> None:
    """A descriptor of the snapshot is closed."""
    os.close(observed.SECOND.fileno())


def close_and_open() -> None:
    """… and something else has its number."""
    number = observed.SECOND.fileno()
    os.close(number)
    while os.open("/dev/zero", os.O_RDONLY) != number:
        pass  # a smaller one was free


def replace_file() -> None:
    """A descriptor of the snapshot is something else now."""
    other = os.open("/dev/zero", os.O_RDONLY)
    os.dup2(other, observed.SECOND.fileno())
    os.close(other)


def replace_everything() -> None:
    """Every descriptor there may be is something else now, whoever it belongs to."""
    other = os.open("/dev/null", os.O_RDWR)
    for number in range(3, 64):
        try:
            os.dup2(other, number)
        except OSError:
            pass  # the root's


def close_everything() -> None:
    """Every descriptor from 3 up, whoever it belongs to."""
    os.closerange(3, 65536)


def close_each() -> None:
    """The same, one by one: the listening sockets and the connection are among them."""
    for number in range(3, 1100):
        try:
            os.close(number)
        except OSError:
            pass  # not open


def inherit() -> None:
    """A descriptor of the snapshot that programs will inherit."""
    os.set_inheritable(observed.FILE.fileno(), True)


def seek() -> None:
    """The offset of a file of the snapshot."""
    os.lseek(observed.FILE.fileno(), 321, os.SEEK_SET)


def read_on() -> None:
    """The offset, moved by reading."""
    assert os.read(observed.FILE.fileno(), 10)


def read_directory() -> None:
    """The offset of a directory of the snapshot, moved by reading."""
    room = ctypes.create_string_buffer(1000)
    assert machine.call(machine.SYS_GETDENTS64, observed.DIRECTORY, ctypes.addressof(room), 1000)


def change_flags() -> None:
    """The status flags of a file of the snapshot."""
    flags = fcntl.fcntl(observed.FILE, fcntl.F_GETFL)
    fcntl.fcntl(observed.FILE, fcntl.F_SETFL, flags | os.O_APPEND | os.O_NONBLOCK)


def want_signals() -> None:
    """A file of the snapshot that sends signals."""
    fcntl.fcntl(observed.FILE, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(observed.FILE, fcntl.F_SETSIG, signal.SIGUSR1)


def lock_file() -> None:
    """flock(2) on a file of the snapshot."""
    fcntl.flock(observed.FILE, fcntl.LOCK_EX)


def lock_record() -> None:
    """fcntl(2) F_OFD_SETLK on a file of the snapshot."""
    fcntl.fcntl(observed.FILE, fcntl.F_OFD_SETLK, observed.WRITE_LOCK)


def lock_as_process() -> None:
    """fcntl(2) F_SETLK on a file of the snapshot: the process has it, whatever descriptor."""
    fcntl.lockf(observed.FILE, fcntl.LOCK_EX)


ACTS = (
    open_file, open_hundreds, open_kinds, receive_descriptor, duplicate, close_file,
    close_and_open, replace_file, replace_everything, close_everything, close_each, inherit, seek,
    read_on, read_directory, change_flags, want_signals, lock_file, lock_record, lock_as_process,
)  # fmt: skip
