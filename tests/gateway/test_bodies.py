# SPDX-License-Identifier: MIT
"""Request and response bodies: lengths, streaming, limits, back-pressure, clients that leave."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.contract.checks.asking import get, waiting
from tests.harness import Gateway, fastcgi, processes, until
from tests.harness.client import variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness import Answer, Connection

MIB = 1 << 20


@pytest.fixture(scope="module", params=["rewind", "fork", "none"])
def limited(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway that takes bodies of at most 1 MiB."""
    with Gateway(engine=request.param, options={"max-body": "1m"}) as gateway:
        yield gateway


def _post(
    connection: Connection, target: str, body: bytes, length: str | None, flags: int = 0
) -> Answer:
    """Send a body with any CONTENT_LENGTH, or none."""
    sent = variables(target, "POST")
    if length is not None:
        sent[b"CONTENT_LENGTH"] = length.encode()
    try:
        connection.send(
            fastcgi.begin(flags=flags),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, fastcgi.pairs(sent.items())),
            fastcgi.closed_stream(fastcgi.STDIN, 1, body),
        )
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before all of it was read
    return connection.answer()


@pytest.mark.parametrize("size", [0, 1, 8191, 65535, 65536, 1_000_000])
def test_echo(served: Gateway, size: int) -> None:
    """A body of any size comes to the application and back unchanged."""
    body = os.urandom(size)
    answer = served.post("/echo", body)
    assert answer.complete
    assert answer.body == body


def test_an_upload_is_not_held_in_memory(served: Gateway) -> None:
    """A body of 64 MiB that the application reads in pieces never lies in memory as a whole."""
    piece = os.urandom(MIB)
    sent = variables("/upload", "POST")
    sent[b"CONTENT_LENGTH"] = str(64 * MIB).encode()
    digest = hashlib.sha256()
    roots = served.workers()
    before = sum(processes.proportional_memory(pid) for pid in roots)
    most = 0
    with served.connect() as connection:
        connection.send(
            fastcgi.begin(),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, fastcgi.pairs(sent.items())),
        )
        for _ in range(64):
            connection.send(fastcgi.stream(fastcgi.STDIN, 1, piece))
            digest.update(piece)
            most = max(most, sum(processes.proportional_memory(pid) for pid in roots))
        connection.send(fastcgi.record(fastcgi.STDIN, 1))
        told = connection.answer().json()
    assert told["length"] == 64 * MIB
    assert told["sha256"] == digest.hexdigest()
    assert told["grown"] < 16 * 1024, "KiB in the context"
    assert most - before < 16 * 1024, "KiB in the root"


def test_no_length(served: Gateway) -> None:
    """A body without CONTENT_LENGTH, as of a chunked request, ends with its stream."""
    body = os.urandom(100_000)
    with served.connect() as connection:
        assert _post(connection, "/echo", body, None).body == body


def test_a_body_comes_while_it_is_read(served: Gateway) -> None:
    """The application starts before its body is complete."""
    body = b"late" * 10
    params = fastcgi.pairs(variables("/echo", "POST", body).items())
    with served.connect() as connection:
        connection.send(fastcgi.begin(), fastcgi.closed_stream(fastcgi.PARAMS, 1, params))
        for byte in body:
            connection.send(fastcgi.record(fastcgi.STDIN, 1, bytes([byte])))
            time.sleep(0.001)
        connection.send(fastcgi.record(fastcgi.STDIN, 1))
        assert connection.answer().body == body


@pytest.mark.parametrize("length", ["9", "1000000"])
def test_a_body_shorter_than_it_says(served: Gateway, length: str) -> None:
    """A body that ends before its CONTENT_LENGTH is an error, not an upload cut short."""
    with served.connect() as connection:
        assert _post(connection, "/echo", b"12345678", length).status == 400
    assert served.get("/environment").status == 200


@pytest.mark.parametrize("size", [9, 100_000])
def test_a_body_longer_than_it_says(served: Gateway, size: int) -> None:
    """Bytes beyond CONTENT_LENGTH are an error, and no part of the next request."""
    with served.connect() as connection:
        answer = _post(connection, "/echo", b"x" * size, "8", fastcgi.KEEP_CONN)
        assert answer.status == 400
    assert served.get("/environment").status == 200


