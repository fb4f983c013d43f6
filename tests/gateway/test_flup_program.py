# SPDX-License-Identifier: MIT
"""A program that calls lwcgi.flup.WSGIServer(...).run(): processes, signals, how it is started."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from demo_apps.stage import free_port
from tests.harness import fastcgi, processes, until
from tests.harness.client import Connection, variables
from tests.harness.flup import LWCGI, Program
from tests.harness.lighttpd import Lighttpd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLUP = "flup.server.fcgi_single"


@pytest.mark.parametrize(
    ("number", "result"),
    [(signal.SIGHUP, True), (signal.SIGTERM, False), (signal.SIGINT, False)],
)
@pytest.mark.parametrize("module", [LWCGI, FLUP])
def test_signals_end_run(module: str, number: int, result: bool) -> None:
    """SIGHUP, SIGTERM and SIGINT end run(), which returns whether it was SIGHUP; then the rest runs."""
    with Program(module) as program:
        assert program.stop(number) == 0
        assert f"run() returned {result}\n" in program.output()
        assert len(program.left("finally")) == 1


def test_the_script_is_executed_twice() -> None:
    """By the process that was started and by the snapshot process, alike; not by the supervisor."""
    with Program(LWCGI, "timeout=5") as program:
        runs = [line.split(maxsplit=1) for line in program.left("executed")]
        assert len(runs) == 2
        assert int(runs[0][0]) == program.process.pid
        assert runs[0][1] == runs[1][1] == f"{program.folder} __main__ True socket timeout=5"
        [supervisor] = processes.children(program.process.pid)
        snapshots = [p.pid for p in processes.children(supervisor.pid)]
        assert [int(runs[1][0])] == snapshots
        assert not program.left("finally"), "what is behind run() ran while it serves"


def test_as_a_module() -> None:
    """A program that was started with python -m is executed again as that module."""
    with Program(LWCGI, as_module=True) as program:
        assert program.get("/generator").body == b"one two"
        assert len(program.left("executed")) == 2


def test_requests_start_fresh() -> None:
    """It is served by lwcgi: of ten requests each has its own number."""
    with Program(LWCGI) as program:
        numbers = {program.get("/environ").json()["lwcgi.request_id"] for _ in range(10)}
        assert len(numbers) == 10


def test_killed() -> None:
    """When the program's process is killed, all others end."""
    with Program(LWCGI) as program:
        [supervisor] = processes.children(program.process.pid)
        program.process.kill()
        until(lambda: not processes.alive(supervisor.pid), "the supervisor to end")
        until(lambda: not program.processes(), "all others to end")


def test_supervisor_killed() -> None:
    """When the supervisor is killed, the program ends with an error that says so."""
    with Program(LWCGI) as program:
        [supervisor] = processes.children(program.process.pid)
        os.kill(supervisor.pid, signal.SIGKILL)
        assert program.process.wait(20) == 1
        assert "lwcgi: error: the supervisor was killed by SIGKILL" in program.output()
        until(lambda: not program.processes(), "all others to end")


def test_reload() -> None:
    """SIGUSR1 loads the changed program without an end."""
    with Program(LWCGI) as program:
        text = program.script.read_text()
        program.script.write_text(text.replace('b"one "', 'b"new "'))
        program.process.send_signal(signal.SIGUSR1)
        until(lambda: program.get("/generator").body == b"new two", "the new code")
        assert len(program.left("executed")) == 3


