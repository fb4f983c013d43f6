# SPDX-License-Identifier: MIT
"""What the engine lwc needs: a way to the module for any user, and descriptors it can tell apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness import Gateway, waiting
from tests.harness.running import NotUpError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOBODY = 65534
_APP = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getuid()} {os.access('/dev/lwc', os.R_OK | os.W_OK)}".encode()]
"""

_APART = """
import os
for number in range({first}, {first} + 2 * {count}, 2):
    os.dup2(1, number)
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(sum(os.path.exists(f"/proc/self/fd/{{n}}") for n in range({first}, 999))).encode()]
"""

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(autouse=True)
def _slow_and_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This Python may lie where root alone can read it; here that is a copy of our own."""
    monkeypatch.setattr(waiting, "patience", 150.0)
    monkeypatch.setattr(waiting, "to_come_up", 150.0)
    executable = Path(sys.executable)
    above = {*executable.parents, *executable.resolve().parents}
    before = {path: path.stat().st_mode for path in above if path.stat().st_mode & 0o5 != 0o5}
    for path, mode in before.items():
        path.chmod(mode & 0o7777 | 0o5)
    yield
    for path, mode in before.items():
        path.chmod(mode & 0o7777)


def _asked(gateway: Gateway) -> bytes:
    answer = gateway.get("/")
    assert answer.status == 200, gateway.log()
    return answer.body


def test_long_the_door_is_passed_on(tmp_path: Path) -> None:
    """Root opens it for workers of another user: at the start, at a reload, and in a new lwcgi."""
    (tmp_path / "asked.py").write_text(_APP)
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(folder.stat().st_mode & 0o7777 | 0o5)
    options = {"user": "nobody", "pythonpath": tmp_path, "timeout": "60s"}
    with Gateway("asked:app", "lwc", options) as gateway:
        for number, told in (
            (0, "ready: "),
            (signal.SIGHUP, r"(?s)ready: .*ready: "),
            (signal.SIGUSR2, r"(?s)taking over from .*ready: "),
        ):
            if number:
                gateway.process.send_signal(number)
            gateway.wait_for_log(told)
            assert _asked(gateway) == f"{_NOBODY} False".encode()
        assert "engine lwc" in gateway.log()


def test_without_the_right_to_the_door() -> None:
    """A supervisor that may not open it refuses to start, and says what to do."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lwcgi", "run", "demo_apps.hello.hello:application"),
            *("--engine", "lwc", "--bind", "unix:/tmp/lwcgi-no-right"),
        ],
        user=_NOBODY,
        group=_NOBODY,
        extra_groups=[],
        env={k: v for k, v in os.environ.items() if k != "HOME"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode not in (0, 1), done.stderr
    assert "/dev/lwc may not be opened by this user" in done.stderr
    assert "group" in done.stderr


def _apart(folder: Path, count: int) -> Gateway:
    """Return a gateway, not started, for an application that has left so many gaps."""
    (folder / "apart.py").write_text(_APART.format(first=300, count=count))
    return Gateway("apart:app", "lwc", {"pythonpath": folder, "timeout": "60s"})


def test_long_descriptors_with_gaps(tmp_path: Path) -> None:
    """As many gaps as can be closed are closed; more are refused, with the remedy."""
    with _apart(tmp_path, 59) as gateway:
        assert _asked(gateway) == b"59"
    with pytest.raises(NotUpError, match=r"more than 60 gaps .*--engine fork"):
        with _apart(tmp_path, 64):
            pass
