# SPDX-License-Identifier: MIT
"""SIGHUP: the application is loaded again, and swapped when it is ready."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.checks.asking import get
from tests.gateway.reloading import (
    HANG,
    begin_to_reload,
    one_is_left,
    reload,
    slow,
    started,
    version,
)
from tests.harness import Gateway, fastcgi, processes, until
from tests.harness.code import Code
from tests.harness.gateway import ROOT

ENGINES = pytest.mark.parametrize("engine", ["rewind", "fork", "none"])


@ENGINES
def test_new_code_is_served(serve: Callable[..., Gateway], code: Code, engine: str) -> None:
    """After SIGHUP the new code answers, by new processes, and the old ones are gone."""
    with serve(engine, workers=2) as gateway:
        gateway.wait_for_log("ready: 2 workers")
        old = {gateway.snapshot(), *gateway.workers()}
        assert version(gateway) == "one"
        code.write("two")
        assert version(gateway) == "one"
        reload(gateway)
        until(lambda: one_is_left(gateway), "the old generation to go")
        assert version(gateway) == "two"
        assert not old & {gateway.snapshot(), *gateway.workers()}
        assert "ERROR" not in gateway.log()


@ENGINES
def test_old_code_serves_meanwhile(serve: Callable[..., Gateway], code: Code, engine: str) -> None:
    """While the new code is being loaded the old one answers."""
    with serve(engine) as gateway:
        gateway.wait_for_log("ready")
        begin_to_reload(gateway, code)
        assert version(gateway) == "one"
        (gateway.folder / "load").touch()
        until(lambda: version(gateway) == "two", "the new code to answer")


@ENGINES
def test_request_under_way_ends(serve: Callable[..., Gateway], code: Code, engine: str) -> None:
    """A request that runs during the swap gets its whole answer from the old code."""
    with serve(engine) as gateway, slow(gateway) as connection:
        code.write("two")
        reload(gateway)
        until(lambda: version(gateway) == "two", "the new code to answer beside the old")
        (gateway.folder / "slow").touch()
        answer = connection.answer()
        assert answer.complete
        assert answer.body.split()[0] == b"one"
        until(
            lambda: connection.get("/after", keep=True).body.split()[0] == b"two",
            "the same connection to be served by the new code",
        )
        until(lambda: one_is_left(gateway), "the old generation to go")


def test_request_that_takes_too_long(serve: Callable[..., Gateway]) -> None:
    """One that does not end within --graceful-timeout does not hold the old generation."""
    with serve(graceful_timeout="300ms") as gateway, slow(gateway) as connection:
        reload(gateway)
        until(lambda: one_is_left(gateway), "the old generation to go")
        answer = connection.answer()
        assert not answer.complete or answer.status >= 500


@ENGINES
def test_idle_connections_go_on(serve: Callable[..., Gateway], code: Code, engine: str) -> None:
    """Kept connections, one with half a request, are served by the new code, never closed."""
    with serve(engine, workers=2) as gateway:
        gateway.wait_for_log("ready")
        # More than the queue has room for. A worker answers this without the application.
        idle = [gateway.connect() for _ in range(400)]
        query = fastcgi.record(fastcgi.GET_VALUES, 0, fastcgi.pair(b"FCGI_MPXS_CONNS", b""))
        for connection in idle:
            connection.send(query)
            assert connection.receive()
        request = get("/half", flags=fastcgi.KEEP_CONN)
        for connection in idle[:20]:
            connection.send(request[:30])
        for number in range(2, 5):
            code.write(f"version{number}")
            reload(gateway, number)
            until(lambda: one_is_left(gateway), "the old generation to go")
        for connection in idle[:20]:
            connection.send(request[30:])
            assert connection.answer().body.split()[0] == b"version4"
        assert not any(connection.dismissed() for connection in idle)
        for connection in idle[-20:]:
            assert connection.post("/", b"x", keep=True).body.split()[0] == b"version4"
        for connection in idle:
            connection.close()


def test_signals_are_merged(serve: Callable[..., Gateway], code: Code) -> None:
    """However many come during a reload, one more reload follows it."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        begin_to_reload(gateway, code)
        code.write("three")
        for _ in range(20):
            gateway.process.send_signal(signal.SIGHUP)
            time.sleep(0.01)  # two pending ones are one to the kernel
        (gateway.folder / "load").touch()
        gateway.wait_for_log("INFO ready", 3)
        until(lambda: version(gateway) == "three", "the last code to answer")
        gateway.stop()
        assert gateway.log().count("INFO ready") == 3


def test_workers_change_during_a_reload(serve: Callable[..., Gateway], code: Code) -> None:
    """A worker more, asked for while the new code is loaded, is one more of the new code."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        begin_to_reload(gateway, code)
        gateway.process.send_signal(signal.SIGTTIN)
        gateway.wait_for_log("SIGTTIN: 2 workers instead of 1")
        (gateway.folder / "load").touch()
        gateway.wait_for_log("ready: 2 workers")
        until(lambda: one_is_left(gateway), "the old generation to go")
        until(lambda: len(gateway.workers()) == 2, "both workers")


def test_reload_does_not_wait_for_a_retry(serve: Callable[..., Gateway], code: Code) -> None:
    """Where nothing serves and the next try is seconds away, SIGHUP tries at once."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        code.write("two", "raise RuntimeError('broken')")
        os.kill(gateway.snapshot(), signal.SIGKILL)
        gateway.wait_for_log(r"is loaded again in 3\.2 s")
        code.write("three")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log("INFO ready", 2)
        assert version(gateway) == "three"
        gateway.stop()
        assert "in 5.0 s" not in gateway.log()


