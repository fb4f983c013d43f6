# SPDX-License-Identifier: MIT
"""The snapshot gate: what is refused, how it is named, and what may pass."""

from __future__ import annotations

import _thread
import asyncio
import ctypes
import mmap
import multiprocessing
import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest

from lwcgi import gate
from lwcgi.gate import Finding

LIBC = ctypes.CDLL(None, use_errno=True)


class Gate:
    """The gate, for what is opened after this object was made."""

    def __init__(self) -> None:
        self.own = frozenset(gate.application_fds(frozenset()))
        self.before = set(gate.inspect(self.own, frozenset()))

    def inspect(self, *allow: str) -> list[Finding]:
        """Return the new findings."""
        found = gate.inspect(self.own, frozenset(allow))
        return [finding for finding in found if finding not in self.before]

    def only(self, kind: str) -> str:
        """Assert that there is one finding, of that kind, which can be allowed; return its text."""
        [finding] = self.inspect()
        assert finding.kind == kind
        assert finding.remedy
        assert self.inspect(kind) == []
        return finding.what


@pytest.fixture
def fresh() -> Gate:
    """A gate that knows what the test runner itself has."""
    return Gate()


class Closing:
    """Closes a bare descriptor at the end of a block."""

    def __init__(self, fd: int) -> None:
        assert fd >= 0, os.strerror(ctypes.get_errno())
        self.fd = fd

    def __enter__(self) -> int:
        return self.fd

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.fd)


def test_nothing_to_find(fresh: Gate) -> None:
    """An application that holds nothing passes."""
    assert fresh.inspect() == []
    assert gate.application_fds(fresh.own) == []


# --- threads -----------------------------------------------------------------


class Flusher(threading.Thread):
    """A thread of a class of the application's own."""

    def __init__(self) -> None:
        super().__init__(name="flusher")
        self.stop = threading.Event()

    def run(self) -> None:
        """Wait for the end."""
        self.stop.wait()


def test_thread_is_named(fresh: Gate) -> None:
    """A thread is told by name, class and place; gone, it is no finding any more."""
    thread = Flusher()
    thread.start()
    try:
        what = fresh.only("thread")
    finally:
        thread.stop.set()
        thread.join()
    assert what.startswith(f"thread 'flusher' ({__name__}.Flusher), in ")
    assert "threading.py:" in what
    assert fresh.inspect() == []


def test_thread_without_a_name(fresh: Gate) -> None:
    """A thread that the module `threading` does not know is told by where it is."""
    lock, ended = threading.Lock(), threading.Lock()
    lock.acquire()
    ended.acquire()
    running = threading.Event()

    def wait_here() -> None:
        running.set()
        with lock:
            ended.release()

    _thread.start_new_thread(wait_here, ())
    running.wait(10)
    try:
        what = fresh.only("thread")
    finally:
        lock.release()
        ended.acquire()
    assert f"in wait_here ({__file__}:" in what


def test_native_threads_are_only_counted() -> None:
    """A program with numpy, whose BLAS has threads, passes with nothing allowed."""
    program = """
import os
before = None
from lwcgi import gate
before = gate.native_threads()
import numpy
a = numpy.random.rand(300, 300); a @ a
import threading
count = len(os.listdir("/proc/self/task")) - 1
print(gate.inspect(frozenset(), frozenset()), before, gate.native_threads() == count)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=dict(os.environ, OPENBLAS_NUM_THREADS="2"),
        check=True,
    )
    assert done.stdout == "[] 0 True\n"


def test_python_threads_are_not_native() -> None:
    """native_threads() leaves Python's own out, extra_threads() does not."""
    native, extra = gate.native_threads(), gate.extra_threads()
    thread = Flusher()
    thread.start()
    try:
        assert gate.native_threads() == native
        assert gate.extra_threads() == extra + 1
    finally:
        thread.stop.set()
        thread.join()


# --- sockets -----------------------------------------------------------------


