# SPDX-License-Identifier: MIT
"""At `--isolate hostile` what has detached is ended, whoever of the gateway's dies before it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.checks.asking import get
from tests.harness import Gateway, opened, processes, until

APP = """
import os, time
FOLDER = os.environ["ACTS_FOLDER"]
def put(name):
    with open(f"{FOLDER}/{name}.new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(f"{FOLDER}/{name}.new", f"{FOLDER}/{name}")
def app(environ, start_response):
    if environ["PATH_INFO"] == "/detach":
        # Two, the second a child of the first, each in a session of its own.
        if os.fork() == 0:
            os.setsid()
            put("first")
            if os.fork() == 0:
                os.setsid()
                put("second")
        time.sleep(600)
    if environ["PATH_INFO"] == "/chain":
        # Each the child of the one before.
        if os.fork() == 0:
            for _ in range(10):
                os.setsid()
                if os.fork():
                    time.sleep(600)
            put("last")
        time.sleep(600)
    if environ["PATH_INFO"] == "/hop":
        # One after the other, each in a session of its own, none for long.
        if os.fork() == 0:
            while True:
                os.setsid()
                put("hop")
                if os.fork():
                    os._exit(0)
        time.sleep(600)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here"]
"""

HELPER = """
import subprocess
subprocess.Popen(
    ["sh", "-c", 'sleep 1; setsid sh -c "echo \\$\\$ > $ACTS_FOLDER/helper; exec sleep 600" &'],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=True,
)
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that everybody can read, with the application."""
    made = Path(tempfile.mkdtemp(prefix="lwcgi-detached-"))
    made.chmod(0o755)
    (made / "detaching.py").write_text(APP)
    yield made
    shutil.rmtree(made)


def start(folder: Path, level: str = "hostile", program: list[str] | None = None) -> Gateway:
    """Return a gateway, not started, for the application in *folder*."""
    return _with(folder, {"isolate": level}, program)


def _with(folder: Path, more: dict[str, object], program: list[str] | None = None) -> Gateway:
    options = {"user": "nobody", "timeout": "0", "pythonpath": folder} | more
    return Gateway("detaching:app", "fork", options, program=program or opened.program())


@contextlib.contextmanager
def detached(gateway: Gateway) -> Iterator[list[int]]:
    """Yield the pids of two that a request, which does not end, has detached; end them."""
    with gateway.connect() as connection:
        connection.send(get("/detach"))
        files = [gateway.folder / name for name in ("first", "second")]
        until(lambda: all(file.exists() for file in files), "two that have detached")
        pids = [int(file.read_text()) for file in files]
        try:
            yield pids
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def gone(pids: list[int]) -> bool:
    """Tell whether none of *pids* lives."""
    return not any(map(processes.alive, pids))


def kill_both(gateway: Gateway, before: int = 0) -> None:
    """Kill the worker while the snapshot process, not *before*, cannot see it, then that."""
    children = processes.children(gateway.process.pid)
    (parent,) = (one.pid for one in children if one.pid != before)
    (worker,) = (one.pid for one in processes.children(parent) if one.session == parent)
    os.kill(parent, signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    os.kill(parent, signal.SIGKILL)


def test_worker_that_is_killed_at_a_stop(folder: Path) -> None:
    """What the worker would have ended is ended without it, down to the last child."""
    with start(folder) as gateway, detached(gateway) as pids:
        (worker,) = gateway.workers()
        os.kill(worker, signal.SIGSTOP)
        assert gateway.stop(signal.SIGINT) == 0
        assert gone(pids)


def test_supervisor_that_is_killed(folder: Path) -> None:
    """The snapshot process ends what its workers leave to it before it ends itself."""
    with start(folder) as gateway, detached(gateway) as pids:
        (worker,) = gateway.workers()
        os.kill(worker, signal.SIGSTOP)
        gateway.process.kill()
        gateway.process.wait(20)
        until(lambda: gone(pids), "what has detached to end")


def test_snapshot_process_that_is_killed(folder: Path) -> None:
    """The supervisor ends what it inherits from a snapshot process, and goes on."""
    with start(folder) as gateway, detached(gateway) as pids:
        kill_both(gateway)
        until(lambda: gone(pids), "what has detached to end")
        until(lambda: gateway.get("/").status == 200, "another snapshot")


def test_snapshot_process_that_is_killed_at_a_stop(folder: Path) -> None:
    """Nothing that it has left outlives the supervisor."""
    with start(folder) as gateway, detached(gateway) as pids:
        (worker,) = gateway.workers()
        for stopped in (gateway.snapshot(), worker):
            os.kill(stopped, signal.SIGSTOP)
        gateway.process.send_signal(signal.SIGINT)
        assert gateway.stop(signal.SIGINT) == 0
        assert gone(pids)


def kill_worker(gateway: Gateway) -> None:
    """Kill the worker."""
    (worker,) = gateway.workers()
    os.kill(worker, signal.SIGKILL)


def test_many_generations(folder: Path) -> None:
    """A child of a child of … is ended soon after its worker, not one in a second."""
    with start(folder) as gateway, gateway.connect() as connection:
        connection.send(get("/chain"))
        file = gateway.folder / "last"
        until(file.exists, "the last")
        began = time.monotonic()
        kill_worker(gateway)
        until(lambda: gone([int(file.read_text())]), "it to end")
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("kill", [kill_worker, kill_both])
def test_one_that_is_another_each_moment(folder: Path, kill: Callable[[Gateway], None]) -> None:
    """What forks and ends all the time is caught all the same."""
    with start(folder) as gateway, gateway.connect() as connection:
        connection.send(get("/hop"))
        file = gateway.folder / "hop"
        until(file.exists, "the first")
        first = file.read_text()
        until(lambda: file.read_text() != first, "the next")
        kill(gateway)
        until(lambda: still(file), "them to end")
        until(lambda: gateway.get("/").status == 200, "another worker")
        own = {os.getsid(gateway.process.pid), gateway.snapshot()}
        until(lambda: {p.session for p in gateway.processes()} <= own, "nobody outside")


def still(file: Path) -> bool:
    """Tell whether nobody writes *file* any more."""
    before = file.read_text()
    time.sleep(0.5)
    return file.read_text() == before


def test_a_level_that_the_next_program_lowers(folder: Path) -> None:
    """What requests of the level have left is ended also by one that serves at another."""
    file = folder / "lwcgi.toml"
    file.write_text('isolate = "hostile"\n')
    with _with(folder, {"config": file}) as gateway, detached(gateway) as pids:
        (worker,), parent = gateway.workers(), gateway.snapshot()
        file.write_text('isolate = "bug"\n')
        gateway.process.send_signal(signal.SIGUSR2)
        gateway.wait_for_log("ready: ", 2)
        os.kill(parent, signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        os.kill(parent, signal.SIGKILL)
        until(lambda: gone(pids), "what has detached to end")
        assert gateway.get("/").status == 200


def test_a_helper_that_detaches_later(folder: Path) -> None:
    """What the application's own helper has started is no request's, and stays."""
    with (folder / "detaching.py").open("a") as app:
        app.write(HELPER)
    with start(folder) as gateway:
        file = gateway.folder / "helper"
        until(file.exists, "the helper's child")
        until(lambda: len(file.read_text().split()) == 1, "its pid")
        helper = int(file.read_text())
        try:
            kill_worker(gateway)
            until(lambda: gateway.get("/").status == 200, "another worker")
            assert gateway.stop() == 0
            assert processes.alive(helper)
        finally:
            os.kill(helper, signal.SIGKILL)


def test_below_hostile(folder: Path) -> None:
    """At the other levels it lives on, which shows that the deaths above are no accident."""
    with start(folder, "bug") as gateway:
        with detached(gateway) as pids:
            kill_both(gateway)
            until(lambda: gateway.get("/").status == 200, "another snapshot")
            assert all(map(processes.alive, pids))
        until(lambda: gone(pids), "them to end")


def test_children_from_before(folder: Path) -> None:
    """What the shell that became lwcgi had started is spared, also by a lwcgi executed anew."""
    # Detached, and gaining no rights either, as in many a container.
    script = 'setsid sleep 600 & echo $! > "$ACTS_FOLDER/before"; exec "$@"'
    program = ["setpriv", "--no-new-privs", "sh", "-c", script, "sh", *opened.program()]
    with start(folder, program=program) as gateway:
        before = int((gateway.folder / "before").read_text())
        try:
            for times in range(1, 3):
                with detached(gateway) as pids:
                    kill_both(gateway, before)
                    until(lambda pids=pids: gone(pids), "what has detached to end")
                    assert processes.alive(before)
                for name in ("first", "second"):
                    (gateway.folder / name).unlink()
                gateway.process.send_signal(signal.SIGUSR2)
                gateway.wait_for_log("taking over from", times)
                # At the start, after each death and each execution.
                gateway.wait_for_log("ready: ", 1 + 2 * times)
                until(lambda: len(processes.children(gateway.process.pid)) == 2, "the older to go")
                assert gateway.get("/").status == 200
            assert gateway.stop() == 0
            assert processes.alive(before)
        finally:
            os.kill(before, signal.SIGKILL)
