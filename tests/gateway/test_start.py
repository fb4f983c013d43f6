# SPDX-License-Identifier: MIT
"""Starts that fail: one clear message, the documented exit code, nobody left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Connection, processes, until

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]
"""


class Start:
    """One run of the command line in a directory of its own.

    Parameters:
        folder: where it runs; `tried.py` there is the application.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.process: subprocess.Popen[str] | None = None

    def run(self, text: str, *words: str, app: str = "tried:app", verb: str = "run") -> str:
        """Start with the application *text*, wait for the end, and return what was said."""
        self.begin(text, *words, app=app, verb=verb)
        assert self.process is not None
        self.out, self.err = self.process.communicate(timeout=60)
        assert processes.marked(self.mark) == []
        return self.err

    def begin(self, text: str, *words: str, app: str = "tried:app", verb: str = "run") -> None:
        """Start, and do not wait."""
        (self.folder / "tried.py").write_text(text)
        bind = [] if "--bind" in words else ["--bind", "unix:socket"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lwcgi", verb, app, "--workers", "2", *bind, *words],
            cwd=self.folder,
            env={**os.environ, "START_MARK": self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def code(self) -> int:
        """The exit code."""
        assert self.process is not None
        return self.process.wait(60)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A command line to run once; what it leaves is killed."""
    starting = Start(tmp_path)
    yield starting
    for process in processes.marked(starting.mark):
        os.kill(process.pid, signal.SIGKILL)
    if starting.process is not None:
        starting.process.communicate()


