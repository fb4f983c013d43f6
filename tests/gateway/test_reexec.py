# SPDX-License-Identifier: MIT
"""SIGUSR2: lwcgi itself is executed anew, in the same process and with the same sockets."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gateway.reloading import one_is_left, slow
from tests.harness import Gateway, processes, until
from tests.harness.code import Code
from tests.harness.gateway import ROOT
from tests.harness.running import NotUpError

ENGINES = pytest.mark.parametrize("engine", ["rewind", "fork", "none"])


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A copy of lwcgi that a test may change, as an upgrade would."""
    ignored = shutil.ignore_patterns("__pycache__", "*.c", "*.o")
    shutil.copytree(ROOT / "lwcgi", tmp_path / "site" / "lwcgi", ignore=ignored)
    return tmp_path / "site" / "lwcgi"


@pytest.fixture
def serve(code: Code, installed: Path) -> Callable[..., Gateway]:
    """A function that makes a gateway, not started, of the copy."""

    def make(engine: str = "fork", **options: object) -> Gateway:
        named = {name.replace("_", "-"): value for name, value in options.items()}
        program = [sys.executable, "-P", "-m", "lwcgi"]
        environ = {"PYTHONPATH": str(installed.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        options = {"pythonpath": str(code.folder), **named}
        return Gateway(Code.app, engine, options, environ, program)

    return make


def upgrade(installed: Path, version: str = "9.9.9", more: str = "") -> None:
    """Install another version."""
    (installed / "__init__.py").write_text(
        (installed / "__init__.py").read_text() + f'\n__version__ = "{version}"\n{more}\n'
    )


@ENGINES
def test_new_version_takes_over(
    serve: Callable[..., Gateway], installed: Path, code: Code, engine: str
) -> None:
    """The process, its socket, its connections and its requests stay; the program is new."""
    with serve(engine, workers=2) as gateway:
        gateway.wait_for_log("ready")
        file = Path(gateway.address).stat().st_ino
        idle = gateway.connect()
        assert idle.get("/", keep=True).body.startswith(b"one")
        with slow(gateway) as connection:
            upgrade(installed)
            code.write("two")
            gateway.process.send_signal(signal.SIGUSR2)
            gateway.wait_for_log(r"INFO lwcgi 9\.9\.9, taking over from 0\.1\.0, listening on unix")
            gateway.wait_for_log("INFO ready: 2 workers", 2)
            until(lambda: gateway.get("/").body.startswith(b"two"), "the new code to answer")
            (gateway.folder / "slow").touch()
            answer = connection.answer()
            assert answer.complete
            assert answer.body.startswith(b"one")
            until(lambda: one_is_left(gateway), "the old generation to go")
            assert connection.get("/", keep=True).body.startswith(b"two")
        assert not idle.dismissed()
        assert idle.post("/", b"x", keep=True).body.startswith(b"two")
        idle.close()
        assert Path(gateway.address).stat().st_ino == file
        assert gateway.stop() == 0
        assert not Path(gateway.address).exists()


def test_as_often_as_wanted(serve: Callable[..., Gateway]) -> None:
    """Five times leave no descriptor; the number of workers that signals made is kept."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        gateway.process.send_signal(signal.SIGTTIN)
        gateway.wait_for_log("2 workers instead of 1")

        def again(times: int) -> None:
            gateway.process.send_signal(signal.SIGUSR2)
            gateway.wait_for_log("INFO ready: 2 workers", times)
            until(lambda: one_is_left(gateway), "the old generation to go")

        def held() -> int:
            return processes.descriptors(gateway.process.pid)

        again(1)
        before = held()
        for times in range(2, 6):
            again(times)
        until(lambda: held() <= before, f"no more than {before} descriptors, not {held()}")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log("INFO ready: 2 workers", 6)


FAILURES = {
    "import": "raise ImportError('half an upgrade')",
    "exit": "import os; os._exit(9)",
    "hang": "import time; time.sleep(1000)",
}

# It waits for a file, and fails then.
HELD = """
import os, time
if "LWCGI_HANDOVER" in os.environ:
    place = os.environ["ACTS_FOLDER"] + "/trial"
    open(place + ".started", "w").close()
    while not os.path.exists(place):
        time.sleep(0.01)
    os._exit(9)
"""


@pytest.mark.parametrize("name", ["import", "exit"])
def test_new_version_that_does_not_start(
    serve: Callable[..., Gateway], installed: Path, code: Code, name: str
) -> None:
    """A program that cannot start is found out beforehand; the old one goes on, and reloads."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        old = gateway.snapshot()
        good = (installed / "__init__.py").read_text()
        upgrade(installed, "0.1.0", FAILURES[name])
        gateway.process.send_signal(signal.SIGUSR2)
        gateway.wait_for_log(r"ERROR SIGUSR2: the lwcgi that is installed ended with .* goes on")
        assert gateway.snapshot() == old
        assert gateway.get("/").status == 200
        (installed / "__init__.py").write_text(good)
        code.write("two")
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: gateway.get("/").body.startswith(b"two"), "the new code to answer")


def test_new_version_refuses_the_configuration(
    serve: Callable[..., Gateway], installed: Path, code: Code
) -> None:
    """What the new program says about its options is in the log, and the old one goes on."""
    file = code.folder / "lwcgi.toml"
    file.write_text("")
    with serve(config=str(file)) as gateway:
        gateway.wait_for_log("ready")
        file.write_text("no-such-option = 1")
        gateway.process.send_signal(signal.SIGUSR2)
        gateway.wait_for_log("unknown key 'no-such-option'")
        gateway.wait_for_log("ERROR SIGUSR2: .* ended with exit code 2; this one goes on")
        assert gateway.get("/").status == 200


def test_new_version_that_hangs(serve: Callable[..., Gateway], installed: Path) -> None:
    """Stop signals are obeyed while the new program is tried out, and it is killed."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        upgrade(installed, "0.1.0", FAILURES["hang"])
        gateway.process.send_signal(signal.SIGUSR2)
        until(lambda: len(processes.children(gateway.process.pid)) == 2, "the trial")
        assert gateway.get("/").status == 200
        assert gateway.stop() == 0


def test_application_that_fails_in_the_new_version(
    serve: Callable[..., Gateway], installed: Path, code: Code
) -> None:
    """When the new program cannot load the application the old generation goes on under it."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        old = gateway.snapshot()
        upgrade(installed)
        code.write("two", "raise RuntimeError('broken')")
        gateway.process.send_signal(signal.SIGUSR2)
        gateway.wait_for_log("lwcgi 9.9.9, taking over")
        gateway.wait_for_log("ERROR not reloaded; what was loaded before goes on")
        assert gateway.snapshot() == old
        assert gateway.get("/").body.startswith(b"one")
        code.write("three")
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: gateway.get("/").body.startswith(b"three"), "the corrected code")
        until(lambda: one_is_left(gateway), "the old generation to go")


