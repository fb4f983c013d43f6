# SPDX-License-Identifier: MIT
"""Running the application for one request: what it is given, and what it may do (PEP 3333)."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from lwcgi import wsgi
from lwcgi.errors import BodyTooLarge, BodyTruncated, ClientGone
from tests.unit.recorder import Recorder, serve

TEXT = [("Content-Type", "text/plain")]
Start = Callable[..., Any]


class Body:
    """A body that knows whether close() was called.

    Parameters:
        blocks: what it yields; an exception among them is raised.
    """

    def __init__(self, *blocks: Any) -> None:
        self.blocks = iter(blocks)
        self.taken = 0
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = next(self.blocks)
        self.taken += 1
        if isinstance(block, BaseException):
            raise block
        return block

    def close(self) -> None:
        """Count."""
        self.closed += 1


def answering(
    body: Any, status: str = "200 OK", headers: list[tuple[str, str]] = TEXT
) -> Callable[..., Any]:
    """Return an application that gives this answer."""

    def app(environ: dict[str, Any], start_response: Start) -> Any:
        start_response(status, headers)
        return body

    return app


def seen(variables: dict[str, str | None] | None = None, **options: Any) -> dict[str, Any]:
    """Return the environ that an application gets."""
    kept: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        kept.update(environ)
        start_response("204 No Content", [])
        return []

    serve(app, variables, **options)
    return kept


# --- environ -----------------------------------------------------------------


def test_environ_is_what_the_pep_requires() -> None:
    """The wsgi.* values tell the truth about a process that serves one request at a time."""
    environ = seen()
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.multithread"] is False
    assert environ["wsgi.multiprocess"] is True
    assert environ["wsgi.run_once"] is False
    assert environ["wsgi.input_terminated"] is True
    assert environ["lwcgi.request_id"] == "w1-000001"


@pytest.mark.parametrize(
    ("variables", "scheme"),
    [
        ({}, "http"),
        ({"HTTPS": "on"}, "https"),
        ({"HTTPS": "1"}, "https"),
        ({"HTTPS": "off"}, "http"),
        ({"HTTPS": ""}, "http"),
        ({"REQUEST_SCHEME": "https"}, "https"),
        ({"REQUEST_SCHEME": None}, "http"),
        ({"REQUEST_SCHEME": "javascript"}, "http"),
    ],
)
def test_url_scheme(variables: dict[str, str | None], scheme: str) -> None:
    """HTTPS decides, then REQUEST_SCHEME, and nothing but http and https comes out."""
    assert seen(variables)["wsgi.url_scheme"] == scheme


def test_variables_cannot_pose_as_the_server() -> None:
    """A FastCGI variable named like one of the server's own entries is overwritten."""
    environ = seen({"wsgi.multithread": "x", "wsgi.url_scheme": "x", "lwcgi.request_id": "x"})
    assert environ["wsgi.multithread"] is False
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["lwcgi.request_id"] == "w1-000001"


def test_authorizer_is_told_its_role() -> None:
    """An Authorizer request is the same call with FCGI_ROLE set; a Responder's has none."""
    assert seen(role=2)["FCGI_ROLE"] == "AUTHORIZER"
    assert "FCGI_ROLE" not in seen()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("script_name", ["", "/app"])
def test_validator_finds_nothing(method: str, script_name: str) -> None:
    """wsgiref.validate is content with both sides."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        environ["wsgi.errors"].write("a line\n")
        environ["wsgi.errors"].writelines(["another\n"])
        environ["wsgi.errors"].flush()
        body = environ["wsgi.input"].read(3) + environ["wsgi.input"].readline()
        start_response("200 OK", TEXT)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body, b"more"]

    variables = {"REQUEST_METHOD": method, "SCRIPT_NAME": "/app/x", "CONTENT_LENGTH": "8"}
    done = serve(validator(app), variables, script_name, body=b"line one")
    assert (done.logged, done.finished) == ("a line\nanother", 1)
    assert done.body == (b"" if method == "HEAD" else b"line onemore")


# --- the request's body ------------------------------------------------------


def test_body_is_read_in_every_way() -> None:
    """read, readline and iteration give the body, and end with it whatever is asked for."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        stream = environ["wsgi.input"]
        parts = [stream.read(2), stream.readline(), *stream, stream.read(10), stream.read()]
        start_response("200 OK", TEXT)
        return [b"|".join(parts)]

    assert serve(app, body=b"ab cd\nef\n\ngh").body == b"ab| cd\n|ef\n|\n|gh||"


