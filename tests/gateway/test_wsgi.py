# SPDX-License-Identifier: MIT
"""PEP 3333 as an application and its clients see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness import Answer, fastcgi
from tests.harness.client import variables

if TYPE_CHECKING:
    from tests.harness import Gateway


def _raw(served: Gateway, method: str = "POST", **wanted: object) -> Answer:
    """Have the application answer with any status, headers and body."""
    standard = {"status": "200 OK", "headers": [["Content-Type", "text/plain"]], "body": ["text"]}
    body = json.dumps({**standard, **wanted}).encode()
    with served.connect() as connection:
        params = variables("/raw", method, body)
        return connection.request(params, body, keep=True)


def test_flags(served: Gateway) -> None:
    """The wsgi.* variables tell one thread, many processes, and input that has an end."""
    environ = served.get("/environment", REQUEST_SCHEME="https", HTTPS="on").json()["environ"]
    assert environ["wsgi.version"] == [1, 0]
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["wsgi.multithread"] is False
    assert environ["wsgi.multiprocess"] is True
    assert environ["wsgi.run_once"] is False
    assert environ["wsgi.input_terminated"] is True


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_no_body(served: Gateway, status: str) -> None:
    """A 204 or 304 has no body and no made-up Content-Length."""
    answer = _raw(served, status=status, headers=[["X-A", "b"]])
    assert answer.complete
    assert answer.header("Status") == status
    assert answer.body == b""
    assert answer.header("Content-Length") in (None, "0")


def test_head(served: Gateway) -> None:
    """HEAD has the headers of GET and no body."""
    answer = _raw(served, "HEAD", body=["four"])
    assert answer.complete
    assert answer.body == b""
    assert answer.header("Content-Length") in (None, "4")


def test_content_length(served: Gateway) -> None:
    """A body of one piece gets its length; of several, none is made up."""
    assert _raw(served, body=["four"]).header("Content-Length") == "4"
    assert _raw(served, body=[]).header("Content-Length") == "0"
    several = served.get("/download?chunks=3&size=5")
    assert several.header("Content-Length") is None
    assert len(several.body) == 15


def test_a_body_longer_than_its_length_is_cut(served: Gateway) -> None:
    """No byte beyond Content-Length leaves: it would be taken for the next answer."""
    length = ["Content-Length", "4"]
    answer = _raw(served, headers=[length], body=["12", "34", "56"])
    assert answer.body == b"1234"
    answer = _raw(served, headers=[length], body=["123456"])
    assert answer.body == b"1234"


def test_a_body_shorter_than_its_length_looks_cut(served: Gateway) -> None:
    """A body that ends before its Content-Length is no complete answer."""
    answer = _raw(served, headers=[["Content-Length", "9"]], body=["12", "34"])
    assert answer.closed
    assert not answer.ends


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({"status": "200 OK\r\nX-Evil: 1"}, id="CRLF in the status"),
        pytest.param({"headers": [["X-A", "b\r\nX-Evil: 1"]]}, id="CRLF in a value"),
        pytest.param({"headers": [["X-A", "b\nX-Evil: 1"]]}, id="LF in a value"),
        pytest.param({"headers": [["X-A", "b\rX-Evil: 1"]]}, id="CR in a value"),
        pytest.param({"headers": [["X-A\r\nX-Evil", "1"]]}, id="CRLF in a name"),
        pytest.param({"headers": [["X-A: b\nX-Evil", "1"]]}, id="LF in a name"),
        pytest.param({"headers": [["X-A", "b\0"]]}, id="NUL in a value"),
        pytest.param({"headers": [["", "b"]]}, id="empty name"),
        pytest.param({"headers": [["X-A", "\u20ac"]]}, id="not latin-1"),
        pytest.param({"headers": [["Transfer-Encoding", "chunked"]]}, id="hop-by-hop"),
        pytest.param({"status": "OK"}, id="status without a number"),
        pytest.param({"status": "99 Low"}, id="status of two digits"),
    ],
)
def test_headers_that_would_split_the_answer(served: Gateway, wanted: dict[str, object]) -> None:
    """Status and headers that would end early or forge another one yield 500 (uWSGI, waitress)."""
    answer = _raw(served, **wanted)
    assert answer.complete
    assert answer.status == 500
    assert b"X-Evil" not in answer.stdout


def test_repeated_headers(served: Gateway) -> None:
    """Headers of one name all arrive, in order."""
    cookies = [["Set-Cookie", f"c{n}=1"] for n in range(3)]
    head = _raw(served, headers=cookies).head
    assert [value for name, value in head if name == "Set-Cookie"] == ["c0=1", "c1=1", "c2=1"]


def test_many_and_long_headers(served: Gateway) -> None:
    """A head larger than any record arrives whole."""
    headers = [[f"X-{n}", "v" * 1000] for n in range(150)]
    answer = _raw(served, headers=headers)
    assert answer.header("X-149") == "v" * 1000
    assert answer.body == b"text"


def test_write(served: Gateway) -> None:
    """What is given to write() comes before what the iterable yields."""
    answer = served.get("/write")
    assert answer.complete
    assert answer.body == b"written, then returned"


def test_exc_info(served: Gateway) -> None:
    """start_response with exc_info replaces headers that were not sent yet."""
    answer = served.get("/exc_info")
    assert answer.header("Status") == "503 Try Later"
    assert answer.header("X-First") is None
    assert answer.body == b"later"


def test_close_is_called(served: Gateway) -> None:
    """The body's close() is called after the last piece, and after a failure as well."""
    marker = served.folder / "closed"
    for end in ("goes_on", "exception"):
        marker.unlink(missing_ok=True)
        assert served.get(f"/closing?{end}").body == b"first second"
        assert served.get("/environment").status == 200  # it has come to its end
        assert marker.exists()


def test_file_wrapper(served: Gateway) -> None:
    """wsgi.file_wrapper sends a file."""
    answer = served.get("/file_wrapper")
    assert answer.complete
    assert answer.body == (Path(__file__).parents[1] / "apps" / "acts.py").read_bytes()


def test_an_exception_is_logged(served: Gateway) -> None:
    """The traceback of an exception is in the log, with the request it belongs to."""
    assert served.get("/do?end=exception&the=logged-one").status == 500
    served.wait_for_log(r"w1-\d{6} GET /do\?end=exception&the=logged-one: .*Oops: this request")


def test_the_stream_of_a_long_request_comes_early(served: Gateway) -> None:
    """The first piece of a body arrives while the application works on the next."""
    gate = served.folder / "early"
    gate.unlink(missing_ok=True)
    with served.connect() as connection:
        params = fastcgi.pairs(variables("/early?early").items())
        connection.send(
            fastcgi.begin(),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, params),
            fastcgi.record(fastcgi.STDIN, 1),
        )
        received = b""
        while b"piece 1" not in received:
            record = connection.receive()
            assert record
            received += record.content
        gate.touch()
        answer = connection.answer()
    assert answer.complete
    assert answer.stdout == b"piece 2"
