# SPDX-License-Identifier: MIT
"""Sockets that are open when lwcgi starts: as systemd, spawn-fcgi and supervisord leave them."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import Connection, Gateway

ACTIVATE = (sys.executable, "-m", "tests.harness.activate")
LWCGI = (sys.executable, "-m", "lwcgi")
SHOW = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [",".join(sorted(name for name in os.environ if "LISTEN" in name)).encode()]
"""


@pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
def test_systemd(engine: str, tmp_path: Path) -> None:
    """With LISTEN_FDS for this process and no --bind, all that was passed is served."""
    (tmp_path / "show.py").write_text(SHOW)
    program = (*ACTIVATE, "{address}", "{address}2", "--", *LWCGI)
    with Gateway("show:app", engine, {"pythonpath": tmp_path}, program=program, bind=()) as gateway:
        gateway.wait_for_log(
            rf"listening on fd://3 \(unix:{gateway.address}\), fd://4 \(unix:{gateway.address}2\)"
        )
        for path in (gateway.address, gateway.address + "2"):
            with Connection(path) as connection:
                answer = connection.get("/")
            assert answer.status == 200
            assert answer.body == b""  # no variable of the service manager's is the application's
        assert gateway.stop(signal.SIGTERM) == 0
        assert Path(gateway.address).is_socket(), "an inherited socket's file is not ours to remove"


def test_names() -> None:
    """fd://NAME is what FileDescriptorName= calls so; what is not used is named in the log."""
    program = (*ACTIVATE, "{address}2", "{address}", "--", *LWCGI)
    environ = {"LISTEN_FDNAMES": "admin:web"}
    with Gateway(program=program, environ=environ, bind=("fd://web",)) as gateway:
        gateway.wait_for_log(r"listening on fd://4 \(")
        gateway.wait_for_log(r"WARNING fd://3 was passed to lwcgi and is not used")


@pytest.mark.parametrize("how", ["number", "name", "standard input"])
def test_executed_anew(how: str) -> None:
    """SIGUSR2 keeps the sockets, however they were named."""
    program = (*ACTIVATE, "{address}", "--", *LWCGI)
    if how == "standard input":
        program = (*ACTIVATE, "--stdin", "{address}", "--", *LWCGI)
    bind = {"number": (), "name": ("fd://web",), "standard input": ("fd://0",)}[how]
    environ = {"LISTEN_FDNAMES": "web"}
    with Gateway(program=program, environ=environ, bind=bind) as gateway:
        gateway.wait_for_log("ready: 1 worker")
        for times in (2, 3):
            gateway.process.send_signal(signal.SIGUSR2)
            gateway.wait_for_log("ready: 1 worker", times)
            assert gateway.get("/environment").status == 200
        gateway.wait_for_log(rf"taking over .*listening on fd://\d \(unix:{gateway.address}\)", 2)
        assert "has changed" not in gateway.log()


def test_variables_of_another_process() -> None:
    """LISTEN_FDS that is meant for another process is not obeyed."""
    with Gateway(environ={"LISTEN_FDS": "1", "LISTEN_PID": "1"}) as gateway:
        gateway.wait_for_log(f"listening on unix:{gateway.address}")
        assert "fd://" not in gateway.log()


@pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
def test_standard_input(engine: str) -> None:
    """--bind fd://0 serves the socket that spawn-fcgi and supervisord leave as standard input."""
    program = (*ACTIVATE, "--stdin", "{address}", "--", *LWCGI)
    with Gateway(engine=engine, program=program, bind=("fd://0",)) as gateway:
        assert gateway.get("/environment").status == 200
        assert gateway.get("/environment").status == 200


def refused(fd: socket.socket | None, *words: str) -> str:
    """Return what `lwcgi run` says when it gets *fd* as descriptor 0 and ends with code 2 or 4."""
    done = subprocess.run(
        [*LWCGI, "run", "tests.apps.acts:app", *words],
        stdin=subprocess.DEVNULL if fd is None else fd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode in (2, 4)
    assert "lwcgi: remedy: " in done.stderr
    return done.stderr


def test_no_socket() -> None:
    """A descriptor that is no socket, or not open, is refused."""
    assert "it is not a socket" in refused(None, "--bind", "fd://0")
    assert "no such descriptor is open" in refused(None, "--bind", "fd://99")


def test_a_connection() -> None:
    """A connection, as inetd and Accept=yes pass it, is refused: it is not a listening socket."""
    here, there = socket.socketpair()
    with here, there:
        assert "it does not listen" in refused(there, "--bind", "fd://0")


def test_another_kind(tmp_path: Path) -> None:
    """A datagram socket is refused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(tmp_path / "s"))
        assert "no stream socket" in refused(other, "--bind", "fd://0")


def test_remote_address() -> None:
    """A socket others can reach is refused, as for --bind."""
    with socket.create_server(("0.0.0.0", 0)) as listener:
        assert "--allow-remote" in refused(listener, "--bind", "fd://0")


def test_wrong_words() -> None:
    """Names and numbers that mean nothing are refused with what could be meant."""
    assert "fd://NUMBER" in refused(None, "--bind", "fd://web")
    assert "fd://N" in refused(None, "--bind", "fd://")
    assert "twice" in refused(None, "--bind", "fd://0", "--bind", "fd://0")
