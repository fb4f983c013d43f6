# SPDX-License-Identifier: MIT
"""Snapshots, workers and resets of a whole interpreter."""

from __future__ import annotations

import contextlib
import decimal
import gc
import json
import mmap
import os
import random
import re
import sqlite3
import tempfile
import threading
import time
from pathlib import Path

from lwcgi import lwc
from tests.vm.guest_tests.programs import Board, freeze, program, refused, visit

ROUNDS = 20

state = {"requests": 0}
log: list[str] = []


def _open_descriptors() -> list[int]:
    """Return the numbers of open descriptors, without asking /proc, which needs one itself."""
    found = []
    for fd in range(64):
        with contextlib.suppress(OSError):
            os.fstat(fd)
            found.append(fd)
    return found


@program
def test_what_is_restored() -> None:
    """20 requests change globals, objects, files, mappings, environment: each finds none of it."""
    folder = Path(tempfile.mkdtemp())
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    kept = (folder / "kept").open("w+")

    def request(entered: lwc.Entered) -> int:
        [number] = entered.args
        assert state == {"requests": 0}
        assert not log
        assert page[0] == 0
        assert not kept.closed
        assert "LWC_REQUEST" not in os.environ
        assert not hasattr(json, "changed_by_a_request")
        found = _open_descriptors()
        state["requests"] += number
        log.extend(f"line {n}" for n in range(2000))
        page[0] = 255
        os.environ["LWC_REQUEST"] = str(number)
        json.changed_by_a_request = True  # type: ignore[attr-defined] # a leak
        globals()["log"] = None
        kept.close()
        held.append(bytearray(300_000))
        held.append((folder / f"new-{number}").open("w"))
        held.append(mmap.mmap(-1, 1 << 20))
        page.close()
        del state["requests"]
        return len(found)

    held: list[object] = []
    worker = lwc.clone(freeze(request))
    answers = []
    for number in range(1, ROUNDS + 1):
        [answer] = visit(worker, number)
        answers.append(answer)
        lwc.reset(worker)
    assert answers == answers[:1] * ROUNDS
    # What left the interpreter stays: files are no part of an lwC.
    assert len(list(folder.glob("new-*"))) == ROUNDS
    assert not held
    assert state == {"requests": 0}


@program
def test_libraries_work_after_a_reset() -> None:
    """sqlite3 in memory and in a file, json, re, decimal: the same answer 20 times."""
    folder = tempfile.mkdtemp()
    memory = sqlite3.connect(":memory:")
    memory.execute("CREATE TABLE numbers (n INTEGER)")
    memory.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(100)])
    memory.commit()

    def request(entered: lwc.Entered) -> int:
        memory.execute("INSERT INTO numbers VALUES (1000)")
        memory.commit()
        [(total,)] = memory.execute("SELECT SUM(n) FROM numbers")
        file = sqlite3.connect(os.path.join(folder, "kept.db"))
        file.execute("CREATE TABLE IF NOT EXISTS visits (n INTEGER)")
        file.execute("INSERT INTO visits VALUES (1)")
        file.commit()
        [(visits,)] = file.execute("SELECT COUNT(*) FROM visits")
        assert visits == entered.args[0]
        file.close()
        assert json.loads(json.dumps({"total": total, "text": "é" * 100}))["total"] == total
        assert re.compile(rf"(\d+)-{entered.args[0]}").match(f"12-{entered.args[0]}")
        decimal.getcontext().prec = 50
        return int(total)

    worker = lwc.clone(freeze(request))
    for number in range(1, ROUNDS + 1):
        assert visit(worker, number) == (5950,)
        lwc.reset(worker)
    assert decimal.getcontext().prec == 28
    [(total,)] = memory.execute("SELECT SUM(n) FROM numbers")
    assert total == 4950


@program
def test_each_entry_is_a_first_one() -> None:
    """The fork hooks of a child run at every first entry, so what they renew does not repeat."""
    board = Board()
    os.register_at_fork(after_in_child=lambda: board.say("hook"))

    def request(entered: lwc.Entered) -> int:
        board.say("request")
        return random.getrandbits(60)

    worker = lwc.clone(freeze(request))
    drawn = set()
    for _ in range(5):
        drawn.update(visit(worker))
        lwc.reset(worker)
    assert len(drawn) == 5
    assert board.lines() == ["hook", "request"] * 5


