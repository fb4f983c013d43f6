# SPDX-License-Identifier: MIT
"""--user and --group: the application runs as somebody else, the supervisor as root."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Gateway, opened, processes, until

APP = """
import json, os, sys
count = 0
def tried(path, mode="r"):
    try:
        open(path, mode).close()
    except OSError as error:
        return type(error).__name__
    return "opened"
def app(environ, start_response):
    global count
    count += 1
    start_response("200 OK", [("Content-Type", "application/json")])
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    return [json.dumps({
        "count": count,
        "uids": os.getresuid(),
        "gids": os.getresgid(),
        "groups": sorted(os.getgroups()),
        "capabilities": int(status["CapPrm"], 16),
        "variables": {name: os.environ.get(name) for name in ("HOME", "USER", "LOGNAME", "SHELL")},
        "secret": tried(os.environ["SECRET"]),
        "stderr": tried("/dev/stderr", "w"),
    }).encode()]
"""
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that everybody can read, with the application, and a file of root's alone."""
    made = Path(tempfile.mkdtemp(prefix="lwcgi-user-"))
    made.chmod(0o755)
    (made / "asked.py").write_text(APP)
    (made / "secret").touch(mode=0o600)
    yield made
    shutil.rmtree(made)


def start(folder: Path, engine: str, **options: object) -> Gateway:
    """Return a gateway, not started, for the application in *folder*."""
    named = {name.replace("_", "-"): value for name, value in options.items()}
    environ = {"SECRET": str(folder / "secret"), "HOME": "/root", "SHELL": "/bin/sh"}
    options = {"user": "nobody", "pythonpath": folder, **named}
    return Gateway("asked:app", engine, options, environ, program=opened.program())


@pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
def test_application_is_the_user(folder: Path, engine: str) -> None:
    """User, groups, variables and rights are the user's own, in each request; nothing is root's."""
    with start(folder, engine, verify=engine == "rewind") as gateway:
        seen: list[dict[str, Any]] = [gateway.get("/").json() for _ in range(3)]
        for found in seen:
            assert found["uids"] == [NOBODY.pw_uid] * 3
            assert found["gids"] == [NOBODY.pw_gid] * 3
            assert found["groups"] == sorted(os.getgrouplist("nobody", NOBODY.pw_gid))
            assert found["capabilities"] == 0
            assert found["secret"] == "PermissionError"
            assert found["stderr"] == "opened"
            name, home = NOBODY.pw_name, NOBODY.pw_dir
            expected = {"HOME": home, "USER": name, "LOGNAME": name, "SHELL": None}
            assert found["variables"] == expected
        assert [found["count"] for found in seen] == ([1, 2, 3] if engine == "none" else [1, 1, 1])


def test_rewind_is_undone_in_place(folder: Path) -> None:
    """All that the engine needs of the kernel is there for a user who was root before."""
    with start(folder, "rewind", log_level="debug") as gateway:
        for _ in range(3):
            gateway.get("/")
        gateway.wait_for_log("GET /: undone in place", 3)


def test_auto_is_examined_as_the_user(folder: Path) -> None:
    """The engine that auto takes is one that the user can run."""
    with start(folder, "auto") as gateway:
        gateway.wait_for_log("engine rewind, chosen by auto")
        assert gateway.get("/").json()["count"] == 1


def owner(pid: int) -> int:
    """Return the effective user of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[2])


def test_who_is_who(folder: Path) -> None:
    """The supervisor stays root; every process below it is the user's, successors included."""
    with start(folder, "rewind") as gateway:
        gateway.get("/")
        [worker] = gateway.workers()
        os.kill(worker, signal.SIGKILL)
        until(lambda: worker not in (left := gateway.workers()) and len(left) == 1, "a successor")
        assert gateway.get("/").json()["count"] == 1
        below = [process.pid for process in gateway.processes()]
        assert {owner(pid) for pid in below if pid != gateway.process.pid} == {NOBODY.pw_uid}
        assert owner(gateway.process.pid) == 0
        os.kill(gateway.snapshot(), signal.SIGKILL)
        gateway.wait_for_log("ready: 1 worker", 2)
        assert owner(gateway.snapshot()) == NOBODY.pw_uid
        assert gateway.stop() == 0
        assert not Path(gateway.address).exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_successors(folder: Path, number: int) -> None:
    """What is loaded by a reload, and by another lwcgi, is the user's as well."""
    with start(folder, "rewind", access_log=folder / "access") as gateway:
        gateway.get("/first")
        gateway.process.send_signal(number)
        gateway.wait_for_log("ready: 1 worker", 2)
        gateway.wait_for_log("worker 1 ends")
        found = gateway.get("/second").json()
        assert (found["uids"], found["count"]) == ([NOBODY.pw_uid] * 3, 1)
        assert found["stderr"] == "opened"
        assert owner(gateway.process.pid) == 0
    lines = (folder / "access").read_text().splitlines()
    assert [line.split()[5] for line in lines] == ["/first", "/second"]


def test_socket_file(folder: Path) -> None:
    """The socket file is the user's and the group's, so that the web server can be of the group."""
    group = grp.getgrnam("www-data")
    with start(folder, "fork", group="www-data", socket_mode="0606") as gateway:
        found = os.stat(gateway.address)
        assert (found.st_uid, found.st_gid) == (NOBODY.pw_uid, group.gr_gid)
        assert stat.S_IMODE(found.st_mode) == 0o606
        answer = gateway.get("/").json()
        assert answer["gids"] == [group.gr_gid] * 3
        assert group.gr_gid in answer["groups"]


def test_numbers(folder: Path) -> None:
    """A user and a group that are in no database are numbers, without other groups or a home."""
    with start(folder, "fork", user="4711", group="4712") as gateway:
        answer = gateway.get("/").json()
        assert (answer["uids"], answer["gids"]) == ([4711] * 3, [4712] * 3)
        assert answer["groups"] == [4712]
        assert set(answer["variables"].values()) == {None}


def test_logs_are_roots(folder: Path) -> None:
    """Log files lie where the user cannot write, at the start and after a rotation."""
    logs = folder / "logs"
    logs.mkdir(mode=0o700)
    with start(folder, "rewind", error_log=logs / "error", access_log=logs / "access") as gateway:
        gateway.get("/first")
        until(lambda: "/first" in (logs / "access").read_text(), "the line")
        for name in ("error", "access"):
            (logs / name).rename(logs / f"{name}.1")
        gateway.process.send_signal(signal.SIGUSR1)
        until((logs / "access").exists, "the new file")
        gateway.get("/second")
    for name in ("access", "access.1", "error", "error.1"):
        found = (logs / name).stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o640)
    assert "/first" in (logs / "access.1").read_text()
    assert "/second" in (logs / "access").read_text()
    assert "ready: 1 worker" in (logs / "error.1").read_text()
    assert "stopped" in (logs / "error").read_text()


def test_a_user_who_cannot_run_python(folder: Path) -> None:
    """Where the user may not run this Python, that is said at the start, with the remedy."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").symlink_to(sys.executable)
    done = subprocess.run(
        [closed / "python", "-m", "lwcgi", "run", "--user", "nobody", "asked:app"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "user nobody cannot run" in done.stderr
    assert "lwcgi: remedy: " in done.stderr
    assert not processes.marked(str(closed))