@pytest.mark.parametrize(
    ("text", "app", "code", "said"),
    [
        (APP, "tried.app", 2, "does not name a callable in a module"),
        (APP, "lost:app", 3, "there is no module lost"),
        (APP, "tried:ap", 3, "did you mean tried:app?"),
        ("import not_installed", "tried:app", 3, "No module named 'not_installed'"),
        ("1 / 0", "tried:app", 3, 'tried.py", line 1, in <module>'),
        ("import os; os.abort()", "tried:app", 3, "was killed by SIGABRT"),
        ("import os; os._exit(0)", "tried:app", 3, "ended with exit code 0"),
        ("import os; os.closerange(3, 999)\n" + APP, "tried:app", None, "remedy: "),
        (
            "import threading\n"
            "threading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()"
            + APP,
            "tried:app",
            5,
            "poller",
        ),
        (
            "import os, threading\n"
            "os.register_at_fork(after_in_child="
            "lambda: threading.Thread(target=threading.Event().wait, daemon=True).start())" + APP,
            "tried:app",
            5,
            "after_restore hook",
        ),
        (
            "import os\nos.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), 9))" + APP,
            "tried:app",
            6,
            "was killed by SIGKILL before it was ready",
        ),
        (
            "import os\ndef app(environ, start_response):\n    os._exit(9)\n",
            "tried:app",
            3,
            "ended with exit code 9",
        ),
        (
            "import sys\ndef app(environ, start_response):\n    sys.exit('no')\n",
            "tried:app",
            3,
            "--no-warmup",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["run"])
def test_application_that_cannot_start(
    start: Start, text: str, app: str, code: int | None, said: str, verb: str
) -> None:
    """An application that cannot be started ends the command with cause and remedy."""
    err = start.run(text, app=app, verb=verb)
    assert said in err
    assert "lwcgi: error: " in err
    assert "lwcgi: remedy: " in err
    assert start.code == code if code is not None else start.code > 0
    assert not (start.folder / "socket").exists()


UNFREEZABLE = """
import socket, threading
def poll():
    threading.Event().wait()
threading.Thread(target=poll, name="poller", daemon=True).start()
kept = socket.socket()
"""


def test_findings_of_the_gate_are_told_in_pairs(start: Start) -> None:
    """Everything that cannot be frozen has its own line, with its remedy and exception below."""
    lines = start.run(UNFREEZABLE + APP).splitlines()
    assert start.code == 5
    told = [line.partition("lwcgi: ")[2] for line in lines if line.startswith("lwcgi: ")]
    assert [line.partition(":")[0] for line in told] == ["error", "remedy", "error", "remedy"]
    assert "'poller' (threading.Thread) running tried.poll, in wait (" in told[0]
    assert told[1].endswith("--allow thread")
    assert told[2].endswith("AF_INET SOCK_STREAM neither bound nor connected")
    assert told[3].endswith("--allow socket")


def test_killed_snapshot_process_is_not_taken_for_a_failed_load(start: Start) -> None:
    """A snapshot process that is killed while it serves is told as that."""
    start.begin(APP)
    process = start.process
    assert process is not None
    assert process.stderr is not None
    for line in process.stderr:
        if "ready: 2 workers" in line:
            break
    [snapshot] = [found for found in processes.marked(start.mark) if found.parent == process.pid]
    os.kill(snapshot.pid, signal.SIGKILL)
    until(lambda: snapshot.pid not in {p.pid for p in processes.marked(start.mark)}, "its end")
    said = ""
    for line in process.stderr:
        said += line
        if "is loaded again" in line:
            break
    assert "the snapshot process was killed by SIGKILL" in said
    assert "faulthandler" not in said
    process.terminate()
    assert start.code == 0


def test_output_before_the_error(start: Start) -> None:
    """What the application printed before it failed is not lost, unfinished lines included."""
    err = start.run("import os; os.write(1, b'last words'); os.abort()")
    assert err.index("app: last words") < err.index("lwcgi: error: ")


def test_hostile_traceback(start: Start) -> None:
    """An exception's text cannot act upon the terminal."""
    err = start.run("raise RuntimeError('\\x1b[2J' + 'x' * 500_000)")
    assert start.code == 3
    assert "\x1b" not in err
    assert "\\x1b[2J" in err


def test_socket_in_use(start: Start) -> None:
    """A socket somebody listens on ends the command with exit code 4, untouched."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(start.folder / "socket"))
        other.listen()
        err = start.run(APP)
    assert start.code == 4
    assert "another server is listening there" in err
    assert "--bind" in err
    assert (start.folder / "socket").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--bind", "0.0.0.0:0"), 4, "--allow-remote"),
        (("--bind", "unix:no/where"), 4, "mkdir -p"),
        (("--bind", "nonsense"), 2, "unix:PATH, HOST:PORT"),
        (("--bind", "unix:socket", "--bind", "unix:socket"), 4, "another server"),
        (("--access-log", "no/where"), 2, "cannot open the access log"),
        (("--workers", "0"), 2, "out of range"),
        (("--worker", "1"), 2, "--workers"),
        (("--chdir", "lost"), 3, "cannot enter the directory lost"),
    ],
)
def test_wrong_options(start: Start, words: tuple[str, ...], code: int, said: str) -> None:
    """A wrong option ends the command with its exit code, the remedy, and no socket file."""
    assert said in start.run(APP, *words)
    assert start.code == code
    assert not (start.folder / "socket").exists()


LOADING = """
import os, subprocess, time
subprocess.Popen(["sleep", "1000"])
open("loading", "w").close()
time.sleep(1000)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_stop_while_loading(start: Start, number: int) -> None:
    """A stop signal while the application loads ends everything at once, with exit code 0."""
    start.begin(LOADING)
    until((start.folder / "loading").exists, "the application to load")
    assert start.process is not None
    start.process.send_signal(number)
    assert start.code == 0
    assert processes.marked(start.mark) == []
    assert not (start.folder / "socket").exists()


def test_supervisor_killed_while_loading(start: Start) -> None:
    """Kill -9 of the supervisor while the application loads ends the snapshot process too."""
    start.begin(LOADING.replace("subprocess.Popen", "print"))
    until((start.folder / "loading").exists, "the application to load")
    assert start.process is not None
    start.process.kill()
    until(lambda: not processes.marked(start.mark), "the end of all processes")


def test_check_that_is_interrupted(start: Start) -> None:
    """`lwcgi check` that is stopped does not claim to have found out anything."""
    start.begin(LOADING, verb="check")
    until((start.folder / "loading").exists, "the application to load")
    assert start.process is not None
    start.process.send_signal(signal.SIGINT)
    out, _ = start.process.communicate(timeout=60)
    assert start.code == 130
    assert "can be frozen" not in out
    assert processes.marked(start.mark) == []


def test_closed_standard_descriptors(start: Start) -> None:
    """A gateway started with descriptors 0 to 2 closed keeps its sockets out of their place."""
    (start.folder / "tried.py").write_text(APP)
    command = f"{sys.executable} -m lwcgi run tried:app --bind unix:socket <&- >&- 2>&-"
    start.process = subprocess.Popen(
        ["sh", "-c", f"exec {command}"],
        cwd=start.folder,
        env={**os.environ, "START_MARK": start.mark},
        text=True,
    )
    address = str(start.folder / "socket")
    until(lambda: (start.folder / "socket").exists(), "the socket")
    with Connection(address) as connection:
        assert connection.get("/").body == b"served"
    start.process.terminate()
    assert start.code == 0


def test_check_of_an_application(start: Start) -> None:
    """`lwcgi check` loads, warms up and freezes the application, reports, and ends."""
    start.run(APP, verb="check")
    assert start.code == 0
    assert "tried:app loads, warms up and can be frozen" in start.out
    assert not (start.folder / "socket").exists()


def test_check_of_an_application_that_cannot_be_frozen(start: Start) -> None:
    """`lwcgi check` fails as `lwcgi run` would."""
    err = start.run("import not_installed", verb="check")
    assert start.code == 3
    assert "not_installed" in err


def test_load_that_warns_is_heard(start: Start) -> None:
    """Warm-up requests are logged."""
    err = start.run(APP, verb="check")
    assert "GET /" in err
