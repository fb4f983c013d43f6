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
from tests.harness import Connection, Gateway, fastcgi, processes, until
from tests.harness.code import Code
from tests.harness.gateway import ROOT

ENGINES = pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
# What a new version does while it is loaded; it goes on when the file is there.
HANG = "wait('load')"


@pytest.fixture
def code(tmp_path: Path) -> Code:
    """The application; version one."""
    return Code(tmp_path)


@pytest.fixture
def serve(code: Code) -> Callable[..., Gateway]:
    """A function that makes a gateway, not started, for the code."""

    def make(engine: str = "fork", **options: object) -> Gateway:
        named = {name.replace("_", "-"): value for name, value in options.items()}
        return Gateway(Code.app, engine, {"pythonpath": str(code.folder), **named})

    return make


def version(gateway: Gateway) -> str:
    """Return which version of the code answers."""
    answer = gateway.get("/")
    assert answer.status == 200
    return answer.body.decode().split()[0]


def reload(gateway: Gateway, times: int = 2) -> None:
    """Have the gateway load its application again, and wait until it is ready that often."""
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for_log("INFO ready", times)


def started(gateway: Gateway, name: str = "load") -> None:
    """Wait until code of the application waits for the file *name*."""
    until((gateway.folder / f"{name}.started").exists, f"{name!r} to be waited for")


def slow(gateway: Gateway, name: str = "slow") -> Connection:
    """Return a connection whose request is under way until the file *name* is there."""
    connection = gateway.connect()
    connection.send(get(f"/slow?{name}", flags=fastcgi.KEEP_CONN))
    started(gateway, name)
    return connection


def one_is_left(gateway: Gateway) -> bool:
    """Is there one snapshot process, and no zombie beside it?"""
    children = processes.children(gateway.process.pid)
    return len(children) == 1 and children[0].state != "Z"


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
        code.write("two", HANG)
        gateway.process.send_signal(signal.SIGHUP)
        started(gateway)
        assert version(gateway) == "one"
        (gateway.folder / "load").touch()
        until(lambda: version(gateway) == "two", "the new code to answer")


FAILURES = {
    "raises": ("raise RuntimeError('bad release')", "ERROR RuntimeError: bad release"),
    "syntax": ("def (:", "ERROR SyntaxError: "),
    "missing": ("del app", "ERROR changing has no name app"),
    "gate": (
        "import threading\nthreading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        "ERROR the application cannot be frozen: thread: ",
    ),
    "exits": ("os._exit(3)", "ERROR the process that loads the application ended with exit code 3"),
    "killed": ("os.kill(os.getpid(), 9)", "ERROR the process that loads .* was killed by SIGKILL"),
    "worker": (
        "os.register_at_fork(after_in_child=lambda: os._exit(7))",
        "ERROR worker 1 .* ended with exit code 7 before it was ready",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_new_code_that_fails(serve: Callable[..., Gateway], code: Code, name: str) -> None:
    """New code that cannot be served leaves the old code serving; the log has the cause."""
    more, told = FAILURES[name]
    with serve() as gateway:
        gateway.wait_for_log("ready")
        snapshot = gateway.snapshot()
        code.write("two", more)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log(told)
        gateway.wait_for_log("ERROR not reloaded; what was loaded before goes on")
        until(lambda: one_is_left(gateway), "what failed to go")
        assert gateway.snapshot() == snapshot
        assert version(gateway) == "one"
        code.write("three")
        reload(gateway)
        until(lambda: version(gateway) == "three", "the corrected code to answer")


def test_new_code_that_hangs(serve: Callable[..., Gateway], code: Code) -> None:
    """Loading that takes longer than --startup-timeout is given up; the log says where it hung."""
    with serve(startup_timeout="3s") as gateway:
        gateway.wait_for_log("ready")
        code.write("two", HANG)
        gateway.process.send_signal(signal.SIGHUP)
        started(gateway)
        gateway.wait_for_log(r'app: +File ".*changing.py", line \d+ in wait')
        gateway.wait_for_log("ERROR the application did not get ready within 3 s")
        gateway.wait_for_log("ERROR not reloaded")
        assert version(gateway) == "one"


def test_start_that_hangs(serve: Callable[..., Gateway], code: Code) -> None:
    """The first start is limited too, and ends with the exit code of a failed start."""
    code.write("one", "time.sleep(100)")
    gateway = serve(startup_timeout="1s")
    with pytest.raises(AssertionError, match="it ended with code 3"):
        gateway.__enter__()


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
        assert connection.get("/after", keep=True).body.split()[0] == b"two"
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
        code.write("two", HANG)
        gateway.process.send_signal(signal.SIGHUP)
        started(gateway)
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
        code.write("two", HANG)
        gateway.process.send_signal(signal.SIGHUP)
        started(gateway)
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


def test_snapshot_that_dies_during_a_reload(serve: Callable[..., Gateway], code: Code) -> None:
    """When the old generation dies while the new one is loaded, the new one serves."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        old = gateway.snapshot()
        code.write("two", HANG)
        gateway.process.send_signal(signal.SIGHUP)
        started(gateway)
        os.kill(old, signal.SIGKILL)
        gateway.wait_for_log("ERROR the snapshot process is gone; .* is being loaded already")
        (gateway.folder / "load").touch()
        until(lambda: version(gateway) == "two", "the new code to answer")
        gateway.stop()
        assert gateway.log().count("INFO ready") == 2


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


def _resident(pid: int) -> int:
    """Return the resident anonymous memory of *pid* in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise LookupError(pid)


def test_configuration_is_read_again(serve: Callable[..., Gateway], code: Code) -> None:
    """Settings from the file change at SIGHUP, but those that need a restart, by name."""
    file = code.folder / "lwcgi.toml"
    file.write_text("max-body = 10\n")
    with serve(config=str(file)) as gateway:
        gateway.wait_for_log("ready: 1 worker,")
        assert gateway.post("/", b"x" * 20).status == 413
        file.write_text("max-body = 100\nbacklog = 7\n")
        reload(gateway)
        until(lambda: gateway.post("/", b"x" * 20).status == 200, "the new limit")
        gateway.wait_for_log("WARNING --backlog has changed: that takes a restart")


@pytest.mark.parametrize("text", ["max-body = 'huge'", "no-such = 1", "=", "timeout = -1"])
def test_configuration_that_is_wrong(serve: Callable[..., Gateway], code: Code, text: str) -> None:
    """A mistake in the file is told, and costs the reload, not the gateway."""
    file = code.folder / "lwcgi.toml"
    file.write_text("")
    with serve(config=str(file)) as gateway:
        gateway.wait_for_log("ready")
        file.write_text(text)
        code.write("two")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log("ERROR not reloaded; what was loaded before goes on")
        assert version(gateway) == "one"
        file.write_text("")
        reload(gateway)
        until(lambda: version(gateway) == "two", "the new code")


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
