# SPDX-License-Identifier: MIT
"""One program, served by flup and by lwcgi.flup in its place: the answers are the same."""

from __future__ import annotations

import stat
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import until
from tests.harness.flup import LWCGI, Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.client import Answer

FLUP = ("flup.server.fcgi", "flup.server.fcgi_fork", "flup.server.fcgi_single")
# What PEP 3333 lets a server decide, and what each of flup's servers decides.
THREADS, PROCESSES = "wsgi.multithread", "wsgi.multiprocess"
OWN = {"flup.server.fcgi": (True, False), "flup.server.fcgi_fork": (False, True),
       "flup.server.fcgi_single": (False, False), LWCGI: (False, True)}  # fmt: skip


@pytest.fixture(scope="module")
def ours() -> Iterator[Program]:
    """The program with the one import changed."""
    with Program(LWCGI, "environ={'MY_KEY': 'mine', 'REMOTE_ADDR': 'changed'}") as running:
        yield running


@pytest.fixture(scope="module", params=FLUP)
def theirs(request: pytest.FixtureRequest) -> Iterator[Program]:
    """The program as it is, with each of flup's servers."""
    with Program(request.param, "environ={'MY_KEY': 'mine', 'REMOTE_ADDR': 'changed'}") as running:
        yield running


def _told(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return what of an answer the client sees: lengths may be told or not."""
    assert answer.complete
    head = [(name.lower(), value) for name, value in answer.head]
    return answer.status, sorted(x for x in head if x[0] != "content-length"), answer.body


PATHS = (
    "/generator", "/text", "/text_late", "/write", "/replaced", "/empty", "/unchanged", "/moved",
    "/closing",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_answers(ours: Program, theirs: Program, path: str) -> None:
    """Status, headers and body are the same."""
    assert _told(ours.get(path)) == _told(theirs.get(path))


@pytest.mark.parametrize("path", ["/echo", "/lines"])
@pytest.mark.parametrize("body", [b"", b"one\ntwo\nthree\nfour", bytes(range(256)) * 1024])
def test_bodies(ours: Program, theirs: Program, path: str, body: bytes) -> None:
    """A body is read the same, in whatever way."""
    assert _told(ours.post(path, body)) == _told(theirs.post(path, body))


def _environ(program: Program, target: str, **more: str) -> dict[str, Any]:
    environ = program.get(target, **more).json()
    assert (environ.pop(THREADS), environ.pop(PROCESSES)) == OWN[program.module]
    return environ  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"SCRIPT_NAME": "/app", "PATH_INFO": "/x", "REQUEST_URI": "/app/x"},
        {"SCRIPT_NAME": "/app", "PATH_INFO": "", "REQUEST_URI": "/app"},
        {"HTTPS": "on"},
        {"HTTPS": "off"},
        {"HTTP_HOST": "example.org:81", "HTTP_COOKIE": "a=1", "CONTENT_TYPE": "x/y"},
        {"PATH_INFO": "/caf\xc3\xa9"},
    ],
)
def test_environ(ours: Program, theirs: Program, more: dict[str, str]) -> None:
    """The environ is the same, but for what PEP 3333 leaves to the server."""
    own, other = (_environ(program, "/environ?a=b", **more) for program in (ours, theirs))
    assert own["MY_KEY"] == "mine"
    assert own["REMOTE_ADDR"] == "changed"
    for name in ("lwcgi.request_id", "wsgi.input_terminated"):
        del own[name]
    assert own == other


def test_environ_without_path_info(ours: Program, theirs: Program) -> None:
    """With Debian's fastcgi_params for nginx flup loses the path; lwcgi does not."""
    pairs = {b"REQUEST_METHOD": b"GET", b"SCRIPT_NAME": b"/a/b", b"REQUEST_URI": b"/a/b?c",
             b"QUERY_STRING": b"c", b"SERVER_PROTOCOL": b"HTTP/1.1", b"SERVER_NAME": b"localhost",
             b"SERVER_PORT": b"80"}  # fmt: skip
    with ours.connect() as own, theirs.connect() as other:
        places = [
            [answer.json()[name] for name in ("SCRIPT_NAME", "PATH_INFO")]
            for answer in (own.request(pairs), other.request(pairs))
        ]
    assert places == [["", "/a/b"], ["/a/b", ""]]


@pytest.mark.parametrize("path", ["/raises", "/raises_in_body", "/exits"])
def test_error_page(ours: Program, theirs: Program, path: str) -> None:
    """An exception before the answer began gives a page of the same kind, and is logged."""
    for program in (ours, theirs):
        answer = program.get(path)
        assert (answer.complete, answer.status) == (True, 500)
        assert (answer.header("Content-Type") or "").startswith("text/html")
        assert b"<h1>Unhandled Exception</h1>" in answer.body
        assert b"on purpose" not in answer.body
        until(lambda: "on purpose" in program.output() + answer.stderr.decode(), "the log")  # noqa: B023 - called at once


def test_header_of_the_web_server(ours: Program, theirs: Program) -> None:
    """Where flup passes on what only a web server may say, it is left out, and the log says so."""
    assert ("connection", "close") in _told(theirs.get("/hop"))[1]
    assert _told(ours.get("/hop")) == (200, [("status", "200 OK"), ("x-other", "1")], b"x")
    until(lambda: "left out, for web servers alone: Connection" in ours.output(), "the log")


def test_body_is_closed(ours: Program, theirs: Program) -> None:
    """The body's close() is called."""
    for program in (ours, theirs):
        mark = Path(f"{program.script}.closed")
        mark.unlink(missing_ok=True)
        program.get("/closing")
        assert mark.exists()


def _both(*arguments: str, **more: Any) -> tuple[Program, Program]:
    return Program(LWCGI, *arguments, **more), Program(FLUP[0], *arguments, **more)


def test_tcp_and_middleware() -> None:
    """A tuple is a TCP address; an application inside another is one."""
    with ExitStack() as stack:
        pair = [stack.enter_context(x) for x in _both("upper=True", tcp=True)]
        for path in ("/generator", "/moved", "/echo"):
            own, other = (_told(program.post(path, b"body")) for program in pair)
            assert own == other
            assert ("x-upper", "1") in own[1]


def test_own_error_page_of_a_subclass() -> None:
    """An error() of one's own answers instead."""
    with ExitStack() as stack:
        own, other = (_told(stack.enter_context(x).get("/raises")) for x in _both("own_error=True"))
    assert own == other
    assert (own[0], own[2]) == (500, b"own page")


def test_debug() -> None:
    """With debug=True the client sees the traceback, as text."""
    with Program(LWCGI, "debug=True") as program:
        page = program.get("/raises").body
    assert b"RuntimeError: on purpose &lt;&amp;&gt;" in page


@pytest.mark.parametrize("mask", [0o022, 0o077])
@pytest.mark.parametrize("asked", [None, 0o007])
def test_umask(mask: int, asked: int | None) -> None:
    """The socket's file has the same mode as flup's."""
    modes = []
    for program in _both(f"umask={asked}", mask=mask):
        with program:
            modes.append(stat.S_IMODE(Path(str(program.address)).stat().st_mode))
    assert modes[0] == modes[1] == 0o777 & ~(mask if asked is None else asked)


def test_maximum_of_children() -> None:
    """As many workers are started as maxChildren says."""
    with Program(LWCGI, "maxChildren=3") as program:
        until(lambda: "ready: 3 workers" in program.output(), "three workers")
