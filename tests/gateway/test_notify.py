# SPDX-License-Identifier: MIT
"""What systemd hears from a gateway (Type=notify)."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness import Gateway, until

SLOW = """
import os, time
open({folder!r} + "/loads", "w").close()
while not os.path.exists({folder!r} + "/go"):
    time.sleep(0.01)
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    found = [name for name in os.environ if name.startswith(("NOTIFY", "WATCHDOG"))]
    return [",".join(found).encode()]
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(20)
        yield receiver


def heard(manager: socket.socket) -> list[str]:
    """Return the assignments of the next datagram."""
    return manager.recv(4096).decode().split("\n")


def start(folder: Path, **environ: str) -> Gateway:
    """Return a gateway, not started, whose application loads until the file `go` is there."""
    (folder / "slow.py").write_text(SLOW.format(folder=str(folder)))
    environ = {"NOTIFY_SOCKET": str(folder / "notify"), **environ}
    return Gateway("slow:app", options={"pythonpath": folder, "workers": 2}, environ=environ)


def let_go(folder: Path, manager: socket.socket) -> bool:
    """While the application loads, tell whether anything was said; then let it go on."""
    until((folder / "loads").exists, "the application to load")
    manager.setblocking(False)
    try:
        return bool(manager.recv(100, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        manager.settimeout(20)
        (folder / "go").touch()


def test_ready_when_all_workers_serve(manager: socket.socket, tmp_path: Path) -> None:
    """READY is told once, when the application is loaded and each worker serves; then STOPPING."""
    with ThreadPoolExecutor() as pool:
        early = pool.submit(let_go, tmp_path, manager)
        with start(tmp_path) as gateway:
            assert not early.result(), "told to be ready before it was loaded"
            status = "STATUS=serving: 2 workers, engine fork"
            assert heard(manager) == ["READY=1", f"MAINPID={gateway.process.pid}", status]
            assert len(gateway.workers()) == 2
            answer = gateway.get("/")
            assert answer.status == 200
            assert answer.body == b"", "the application could speak in our name"
            assert gateway.stop() == 0
            assert heard(manager) == ["STOPPING=1", "STATUS=SIGTERM: stopping"]


@pytest.mark.parametrize("broken", [False, True], ids=["good", "broken"])
def test_reload(manager: socket.socket, tmp_path: Path, broken: bool) -> None:
    """A reload is told from its beginning to its end (Type=notify-reload), however it ends."""
    (tmp_path / "go").touch()
    with start(tmp_path) as gateway:
        assert heard(manager)[0] == "READY=1"
        if broken:
            (tmp_path / "slow.py").write_text("1/0")
        before = time.monotonic_ns() // 1000
        gateway.process.send_signal(signal.SIGHUP)
        state, usec, _ = heard(manager)
        assert state == "RELOADING=1"
        assert int(usec.removeprefix("MONOTONIC_USEC=")) >= before
        assert heard(manager)[0] == "READY=1"
        gateway.wait_for_log(
            "not reloaded" if broken else r"ready: 2 workers(.|\n)*ready: 2 workers"
        )
        assert gateway.get("/").status == 200


def test_a_snapshot_that_dies(manager: socket.socket, tmp_path: Path) -> None:
    """While nothing serves, the status says so; when it serves again, that."""
    (tmp_path / "go").touch()
    with start(tmp_path) as gateway:
        ready = heard(manager)
        os.kill(gateway.snapshot(), signal.SIGKILL)
        assert heard(manager) == ["STATUS=not serving: the application is loaded again"]
        assert heard(manager) == ready


def test_executed_anew(manager: socket.socket, tmp_path: Path) -> None:
    """After SIGUSR2 the same process goes on to tell."""
    (tmp_path / "go").touch()
    with start(tmp_path) as gateway:
        ready = heard(manager)
        gateway.process.send_signal(signal.SIGUSR2)
        assert heard(manager) == ready
        assert gateway.stop() == 0
        assert heard(manager)[0] == "STOPPING=1"


def test_watchdog(manager: socket.socket, tmp_path: Path) -> None:
    """The watchdog is fed again and again while nothing else happens."""
    (tmp_path / "go").touch()
    with start(tmp_path, WATCHDOG_USEC="400000"):
        fed = 0
        while fed < 5:
            fed += heard(manager) == ["WATCHDOG=1"]


def test_a_service_manager_that_is_gone(tmp_path: Path) -> None:
    """A socket nobody listens on does not keep the gateway from serving; the log says so once."""
    (tmp_path / "go").touch()
    with start(tmp_path) as gateway:
        assert gateway.get("/").status == 200
        assert len(gateway.wait_for_log("the service manager cannot be told")) == 1
