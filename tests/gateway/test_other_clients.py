# SPDX-License-Identifier: MIT
"""FastCGI clients that others wrote: flup's, and cgi-fcgi of the FastCGI development kit."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from flup.client.fcgi_app import FCGIApp
from werkzeug.test import Client
from werkzeug.wrappers import Response

from tests.harness import Gateway
from tests.harness.client import variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1 << 20


class _Socket(socket.socket):
    """One that has been closed at the other end takes what nobody waits for.

    flup's client ends with an empty FCGI_DATA, of which a Responder knows nothing: it may have
    answered before.
    """

    def send(self, data: Any, flags: int = 0) -> int:
        try:
            return super().send(data, flags)
        except BrokenPipeError:
            return len(data)


class _FlupClient(FCGIApp):
    """flup's client, which under Python 3 tells Unix sockets by a name that is gone."""

    def _getConnection(self) -> socket.socket:  # noqa: N802 - flup's name
        connection = _Socket(socket.AF_UNIX)
        connection.connect(self._connect)
        return connection

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """Pass a request on; flup leaves status and headers as bytes."""

        def start(status: bytes, headers: list[tuple[bytes, bytes]]) -> None:
            text = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
            start_response(status.decode("latin-1"), text)

        return super().__call__(environ, start)  # type: ignore[no-any-return]


@pytest.fixture(scope="module", params=["rewind", "fork", "none"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway."""
    with Gateway(engine=request.param, options={"workers": 2}) as running:
        yield running


@pytest.fixture
def flup(gateway: Gateway) -> Client:
    """Flup's client, driven by werkzeug's."""
    return Client(_FlupClient(connect=gateway.address), Response)


def test_flup_get(flup: Client) -> None:
    """Flup's client gets an answer; what it sends arrives."""
    answer = flup.get("/a%20b?c=d", headers={"X-Something": "here"})
    assert answer.status == "200 OK"
    environ = json.loads(answer.data)["environ"]
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/a b", "c=d")
    assert environ["HTTP_X_SOMETHING"] == "here"


@pytest.mark.parametrize("size", [0, 1, 4096, MIB])
def test_flup_post(flup: Client, size: int) -> None:
    """A body goes there and back."""
    body = os.urandom(size)
    assert flup.post("/echo", input_stream=io.BytesIO(body), content_length=size).data == body


def test_flup_many(flup: Client) -> None:
    """So do many requests, some of which crash."""
    for number in range(20):
        assert flup.get("/do?end=segfault").status_code == 500
        assert flup.get(f"/quick?{number}").data == f'"/quick?{number}"'.encode()


def _cgi_fcgi(
    gateway: Gateway, target: str, body: bytes | None = None, code: int = 0
) -> tuple[bytes, bytes]:
    """Return head and body that cgi-fcgi, a CGI program, hands to its web server.

    Its exit code is the application's status in END_REQUEST.
    """
    binary = shutil.which("cgi-fcgi")
    assert binary, "cgi-fcgi is missing: apt-get install libfcgi-bin"
    request = variables(target, "GET" if body is None else "POST", body)
    done = subprocess.run(
        [binary, "-bind", "-connect", gateway.address],
        input=body or b"",
        capture_output=True,
        env={name.decode(): value.decode() for name, value in request.items()},
        timeout=30,
    )
    assert done.returncode == code, done.stderr
    assert not done.stderr
    head, _, rest = done.stdout.partition(b"\r\n\r\n")
    return head, rest


def test_cgi_fcgi_get(gateway: Gateway) -> None:
    """cgi-fcgi passes its environment on and the answer back."""
    head, body = _cgi_fcgi(gateway, "/environment?a=b")
    assert head.split(b"\r\n")[0] == b"Status: 200 OK"
    environ = json.loads(body)["environ"]
    assert (environ["QUERY_STRING"], environ["REQUEST_METHOD"]) == ("a=b", "GET")


@pytest.mark.parametrize("size", [0, 1, MIB])
def test_cgi_fcgi_post(gateway: Gateway, size: int) -> None:
    """A body goes there and back."""
    body = os.urandom(size)
    assert _cgi_fcgi(gateway, "/echo", body)[1] == body


def test_cgi_fcgi_download(gateway: Gateway) -> None:
    """A long answer arrives whole."""
    body = _cgi_fcgi(gateway, "/download?chunks=100&size=65536")[1]
    expected = hashlib.sha256(b"".join(bytes([n]) * 65536 for n in range(100)))
    assert hashlib.sha256(body).digest() == expected.digest()


def test_cgi_fcgi_crash(gateway: Gateway) -> None:
    """A crash is a whole answer, 500, and tells that the application failed."""
    head, body = _cgi_fcgi(gateway, "/do?end=segfault", code=1)
    assert head.split(b"\r\n")[0] == b"Status: 500 Internal Server Error"
    assert body == b"500 Internal Server Error\n"
