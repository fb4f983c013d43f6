# SPDX-License-Identifier: MIT
"""Which worker serves which connection: nobody starves, nothing is lost."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.apps import machine
from tests.contract.checks.asking import get, waiting
from tests.harness import Gateway, fastcgi, processes, until
from tests.harness.crowd import Crowd

CONNECTIONS = 64
_SYS_PIDFD_GETFD = 438


class Deaf(Crowd):
    """The first of a listener's waiters: is woken for each connection, and takes none.

    Parameters:
        listener: whose.
    """

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(1)
        self.told = 0
        self._epoll = select.epoll()
        self._epoll.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def _act(self, _number: int) -> None:
        while not self._stop.is_set():
            self.told += len(self._epoll.poll(0.5))
        self._epoll.close()


def _listener(gateway: Gateway) -> socket.socket:
    """Return the socket on which the supervisor listens (pidfd_getfd(2))."""
    process = os.pidfd_open(gateway.process.pid)
    try:
        for name in os.listdir(f"/proc/{gateway.process.pid}/fd"):
            try:
                fd = machine.check(machine.LIBC.syscall(_SYS_PIDFD_GETFD, process, int(name), 0))
            except OSError:  # closed meanwhile
                continue
            if not os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                os.close(fd)
                continue
            found = socket.socket(fileno=fd)
            if found.getsockname() == gateway.address:
                return found
            found.close()
    finally:
        os.close(process)
    raise LookupError(gateway.address)


class Visitor(threading.Thread):
    """Sends requests over one kept connection, one after the other, until told to stop.

    Like a web server it opens a new connection only where the gateway said farewell.
    """

    def __init__(self, gateway: Gateway, number: int, path: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._gateway = gateway
        self.connection = gateway.connect(60)
        self.number = number
        self._path = path
        self.answers = 0
        self.problem: str | None = None
        self._stop_asked = stop

    def run(self) -> None:
        """Ask and count; a wrong or missing answer ends it."""
        try:
            while not self._stop_asked.is_set():
                target = f"{self._path}?{self.number}-{self.answers}"
                answer = self.connection.get(target, keep=True)
                assert answer.json() == target
                self.answers += 1
                if self.connection.dismissed():
                    self.connection.close()
                    self.connection = self._gateway.connect(60)
        except (AssertionError, OSError) as error:
            self.problem = f"{self.number} after {self.answers} answers: {error!r}"
        finally:
            self.connection.close()


@contextmanager
def visitors(gateway: Gateway, count: int, path: str = "/quick") -> Iterator[list[Visitor]]:
    """Keep *count* connections busy; afterwards no request of them was lost."""
    stop = threading.Event()
    everyone = [Visitor(gateway, number, path, stop) for number in range(count)]
    for visitor in everyone:
        visitor.start()
    try:
        until(lambda: all(v.answers for v in everyone) or _problems(everyone), "first answers")
        yield everyone
    finally:
        stop.set()
        for visitor in everyone:
            visitor.join(60)
    assert not _problems(everyone)
    assert not any(visitor.is_alive() for visitor in everyone)


def _problems(everyone: list[Visitor]) -> list[str]:
    return [visitor.problem for visitor in everyone if visitor.problem]


def _all_go_on(everyone: list[Visitor], times: int = 2) -> None:
    """Wait until each visitor got *times* more answers."""
    before = [visitor.answers for visitor in everyone]

    def served() -> bool:
        return bool(_problems(everyone)) or all(
            v.answers >= b + times for v, b in zip(everyone, before, strict=True)
        )

    try:
        until(served, "every connection to be served", 40)
    except AssertionError as error:
        slow = [v.number for v, b in zip(everyone, before, strict=True) if v.answers < b + times]
        raise AssertionError(f"{error}; these starve: {slow}") from None
    assert not _problems(everyone)


@pytest.fixture(scope="module", params=["rewind", "fork", "none"])
def pair(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway with two workers."""
    with Gateway(
        engine=request.param, options={"workers": 2, "timeout": "100s", "log-level": "debug"}
    ) as gateway:
        until(lambda: len(gateway.workers()) == 2, "two workers")
        yield gateway


