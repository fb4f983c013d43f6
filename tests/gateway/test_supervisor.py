# SPDX-License-Identifier: MIT
"""The supervisor, alive: deaths, stops, and what a hostile application does to it."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Connection, Gateway, fastcgi, processes, until
from tests.harness.client import variables

ANSWER = """
import os, time
def app(environ, start_response):
    folder = os.environ["ACTS_FOLDER"]
    if environ["PATH_INFO"] == "/slow":
        open(folder + "/slow", "w").close()
        while not os.path.exists(folder + "/go"):
            time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getppid()).encode()]
"""


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., Gateway]:
    """A function that makes a gateway, not started, for an application given as text."""

    def make(text: str = "", engine: str = "fork", **options: object) -> Gateway:
        (tmp_path / "tried.py").write_text(ANSWER + textwrap.dedent(text))
        named = {name.replace("_", "-"): value for name, value in options.items()}
        return Gateway("tried:app", engine, {"pythonpath": str(tmp_path), **named})

    return make


def start_slow(gateway: Gateway) -> Connection:
    """Return a connection on which a request runs until the file `go` is there."""
    connection = gateway.connect()
    connection.send(slow_request())
    until((gateway.folder / "slow").exists, "the slow request to run")
    return connection


def slow_request() -> bytes:
    """Return the bytes of a GET request for /slow."""
    pairs = fastcgi.pairs(variables("/slow").items())
    return b"".join(
        (
            fastcgi.begin(1),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, pairs),
            fastcgi.closed_stream(fastcgi.STDIN, 1, b""),
        )
    )


def gone(gateway: Gateway) -> Callable[[], bool]:
    """Return a condition: no process of *gateway* is left."""
    return lambda: not gateway.processes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
@pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
def test_idle_gateway_stops(serve: Callable[..., Gateway], engine: str, number: int) -> None:
    """Each stop signal ends an idle gateway with exit code 0 and removes the socket file."""
    with serve(engine=engine, workers=2) as gateway:
        gateway.wait_for_log("ready: 2 workers")
        assert gateway.stop(number) == 0
        assert not Path(gateway.address).exists()
        assert gateway.processes() == []
        assert gateway.log().endswith("stopped\n")


@pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_graceful_stop_lets_a_request_end(
    serve: Callable[..., Gateway], engine: str, number: int
) -> None:
    """A request that runs when SIGTERM or SIGQUIT arrives gets its complete answer."""
    with serve(engine=engine) as gateway, start_slow(gateway) as connection:
        gateway.process.send_signal(number)
        gateway.wait_for_log("stopping gracefully")
        (gateway.folder / "go").touch()
        answer = connection.answer()
        assert answer.complete
        assert answer.status == 200
        assert gateway.process.wait(20) == 0


@pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
def test_quick_stop_does_not_wait(serve: Callable[..., Gateway], engine: str) -> None:
    """SIGINT ends the gateway although a request runs, whose answer does not look complete."""
    with serve(engine=engine) as gateway, start_slow(gateway) as connection:
        assert gateway.stop(signal.SIGINT) == 0
        answer = connection.answer()
        assert not answer.complete or answer.status >= 500
        assert gateway.processes() == []


def test_graceful_stop_is_bounded(serve: Callable[..., Gateway]) -> None:
    """A request that does not end within --graceful-timeout is given up."""
    with serve(graceful_timeout="200ms") as gateway, start_slow(gateway):
        assert gateway.stop(signal.SIGTERM) == 0
        assert gateway.processes() == []


def test_second_signal_makes_a_stop_quick(serve: Callable[..., Gateway]) -> None:
    """SIGINT during a graceful stop does not wait for the requests any more."""
    with serve(graceful_timeout="1h") as gateway, start_slow(gateway):
        gateway.process.send_signal(signal.SIGTERM)
        gateway.wait_for_log("stopping gracefully")
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.stop(signal.SIGINT) == 0


def test_third_signal_kills(serve: Callable[..., Gateway]) -> None:
    """SIGINT during a quick stop ends even processes that do not react."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        for pid in (*gateway.workers(), gateway.snapshot()):
            os.kill(pid, signal.SIGSTOP)
        gateway.process.send_signal(signal.SIGINT)
        gateway.wait_for_log("stopping quickly")
        assert gateway.stop(signal.SIGINT) == 0
        assert gateway.processes() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_frozen_worker_does_not_hold_a_stop_up(serve: Callable[..., Gateway], number: int) -> None:
    """A worker that does not react to the stop is killed, and said so."""
    with serve(graceful_timeout="100ms", workers=2) as gateway:
        os.kill(gateway.workers()[0], signal.SIGSTOP)
        assert gateway.stop(number) == 0
        assert "did not end in time" in gateway.log()


