# SPDX-License-Identifier: MIT
"""The tests' own FastCGI client, held against another implementation and against nonsense."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.apps import residue
from tests.harness import fastcgi, processes, until
from tests.harness.client import Answer, Connection, variables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FLUP = """
import sys
from flup.server.fcgi import WSGIServer

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("201 Made", [("Content-Type", "text/plain"), ("X-Way", environ["PATH_INFO"])])
    environ["wsgi.errors"].write("said")
    return [environ["QUERY_STRING"].encode(), body]

WSGIServer(app, bindAddress=sys.argv[1]).run()
"""


@pytest.fixture(scope="module")
def flup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a FastCGI server that is not ours."""
    path: Path = tmp_path_factory.mktemp("flup") / "socket"
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", _FLUP, str(path)]) as server:
        try:
            until(path.exists, "flup to come up")
            yield str(path)
        finally:
            server.kill()


def test_another_server_understands_our_client(flup: str) -> None:
    """Flup's server reads what the client writes, and the client reads its answer."""
    body = os.urandom(100_000)
    with Connection(flup) as connection:
        answer = connection.post("/way?query=1", body, HTTP_X_LONG="long" * 2000)
    assert answer.complete
    assert answer.status == 201
    assert answer.header("X-Way") == "/way"
    assert answer.body == b"query=1" + body
    assert answer.stderr == b"said"


def test_another_server_keeps_our_connection(flup: str) -> None:
    """Three requests run over one connection where the client asks to keep it."""
    with Connection(flup) as connection:
        for number in range(3):
            answer = connection.post(f"/?{number}", b"", keep=True)
            assert answer.body == b"%d" % number


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x02\x06\0\x01\0\0\0\0", id="version 2"),
        pytest.param(b"\x01\x06\0\x01\0\0\0\x09", id="reserved byte set"),
        pytest.param(b"\x01\x06\0\x01\0\0\x02\0\0\x07", id="padding not zero"),
    ],
)
def test_decoder_refuses(data: bytes) -> None:
    """The decoder reports what an implementation must not send."""
    with pytest.raises(fastcgi.ProtocolError):
        fastcgi.Decoder().feed(data)


def test_decoder_takes_any_cut() -> None:
    """Records come out the same whether fed at once or byte by byte."""
    data = (
        fastcgi.record(fastcgi.STDOUT, 7, b"a" * 300, b"\0" * 255)
        + fastcgi.record(fastcgi.STDOUT, 7)
        + fastcgi.record(fastcgi.END_REQUEST, 7, bytes(8))
    )
    whole = fastcgi.Decoder().feed(data)
    decoder = fastcgi.Decoder()
    pieces = [record for byte in data for record in decoder.feed(bytes([byte]))]
    assert whole == pieces
    assert [record.type for record in whole] == [6, 6, 3]
    assert decoder.pending == 0


@pytest.mark.parametrize("size", [0, 127, 128, 1000, 70000])
def test_pairs_come_back(size: int) -> None:
    """Name-value pairs of short and long lengths survive writing and reading."""
    written = {b"n" * max(1, size): b"v" * size, b"x": b""}
    assert fastcgi.parse_pairs(fastcgi.pairs(written.items())) == written


def test_variables_are_what_nginx_sends() -> None:
    """A POST names its length, a GET does not."""
    assert variables("/a?b", "POST", b"123")[b"CONTENT_LENGTH"] == b"3"
    assert b"CONTENT_LENGTH" not in variables("/a?b")
    assert variables("/a?b")[b"QUERY_STRING"] == b"b"


def test_an_answer_is_complete_only_with_one_right_end() -> None:
    """No END_REQUEST, or one that says overloaded, is not a complete answer."""
    assert not Answer().complete
    assert not Answer(ends=[(0, fastcgi.OVERLOADED)]).complete
    assert Answer(ends=[(1, fastcgi.REQUEST_COMPLETE)]).complete


def test_search_finds_what_is_in_memory() -> None:
    """The residue search finds bytes that are there and none that are not."""
    present = os.urandom(16)
    wanted = present.translate(residue.ADD_ONE)
    absent = os.urandom(16)
    assert residue.search(os.getpid(), [wanted])
    assert not residue.search(os.getpid(), [absent])


def test_search_does_not_find_itself() -> None:
    """Searching twice for the same needle does not find what the first search left behind."""
    needle = os.urandom(16)
    for _ in range(3):
        assert not residue.search(os.getpid(), [needle])


def test_processes_are_seen() -> None:
    """A child is listed with parent and session, and found by its environment."""
    environ = {**os.environ, "MARK": "lwcgi-test-of-processes"}
    with subprocess.Popen(["sleep", "60"], env=environ, start_new_session=True) as child:
        try:
            assert child.pid in [process.pid for process in processes.children(os.getpid())]
            found = until(lambda: processes.marked("MARK=lwcgi-test-of-processes"), "the child")
            assert [process.pid for process in found] == [child.pid]
            assert found[0].session == child.pid
        finally:
            child.kill()
    assert not processes.alive(child.pid)