def test_large_body_arrives_whole() -> None:
    """A body larger than any buffer is what was sent."""
    sent = bytes(range(256)) * 2000

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        start_response("200 OK", TEXT)
        return [environ["wsgi.input"].read()]

    assert serve(app, body=sent, limit=1021).body == sent


def test_request_without_body() -> None:
    """Reading where there is no body ends at once."""
    stream = seen()["wsgi.input"]
    assert (stream.read(), stream.read(5), stream.readline(), list(stream)) == (b"", b"", b"", [])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BodyTooLarge("more than the limit"), "413 Content Too Large"),
        (BodyTruncated("less than promised"), "400 Bad Request"),
    ],
)
def test_bad_body_has_an_answer_of_its_own(error: OSError, status: str) -> None:
    """A body that is too large or not complete is the client's fault, unless the app minds."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        return [environ["wsgi.input"].read()]

    done = serve(app, body=error)
    assert done.head[0] == f"Status: {status}"
    assert (done.finished, done.lines) == (1, [("warning", str(error))])


def test_bad_body_may_be_answered_by_the_application() -> None:
    """An application that catches the error answers as it likes."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        try:
            environ["wsgi.input"].read(1)
        except OSError:
            start_response("418 I'm a Teapot", TEXT)
        return [b"short and stout"]

    assert serve(app, body=BodyTooLarge("too large")).head[0] == "Status: 418 I'm a Teapot"


# --- the answer --------------------------------------------------------------


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


# --- exceptions --------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("wrong"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
)
def test_exception_is_a_500_with_a_traceback(error: BaseException) -> None:
    """Whatever the application raises, the client gets a plain 500 and the log the traceback."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        raise error

    done = serve(app)
    assert b"".join(done.sent) == (
        b"Status: 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 22\r\n\r\nInternal Server Error\n"
    )
    assert done.finished == 1
    assert done.lines[0] == ("error", "Traceback (most recent call last):")
    assert "test_wsgi_serve.py" in done.lines[1][1]
    assert done.lines[-1][1].startswith(type(error).__name__)


def test_headers_of_a_failed_answer_are_forgotten() -> None:
    """A 500 has none of the headers that the application had prepared."""
    body = Body(ValueError("wrong"))
    done = serve(answering(body, headers=[("Set-Cookie", "secret=1")]))
    assert done.head[0] == "Status: 500 Internal Server Error"
    assert (b"secret" in b"".join(done.sent), body.closed) == (False, 1)


def test_500_of_a_head_request_has_no_body() -> None:
    """HEAD gets the head of the 500."""
    body = Body(ValueError("wrong"))
    done = serve(answering(body), {"REQUEST_METHOD": "HEAD"})
    assert done.body == b""


def test_exception_in_the_middle_aborts() -> None:
    """After a part was sent no answer can be made good; close() runs before the abort."""
    body = Body(b"part", ValueError("wrong"))
    done = serve(answering(body))
    assert (done.sent[1:], done.finished, done.aborted, body.closed) == ([], 0, True, 1)
    assert done.lines[-1] == ("error", "ValueError: wrong")


def test_exception_in_close_after_a_complete_answer() -> None:
    """The client has its answer; the log has the traceback; nothing is aborted."""

    class Failing(Body):
        def close(self) -> None:
            raise ValueError("in close")

    done = serve(answering(Failing(b"all")))
    assert (done.body, done.finished, done.aborted) == (b"all", 1, False)
    assert done.lines[-1] == ("error", "ValueError: in close")


def test_client_that_went_away() -> None:
    """No traceback for it, close() is called, the answer is aborted."""
    body = Body(b"one", b"two")
    done = serve(answering(body), gone=ClientGone("the client went away"))
    assert (body.taken, body.closed, done.aborted) == (1, 1, True)
    assert done.lines == [("debug", "the client went away")]


def test_client_that_went_away_before_the_500() -> None:
    """An error that cannot be answered any more ends in an abort, too."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        raise ValueError("wrong")

    done = serve(app, gone=ClientGone("the client went away"))
    assert (done.aborted, done.finished) == (True, 0)