def test_wrong_configuration_while_nothing_serves(
    serve: Callable[..., Gateway], code: Code
) -> None:
    """A reload that is refused does not end the tries to have something that serves again."""
    file = code.folder / "lwcgi.toml"
    file.write_text("")
    with serve(config=str(file)) as gateway:
        gateway.wait_for_log("ready")
        code.write("two", "raise RuntimeError('broken')")
        os.kill(gateway.snapshot(), signal.SIGKILL)
        gateway.wait_for_log(r"is loaded again in 0\.4 s")
        file.write_text("no-such-key = 1")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log("ERROR .*unknown key 'no-such-key'(.|\n)* is loaded again")
        code.write("three")
        until(lambda: version(gateway) == "three", "the corrected code")
        assert "what was loaded before goes on" not in gateway.log()


def test_old_generations_are_bounded(serve: Callable[..., Gateway]) -> None:
    """Reloads wait while requests of three older generations are still under way."""
    with serve() as gateway:
        connections = []
        for number in range(3):
            connections.append(slow(gateway, f"slow{number}"))
            reload(gateway, number + 2)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log("loaded again when requests of older snapshots have ended")
        assert len(processes.children(gateway.process.pid)) == 4
        (gateway.folder / "slow1").touch()
        assert connections[1].answer().status == 200
        gateway.wait_for_log("INFO ready", 5)
        for number in (0, 2):
            (gateway.folder / f"slow{number}").touch()
            assert connections[number].answer().status == 200
        for connection in connections:
            connection.close()


def _dead(gateway: Gateway) -> bool:
    return not gateway.processes()


@ENGINES
@pytest.mark.parametrize("moment", ["loading", "swapped"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_end_during_a_reload(
    serve: Callable[..., Gateway], code: Code, engine: str, moment: str, number: int
) -> None:
    """Stopped or killed at any moment of a reload, the gateway leaves no process behind."""
    with serve(engine, graceful_timeout="1s") as gateway, slow(gateway) as connection:
        code.write("two", HANG if moment == "loading" else "")
        gateway.process.send_signal(signal.SIGHUP)
        if moment == "loading":
            started(gateway)
        else:
            gateway.wait_for_log("are stopped gracefully")
        gateway.process.send_signal(number)
        if number == signal.SIGTERM:
            gateway.wait_for_log("SIGTERM: stopping gracefully")
            (gateway.folder / "slow").touch()
            assert connection.answer().complete
        assert gateway.process.wait(20) == (-number if number == signal.SIGKILL else 0)
        until(lambda: _dead(gateway), "the end of all processes")
        assert Path(gateway.address).exists() == (number == signal.SIGKILL)


@pytest.mark.parametrize("count", [5, pytest.param(50, marks=pytest.mark.slow)])
@ENGINES
def test_reloads_leave_nothing(serve: Callable[..., Gateway], engine: str, count: int) -> None:
    """Many reloads: no zombie, no descriptor, no process, and hardly any memory more."""
    with serve(engine) as gateway:
        gateway.wait_for_log("ready")
        for number in range(2):
            reload(gateway, number + 2)
        until(lambda: one_is_left(gateway), "the old generation to go")

        def held() -> tuple[int, int, int]:
            # Not before what has served is gone, and its successor there.
            until(lambda: _is_quiet(gateway), "the number of processes to stay")
            own = processes.descriptors(gateway.process.pid)
            return own, processes.descriptors(gateway.snapshot()), len(gateway.processes())

        assert version(gateway) == "one"  # all of the worker's processes are there
        before, memory = held(), _resident(gateway.process.pid)
        for number in range(count):
            reload(gateway, number + 4)
        until(lambda: one_is_left(gateway), "the old generation to go")
        assert version(gateway) == "one"
        until(lambda: held() == before, f"as much as before: {before}, not {held()}")
        # In KiB, whatever the number of reloads: what Python's allocator keeps for itself.
        assert _resident(gateway.process.pid) - memory < 1024


def _is_quiet(gateway: Gateway) -> bool:
    before = {process.pid for process in gateway.processes()}
    time.sleep(0.2)
    return before == {process.pid for process in gateway.processes()}


def _resident(pid: int) -> int:
    """Return the resident anonymous memory of *pid* in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise LookupError(pid)


def test_output_is_that_of_who_serves(serve: Callable[..., Gateway], code: Code) -> None:
    """After a reload that failed, what the application prints bears the pid of who serves."""
    printing = """
        inner = app
        def app(environ, start_response):
            print("printed", environ["QUERY_STRING"], flush=True)
            return inner(environ, start_response)
        """
    code.write("one", printing)
    with serve() as gateway:
        gateway.wait_for_log("ready")
        assert gateway.get("/?before").status == 200
        gateway.wait_for_log(rf"\[{gateway.snapshot()}\] INFO app: printed before")
        code.write("two", "raise RuntimeError('broken')")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log("ERROR not reloaded")
        assert gateway.get("/?after").status == 200
        gateway.wait_for_log(rf"\[{gateway.snapshot()}\] INFO app: printed after")


def test_terminal(code: Code) -> None:
    """In a terminal SIGHUP reloads as long as that is open, and stops when it is closed."""
    ours, theirs = pty.openpty()
    log = code.folder / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "lwcgi", "run", Code.app, "--pythonpath", str(code.folder),
             "--bind", f"unix:{code.folder}/socket", "--engine", "fork"],
            stdin=theirs, stdout=output, stderr=output, cwd=ROOT,
            env=os.environ | {"ACTS_FOLDER": str(code.folder)},
        )  # fmt: skip
    os.close(theirs)

    def told(what: str, times: int = 1) -> None:
        until(lambda: log.read_text().count(what) >= times, f"{what!r} in the log")

    try:
        told("ready")
        process.send_signal(signal.SIGHUP)
        told("ready", 2)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        told("SIGHUP: stopping gracefully")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