def test_connected_socket_is_named(fresh: Gate) -> None:
    """A connection is told by its peer; both of its ends here are found."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            findings = fresh.inspect()
            assert [finding.kind for finding in findings] == ["socket", "socket"]
            assert findings[0].what == (
                f"descriptor {server.fileno()}, AF_INET SOCK_STREAM listening on 127.0.0.1:{port}"
            )
            assert findings[1].what == (
                f"descriptor {client.fileno()}, AF_INET SOCK_STREAM connected to 127.0.0.1:{port}"
            )
    assert fresh.inspect() == []


def test_sockets_of_other_families(fresh: Gate, tmp_path: Path) -> None:
    """Unix, abstract, IPv6 and unconnected sockets are told as what they are."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "s"))
        assert fresh.only("socket").endswith(f"AF_UNIX SOCK_DGRAM bound to {tmp_path}/s")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(b"\0lwcgi-gate-test-%d" % os.getpid())
        sock.listen()
        assert "listening on @lwcgi-gate-test-" in fresh.only("socket")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("::", 0))
        port = sock.getsockname()[1]
        assert fresh.only("socket").endswith(f"AF_INET6 SOCK_DGRAM bound to [::]:{port}")
    pair = socket.socketpair()
    with pair[0], pair[1]:
        assert all("without a name" in finding.what for finding in fresh.inspect())
        assert len(fresh.inspect()) == 2
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0):
        assert "AF_NETLINK SOCK_RAW" in fresh.only("socket")


# --- pipes -------------------------------------------------------------------


def test_pipe_is_found(fresh: Gate, tmp_path: Path) -> None:
    """Both ends of a pipe, and a named one, are told with the direction."""
    reading, writing = os.pipe()
    with Closing(reading), Closing(writing):
        texts = [finding.what for finding in fresh.inspect()]
        assert texts[0].startswith(f"descriptor {reading}, read end of pipe:[")
        assert texts[1].startswith(f"descriptor {writing}, write end of pipe:[")
        assert fresh.inspect("pipe") == []
    os.mkfifo(tmp_path / "fifo")
    with Closing(os.open(tmp_path / "fifo", os.O_RDWR)):
        assert fresh.only("pipe").endswith(f"read and write end of {tmp_path}/fifo")


def test_copy_of_standard_output_passes() -> None:
    """What was duplicated from standard output or error is the gateway's, not a finding."""
    program = (
        "import os; copies = [os.dup(1), os.dup(2)]\n"
        "from lwcgi import gate\n"
        "print(gate.inspect(frozenset(), frozenset()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# --- the kernel's anonymous objects ------------------------------------------


def _timerfd() -> int:
    return int(LIBC.timerfd_create(1, os.O_CLOEXEC))


def _signalfd() -> int:
    mask = (ctypes.c_uint64 * 16)(1 << (signal.SIGUSR1 - 1))
    return int(LIBC.signalfd(-1, mask, os.O_CLOEXEC))


def _io_uring() -> int:
    fd = int(LIBC.syscall(425, 4, (ctypes.c_char * 120)()))
    if fd < 0:
        pytest.skip(f"io_uring: {os.strerror(ctypes.get_errno())}")
    return fd


def _userfaultfd() -> int:
    fd = int(LIBC.syscall(323, os.O_CLOEXEC | 1))
    if fd < 0:
        pytest.skip(f"userfaultfd: {os.strerror(ctypes.get_errno())}")
    return fd


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("eventpoll", lambda: LIBC.epoll_create1(os.O_CLOEXEC)),
        ("inotify", lambda: LIBC.inotify_init1(os.O_CLOEXEC)),
        ("eventfd", lambda: os.eventfd(0)),
        ("timerfd", _timerfd),
        ("signalfd", _signalfd),
        ("io_uring", _io_uring),
        ("userfaultfd", _userfaultfd),
        ("pidfd", lambda: os.pidfd_open(os.getpid())),
    ],
)
def test_event_descriptor_is_found(fresh: Gate, name: str, make: Callable[[], int]) -> None:
    """Every kind of anonymous descriptor is refused by its name."""
    with Closing(make()) as fd:
        what = fresh.only("event")
        assert what.startswith(f"descriptor {fd}, {name}")


def test_event_loop_is_found(fresh: Gate) -> None:
    """An asyncio loop left open is an epoll set and a pair of sockets."""
    loop = asyncio.new_event_loop()
    try:
        kinds = sorted(finding.kind for finding in fresh.inspect())
    finally:
        loop.close()
    assert kinds == ["event", "socket", "socket"]
    assert fresh.inspect() == []


def test_selector_is_found(fresh: Gate) -> None:
    """select.epoll of Python is found like one of C."""
    with select.epoll():
        assert "eventpoll" in fresh.only("event")


# --- mappings ----------------------------------------------------------------


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
