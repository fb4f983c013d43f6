# SPDX-License-Identifier: MIT
"""The snapshot gate: threads of Python are refused by name, native ones are counted."""

from __future__ import annotations

import _thread
import os
import subprocess
import sys
import threading

from lwcgi import gate
from tests.unit.gate_probe import Gate


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
