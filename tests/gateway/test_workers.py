# SPDX-License-Identifier: MIT
"""SIGTTIN and SIGTTOU: one worker more, one worker less."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.contract.checks.asking import waiting
from tests.harness import Gateway, processes, until


@pytest.fixture(params=["rewind", "fork", "none"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway with one worker."""
    with Gateway(engine=request.param, options={"log-level": "debug"}) as running:
        running.wait_for_log("ready")
        yield running


def has(gateway: Gateway, count: int) -> None:
    """Wait until there are so many workers."""
    until(lambda: len(gateway.workers()) == count, f"{count} workers, not {gateway.workers()}")


def test_more_and_less(gateway: Gateway) -> None:
    """Each signal is one worker, told in the log; a reload keeps the new number."""
    for number in (2, 3):
        gateway.process.send_signal(signal.SIGTTIN)
        gateway.wait_for_log(f"INFO SIGTTIN: {number} workers instead of {number - 1}")
        has(gateway, number)
    gateway.process.send_signal(signal.SIGTTOU)
    gateway.wait_for_log("INFO SIGTTOU: 2 workers instead of 3")
    has(gateway, 2)
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for_log("ready: 2 workers")
    until(lambda: len(processes.children(gateway.process.pid)) == 1, "the old generation to go")
    has(gateway, 2)


def test_never_below_one(gateway: Gateway) -> None:
    """The last worker stays."""
    gateway.process.send_signal(signal.SIGTTOU)
    gateway.wait_for_log("WARNING SIGTTOU: there are 1 workers, and it stays so")
    assert gateway.get("/environment").status == 200


def test_request_of_the_one_that_leaves(gateway: Gateway) -> None:
    """Workers that leave end what they are at; whoever waits is served by the others."""
    with waiting(gateway) as first:
        gateway.process.send_signal(signal.SIGTTIN)
        has(gateway, 2)
        with waiting(gateway) as second:
            gateway.process.send_signal(signal.SIGTTOU)
            gateway.wait_for_log("SIGTTOU: 1 workers instead of 2")
            second.release()
            assert second.connection.answer().json() == second.pid
            has(gateway, 1)
        first.release()
        assert first.connection.answer().json() == first.pid
    assert gateway.get("/environment").status == 200


def test_a_worker_more_relieves_the_busy_one(gateway: Gateway) -> None:
    """Kept connections of a blocked worker are served by one that came later."""
    connections = [gateway.connect() for _ in range(5)]
    for connection in connections:
        assert connection.get("/environment", keep=True).status == 200
    with waiting(gateway) as blocked:
        gateway.process.send_signal(signal.SIGTTIN)
        has(gateway, 2)
        for connection in connections:
            assert connection.get("/environment", keep=True).status == 200
        blocked.release()
        assert blocked.connection.answer().json() == blocked.pid
    for connection in connections:
        connection.close()
