# SPDX-License-Identifier: MIT
"""A FastCGI connection as a web server would have it, for tests that look closely."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tests.harness import fastcgi

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Address = str | tuple[str, int]

SECONDS = 30.0  # no answer of a test takes this long


@dataclass
class Answer:
    """What came back for one request.

    Parameters:
        stdout, stderr: the two streams.
        ends: (application status, protocol status) of each END_REQUEST; one is right.
        stream_ended: the empty STDOUT record was seen.
        closed: the gateway cut the connection off before END_REQUEST.
        cut: … and first sent what no web server takes for a record.
    """

    stdout: bytes = b""
    stderr: bytes = b""
    ends: list[tuple[int, int]] = field(default_factory=list)
    stream_ended: bool = False
    closed: bool = False
    cut: bool = False

    @property
    def complete(self) -> bool:
        """A web server takes this for a whole answer."""
        return self.ends == [(self.ends[0][0], fastcgi.REQUEST_COMPLETE)] if self.ends else False

    @property
    def head(self) -> list[tuple[str, str]]:
        """The CGI header fields."""
        text = self.stdout.partition(b"\r\n\r\n")[0].decode("latin-1")
        return [(name, value) for name, _, value in (x.partition(": ") for x in text.split("\r\n"))]

    def header(self, name: str) -> str | None:
        """Return the value of the header field *name*, None where there is none."""
        values = [value for key, value in self.head if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} more than once: {values}"
        return values[0] if values else None

    @property
    def status(self) -> int:
        """The HTTP status; 0 where nothing came."""
        return int((self.header("Status") or "200").split()[0]) if self.stdout else 0

    @property
    def body(self) -> bytes:
        """What follows the header fields."""
        return self.stdout.partition(b"\r\n\r\n")[2]

    def json(self) -> Any:
        """Return the body's JSON of an answer that must be complete and 200."""
        assert self.complete, f"not a complete answer: {self}"
        assert self.status == 200, f"{self.status}: {self.body[:500]!r}"
        return json.loads(self.body)


def variables(
    target: str, method: str = "GET", body: bytes | None = None, **more: str
) -> dict[bytes, bytes]:
    """Return the parameters a well-configured web server sends for *target*."""
    path, _, query = target.partition("?")
    values = {
        "REQUEST_METHOD": method,
        "REQUEST_URI": target,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "GATEWAY_INTERFACE": "CGI/1.1",
    }
    if body is not None:
        values["CONTENT_LENGTH"] = str(len(body))
    values |= more
    return {name.encode("latin-1"): value.encode("latin-1") for name, value in values.items()}


class Connection:
    """One connection to a gateway.

    Parameters:
        address: path of a Unix socket, or (host, port).
        seconds: how long any single wait may take.
    """

    def __init__(self, address: Address, seconds: float = SECONDS) -> None:
        unix = isinstance(address, str)
        self.socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self._seconds = seconds
        self.socket.settimeout(seconds)
        self._decoder = fastcgi.Decoder()
        self._records: list[fastcgi.Record] = []
        try:
            self.socket.connect(address)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def send(self, *data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(b"".join(data))

    def receive(self) -> fastcgi.Record | None:
        """Return the next record, None at the end of the stream.

        Raises:
            TimeoutError: nothing came.
            ProtocolError: the gateway sent what FastCGI forbids, or a part of a record.
        """
        while not self._records:
            try:
                data = self.socket.recv(1 << 18)
            except ConnectionResetError:
                return None  # closed with bytes of ours unread: the same to a web server
            if not data:
                return None
            self._records += self._decoder.feed(data)
        return self._records.pop(0)

    def closed_by_peer(self) -> bool:
        """Wait for the end of the stream; True where no answer came before it.

        A connection that is kept until now says farewell with an empty GET_VALUES_RESULT.
        """
        farewell = fastcgi.Record(fastcgi.GET_VALUES_RESULT, 0, b"", 0)
        record = self.receive()
        return record is None or (record == farewell and self.receive() is None)

    def dismissed(self) -> bool:
        """Tell, without waiting, whether the gateway has said farewell or closed.

        A web server that keeps connections looks the same way before it uses one again.
        """
        self.socket.setblocking(False)
        try:
            while data := self.socket.recv(1 << 18):
                self._records += self._decoder.feed(data)
            return True
        except BlockingIOError:
            return bool(self._records)
        except ConnectionResetError:  # its process died with bytes unread
            return True
        finally:
            self.socket.settimeout(self._seconds)

    def answer(self, request_id: int = 1, others: list[fastcgi.Record] | None = None) -> Answer:
        """Return the answer to *request_id*, up to its END_REQUEST or the end of the stream.

        Parameters:
            request_id: the request's id.
            others: takes the records of other requests, where a test expects such.

        Raises:
            ProtocolError: records of another request or of a type that has no place here.
        """
        answer, out = Answer(), bytearray()
        while True:
            record = self.receive()
            while record and record.type == fastcgi.CUT:
                # Where the process died in the call that sends it is not known how much of a
                # record got out: zeros take the place of all of it.
                after = self.receive()
                if after is None:
                    break
                if after.type != fastcgi.CUT:
                    raise fastcgi.ProtocolError("records after the cut")
            if record is None or record.type == fastcgi.CUT:
                answer.closed = True
                answer.cut = record is not None
                break
            if record.id != request_id and others is not None:
                others.append(record)
                continue
            if record.id != request_id:
                raise fastcgi.ProtocolError(f"a record for another request: {record}")
            if record.type == fastcgi.END_REQUEST:
                answer.ends.append(fastcgi.end_status(record.content))
                break
            if record.type == fastcgi.STDERR:
                answer.stderr += record.content
            elif record.type != fastcgi.STDOUT or answer.stream_ended:
                raise fastcgi.ProtocolError(f"a record out of place: {record}")
            elif not record.content:
                answer.stream_ended = True
            else:
                out += record.content
        answer.stdout = bytes(out)
        return answer

    def request(
        self,
        params: Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]],
        body: bytes = b"",
        keep: bool = False,
        request_id: int = 1,
    ) -> Answer:
        """Send a whole request and return its answer."""
        items = params.items() if hasattr(params, "items") else params
        try:
            self.send(
                fastcgi.begin(request_id, flags=fastcgi.KEEP_CONN if keep else 0),
                fastcgi.closed_stream(fastcgi.PARAMS, request_id, fastcgi.pairs(items)),
                fastcgi.closed_stream(fastcgi.STDIN, request_id, body),
            )
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered before it was all read; the answer may still be there
        return self.answer(request_id)

    def get(self, target: str, keep: bool = False, **more: str) -> Answer:
        """Send a GET request as a web server would."""
        return self.request(variables(target, **more), keep=keep)

    def post(self, target: str, body: bytes, keep: bool = False, **more: str) -> Answer:
        """Send a POST request as a web server would."""
        return self.request(variables(target, "POST", body, **more), body, keep)
