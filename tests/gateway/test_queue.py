# SPDX-License-Identifier: MIT
"""Unfinished requests in the queue that workers of two versions may share."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.contract.checks.asking import get
from tests.harness import Gateway, until

_LIBC = ctypes.CDLL(None, use_errno=True)
_PIDFD_GETFD = 438
# Of `layout` in struct request, which a stash begins with.
_LAYOUT_AT, _LAYOUT = 98, 1


@contextlib.contextmanager
def sockets_of(pid: int) -> Iterator[list[socket.socket]]:
    """Have the process's sockets that keep the borders of messages, as our own."""
    pidfd = os.pidfd_open(pid)
    found = []
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, pidfd)
        for name in os.listdir(f"/proc/{pid}/fd"):
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
            fd = _LIBC.syscall(_PIDFD_GETFD, pidfd, int(name), 0)
            assert fd >= 0, os.strerror(ctypes.get_errno())
            ours = stack.enter_context(socket.socket(fileno=fd))
            if ours.type & socket.SOCK_SEQPACKET == socket.SOCK_SEQPACKET:
                found.append(ours)
        yield found


def take(sockets: list[socket.socket]) -> tuple[bytes, list[int]]:
    """Take the connection and the stash that wait in the queue out of it."""
    for found in select.select(sockets, [], [], 0)[0]:
        data, fds, _, _ = socket.recv_fds(found, 1, 2)
        if fds:
            return data, fds
    return b"", []


@pytest.mark.parametrize("layout", [_LAYOUT, 0, _LAYOUT + 1])
def test_layout(layout: int) -> None:
    """A request that was put aside goes on with the next worker, unless another version did that."""
    with Gateway() as gateway, gateway.connect() as connection:
        gateway.wait_for_log("ready")
        snapshot, (worker,) = gateway.snapshot(), gateway.workers()
        whole = get("/environment")
        connection.send(whole[:50])
        until(lambda: _has_stash(worker), "the request to be put aside")
        os.kill(snapshot, signal.SIGSTOP)
        os.kill(worker, signal.SIGTERM)
        with sockets_of(gateway.process.pid) as sockets:
            # The one end whose buffer is larger than the system's.
            send = max(sockets, key=lambda s: s.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
            data, (client, stash) = until(lambda: _full(take(sockets)), "the one in the queue")
            assert os.pread(stash, 2, _LAYOUT_AT) == _LAYOUT.to_bytes(2, "little")
            os.pwrite(stash, layout.to_bytes(2, "little"), _LAYOUT_AT)
            socket.send_fds(send, [data], [client, stash])
            os.close(client)
            os.close(stash)
        os.kill(snapshot, signal.SIGCONT)
        with contextlib.suppress(BrokenPipeError):  # where it is closed already
            connection.send(whole[50:])
        if layout == _LAYOUT:
            assert connection.answer().status == 200
        else:
            assert connection.closed_by_peer()
        assert gateway.get("/environment").status == 200


def _has_stash(worker: int) -> bool:
    links = (f"/proc/{worker}/fd/{name}" for name in os.listdir(f"/proc/{worker}/fd"))
    return any("lwcgi-unfinished" in os.readlink(link) for link in links)


def _full(taken: tuple[bytes, list[int]]) -> tuple[bytes, list[int]] | None:
    return taken if taken[1] else None