@pytest.fixture(params=[socket.AF_UNIX, socket.AF_INET], ids=["unix", "tcp"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A listening socket."""
    with socket.socket(request.param) as listening:
        unix = request.param == socket.AF_UNIX
        listening.bind(str(tmp_path / "s") if unix else ("127.0.0.1", free_port()))
        listening.listen()
        yield listening


@pytest.mark.parametrize("module", [LWCGI, FLUP])
def test_descriptor_0(module: str, listener: socket.socket) -> None:
    """Without bindAddress the listening socket is descriptor 0 (FCGI_LISTENSOCK_FILENO)."""
    with Program(module, listener=listener) as program:
        assert program.get("/generator").body == b"one two"
        assert program.post("/echo", b"body").body == b"body"
        program.process.send_signal(signal.SIGTERM)
        program.process.wait(20)
        assert listener.getsockname(), "the socket is still whoever's it is"


@pytest.mark.parametrize(("module", "forced"), [(LWCGI, True), (FLUP, True), (LWCGI, False)])
def test_cgi(module: str, forced: bool, tmp_path: Path) -> None:
    """Where it is asked for, or descriptor 0 is no socket, one CGI request is answered.

    The latter is meant by flup too, but fails under Python 3.
    """
    program = Program(module, *(["forceCGI=True"] if forced else []))
    program.write(tmp_path)
    request = {k.decode(): v.decode() for k, v in variables("/echo", "POST", b"body").items()}
    done = subprocess.run(
        program.command("-"),
        input=b"body",
        capture_output=True,
        env=program.variables | request,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert body == b"body"
    assert b"status: 200 ok" in head.lower().splitlines()


def _fails(program: Program, folder: Path, code: str, address: str = "socket") -> tuple[int, str]:
    """Run the program with *code* in front of run(); return exit code and standard error."""
    program.write(folder)
    text = program.script.read_text()
    program.script.write_text(text.replace("def main():", f"{code}\n\n\ndef main():"))
    done = subprocess.run(
        program.command(address),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=program.variables,
        cwd=folder,
        timeout=60,
    )
    return done.returncode, done.stderr


_SECOND_TIME = "if len(open(sys.argv[0] + '.executed').readlines()) > 1:\n    "


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sys.exit(7)", r"program\.py ended \(SystemExit\(7\)\) before it called WSGIServer\.run"),
        (
            "WSGIServer = None",
            r"executing .*program\.py failed: TypeError: 'NoneType' object is not",
        ),
        ("os._exit(0)", r"the process that loads the application ended with exit code 0"),
        ("raise KeyError('x')", r"executing .*program\.py failed: KeyError: 'x'"),
    ],
)
def test_a_script_that_comes_to_no_run(tmp_path: Path, code: str, said: str) -> None:
    """What goes wrong when the script is executed again is told with cause, and exit code 3."""
    status, errors = _fails(Program(LWCGI), tmp_path, _SECOND_TIME + code)
    assert status == 3, errors
    assert re.search(f"lwcgi: error: .*{said}", errors), errors


def test_a_script_without_run(tmp_path: Path) -> None:
    """A script that does not call run() the second time is told so."""
    code = _SECOND_TIME + "WSGIServer.run = lambda self: None"
    status, errors = _fails(Program(LWCGI), tmp_path, code)
    assert status == 3, errors
    assert "program.py came to its end before it called WSGIServer.run()" in errors


def test_address_in_use(tmp_path: Path) -> None:
    """An address that cannot be used ends the program with lwcgi's message and exit code."""
    with Program(LWCGI) as running:
        status, errors = _fails(Program(LWCGI), tmp_path, "", str(running.address))
    assert status == 4, errors
    assert "another server is listening there" in errors


def test_no_script() -> None:
    """Where there is no script to execute again, run() says so."""
    code = "from lwcgi.flup import WSGIServer; WSGIServer(print, bindAddress='/nowhere/s').run()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "RuntimeError: WSGIServer.run() must be called from a script that is a file" in (
        done.stderr
    )


@pytest.mark.parametrize(("roles", "status"), [("(1,)", 403), ("(1, 2)", 200)])
def test_roles(roles: str, status: int) -> None:
    """An Authorizer is what roles says it is; without it, it lets nobody in."""
    with Program(LWCGI, f"roles={roles}") as program, program.connect() as connection:
        connection.send(
            fastcgi.begin(role=fastcgi.AUTHORIZER),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, fastcgi.pairs(variables("/x").items())),
        )
        assert connection.answer().status == status


@pytest.mark.parametrize("module", [LWCGI, FLUP])
def test_started_by_lighttpd(module: str, tmp_path: Path) -> None:
    """A web server starts the program and stops it, as it has ever done."""
    program = Program(module)
    program.write(tmp_path)
    wrapper = tmp_path / "program.fcgi"
    exports = "".join(
        f"export {k}='{v}'\n"
        for k, v in program.variables.items()
        if k.isidentifier() and "'" not in v
    )
    wrapper.write_text(f"#!/bin/sh\n{exports}exec {' '.join(program.command('-'))}\n")
    wrapper.chmod(0o755)
    with Lighttpd(str(tmp_path / "socket"), starts=str(wrapper)) as server:
        assert until(lambda: server.request("/generator")[2] == b"one two", "its answer")
        assert server.request("/echo", "POST", b"x" * 100_000)[2] == b"x" * 100_000
        pids = [int(line.split()[0]) for line in program.left("executed")]
        assert len(pids) == (2 if module == LWCGI else 1)
    until(lambda: not any(map(processes.alive, pids)), "lighttpd to end the program")


def test_unix_socket_is_gone_afterwards() -> None:
    """The socket's file is removed at the end; flup leaves it."""
    with Program(LWCGI) as program:
        program.stop(signal.SIGTERM)
        assert not os.path.exists(str(program.address))
        with pytest.raises(FileNotFoundError):
            Connection(program.address)