@program
def test_workers_are_independent() -> None:
    """Three workers of one snapshot go on where each of them was, and one reset is its own."""

    def request(entered: lwc.Entered) -> None:
        assert entered.creator
        while True:
            state["requests"] += 1
            lwc.switch(entered.creator, state["requests"])

    frozen = freeze(request)
    workers = [lwc.clone(frozen) for _ in range(3)]
    for number in range(1, 4):
        assert [visit(worker) for worker in workers] == [(number,)] * 3
    lwc.reset(workers[1])
    assert [visit(worker) for worker in workers] == [(4,), (1,), (4,)]
    assert state["requests"] == 0
    frozen.close()
    refused(lwc.StaleContext, lambda: lwc.reset(workers[0]))
    assert visit(workers[0]) == (5,)


@program
def test_a_request_that_raises() -> None:
    """An exception leaves things half done; after the reset they are not done at all."""

    def request(entered: lwc.Entered) -> int:
        try:
            state["requests"] = 5
            log.append("half")
            if entered.args[0] % 2:
                raise RuntimeError("in the middle")
        except RuntimeError:
            return 500
        return len(log)

    worker = lwc.clone(freeze(request))
    for number in range(6):
        assert visit(worker, number) == ((500,) if number % 2 else (1,))
        lwc.reset(worker)


@program
def test_collections_in_a_worker() -> None:
    """Cycles of the snapshot can be collected in each request, with their finalisers."""
    board = Board()

    class Node:
        def __init__(self) -> None:
            self.me = self
            self.ballast = [object() for _ in range(200)]

        def __del__(self) -> None:
            board.say("gone")

    nodes = [Node() for _ in range(10)]

    def request(entered: lwc.Entered) -> int:
        nodes.clear()
        gc.collect()
        nodes.extend(Node() for _ in range(3))
        return len(board.lines())

    worker = lwc.clone(freeze(request))
    for number in range(1, 4):
        assert visit(worker) == (10 * number,)
        lwc.reset(worker)
    assert len(nodes) == 10
    assert all(node.me is node for node in nodes)


@program
def test_processes_of_a_worker() -> None:
    """What a worker forks is a process of its own, which a reset does not concern."""

    def request(entered: lwc.Entered) -> int:
        state["requests"] += 3
        pid = os.fork()
        if pid == 0:
            os._exit(state["requests"])
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    worker = lwc.clone(freeze(request))
    for _ in range(3):
        assert visit(worker) == (3,)
        lwc.reset(worker)


@program
def test_threads_of_a_worker_end_with_the_reset() -> None:
    """A thread that a request left behind does not run in the next one."""
    shared = mmap.mmap(-1, mmap.PAGESIZE)

    def beat() -> None:
        while True:
            shared[0] = (shared[0] + 1) % 256
            time.sleep(0.001)

    def request(entered: lwc.Entered) -> int:
        assert threading.active_count() == 1
        threading.Thread(target=beat, daemon=True).start()
        deadline = time.monotonic() + 30
        while not shared[0] and time.monotonic() < deadline:
            time.sleep(0.001)
        return shared[0]

    worker = lwc.clone(freeze(request))
    for _ in range(3):
        shared[0] = 0
        [beats] = visit(worker)
        assert beats
        lwc.reset(worker)
        before = shared[0]
        time.sleep(0.05)
        assert shared[0] == before


@program
def test_frozen_in_the_middle() -> None:
    """A snapshot taken deep in with blocks and loops goes on there, in every round."""
    board = Board()

    class Noted:
        def __enter__(self) -> None:
            board.say("in")

        def __exit__(self, *_: object) -> None:
            board.say("out")

    def dig(depth: int) -> lwc.Context | lwc.Entered:
        if depth:
            with Noted():
                return dig(depth - 1)
        return lwc.snapshot()

    result = dig(3)
    if isinstance(result, lwc.Entered):
        assert result.creator
        lwc.switch(result.creator, len(board.lines()))
    assert board.lines() == ["in"] * 3 + ["out"] * 3
    worker = lwc.clone(result)
    for number in range(1, 4):
        assert visit(worker) == (6 + 3 * number,)
        lwc.reset(worker)