def test_exception_that_cannot_be_shown() -> None:
    """An exception whose own methods end the process is logged by its type."""

    class Hostile(Exception):
        @property
        def __notes__(self) -> list[str]:
            raise SystemExit(1)

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        raise Hostile

    done = serve(app)
    assert done.lines == [("error", "Hostile, and SystemExit when showing it")]
    assert done.finished == 1


def test_memory_error_frees_the_frames() -> None:
    """What filled the memory is let go before the traceback is made."""

    class Hoard:
        freed = False

        def __del__(self) -> None:
            Hoard.freed = True

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        hoard = [Hoard()]
        raise MemoryError(len(hoard))

    class Watching(Recorder):
        def log(self, level: str, text: str) -> None:
            assert Hoard.freed
            super().log(level, text)

    done = Watching()
    wsgi.serve(app, done, "")
    assert (done.finished, done.lines[-1][1]) == (1, "MemoryError: 1")


# --- start_response ----------------------------------------------------------


def test_exc_info_replaces_what_was_not_sent() -> None:
    """An error handler may change its mind about the head as long as nothing was sent."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        start_response("200 OK", [("X-First", "1"), ("Content-Length", "99")])
        try:
            raise ValueError("wrong")
        except ValueError:
            start_response("503 Service Unavailable", TEXT, sys.exc_info())
        return [b"sorry"]

    done = serve(app)
    assert done.head == [
        "Status: 503 Service Unavailable", "Content-Type: text/plain", "Content-Length: 5",
    ]  # fmt: skip
    assert (done.body, done.finished) == (b"sorry", 1)


def test_exc_info_is_raised_again_once_something_was_sent() -> None:
    """Too late for another head: the original exception comes back to the application."""

    def app(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"part"
        try:
            raise ValueError("original")
        except ValueError:
            start_response("500 Oops", TEXT, sys.exc_info())
        yield b"never"

    done = serve(app)
    assert (done.body, done.aborted, done.lines[-1][1]) == (b"part", True, "ValueError: original")


def test_second_call_without_exc_info_is_an_error() -> None:
    """PEP 3333 calls it a fatal error."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        start_response("200 OK", TEXT)
        start_response("200 OK", TEXT)
        return [b""]

    done = serve(app)
    assert done.head[0] == "Status: 500 Internal Server Error"
    assert "second time" in done.lines[-1][1]


@pytest.mark.parametrize("body", [[b"x"], iter([b"x"]), [], iter([])])
def test_start_response_must_be_called(body: Any) -> None:
    """A body without a head is a 500."""
    done = serve(lambda environ, start_response: body)
    assert done.head[0] == "Status: 500 Internal Server Error"
    assert "start_response" in done.lines[-1][1]


@pytest.mark.parametrize("body", [b"bytes", "text", ["text"], [bytearray(b"x")], [None], None, 7])
def test_body_of_the_wrong_type(body: Any) -> None:
    """A body is an iterable of bytes; anything else is a 500, and the log says why."""
    done = serve(answering(body))
    assert done.head[0] == "Status: 500 Internal Server Error"
    assert done.lines[-1][1].startswith("TypeError: ")


