# SPDX-License-Identifier: MIT
"""Requests that come when they come: at random times, whether the last is answered or not."""

from __future__ import annotations

import random
import select
import socket
import time

from bench.burst import SECONDS, BurstError, request

CONNECTIONS = 64
_LARGEST = 1 << 18


def delays(address: str, rate: float, seconds: float, seed: int) -> list[float]:
    """Make requests at *rate* per second (a Poisson process); return how long each took.

    A request's time begins when it was due, not when it could be sent: what waits behind a slow
    one counts. In microseconds, ascending.

    Raises:
        BurstError: an answer did not come, or not at once.
    """
    chance = random.Random(seed)
    data = request()
    due = [0.0]
    while due[-1] < seconds:
        due.append(due[-1] + chance.expovariate(rate))
    with select.epoll() as answers:
        sockets = [_connect(address) for _ in range(CONNECTIONS)]
        for each in sockets:
            answers.register(each, select.EPOLLIN)
        try:
            return sorted(_ask(sockets, answers, data, due))
        finally:
            for each in sockets:
                each.close()


def _ask(
    sockets: list[socket.socket], answers: select.epoll, data: bytes, due: list[float]
) -> list[float]:
    """Send *data* at the times *due*, in seconds from now; never sleep in between."""
    free = list(sockets)
    by_number = {each.fileno(): each for each in sockets}
    sent_for: dict[int, float] = {}
    found: list[float] = []
    start = time.monotonic()
    sent = 0
    while len(found) < len(due):
        now = time.monotonic() - start
        if sent < len(due) and now >= due[sent] and free:
            connection = free.pop()
            connection.send(data)
            sent_for[connection.fileno()] = due[sent]
            sent += 1
            continue
        for number, _ in answers.poll(0):
            if not by_number[number].recv(_LARGEST):
                raise BurstError("the gateway closed a connection")
            found.append((time.monotonic() - start - sent_for.pop(number)) * 1e6)
            free.append(by_number[number])
        if now > due[-1] + SECONDS:
            raise BurstError(f"{len(due) - len(found)} requests were not answered")
    return found


def _connect(address: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(SECONDS)
    connection.connect(address)
    return connection
