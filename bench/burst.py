# SPDX-License-Identifier: MIT
"""A FastCGI client that costs little: bursts of requests over connections that stay open.

All requests of a burst are sent before the first answer is read. So from its second request on
a burst finds the worker busy, and never waiting for us.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from tests.harness import fastcgi

BURST = 16
SECONDS = 30.0
_LARGEST = 1 << 18
_END = fastcgi.record(fastcgi.END_REQUEST, 1, bytes(8))


class BurstError(Exception):
    """The gateway gave another answer than before."""


def request(path: str = "/", query: str = "") -> bytes:
    """Return a GET request as nginx with Debian's ``fastcgi_params`` sends it."""
    values = {
        "QUERY_STRING": query,
        "REQUEST_METHOD": "GET",
        "CONTENT_TYPE": "",
        "CONTENT_LENGTH": "",
        "SCRIPT_NAME": path,
        "REQUEST_URI": f"{path}?{query}" if query else path,
        "DOCUMENT_URI": path,
        "DOCUMENT_ROOT": "/usr/share/nginx/html",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_SCHEME": "http",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": "nginx/1.22.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "40000",
        "SERVER_ADDR": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_NAME": "localhost",
        "REDIRECT_STATUS": "200",
        "HTTP_HOST": "localhost",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    }
    pairs = fastcgi.pairs((name.encode(), value.encode()) for name, value in values.items())
    return (
        fastcgi.begin(flags=fastcgi.KEEP_CONN)
        + fastcgi.closed_stream(fastcgi.PARAMS, 1, pairs)
        + fastcgi.record(fastcgi.STDIN, 1)
    )


class Client:
    """BURST connections to one gateway.

    Parameters:
        address: path of its socket.
        requests: sent in turn, and from the first again.
        closes: the gateway closes a connection after its answer.

    Attributes:
        pause: seconds between two bursts, in which the worker gets rid of the last request.
        sent: when each burst of the last run began (CLOCK_MONOTONIC, nanoseconds).
    """

    def __init__(self, address: str, requests: Sequence[bytes], closes: bool = False) -> None:
        self._address = address
        self._requests = requests
        self._closes = closes
        self._answers: dict[bytes, bytes] = {}
        self._sockets: list[socket.socket] = []
        self._next = 0
        self.pause = 0.0
        self.sent: list[int] = []

    def run(self, bursts: int) -> None:
        """Make *bursts* times BURST requests.

        Raises:
            BurstError: an answer differs from the first one to the same request.
            OSError: none came.
        """
        self.sent = []
        for _ in range(bursts):
            time.sleep(self.pause)
            self._burst()

    def close(self) -> None:
        """Close the connections; another run opens new ones."""
        for each in self._sockets:
            each.close()
        self._sockets = []

    def _burst(self) -> None:
        if not self._sockets:
            self._sockets = [self._connect() for _ in range(BURST)]
        start = self._next
        count = len(self._requests)
        requests = [self._requests[(start + i) % count] for i in range(BURST)]
        self._next = (start + BURST) % count
        self.sent.append(time.monotonic_ns())
        for each, data in zip(self._sockets, requests, strict=True):
            each.send(data)
        for each, data in zip(self._sockets, requests, strict=True):
            answer = each.recv(_LARGEST)
            if answer != self._answers.get(data) or self._closes:
                self._check(each, data, answer)
        if self._closes:
            self.close()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(SECONDS)
        connection.connect(self._address)
        return connection

    def _check(self, each: socket.socket, data: bytes, answer: bytes) -> None:
        """Read what is left of an answer that came in parts, or is the first of its kind."""
        while self._closes or not answer.endswith(_END):
            more = each.recv(_LARGEST)
            if not more:
                break
            answer += more
        known = self._answers.setdefault(data, answer)
        if answer != known:
            raise BurstError(f"answered {known!r:.300} at first and then {answer!r:.300}")