BAD_HEADERS: list[list[Any]] = [
    [("X", "a\r\nSet-Cookie: b")],
    [("X", "a\nb")],
    [("X", "a\rb")],
    [("X", "a\0b")],
    [("X", "a\n")],
    [("X", "a\x7f")],
    [("X\r\nY", "a")],
    [("X: Y", "a")],
    [("X ", "a")],
    [("", "a")],
    [("X\0", "a")],
    [("\xdc", "a")],
    [("Content-Type\n", "a")],
    [("X", "\u20ac")],
    [("X", 1)],
    [("X", b"a")],
    [("X", None)],
    [(b"X", "a")],
    [(7, "a")],
    [("Content-Length", "-1")],
    [("Content-Length", "5 ")],
    [("Content-Length", "1_0")],
    [("Content-Length", "\u0665")],
    [("Content-Length", "")],
    [("Content-Length", "9" * 40)],
    [("Content-Length", "5"), ("content-length", "6")],
    [("Status", "404 Not Found")],
    [("Connection", "close")],
    [("Keep-Alive", "1")],
    [("transfer-encoding", "chunked")],
    [("Upgrade", "websocket")],
    [("TE", "x")],
    [("Trailer", "x")],
    [("Proxy-Authenticate", "x")],
    ["ab", "cde"],
    [("X",)],
]


@pytest.mark.parametrize("headers", BAD_HEADERS, ids=repr)
def test_bad_headers_are_refused(headers: list[Any]) -> None:
    """No header gets out that would change the meaning of another, or that is the server's."""
    done = serve(answering([b"hello"], headers=headers))
    assert done.head == [
        "Status: 500 Internal Server Error",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Length: 22",
    ]
    assert done.lines[-1][1].startswith(("ValueError: ", "TypeError: "))


@pytest.mark.parametrize(
    "status",
    ["200 OK\r\nX: y", "200 OK\n", "200\0", "20 OK", "2000 OK", "OK", "", "200OK", "099 Low",
     " 200 OK", "200 \u20ac", b"200 OK", 200, None],
)  # fmt: skip
def test_bad_status_is_refused(status: Any) -> None:
    """A status is three digits and a phrase of one line."""
    done = serve(answering([b"hello"], status))
    assert done.head[0] == "Status: 500 Internal Server Error"


@pytest.mark.parametrize(
    "status", ["200 OK", "404 NOT FOUND", "599 Own Phrase", "299", "200 ", "418 caf\xe9"]
)
def test_good_status_is_passed_on(status: str) -> None:
    """Well-known or not, a status goes out as it is."""
    assert serve(answering([b""], status)).head[0] == f"Status: {status}"


def test_unusual_headers_are_passed_on() -> None:
    """Order, repetition, spelling, tabs and Latin-1 are the application's business."""
    headers = [
        ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("x-ODD_name", "t\tab"), ("X-Umlaut", "\xfc"),
        ("X-Empty", ""), ("Content-Length", "2"), ("content-length", "2"),
    ]  # fmt: skip
    done = serve(answering([b"ok"], headers=headers))
    assert done.head[1:] == [f"{name}: {value}" for name, value in headers]
    assert (done.body, done.lines) == (b"ok", [])


# --- wsgi.errors -------------------------------------------------------------


def test_errors_are_logged_line_by_line() -> None:
    """A line is logged when it ends, or is flushed, or the request ends."""
    states: list[list[str]] = []

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        errors = environ["wsgi.errors"]
        errors.write("one\ntwo\nth")
        states.append([text for _, text in done.lines])
        errors.write("ree")
        errors.flush()
        errors.flush()
        states.append([text for _, text in done.lines])
        print("four", file=errors)
        errors.write("five")
        start_response("200 OK", TEXT)
        return [b""]

    done = Recorder()
    wsgi.serve(app, done, "")
    assert states == [["one", "two"], ["one", "two", "three"]]
    assert done.lines == [("error", text) for text in ("one", "two", "three", "four", "five")]


def test_errors_come_before_the_traceback() -> None:
    """What was written before an exception is logged before it, though its line never ended."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        environ["wsgi.errors"].write("unfinished")
        raise ValueError("wrong")

    assert serve(app).lines[0] == ("error", "unfinished")


def test_errors_take_text_only_and_do_not_hoard() -> None:
    """Bytes are refused, and a line without an end is logged rather than kept for ever."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        errors = environ["wsgi.errors"]
        assert errors.write("x" * 100_000) == 100_000
        assert done.lines == [("error", "x" * 100_000)]
        with pytest.raises(TypeError):
            errors.write(b"bytes")
        start_response("200 OK", TEXT)
        return [b"fine"]

    done = Recorder()
    wsgi.serve(app, done, "")
    assert done.body == b"fine"


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
