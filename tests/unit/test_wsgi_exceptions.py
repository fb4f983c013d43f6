# SPDX-License-Identifier: MIT
"""What the application raises, or a client that went away: the answer, the log, close()."""

from __future__ import annotations

from typing import Any

import pytest

from lwcgi import wsgi
from lwcgi.errors import ClientGone
from tests.unit.recorder import Recorder, serve
from tests.unit.wsgi_apps import Body, Start, answering


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
    assert "test_wsgi_exceptions.py" in done.lines[1][1]
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
