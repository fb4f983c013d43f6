# SPDX-License-Identifier: MIT
"""Real servers under the load of a real wrk: some sound, some broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import census, figures, turns
from bench.contenders import APPS, NONE, ROOT, SERVERS, Server
from bench.turns import Contender
from demo_apps import stage
from demo_apps.stage import Site, lwcgi_site

HELLO = APPS[0]
FLUP = next(server for server in SERVERS if server.package == "flup")
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
WRK = shutil.which("wrk") or "/usr/bin/wrk"

APP = """
import itertools

served = itertools.count(1)


def application(environ, start_response):
    start_response({status}, [("Content-Type", "text/plain")])
    return [b"{body}\\n"]
"""

# Answers HTTP on a Unix socket, and will not end.
STUBBORN = """
import signal, socket, sys

signal.signal(signal.SIGTERM, signal.SIG_IGN)
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen(64)
    while True:
        with listener.accept()[0] as client:
            if client.recv(65536):
                client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nHello, world.\\n")
"""

BURNS = """
import os, sys, time

if os.fork() == 0:
    while time.process_time() < 0.3:
        pass
    os._exit(0)
os.wait()
if os.fork() == 0:
    kept = bytearray(os.urandom(16 << 20))
    print("ready", flush=True)
sys.stdin.read()
"""


def hold(*contenders: Contender, rounds: int = 1, wrk: str = WRK) -> None:
    """Let *contenders* take turns of one second."""
    turns.hold(NGINX, wrk, contenders, rounds, 1)


def served(folder: Path, *, status: str = '"200 OK"', body: str = "Hello, world.") -> Server:
    """Return a server of an application with an answer of its own."""
    (folder / "written.py").write_text(APP.format(status=status, body=body))
    return Server("written", "", lambda _: lwcgi_site("written:application", folder, engine="none"))


def python(script: str, *words: str, protocol: str = "fastcgi") -> Server:
    """Return a server that is a program in Python."""
    command = (sys.executable, "-c", script, *words)
    return Server("script", "", lambda _: Site("", command, ROOT, protocol=protocol))


def test_sound_and_broken_together(tmp_path: Path) -> None:
    """What does not start or answers wrongly is told, and the others are measured."""
    sound = [Contender(HELLO, NONE), Contender(HELLO, FLUP)]
    broken = Contender(HELLO, python("1 / 0"))
    wrong = Contender(HELLO, served(tmp_path, body="Hello, word."))
    hold(sound[0], broken, wrong, sound[1], rounds=2)
    for one in sound:
        assert one.complaints == []
        assert len(one.turns) == 2
        assert all(turn.report.requests > 100 and turn.cpu > 0 for turn in one.turns)
        assert one.memory > one.worker > 1
    assert not broken.turns
    assert "ZeroDivisionError" in "".join(broken.complaints)
    assert not wrong.turns
    assert "which is wrong" in "".join(wrong.complaints)
    assert [one.errors for one in figures.of([*sound, broken, wrong])] == [0, 0]


def test_errors_under_load_are_told(tmp_path: Path) -> None:
    """Who answers rightly at first and with errors under load is told of, and not counted."""
    later = '"200 OK" if next(served) < 60 else "500 Tired"'
    one = Contender(HELLO, served(tmp_path, status=later))
    hold(one)
    assert one.turns[0].report.not_ok > 0
    assert one.turns[0].report.rate < 60
    assert "answers were errors" in one.complaints[0]
    assert "which is wrong" in one.complaints[1]


def test_who_does_not_stop_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not end is ended, and told of."""
    monkeypatch.setattr(stage, "STOP_SECONDS", 0.5)
    one = Contender(HELLO, python(STUBBORN, "{socket}", protocol="http"))
    hold(one)
    assert one.turns[0].report.requests > 0
    assert ["did not stop" in text for text in one.complaints] == [True]


def test_wrk_that_fails_is_told(tmp_path: Path) -> None:
    """Without a load there is no round, and no figure."""
    one = Contender(HELLO, NONE)
    hold(one, rounds=2, wrk=str(tmp_path / "none"))
    assert len(one.complaints) == 1
    assert "apt-get install wrk" in one.complaints[0]
    assert figures.of([one]) == []


@pytest.fixture
def burner() -> Iterator[int]:
    """A process that had a busy child, and has a large one."""
    with subprocess.Popen(
        [sys.executable, "-c", BURNS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.communicate()


def test_cpu_of_ended_children_counts(burner: int) -> None:
    """The CPU time of a tree has that of its processes that have ended."""
    assert census.cpu(burner) >= 0.3


def test_memory_of_the_worker(burner: int) -> None:
    """The memory of a tree without its first process is that of the others."""
    whole, below = census.memory(burner)
    assert whole > below >= 16 << 10