def _worker_of(pid: int) -> int:
    process = processes.look(pid)
    assert process
    return process.parent


def test_kept_connections_share_workers(pair: Gateway) -> None:
    """64 kept connections on 2 workers, one blocked and one replaced: none starves or is lost."""
    with visitors(pair, CONNECTIONS) as everyone:
        with waiting(pair) as blocked:
            blocked_worker = _worker_of(blocked.pid)
            (other,) = set(pair.workers()) - {blocked_worker}
            _all_go_on(everyone)
            os.kill(other, signal.SIGTERM)
            until(lambda: not processes.alive(other), "the stopped worker to end")
            _all_go_on(everyone)
            assert processes.alive(blocked.pid)
            blocked.release()
            assert blocked.connection.answer().json() == blocked.pid
        _all_go_on(everyone)
    assert blocked_worker in pair.workers()


def test_a_busy_worker_takes_no_connection(pair: Gateway) -> None:
    """While one worker is blocked, new connections are all served by the other."""
    with waiting(pair) as blocked:
        busy = _worker_of(blocked.pid)
        roots = {pair.get("/state").json()["root"] for _ in range(20)}
        assert busy not in roots
        assert len(roots) == 1


def test_waiting_for_a_worker(pair: Gateway) -> None:
    """With all workers blocked, requests wait, and are answered when one is free again."""
    with waiting(pair) as one, waiting(pair) as two:
        assert _worker_of(one.pid) != _worker_of(two.pid)
        late = [pair.connect() for _ in range(5)]
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda c=c: answers.append(c.get("/environment").status))
            for c in late
        ]
        for thread in threads:
            thread.start()
        assert answers == []
        one.release()
        for thread in threads:
            thread.join(30)
        for connection in late:
            connection.close()
        assert answers == [200] * 5
        assert processes.alive(two.pid)


def _replace(gateway: Gateway, worker: int) -> None:
    os.kill(worker, signal.SIGTERM)
    until(lambda: not processes.alive(worker), "the worker to end")
    until(lambda: len(gateway.workers()) == 2, "its successor")


def test_busy_connections_survive_their_workers(pair: Gateway) -> None:
    """Workers end gracefully though requests never cease, and lose none."""
    with visitors(pair, 24, "/slow") as everyone:
        for _ in range(4):
            _replace(pair, pair.workers()[0])
            _all_go_on(everyone)


def test_idle_connections_are_handed_on(pair: Gateway) -> None:
    """An idle kept connection survives the graceful end of the worker that holds it."""
    connections = [pair.connect() for _ in range(10)]
    try:
        for connection in connections:
            assert connection.get("/environment", keep=True).status == 200
        for worker in pair.workers():
            _replace(pair, worker)
        for connection in connections:
            assert not connection.dismissed()
            assert connection.get("/environment?after", keep=True).status == 200
    finally:
        for connection in connections:
            connection.close()


def test_an_unfinished_request_blocks_nobody(pair: Gateway) -> None:
    """A hundred connections that stop in the middle of a request do not hold the workers."""
    half = b"\x01\x01\x00\x01\x00\x08\x00\x00" + b"\x00\x01\x01" + bytes(5) + b"\x01\x04\x00\x01"
    stuck = [pair.connect() for _ in range(100)]
    try:
        for connection in stuck:
            connection.send(half)
        for _ in range(20):
            assert pair.get("/environment").status == 200
    finally:
        for connection in stuck:
            connection.close()


