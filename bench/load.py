# SPDX-License-Identifier: MIT
"""An HTTP/1.1 client for many connections that checks every answer it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back.

    Parameters:
        status: of the HTTP answer; 0 when none came.
        body: as far as it came.
        complete: the whole body came.
    """

    status: int
    body: bytes
    complete: bool


@dataclass(frozen=True)
class Job:
    """One request and the judge of its answer.

    Parameters:
        request: all of its bytes.
        wrong: returns what is wrong with the answer, or an empty text.
    """

    request: bytes
    wrong: Callable[[Answer], str]


def request_bytes(method: str, target: str, body: bytes = b"") -> bytes:
    """Return an HTTP/1.1 request, to be answered on a kept connection."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n".encode() + body


class Client:
    """One connection to 127.0.0.1:*port*, kept as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def work(self, jobs: Iterator[Job]) -> list[str]:
        """Do *jobs*, shared with other clients, until there are no more; return what was wrong."""
        complaints = []
        for job in jobs:
            try:
                answer = await asyncio.wait_for(self._ask(job.request), ANSWER_SECONDS)
            except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError) as error:
                answer = Answer(0, repr(error).encode(), complete=False)
                self.close()
            complaint = job.wrong(answer)
            if complaint:
                target = job.request.split(b"\r\n", 1)[0].decode()
                complaints.append(f"{target}: {complaint}")
        return complaints

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _ask(self, request: bytes) -> Answer:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status_line, *lines = head[:-4].decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        status = int(status_line.split(" ")[1])
        body, complete = await self._body(self._reader, headers)
        if not complete or headers.get("connection") == "close":
            self.close()
        return Answer(status, body, complete)

    async def _body(
        self, reader: asyncio.StreamReader, headers: dict[str, str]
    ) -> tuple[bytes, bool]:
        chunked = headers.get("transfer-encoding") == "chunked"
        pieces = []
        try:
            if not chunked:
                pieces.append(await reader.readexactly(int(headers["content-length"])))
            while chunked:
                size = int(await reader.readuntil(b"\r\n"), 16)
                pieces.append((await reader.readexactly(size + 2))[:-2])
                chunked = size > 0
        except asyncio.IncompleteReadError as cut:
            return b"".join(pieces) + cut.partial, False
        return b"".join(pieces), True


async def drive(clients: list[Client], jobs: Iterator[Job]) -> list[str]:
    """Let all *clients* work on *jobs* at once; return what was wrong, one text each."""
    found = await asyncio.gather(*(client.work(jobs) for client in clients))
    return [complaint for complaints in found for complaint in complaints]
