# SPDX-License-Identifier: MIT
"""Attacks of a context on the root, over the channel it was given."""

from __future__ import annotations

import array
import os
import socket
import stat
import struct
import time

from tests.apps import observed


def _channel() -> int:
    """Return the descriptor of the channel: the highest socket there is."""
    sockets = [
        fd for fd in map(int, os.listdir("/proc/self/fd"))
        if os.path.exists(f"/proc/self/fd/{fd}") and stat.S_ISSOCK(os.fstat(fd).st_mode)
    ]  # fmt: skip
    return max(sockets)


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