def test_more_than_1024_connections(pair: Gateway) -> None:
    """1,500 kept connections work, the last as well as the first (CVE-2012-6687)."""
    connections = [pair.connect(60) for _ in range(1500)]
    try:
        for connection in connections:
            assert connection.get("/environment", keep=True).status == 200
        for connection in (connections[0], connections[1023], connections[1024], connections[-1]):
            assert connection.get("/environment?last", keep=True).complete
    finally:
        for connection in connections:
            connection.close()
    assert pair.get("/environment").status == 200


def test_new_connections_get_in_beside_busy_ones(pair: Gateway) -> None:
    """Every other turn is a new connection's, however busy the kept ones are."""
    with visitors(pair, CONNECTIONS, "/slow") as everyone:
        until(lambda: all(v.answers for v in everyone), "every kept connection to be served")
        before = sum(v.answers for v in everyone)
        for _ in range(20):
            assert pair.get("/quick").status == 200
        meanwhile = sum(v.answers for v in everyone) - before
    # In turns with all the others each of the twenty would wait for about 64 answers.
    assert meanwhile < 20 * CONNECTIONS // 2, f"{meanwhile} answers to kept connections meanwhile"


@pytest.mark.parametrize("engine", ["rewind", "none"])
def test_kept_connections_beside_deaths(engine: str) -> None:
    """Who waits is served in turn, though the process that knows who waits dies each time."""
    options = {"timeout": "100s", "access-log": "-"}
    with Gateway(engine=engine, options=options) as gateway, ExitStack() as opened:
        kept = opened.enter_context(gateway.connect(60))
        assert kept.get("/quick", keep=True).status == 200
        with waiting(gateway):
            new = [opened.enter_context(gateway.connect()) for _ in range(CONNECTIONS)]
            for connection in new:
                connection.send(get("/do?end=os_exit"))
            kept.send(get("/quick?kept", fastcgi.KEEP_CONN))
        assert kept.answer().status == 200
        assert all(connection.answer().status == 500 for connection in new)
        order = gateway.wait_for_log(r'"GET (/quick\?kept|/do\?end=os_exit) ', CONNECTIONS + 1)
    ahead = order.index("/quick?kept")
    assert ahead < CONNECTIONS // 4


def test_no_more_connections_than_the_limit() -> None:
    """Requests that cost their process leave a full worker full: there is no room for more."""
    few = ("sh", "-c", 'ulimit -S -n 200; exec "$@"', "sh", sys.executable, "-m", "lwcgi")
    options = {"timeout": "100s"}
    with Gateway(engine="rewind", options=options, program=few) as gateway, ExitStack() as opened:
        connections = [opened.enter_context(gateway.connect(60)) for _ in range(190)]
        kept = connections[:20]
        for connection in kept:
            assert connection.get("/quick", keep=True).status == 200
        for connection in connections[20:]:
            connection.send(get("/quick", fastcgi.KEEP_CONN))
        (worker,) = gateway.workers()
        full = until(lambda: _count_above(worker, 80), "a full worker")
        for connection in kept * 4:
            assert connection.get("/do?act=leave_thread", keep=True).status == 200
        assert processes.descriptors(worker) < full + 15


def _count_above(pid: int, least: int) -> int:
    """Return how many descriptors *pid* has, where they are more than *least* and come to rest."""
    before = processes.descriptors(pid)
    time.sleep(0.5)
    after = processes.descriptors(pid)
    return after if after > least and after == before else 0


def test_a_connection_that_a_deaf_one_was_told_of(pair: Gateway) -> None:
    """The kernel wakes one for a connection; where that one is dying, another worker looks."""
    with _listener(pair) as listener, Deaf(listener) as deaf:
        for worker in pair.workers():
            _replace(pair, worker)
        assert pair.get("/quick").status == 200  # the new ones wait, behind the deaf one
        heard = []
        for _ in range(3):
            time.sleep(0.1)  # the last is heard of no more, and the deaf one waits again
            before = deaf.told
            assert pair.get("/quick").status == 200
            heard.append(deaf.told - before)
        assert any(heard)