def test_stopping_gateway_takes_no_new_connection(serve: Callable[..., Gateway]) -> None:
    """From the moment a graceful stop begins, connecting fails at once."""
    with serve() as gateway, start_slow(gateway):
        gateway.process.send_signal(signal.SIGTERM)
        gateway.wait_for_log("stopping gracefully")
        with pytest.raises(FileNotFoundError):
            gateway.connect()
        (gateway.folder / "go").touch()


@pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
def test_killed_worker_is_replaced(serve: Callable[..., Gateway], engine: str) -> None:
    """A worker that dies is replaced from the same snapshot, with a log line that says how."""
    with serve(engine=engine, workers=2) as gateway:
        gateway.wait_for_log("ready: 2 workers")
        victim, other = gateway.workers()
        os.kill(victim, signal.SIGKILL)
        gateway.wait_for_log(rf"WARNING worker 1 \(pid {victim}\) was killed by SIGKILL; .* now")
        until(lambda: len(gateway.workers()) == 2, "a replacement")
        assert other in gateway.workers()
        assert gateway.get("/").status == 200
        assert gateway.log().count("warm-up") == 0


def test_request_of_a_killed_worker_is_not_answered_as_complete(
    serve: Callable[..., Gateway],
) -> None:
    """Killing a worker costs the request it ran, which a web server sees as an error."""
    with serve() as gateway, start_slow(gateway) as connection:
        os.kill(gateway.workers()[0], signal.SIGKILL)
        assert connection.answer().closed
        (gateway.folder / "go").touch()
        assert until(lambda: gateway.get("/"), "an answer").status == 200


def test_worker_that_keeps_dying_is_started_less_often(serve: Callable[..., Gateway]) -> None:
    """The more often a worker died young, the longer its place stays empty."""
    with serve() as gateway:
        for delay in ("now", "in 0.1 s", "in 0.2 s"):
            os.kill(until(gateway.workers, "a worker")[0], signal.SIGKILL)
            gateway.wait_for_log(f"its replacement starts {delay}")
        assert gateway.get("/").status == 200


def test_orphans_of_a_worker_are_killed(serve: Callable[..., Gateway]) -> None:
    """What a request had started dies with its worker, when that is killed."""
    text = """
        import subprocess
        inner = app
        def app(environ, start_response):
            if environ["PATH_INFO"] == "/slow":
                subprocess.Popen(["sleep", "1000"])
            return inner(environ, start_response)
    """
    with serve(text) as gateway, start_slow(gateway):
        assert any(process.name == "sleep" for process in gateway.processes())
        os.kill(gateway.workers()[0], signal.SIGKILL)
        until(
            lambda: not any(process.name == "sleep" for process in gateway.processes()),
            "the orphan's end",
        )


def test_helper_started_while_loading_lives_on(serve: Callable[..., Gateway]) -> None:
    """A process the application started at import survives its workers, not the gateway."""
    text = """
        import subprocess
        helper = subprocess.Popen(["sleep", "1000"])
    """
    with serve(text, workers=1) as gateway:
        worker = next(p for p in gateway.workers() if processes.look(p).name != "sleep")
        os.kill(worker, signal.SIGKILL)
        gateway.wait_for_log("its replacement starts")
        until(lambda: len(gateway.workers()) == 2, "a replacement beside the helper")
        assert "sleep" in [process.name for process in gateway.processes()]
        assert gateway.stop() == 0
        assert gateway.processes() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_dead_snapshot_process_is_replaced(serve: Callable[..., Gateway], number: int) -> None:
    """When the snapshot process dies its workers end, and another one serves instead."""
    with serve(workers=2) as gateway:
        gateway.wait_for_log("ready: 2 workers")
        old = {gateway.snapshot(), *gateway.workers()}
        os.kill(gateway.snapshot(), number)
        gateway.wait_for_log("the snapshot process is gone; the application is loaded again")
        gateway.wait_for_log("ready: 2 workers", times=2)
        assert not old & {gateway.snapshot(), *gateway.workers()}
        assert gateway.get("/").status == 200


def test_application_that_broke_meanwhile(serve: Callable[..., Gateway], tmp_path: Path) -> None:
    """A snapshot that cannot be made again is tried again and again, until it can."""
    with serve() as gateway:
        gateway.wait_for_log("ready")  # until then it would be a start that failed
        good = (tmp_path / "tried.py").read_text()
        (tmp_path / "tried.py").write_text("raise RuntimeError('broken by an update')")
        os.kill(gateway.snapshot(), signal.SIGKILL)
        gateway.wait_for_log(r"ERROR RuntimeError: broken by an update")
        gateway.wait_for_log(r"is loaded again in 0\.\d s")
        (tmp_path / "tried.py").write_text(good + "# longer than before\n")
        assert until(lambda: gateway.get("/"), "an answer").status == 200


@pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
def test_killed_supervisor_leaves_nothing(serve: Callable[..., Gateway], engine: str) -> None:
    """Kill -9 of the supervisor ends the snapshot process, the workers and their requests."""
    with serve(engine=engine, workers=2) as gateway, start_slow(gateway):
        gateway.process.kill()
        until(gone(gateway), "the end of all processes")


def test_killed_supervisor_and_snapshot_leave_nothing(serve: Callable[..., Gateway]) -> None:
    """Workers end also when the two processes above them are killed together."""
    with serve(workers=2) as gateway:
        snapshot = gateway.snapshot()
        os.kill(gateway.process.pid, signal.SIGSTOP)  # it shall not clean up in between
        os.kill(snapshot, signal.SIGKILL)
        gateway.process.kill()
        until(gone(gateway), "the end of all processes")


def test_socket_of_a_killed_gateway_is_taken_over(serve: Callable[..., Gateway]) -> None:
    """After a kill -9 the next gateway starts on the socket file that was left behind."""
    with serve() as gateway:
        address = gateway.address
        gateway.process.kill()
        until(gone(gateway), "the end of all processes")
        assert Path(address).exists()
        with serve(bind=[f"unix:{address}"]) as successor:
            successor.wait_for_log("ready")
            assert successor.stop() == 0


def test_output_of_the_application_is_logged_and_harmless(
    serve: Callable[..., Gateway],
) -> None:
    """What the application prints is in the log, a line each, with escapes made visible."""
    text = r"""
        import sys
        print("to stdout")
        sys.stderr.write("forged\r2026-01-01 00:00:00 [1] ERROR \x1b[2J\n")
        os.write(1, b"x" * 100_000 + b"\nno end")
    """
    with serve(text) as gateway:
        gateway.wait_for_log(r"INFO app: to stdout$")
        gateway.wait_for_log(r"INFO app: forged\\r2026-01-01 00:00:00 \[1\] ERROR \\x1b\[2J$")
        assert gateway.stop() == 0
        lines = gateway.log().splitlines()
        assert all(line.startswith("20") for line in lines)
        assert max(map(len, lines)) < 5000
        assert any(line.endswith("app: no end") for line in lines)


def test_flood_of_output_does_not_keep_a_stop_waiting(serve: Callable[..., Gateway]) -> None:
    """A process of the application that prints without pause does not deafen the supervisor."""
    with serve('import subprocess; subprocess.Popen(["yes"])', log_level="error") as gateway:
        assert gateway.stop() == 0


HOSTILE = """
import os, stat
def sockets():
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                yield int(name)
        except OSError:
            pass
for fd in list(sockets()):
    for data in (b"", b"{", b"[" * 50000, b"\\xff" * 9000, b"null", b'"x"', b"X text",
                 b'{"event": "ready", "workers": "all"}', b'{"event": ["failed"]}',
                 b'{"event": "failed", "exit_code": "zero", "message": 7}',
                 b"E \\x1b[2Jforged\\n2026-01-01 00:00:00 [1] ERROR x"):
        try:
            os.write(fd, data)
        except OSError:
            pass
"""


def test_forged_messages_do_not_harm_the_supervisor(serve: Callable[..., Gateway]) -> None:
    """An application that writes rubbish into every socket it finds is served or refused."""
    with serve(HOSTILE) as gateway:
        assert gateway.get("/").status == 200
        assert all(line.startswith("20") for line in gateway.log().splitlines())
        assert gateway.process.poll() is None
        assert gateway.stop() == 0


def test_addresses_are_logged(serve: Callable[..., Gateway]) -> None:
    """A port chosen by the kernel is found in the log, and is served."""
    with serve(bind=["127.0.0.1:0"]) as gateway:
        (port,) = gateway.wait_for_log(r"listening on unix:\S+, 127\.0\.0\.1:(\d+)$")
        with Connection(("127.0.0.1", int(port))) as connection:
            assert connection.get("/").status == 200


def test_no_zombie_and_no_descriptor_is_left_by_replacements(
    serve: Callable[..., Gateway],
) -> None:
    """Replacing a worker leaves neither zombie nor descriptor in the processes above it."""
    with serve() as gateway:
        snapshot = gateway.snapshot()
        until(gateway.workers, "a worker")

        def counts() -> tuple[int, int]:
            return processes.descriptors(gateway.process.pid), processes.descriptors(snapshot)

        gateway.wait_for_log("ready")
        before = counts()
        for times in range(1, 4):
            os.kill(until(gateway.workers, "a worker")[0], signal.SIGKILL)
            gateway.wait_for_log("its replacement starts", times)
            assert gateway.get("/").status == 200
        until(lambda: counts() == before, "descriptors to be as many as before")
        states = [process.state for process in processes.children(snapshot)]
        assert "Z" not in states
