# SPDX-License-Identifier: MIT
"""Log files that are renamed and opened anew (SIGUSR1), as logrotate does."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from tests.harness import Connection, Gateway, until
from tests.harness.gateway import ACTS, ROOT

CLIENTS, ROTATIONS = 3, 10


def rotate(gateway: Gateway, *logs: Path, number: int = 1) -> None:
    """Rename *logs*, have them opened anew, and wait until they are."""
    for log in logs:
        log.rename(f"{log}.{number}")
    gateway.process.send_signal(signal.SIGUSR1)
    until(lambda: all(log.exists() for log in logs), "the new files")


def ask_until(over: Event, gateway: Gateway, client: int) -> int:
    """Send requests one after the other; return how many."""
    for number in count():
        if over.is_set():
            return number
        told = b"said %d.%d\n" % (client, number)
        answer = gateway.post("/log?errors", told, REQUEST_URI=f"/{client}/{number}")
        assert answer.status == 200
    raise AssertionError("not reached")


@pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
def test_no_line_is_lost(engine: str, tmp_path: Path) -> None:
    """Under load, with ten rotations, each request has its one whole line in each log."""
    logs = (tmp_path / "access", tmp_path / "error")
    options = {
        "access-log": logs[0],
        "error-log": logs[1],
        "log-format": "json",
        "workers": 2,
    }
    over = Event()
    with (
        Gateway(engine=engine, options=options) as gateway,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        asked = [pool.submit(ask_until, over, gateway, client) for client in range(CLIENTS)]
        try:
            for number in range(1, ROTATIONS + 1):
                grown = logs[0].stat().st_size + 5000
                until(lambda grown=grown: logs[0].stat().st_size > grown, "requests")  # type: ignore[misc] # bound per round
                rotate(gateway, *logs, number=number)
        finally:
            over.set()
        sent = {(client, n) for client, done in enumerate(asked) for n in range(done.result())}
        gateway.stop()
    targets, said = [], []
    for name in ("access", "error"):
        files = list(tmp_path.glob(f"{name}*"))
        assert len(files) == ROTATIONS + 1
        for line in (line for file in files for line in file.read_text().splitlines()):
            found = json.loads(line)
            if name == "access":
                targets.append(found["target"])
            elif match := re.search(r"said (\d+)\.(\d+)$", found["message"]):
                said.append((int(match[1]), int(match[2])))
    assert sorted(targets) == sorted(f"/{client}/{number}" for client, number in sent)
    assert sorted(said) == sorted(sent)


@pytest.mark.parametrize("engine", ["rewind", "fork"])
def test_no_line_is_lost_by_successors(engine: str, tmp_path: Path) -> None:
    """Reloads and another lwcgi in the process lose no line of a request either."""
    log = tmp_path / "access"
    over = Event()
    with (
        Gateway(engine=engine, options={"access-log": log, "workers": 2}) as gateway,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        asked = [pool.submit(ask_until, over, gateway, client) for client in range(CLIENTS)]
        try:
            for times, number in enumerate([signal.SIGHUP, signal.SIGUSR2] * 2, 2):
                gateway.process.send_signal(number)
                gateway.wait_for_log("ready: 2 workers", times)
        finally:
            over.set()
        sent = [f"/{client}/{n}" for client, done in enumerate(asked) for n in range(done.result())]
        gateway.stop()
    assert sorted(line.split()[5] for line in log.read_text().splitlines()) == sorted(sent)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """Where a new file cannot be opened the log says so, and lines go where they went."""
    folder = tmp_path / "logs"
    folder.mkdir()
    with Gateway(options={"access-log": folder / "access"}) as gateway:
        folder.rename(tmp_path / "away")
        gateway.process.send_signal(signal.SIGUSR1)
        gateway.wait_for_log("ERROR the access log cannot be opened anew")
        assert gateway.get("/environment?after").status == 200
        until(lambda: "?after" in (tmp_path / "away" / "access").read_text(), "the line")


def test_standard_streams(tmp_path: Path) -> None:
    """Without files there is nothing to open: the signal does no harm."""
    with Gateway(options={"access-log": "-"}) as gateway:
        gateway.process.send_signal(signal.SIGUSR1)
        gateway.wait_for_log("log files are opened anew")
        gateway.get("/environment?after")
        gateway.wait_for_log(r"\?after")


def test_a_full_disk() -> None:
    """Lines that cannot be written are lost, which is told once; requests go on."""
    with Gateway(options={"access-log": "/dev/full"}) as gateway:
        for _ in range(3):
            assert gateway.get("/environment").status == 200
            gateway.wait_for_log("the access log cannot be written, lines are lost: No space")
        assert gateway.log().count("cannot be written") == 1


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A gateway whose standard output is a pipe that nobody reads, full from the start."""
    here, there = socket.socketpair()
    here.setblocking(False)
    address = str(tmp_path / "socket")
    with here, there, open(tmp_path / "log", "wb") as log:
        try:
            while True:
                there.send(b"x" * 1000, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        process = subprocess.Popen(
            [
                sys.executable, "-m", "lwcgi", "run", ACTS, "--pythonpath", str(ROOT),
                "--bind", f"unix:{address}", "--workers", "1", "--access-log", "-",
                "--no-warmup",
            ],
            stdin=subprocess.DEVNULL,
            stdout=there,
            stderr=log,
            env={"ACTS_FOLDER": str(tmp_path)},
        )  # fmt: skip
        try:
            until(lambda: b"ready" in (tmp_path / "log").read_bytes(), "the gateway")
            yield address, process
        finally:
            process.kill()
            process.wait(20)


def test_nobody_reads_the_access_log(
    stuck: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """Neither requests nor signals wait for a reader of standard output that is stuck."""
    address, process = stuck
    for _ in range(20):
        with Connection(address) as connection:
            assert connection.get("/environment").status == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert b"stopped" in (tmp_path / "log").read_bytes()