def test_during_a_reload_that_fails(serve: Callable[..., Gateway], code: Code) -> None:
    """The new program waits for what is being loaded, and for nothing else once that has failed."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        code.write("two", "wait('load')\nraise RuntimeError('broken')")
        gateway.process.send_signal(signal.SIGHUP)
        until((gateway.folder / "load.started").exists, "the new code to be loaded")
        gateway.process.send_signal(signal.SIGUSR2)
        gateway.wait_for_log("SIGUSR2: lwcgi is executed anew")
        code.write("three")
        (gateway.folder / "load").touch()
        gateway.wait_for_log("ERROR not reloaded")
        gateway.wait_for_log("taking over")
        until(lambda: _starts_with(gateway, b"three"), "the corrected code")


def test_asked_for_twice(serve: Callable[..., Gateway], installed: Path) -> None:
    """During a trial there is no second one and no reload; afterwards there is one that is both."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        good = (installed / "__init__.py").read_text()
        upgrade(installed, "0.1.0", HELD)
        gateway.process.send_signal(signal.SIGUSR2)
        until((gateway.folder / "trial.started").exists, "the trial")
        (installed / "__init__.py").write_text(good)
        gateway.process.send_signal(signal.SIGUSR2)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log("SIGUSR2: lwcgi is executed anew", 2)
        gateway.wait_for_log("SIGHUP: the application is loaded again")
        assert len(processes.children(gateway.process.pid)) == 2
        (gateway.folder / "trial").touch()
        gateway.wait_for_log("ERROR SIGUSR2: the lwcgi that is installed ended with exit code 9")
        gateway.wait_for_log("taking over(.|\\n)* INFO ready")
        gateway.stop()
        assert gateway.log().count("INFO ready") == 2


def test_adopted_generation_is_watched(serve: Callable[..., Gateway], code: Code) -> None:
    """The new program replaces a snapshot process that it was left, when that dies."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        code.write("two", "raise RuntimeError('broken')")
        gateway.process.send_signal(signal.SIGUSR2)
        gateway.wait_for_log("ERROR not reloaded")
        os.kill(gateway.snapshot(), signal.SIGKILL)
        gateway.wait_for_log("ERROR the snapshot process is gone; .* loaded again")
        code.write("three")
        until(lambda: _starts_with(gateway, b"three"), "the corrected code")


def test_adopted_generation_grows_old(serve: Callable[..., Gateway], code: Code) -> None:
    """Age and crashes count for a generation that was left to the new program, too."""
    with serve(snapshot_max_age="2s", snapshot_max_crashes=1) as gateway:
        gateway.wait_for_log("ready")
        code.write("two", "raise RuntimeError('broken')")
        gateway.process.send_signal(signal.SIGUSR2)
        gateway.wait_for_log("taking over(.|\n)* ERROR not reloaded")
        assert gateway.get("/crash").status == 500
        gateway.wait_for_log("taking over(.|\n)* 1 requests have crashed since")
        gateway.wait_for_log("taking over(.|\n)* has reached its maximum age")
        code.write("three")
        until(lambda: _starts_with(gateway, b"three"), "the corrected code")


def _starts_with(gateway: Gateway, version: bytes) -> bool:
    return gateway.get("/").body.startswith(version)


def test_reload_finds_another_version(serve: Callable[..., Gateway], installed: Path) -> None:
    """SIGHUP after an upgrade of lwcgi does not mix two versions: it says what to do."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        upgrade(installed)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_log(r"ERROR lwcgi 9\.9\.9 is installed, but 0\.1\.0 is running")
        gateway.wait_for_log("ERROR send SIGUSR2 to the supervisor")
        assert gateway.get("/").status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_end_on_the_way(serve: Callable[..., Gateway], number: int) -> None:
    """A stop or a kill at any moment of it leaves no process; a stop signal is never lost."""
    with serve() as gateway:
        gateway.wait_for_log("ready")
        gateway.process.send_signal(signal.SIGUSR2)
        if number == signal.SIGINT:
            gateway.wait_for_log("taking over")
        gateway.process.send_signal(number)
        assert gateway.process.wait(20) == (-number if number == signal.SIGKILL else 0)
        until(lambda: not gateway.processes(), "the end of all processes")


def test_variable_that_leads_nowhere() -> None:
    """A wrong LWCGI_HANDOVER is an error that says so, not a traceback."""
    gateway = Gateway(environ={"LWCGI_HANDOVER": "77"})
    with pytest.raises(NotUpError, match="what LWCGI_HANDOVER names cannot be taken over"):
        gateway.__enter__()