def test_a_body_nobody_reads(served: Gateway) -> None:
    """A body the application does not read is out of the way of the next request."""
    with served.connect() as connection:
        answer = connection.post("/environment?first", b"x" * 300_000, keep=True)
        assert answer.complete
        answer = connection.get("/environment?second", keep=True)
        assert answer.json()["environ"]["QUERY_STRING"] == "second"


def test_a_body_over_the_limit(limited: Gateway) -> None:
    """A body declared longer than --max-body is refused with 413 before it is read."""
    with limited.connect() as connection:
        assert _post(connection, "/echo", b"x" * (MIB + 1), str(MIB + 1)).status == 413
    assert limited.get("/environment").status == 200


def test_a_body_that_grows_over_the_limit(limited: Gateway) -> None:
    """A body without length is refused with 413 once it is longer than --max-body."""
    with limited.connect() as connection:
        assert _post(connection, "/echo", b"x" * (2 * MIB), None).status == 413
    assert limited.get("/environment").status == 200


def test_a_body_of_the_limit(limited: Gateway) -> None:
    """A body of exactly --max-body bytes passes."""
    body = os.urandom(MIB)
    assert limited.post("/echo", body).body == body


def test_a_large_answer(served: Gateway) -> None:
    """An answer of 32 MiB and of unknown length comes through whole."""
    answer = served.get(f"/download?chunks=512&size={65536}")
    assert answer.complete
    expected = hashlib.sha256()
    for number in range(512):
        expected.update(bytes([number % 251]) * 65536)
    assert len(answer.body) == 32 * MIB
    assert hashlib.sha256(answer.body).hexdigest() == expected.hexdigest()


def test_odd_pieces(served: Gateway) -> None:
    """Pieces that do not fit records are cut and padded right."""
    for size in (1, 7, 65527, 65529, 65535, 65537, 200_001):
        answer = served.get(f"/download?chunks=3&size={size}")
        assert answer.body == b"".join(bytes([n]) * size for n in range(3))


def test_back_pressure(served: Gateway) -> None:
    """A client that does not read stops the application; nothing piles up in between."""

    def produced() -> int:
        try:
            return int((served.folder / "sent").read_bytes() or b"0")
        except FileNotFoundError:
            return 0

    def resting() -> int:
        first = produced()
        time.sleep(0.3)
        return first if first and produced() == first else 0

    (served.folder / "sent").unlink(missing_ok=True)
    with served.connect() as connection:
        connection.send(get("/download?chunks=1024&size=65536"))
        assert until(resting, "the application to stop producing") < 128
        answer = connection.answer()
        assert answer.complete
        assert len(answer.body) == 64 * MIB


def test_a_client_that_leaves_in_the_middle(served: Gateway) -> None:
    """A client that goes away during a long answer frees the worker."""
    with served.connect() as connection:
        connection.send(get("/download?chunks=1000000&size=65536"))
        assert connection.receive()
    assert served.get("/environment").status == 200


def test_a_client_that_leaves_stops_the_context(served: Gateway) -> None:
    """A context whose client has closed its connection is stopped while it works."""
    with waiting(served) as request:
        request.connection.close()
        until(lambda: not processes.alive(request.pid), "the context to be stopped")
    assert served.get("/environment").status == 200


def test_abort_before_the_params_are_complete(served: Gateway) -> None:
    """ABORT_REQUEST before a request is complete is answered with END_REQUEST alone."""
    with served.connect() as connection:
        connection.send(fastcgi.begin(flags=fastcgi.KEEP_CONN), fastcgi.abort())
        answer = connection.answer()
        assert answer.complete
        assert answer.stdout == b""
    assert served.get("/environment").status == 200


def test_abort_in_the_body(served: Gateway) -> None:
    """ABORT_REQUEST while the application waits for its body ends the request."""
    params = fastcgi.pairs(variables("/upload", "POST", b"x" * 100).items())
    with served.connect() as connection:
        connection.send(
            fastcgi.begin(),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, params),
            fastcgi.record(fastcgi.STDIN, 1, b"x" * 50),
            fastcgi.abort(),
        )
        answer = connection.answer()
        assert answer.complete or answer.closed
    assert served.get("/environment").status == 200
