# SPDX-License-Identifier: MIT
"""The snapshot gate: memory that is writable and shared is refused by what it maps."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.gate_probe import Closing, Gate


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """A file of one page, open for both."""
    with Closing(os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)) as fd:
        os.ftruncate(fd, 4096)
        yield fd


def test_writable_shared_mapping_is_found(fresh: Gate, file: int, tmp_path: Path) -> None:
    """Shared and writable is refused, by the path; shared or writable alone is not."""
    with mmap.mmap(file, 4096, mmap.MAP_SHARED, mmap.PROT_READ):
        assert fresh.inspect() == []
    with mmap.mmap(file, 4096, mmap.MAP_PRIVATE):
        assert fresh.inspect() == []
    with mmap.mmap(file, 4096, mmap.MAP_SHARED), mmap.mmap(file, 4096, mmap.MAP_SHARED):
        assert fresh.only("shared-mapping") == f"{tmp_path}/file, writable and shared"


def test_nameless_shared_mapping_is_found(fresh: Gate) -> None:
    """Memory shared with children is told as such."""
    with mmap.mmap(-1, 4096):
        assert fresh.only("shared-mapping") == "memory without a name, writable and shared"


def test_lock_of_multiprocessing_is_found(fresh: Gate) -> None:
    """A semaphore shared by all requests, whose holder may be killed, is told as a lock."""
    lock = multiprocessing.get_context("fork").Lock()
    assert "a lock or semaphore of multiprocessing" in fresh.only("shared-mapping")
    del lock
    assert fresh.inspect() == []


def test_wal_index_of_sqlite_is_found(fresh: Gate, tmp_path: Path) -> None:
    """A database open in WAL mode is told by its index, whose mapping all would share."""
    database = sqlite3.connect(tmp_path / "notes.db")
    try:
        database.execute("pragma journal_mode=wal")
        database.execute("create table t (x)")
        texts = [finding.what for finding in fresh.inspect()]
    finally:
        database.close()
    assert len(texts) == 1
    assert texts[0].startswith(f"{tmp_path}/notes.db-shm, ")
