# SPDX-License-Identifier: MIT
"""The words of sd_notify(3)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lwcgi.supervisor.logfile import LogFile
from lwcgi.supervisor.logs import Log
from lwcgi.supervisor.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager's socket, with both kinds of address."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        name = f"\0lwcgi-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "s")
        receiver.bind(name)
        receiver.settimeout(10)
        yield receiver


def notifier(manager: socket.socket, **more: str) -> Notifier:
    """Return what speaks to *manager*."""
    name = os.fsdecode(manager.getsockname())
    return Notifier({"NOTIFY_SOCKET": name.replace("\0", "@"), **more}, Log())


def heard(manager: socket.socket) -> list[str]:
    """Return the assignments of the next datagram."""
    return manager.recv(4096).decode().split("\n")


def test_states(manager: socket.socket) -> None:
    """Each state has its assignments, and a reload the time it began (Type=notify-reload)."""
    told = notifier(manager)
    told.ready("serving")
    assert heard(manager) == ["READY=1", f"MAINPID={os.getpid()}", "STATUS=serving"]
    before = time.monotonic_ns() // 1000
    told.reloading("loading")
    state, usec, status = heard(manager)
    assert (state, status) == ("RELOADING=1", "STATUS=loading")
    assert before <= int(usec.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    told.stopping("bye")
    assert heard(manager) == ["STOPPING=1", "STATUS=bye"]


def test_no_assignment_can_be_forged(manager: socket.socket) -> None:
    """A status of several lines stays one assignment."""
    notifier(manager).status("lost\nREADY=1\x1b")
    assert heard(manager) == ["STATUS=lost\\nREADY=1\\x1b"]


def test_watchdog(manager: socket.socket) -> None:
    """The watchdog is fed at once and then twice in its time, when the loop turns."""
    told = notifier(manager, WATCHDOG_USEC="3000000", WATCHDOG_PID=str(os.getpid()))
    start = time.monotonic()
    assert told.due is not None
    assert told.due <= start
    told.tick(start)
    assert heard(manager) == ["WATCHDOG=1"]
    assert told.due == start + 1.5
    told.tick(start + 1.4)
    told.tick(start + 1.5)
    assert heard(manager) == ["WATCHDOG=1"]
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(100)


@pytest.mark.parametrize(
    "more", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}]
)
def test_no_watchdog(manager: socket.socket, more: dict[str, str]) -> None:
    """Without a watchdog, or with one that is meant for another process, nothing is due."""
    assert notifier(manager, **more).due is None


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative", "@"])
def test_nobody_to_tell(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Without an address, or with one of another kind, nothing happens."""
    told = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000"}, Log())
    told.ready("serving")
    told.stopping("bye")
    assert told.due is None or address == "@"
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("address", ["/nonexistent/socket", "/" + "x" * 200, "/with\0nul"])
def test_nobody_listens(address: str, tmp_path: Path) -> None:
    """A socket that cannot be reached is told once in the log, and is no error."""
    file = LogFile.open(str(tmp_path / "log"), 2, "error log")
    told = Notifier({"NOTIFY_SOCKET": address}, Log(file))
    told.ready("serving")
    told.ready("serving")
    file.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 1
    assert "the service manager cannot be told" in lines[0]
