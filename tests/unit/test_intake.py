# SPDX-License-Identifier: MIT
"""What comes in from below, from processes that may do anything with what they inherit."""

from __future__ import annotations

import os
import select
import socket

import pytest

from lwcgi.supervisor import wire
from lwcgi.supervisor.intake import Intake
from lwcgi.supervisor.logfile import LogFile
from lwcgi.supervisor.logs import Log


def is_readable(fd: int) -> bool:
    """Return whether something is to be read from *fd* now."""
    return bool(select.select([fd], [], [], 0)[0])


@pytest.mark.parametrize("way", [socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR])
def test_socket_for_log_lines_is_shut_down(way: int) -> None:
    """Who has inherited it can neither keep the master busy nor silence what is loaded next."""
    reading, writing = os.pipe()
    intake = Intake(Log(LogFile(None, writing), "info"))
    fd, take = intake.sources()[0]
    anew: list[int] = []
    intake.on_new_events = lambda number, _: anew.append(number)
    with socket.socket(fileno=os.dup(intake.events)) as inherited:
        inherited.shutdown(way)
        take()
        assert not is_readable(fd)
        wire.send_line(intake.events, "info", "from the next")
        take()
    intake.close()
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        told = file.read()
    assert "from the next" in told
    # Shut for reading alone, it still serves: sending is what its holders do.
    assert anew == ([] if way == socket.SHUT_RD else [fd])
    assert ("SIGHUP" in told) == bool(anew)


def test_empty_messages_end_nothing() -> None:
    """An empty message is no end: what comes after it is taken in."""
    reading, writing = os.pipe()
    intake = Intake(Log(LogFile(None, writing), "info"))
    fd, take = intake.sources()[0]
    os.write(intake.events, b"")
    wire.send_line(intake.events, "info", "after nothing")
    while is_readable(fd):
        take()
    intake.close()
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        assert file.read().endswith("INFO after nothing\n")
