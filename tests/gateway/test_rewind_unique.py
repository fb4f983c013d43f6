# SPDX-License-Identifier: MIT
"""No two requests draw the same randomness, over many requests, workers and ways to end."""

from __future__ import annotations

import random
import select
import struct
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.contract.checks.asking import get
from tests.harness import Gateway, fastcgi

if TYPE_CHECKING:
    from tests.harness import Connection

CONNECTIONS = 6
SHARES = {
    "/in-place": 0.94, "/new-task": 0.03, "/fork": 0.01, "/exception": 0.015, "/exit": 0.003,
    "/native-threads": 0.0008, "/crash": 0.001, "/new-worker": 0.0002,
}  # fmt: skip
"""How the requests go, as parts of one."""

END = struct.pack("!BBHHBB", 1, fastcgi.END_REQUEST, 1, 8, 0, 0)


class Asking:
    """Requests on several connections at a time, as fast as they are answered.

    Parameters:
        gateway: whom to ask.
        paths: what to ask, one after the other.
    """

    def __init__(self, gateway: Gateway, paths: list[str]) -> None:
        self._gateway = gateway
        self._left = paths
        self._requests = {path: get(path, fastcgi.KEEP_CONN) for path in SHARES}
        self._poll = select.epoll()
        self._open: dict[int, Connection] = {}
        self.answered = self.cut = 0

    def _connect(self) -> None:
        connection = self._gateway.connect()
        self._open[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, select.EPOLLIN)
        self._ask(connection)

    def _ask(self, connection: Connection) -> None:
        connection.send(self._requests[self._left.pop()])

    def _end(self, connection: Connection) -> None:
        del self._open[connection.socket.fileno()]
        self._poll.unregister(connection.socket)
        connection.close()
        if self._left:
            self._connect()

    def _take(self, connection: Connection) -> None:
        data = connection.socket.recv(65536)
        end = data.find(END)
        if end < 0:
            self.cut += 1  # by a worker that was replaced
        self.answered += end >= 0
        if end < 0 or data[end + 16 :] or not self._left:
            self._end(connection)
        else:
            self._ask(connection)

    def run(self) -> None:
        """Ask all of them."""
        for _ in range(CONNECTIONS):
            self._connect()
        while self._open:
            ready = self._poll.poll(20)
            assert ready, "no answer within 20 seconds"
            for number, _ in ready:
                if number in self._open:
                    self._take(self._open[number])


@pytest.mark.parametrize("requests", [100_000])
def test_nothing_is_drawn_twice(requests: int) -> None:
    """Over two workers, their successors and all ways to end, each draw differs from all others."""
    paths = random.Random(0).choices([*SHARES], [*SHARES.values()], k=requests)
    expected = Counter(paths)
    options = {"workers": 2, "log-level": "warning"}
    with Gateway("tests.apps.draws:app", "rewind", options) as gateway:
        asking = Asking(gateway, paths)
        asking.run()
        lines = (gateway.folder / "draws").read_text().splitlines()
    assert asking.answered + asking.cut == requests
    assert asking.cut <= expected["/new-worker"] * CONNECTIONS
    assert len(lines) >= requests - asking.cut
    for source, values in enumerate(zip(*map(str.split, lines), strict=True)):
        repeated = [value for value, times in Counter(values).items() if times > 1]
        assert not repeated, f"source {source} repeats itself: {repeated[:10]}"
