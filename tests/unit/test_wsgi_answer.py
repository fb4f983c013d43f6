# SPDX-License-Identifier: MIT
"""The answer: how its blocks are sent, what is left out, and that its length is kept."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from lwcgi import wsgi
from tests.unit.recorder import Recorder, serve
from tests.unit.wsgi_apps import TEXT, Body, Start, answering

# --- blocks ------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, tuple])
def test_single_block_goes_out_at_once_with_its_length(kind: type) -> None:
    """Head, computed Content-Length and body are one call, which is also the end."""
    done = serve(answering(kind([b"hello"])))
    assert done.sent == [
        b"Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
    ]
    assert (done.finished, done.lines) == (1, [])


def test_empty_answer_has_length_zero() -> None:
    """No block at all is a body of no bytes."""
    for body in ([], [b""], ()):
        assert serve(answering(body)).head[-1] == "Content-Length: 0"


def test_large_block_is_not_copied_behind_the_head() -> None:
    """The very object that the application returned is sent."""
    body = b"x" * 1_000_000
    done = serve(answering([body]))
    assert done.sent[1] is body
    assert done.head[-1] == "Content-Length: 1000000"


def test_blocks_are_sent_as_they_come() -> None:
    """Each block is sent before the next is made, empty ones are not, and no length is added."""
    states: list[int] = []

    def app(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        for block in (b"", b"one", b"", b"two"):
            states.append(len(done.sent))
            yield block

    done = Recorder()
    wsgi.serve(app, done, "")
    assert states == [0, 0, 1, 1]
    assert done.sent == [b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\none", b"two", b""]


def test_written_bytes_come_before_the_returned_ones() -> None:
    """The write() callable of PEP 3333 sends at once."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        write = start_response("200 OK", TEXT)
        write(b"")
        write(b"one ")
        write(b"two ")
        return [b"three"]

    done = serve(app)
    assert (done.body, done.finished) == (b"one two three", 1)
    assert done.head == ["Status: 200 OK", "Content-Type: text/plain"]


# --- answers without a body --------------------------------------------------


@pytest.mark.parametrize("use", ["list", "blocks", "write"])
@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 No Content"), ("GET", "304")],
)
def test_no_body_where_none_may_be(use: str, method: str, status: str) -> None:
    """HEAD, 204 and 304 send the head as the application made it and nothing else."""

    def app(environ: dict[str, Any], start_response: Start) -> Any:
        write = start_response(status, [("ETag", '"1"'), ("Content-Length", "50")])
        if use == "write":
            write(b"body")
            return []
        return [b"body"] if use == "list" else iter([b"bo", b"dy"])

    done = serve(app, {"REQUEST_METHOD": method})
    head = f'Status: {status}\r\nETag: "1"\r\nContent-Length: 50\r\n\r\n'
    assert b"".join(done.sent) == head.encode()
    assert (done.finished, done.lines) == (1, [])


def test_head_does_not_make_the_body() -> None:
    """A body that nobody wants is closed without being asked for a block."""
    body = Body(b"one", b"two")
    serve(answering(body), {"REQUEST_METHOD": "HEAD"})
    assert (body.taken, body.closed) == (0, 1)


def test_lazy_application_answers_head() -> None:
    """A generator that calls start_response at its first block is asked for that one."""

    def app(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"body"
        raise AssertionError("asked for more")

    done = serve(app, {"REQUEST_METHOD": "HEAD"})
    assert (done.body, done.finished, done.lines) == (b"", 1, [])


# --- Content-Length ----------------------------------------------------------


@pytest.mark.parametrize("blocks", [[b"hello world"], [b"hel", b"lo wo", b"rld"]])
def test_body_is_cut_at_its_length(blocks: list[bytes]) -> None:
    """Bytes beyond Content-Length are not sent; the log says so once; the rest is not made."""
    body = Body(*blocks, b"never")
    for given in (body, blocks):
        done = serve(answering(given, headers=[*TEXT, ("content-length", "5")]))
        assert (done.body, done.finished) == (b"hello", 1)
        assert [text for _, text in done.lines] == [
            "body cut off: it is longer than its Content-Length"
        ]
    assert (body.taken, body.closed) == (len(blocks) - (len(blocks) > 1), 1)


def test_write_is_cut_at_the_length_too() -> None:
    """write() does not get past Content-Length either, and the log says so once."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        write = start_response("200 OK", [*TEXT, ("Content-Length", "3")])
        for _ in range(3):
            write(b"ab")
        return [b"c"]

    done = serve(app)
    assert (done.body, done.finished, len(done.lines)) == (b"aba", 1, 1)


def test_exact_length_asks_for_the_end() -> None:
    """A body of the length it promised runs to its natural end."""
    body = Body(b"hel", b"lo", b"")
    done = serve(answering(body, headers=[("Content-Length", "5")]))
    assert (done.body, done.finished, done.lines, body.taken) == (b"hello", 1, [], 3)


def test_short_body_is_not_passed_off_as_complete() -> None:
    """Fewer bytes than promised, some of them sent: the answer is aborted."""
    body = Body(b"hel")
    done = serve(answering(body, headers=[("Content-Length", "5")]))
    assert (done.aborted, done.finished, body.closed) == (True, 0, 1)
    assert done.lines == [("error", "body ended 2 bytes short of its Content-Length")]


@pytest.mark.parametrize("body", [[], [b""], iter(())])
def test_missing_body_is_an_error(body: Any) -> None:
    """A promised body of which nothing came is a 500."""
    done = serve(answering(body, headers=[("Content-Length", "5")]))
    assert (done.head[0], done.finished) == ("Status: 500 Internal Server Error", 1)


# --- wsgi.file_wrapper -------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), (8192,), (1 << 20,)])
def test_file_wrapper_sends_the_file(arguments: tuple[int, ...]) -> None:
    """A wrapped file is sent from its position to its end, in large blocks, and closed."""
    file = io.BytesIO(b"ab" * 100_000)
    file.seek(1)

    def app(environ: dict[str, Any], start_response: Start) -> Any:
        start_response("200 OK", TEXT)
        return environ["wsgi.file_wrapper"](file, *arguments)

    done = serve(app)
    assert done.body == (b"ab" * 100_000)[1:]
    assert (file.closed, done.finished) == (True, 1)
    assert len(done.sent) <= 6


def test_file_wrapper_of_something_without_close() -> None:
    """Only what the file has is used."""

    class Reader:
        def __init__(self) -> None:
            self.blocks = [b"one", b"two", b""]

        def read(self, size: int) -> bytes:
            return self.blocks.pop(0)

    def app(environ: dict[str, Any], start_response: Start) -> Any:
        start_response("200 OK", TEXT)
        return environ["wsgi.file_wrapper"](Reader())

    done = serve(app)
    assert (done.body, done.lines) == (b"onetwo", [])
