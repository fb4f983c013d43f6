# SPDX-License-Identifier: MIT
"""The snapshot gate: what may pass, files among it, and what is left out."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lwcgi import gate
from tests.unit.gate_probe import Closing, Gate


def test_nothing_to_find(fresh: Gate) -> None:
    """An application that holds nothing passes."""
    assert fresh.inspect() == []
    assert gate.application_fds(fresh.own) == []


def test_own_and_standard_descriptors_are_left_out(fresh: Gate) -> None:
    """What is the gateway's is neither a finding nor the application's."""
    pair = socket.socketpair()
    with pair[0], pair[1]:
        own = fresh.own | {pair[0].fileno()}
        assert [f.what.split(",")[0] for f in gate.inspect(own, frozenset())] == [
            f"descriptor {pair[1].fileno()}"
        ]
        assert gate.application_fds(own) == [pair[1].fileno()]
    assert not {0, 1, 2} & set(gate.application_fds(frozenset()))


# --- files -------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_PATH]
)
def test_files_pass(fresh: Gate, tmp_path: Path, flags: int) -> None:
    """A file that can be opened again passes, also deleted; it is listed, and not changed."""
    path = tmp_path / "file"
    path.write_text("content")
    with Closing(os.open(path, flags)) as fd:
        assert fresh.inspect() == []
        assert gate.application_fds(fresh.own) == [fd]
        assert path.read_text() == "content"
        path.unlink()
        assert fresh.inspect() == []


def test_directories_and_devices_pass(fresh: Gate, tmp_path: Path) -> None:
    """A directory, /dev/null and an anonymous file pass too."""
    names = [
        os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY),
        os.open("/dev/null", os.O_RDWR),
        os.memfd_create("scratch"),
        os.open(tmp_path, os.O_TMPFILE | os.O_RDWR),
    ]
    try:
        assert fresh.inspect() == []
        assert gate.application_fds(fresh.own) == sorted(names)
    finally:
        for fd in names:
            os.close(fd)


def test_file_that_cannot_be_opened_again_is_found(fresh: Gate, tmp_path: Path) -> None:
    """A file opened for writing that is read-only by now, for this user, is refused by path."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to give root's rights up")
    path = tmp_path / "log"
    with Closing(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)) as fd:
        os.seteuid(65534)
        try:
            what = fresh.only("file")
        finally:
            os.seteuid(0)
    assert what == f"descriptor {fd}, {path}, cannot be opened again: Permission denied"
