# SPDX-License-Identifier: MIT
"""The master's end of a snapshot process's control socket."""

from __future__ import annotations

import os
import socket

from lwcgi.supervisor import wire
from lwcgi.supervisor.launch import Snapshot


def test_flood() -> None:
    """However much a snapshot process says, it is taken in by parts, in order, to the end."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.setblocking(False)
    snapshot = Snapshot(os.getpid(), control)
    with control, theirs:
        for number in range(100):
            theirs.send(wire.ready([number]))
        theirs.close()
        parts = list(iter(snapshot.receive, None))
        assert len(parts) > 5
        told = [message["workers"] for part in parts for message in part]
        assert told == [[number] for number in range(100)]
