# SPDX-License-Identifier: MIT
"""The access log's lines on their way from the pipe to the file."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lwcgi.errors import ConfigError
from lwcgi.supervisor.accesslog import AccessLog
from lwcgi.supervisor.logfile import LogFile
from lwcgi.supervisor.logs import Log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "access"


@pytest.fixture
def access(path: Path) -> Iterator[AccessLog]:
    """An access log in a file."""
    made = AccessLog(LogFile.open(str(path), 1, "access log"), Log())
    yield made
    made.close()


def readable(access: AccessLog) -> bool:
    """Tell whether the loop would be woken."""
    return bool(select.select([access], [], [], 0)[0])


def test_woken_once_then_paused(access: AccessLog, path: Path) -> None:
    """The first line wakes; after a look the next one does not until the pause is over."""
    assert not readable(access)
    os.write(access.writing, b"one\n")
    assert readable(access)
    access.take()
    assert path.read_bytes() == b"one\n"
    os.write(access.writing, b"two\n")
    assert not readable(access)
    assert access.due is not None
    access.tick(access.due - 0.001)
    assert not readable(access)
    access.tick(access.due)
    assert access.due is None
    assert readable(access)
    access.take()
    assert path.read_bytes() == b"one\ntwo\n"


def test_no_line_is_cut_by_a_rotation(access: AccessLog, path: Path) -> None:
    """The beginning of a line waits for its end, and both go to the same file."""
    os.write(access.writing, b"whole\nbeg")
    access.take()
    path.rename(f"{path}.1")
    access.reopen()
    os.write(access.writing, b"un\n")
    access.drain()
    assert Path(f"{path}.1").read_bytes() == b"whole\n"
    assert path.read_bytes() == b"begun\n"


def test_what_came_before_goes_to_the_old_file(access: AccessLog, path: Path) -> None:
    """A rotation first moves what is in the pipe."""
    os.write(access.writing, b"before\n")
    path.rename(f"{path}.1")
    access.reopen()
    assert Path(f"{path}.1").read_bytes() == b"before\n"
    assert path.read_bytes() == b""


def test_large_amounts(access: AccessLog, path: Path) -> None:
    """A full pipe, larger than any single read, arrives byte by byte."""
    written = 0
    try:
        while True:
            written += os.write(access.writing, b"%0255d\n" % (written // 256))
    except BlockingIOError:
        pass
    assert written > 60_000
    access.take()
    assert path.read_bytes() == b"".join(b"%0255d\n" % n for n in range(written // 256))


def test_endless_line(access: AccessLog, path: Path) -> None:
    """A line without end, which only a broken application can send, is not kept for ever."""
    for _ in range(64):
        os.write(access.writing, b"x" * 4096)
        access.take()
        assert len(access._held) <= 130 << 10
    access.drain()
    assert path.stat().st_size == 64 * 4096


def test_last_words(access: AccessLog, path: Path) -> None:
    """At the end an unfinished line is written as it is."""
    os.write(access.writing, b"whole\nunfinished")
    access.drain()
    assert path.read_bytes() == b"whole\nunfinished"


def test_reader_that_is_stuck() -> None:
    """Standard output that takes nothing holds nobody up; what it did not take comes later."""
    here, there = socket.socketpair()
    with here, there:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        access = AccessLog(LogFile(None, here.fileno()), Log())
        sent = b""
        for number in range(2000):
            line = b"%0255d\n" % number
            try:
                sent += line[: os.write(access.writing, line)]
            except BlockingIOError:
                break
            access.take()
        assert len(access._held) < 130 << 10
        got, deadline = b"", time.monotonic() + 20
        while got != sent and time.monotonic() < deadline:
            got += there.recv(1 << 16)
            access.tick(time.monotonic() + 1)
        assert got == sent
        access.close()


def test_full_disk_is_told_once(tmp_path: Path) -> None:
    """Lines that cannot be written are dropped with one word, and again with one after it worked."""
    errors = LogFile.open(str(tmp_path / "errors"), 2, "error log")
    access = AccessLog(LogFile.open("/dev/full", 1, "access log"), Log(errors))
    for _ in range(3):
        os.write(access.writing, b"line\n")
        access.take()
    access.close()
    errors.close()
    assert (tmp_path / "errors").read_text().count("cannot be written") == 1


def test_file_modes(path: Path) -> None:
    """A file that is made has mode 0640; one that is there keeps its own, and its content."""
    LogFile.open(str(path), 1, "access log").close()
    assert path.stat().st_mode & 0o777 == 0o640
    path.write_text("old\n")
    path.chmod(0o600)
    file = LogFile.open(str(path), 1, "access log")
    file.write(b"new\n")
    file.close()
    assert path.read_text() == "old\nnew\n"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("what", ["access log", "error log"])
def test_file_that_cannot_be_opened(what: str, tmp_path: Path) -> None:
    """Such a file is an error that names the option."""
    with pytest.raises(ConfigError) as caught:
        LogFile.open(str(tmp_path / "no" / "where"), 1, what)
    assert f"cannot open the {what}" in caught.value.cause
    assert f"--{what.replace(' ', '-')}" in caught.value.remedy


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is that of the directory lwcgi was started in, later too."""
    monkeypatch.chdir(tmp_path)
    file = LogFile.open("log", 2, "error log")
    (tmp_path / "log").rename(tmp_path / "log.1")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    file.reopen()
    file.write(b"x\n")
    file.close()
    assert (tmp_path / "log").read_text() == "x\n"
