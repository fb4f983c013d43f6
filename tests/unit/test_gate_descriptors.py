# SPDX-License-Identifier: MIT
"""The snapshot gate: sockets, pipes and the kernel's anonymous objects are refused by name."""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.gate_probe import Closing, Gate

LIBC = ctypes.CDLL(None, use_errno=True)


# --- sockets -----------------------------------------------------------------


def test_connected_socket_is_named(fresh: Gate) -> None:
    """A connection is told by its peer; both of its ends here are found."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            findings = fresh.inspect()
            assert [finding.kind for finding in findings] == ["socket", "socket"]
            assert findings[0].what == (
                f"descriptor {server.fileno()}, AF_INET SOCK_STREAM listening on 127.0.0.1:{port}"
            )
            assert findings[1].what == (
                f"descriptor {client.fileno()}, AF_INET SOCK_STREAM connected to 127.0.0.1:{port}"
            )
    assert fresh.inspect() == []


def test_sockets_of_other_families(fresh: Gate, tmp_path: Path) -> None:
    """Unix, abstract, IPv6 and unconnected sockets are told as what they are."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "s"))
        assert fresh.only("socket").endswith(f"AF_UNIX SOCK_DGRAM bound to {tmp_path}/s")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(b"\0lwcgi-gate-test-%d" % os.getpid())
        sock.listen()
        assert "listening on @lwcgi-gate-test-" in fresh.only("socket")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("::", 0))
        port = sock.getsockname()[1]
        assert fresh.only("socket").endswith(f"AF_INET6 SOCK_DGRAM bound to [::]:{port}")
    pair = socket.socketpair()
    with pair[0], pair[1]:
        assert all("without a name" in finding.what for finding in fresh.inspect())
        assert len(fresh.inspect()) == 2
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0):
        assert "AF_NETLINK SOCK_RAW" in fresh.only("socket")


# --- pipes -------------------------------------------------------------------


def test_pipe_is_found(fresh: Gate, tmp_path: Path) -> None:
    """Both ends of a pipe, and a named one, are told with the direction."""
    reading, writing = os.pipe()
    with Closing(reading), Closing(writing):
        texts = [finding.what for finding in fresh.inspect()]
        assert texts[0].startswith(f"descriptor {reading}, read end of pipe:[")
        assert texts[1].startswith(f"descriptor {writing}, write end of pipe:[")
        assert fresh.inspect("pipe") == []
    os.mkfifo(tmp_path / "fifo")
    with Closing(os.open(tmp_path / "fifo", os.O_RDWR)):
        assert fresh.only("pipe").endswith(f"read and write end of {tmp_path}/fifo")


def test_copy_of_standard_output_passes() -> None:
    """What was duplicated from standard output or error is the gateway's, not a finding."""
    program = (
        "import os; copies = [os.dup(1), os.dup(2)]\n"
        "from lwcgi import gate\n"
        "print(gate.inspect(frozenset(), frozenset()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# --- the kernel's anonymous objects ------------------------------------------


def _timerfd() -> int:
    return int(LIBC.timerfd_create(1, os.O_CLOEXEC))


def _signalfd() -> int:
    mask = (ctypes.c_uint64 * 16)(1 << (signal.SIGUSR1 - 1))
    return int(LIBC.signalfd(-1, mask, os.O_CLOEXEC))


def _io_uring() -> int:
    fd = int(LIBC.syscall(425, 4, (ctypes.c_char * 120)()))
    if fd < 0:
        pytest.skip(f"io_uring: {os.strerror(ctypes.get_errno())}")
    return fd


def _userfaultfd() -> int:
    fd = int(LIBC.syscall(323, os.O_CLOEXEC | 1))
    if fd < 0:
        pytest.skip(f"userfaultfd: {os.strerror(ctypes.get_errno())}")
    return fd


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("eventpoll", lambda: LIBC.epoll_create1(os.O_CLOEXEC)),
        ("inotify", lambda: LIBC.inotify_init1(os.O_CLOEXEC)),
        ("eventfd", lambda: os.eventfd(0)),
        ("timerfd", _timerfd),
        ("signalfd", _signalfd),
        ("io_uring", _io_uring),
        ("userfaultfd", _userfaultfd),
        ("pidfd", lambda: os.pidfd_open(os.getpid())),
    ],
)
def test_event_descriptor_is_found(fresh: Gate, name: str, make: Callable[[], int]) -> None:
    """Every kind of anonymous descriptor is refused by its name."""
    with Closing(make()) as fd:
        what = fresh.only("event")
        assert what.startswith(f"descriptor {fd}, {name}")


def test_event_loop_is_found(fresh: Gate) -> None:
    """An asyncio loop left open is an epoll set and a pair of sockets."""
    loop = asyncio.new_event_loop()
    try:
        kinds = sorted(finding.kind for finding in fresh.inspect())
    finally:
        loop.close()
    assert kinds == ["event", "socket", "socket"]
    assert fresh.inspect() == []


def test_selector_is_found(fresh: Gate) -> None:
    """select.epoll of Python is found like one of C."""
    with select.epoll():
        assert "eventpoll" in fresh.only("event")
