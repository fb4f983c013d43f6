# SPDX-License-Identifier: MIT
"""Behind a real nginx with the parameters Debian ships."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.checks.asking import written
from tests.harness import Gateway, Nginx, processes, until

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20


@pytest.fixture(scope="module", params=["rewind", "fork", "none"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway with two workers."""
    with Gateway(engine=request.param, options={"workers": 2}) as running:
        yield running


@pytest.fixture(scope="module", params=[False, True], ids=["close", "keep"])
def nginx(request: pytest.FixtureRequest, gateway: Gateway) -> Iterator[Nginx]:
    """Nginx in front of it, closing or keeping its connections."""
    location = "fastcgi_buffer_size 32k; fastcgi_buffers 8 32k;"
    with Nginx(gateway.address, keep=request.param, location=location) as running:
        yield running


@pytest.fixture(scope="module", params=[False, True], ids=["close", "keep"])
def streaming(request: pytest.FixtureRequest, gateway: Gateway) -> Iterator[Nginx]:
    """Nginx that passes bodies on as they come, in both directions."""
    location = "fastcgi_request_buffering off; fastcgi_buffering off;"
    with Nginx(gateway.address, keep=request.param, location=location) as running:
        yield running


def _environ(nginx: Nginx, target: str, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    status, _, body = nginx.request(target, headers=named)
    assert status == 200, body
    return json.loads(body)["environ"]  # type: ignore[no-any-return]


def test_hundred_requests(nginx: Nginx) -> None:
    """A hundred requests in a row are answered, each with its own."""
    for number in range(100):
        assert _environ(nginx, f"/environment?{number}")["QUERY_STRING"] == str(number)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a%2Fb", "/a/b"),
        ("/a%20b", "/a b"),
        ("/%C3%A9", "/\xc3\xa9"),
        ("/%E9", "/\xe9"),
        ("/a%0Ab", "/a\nb"),
        ("/a//b", "/a/b"),
        ("/a%3Fb?c", "/a?b"),
    ],
)
def test_paths(nginx: Nginx, target: str, path: str) -> None:
    """PATH_INFO is the decoded path, SCRIPT_NAME empty, with Debian's stock parameters."""
    environ = _environ(nginx, target)
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"] == path
    assert environ["REQUEST_URI"] == target


def test_headers(nginx: Nginx) -> None:
    """Headers arrive; Proxy does not; a Content-Length of nginx's own is the one that counts."""
    environ = _environ(nginx, "/environment", X_Something="here", Proxy="http://evil.example")
    assert environ["HTTP_X_SOMETHING"] == "here"
    assert "HTTP_PROXY" not in environ


def test_repeated_cookies(nginx: Nginx) -> None:
    """Repeated headers, as nginx 1.22 passes them one by one, are joined."""
    connection = nginx.connect()
    connection.putrequest("GET", "/environment")
    for name, value in (("Cookie", "a=1"), ("X-Two", "1"), ("Cookie", "b=2"), ("X-Two", "2")):
        connection.putheader(name, value)
    connection.endheaders()
    body = connection.getresponse().read().decode()
    connection.close()
    assert '"HTTP_COOKIE": "a=1; b=2"' in body
    assert '"HTTP_X_TWO": "1, 2"' in body


def test_large_request_headers(nginx: Nginx) -> None:
    """Request headers up to nginx's own limit arrive."""
    headers = {f"X_{n}": "v" * 7000 for n in range(4)}
    environ = _environ(nginx, "/environment", **headers)
    assert all(environ[f"HTTP_X_{n}"] == "v" * 7000 for n in range(4))


def test_large_response_headers(nginx: Nginx) -> None:
    """Response headers up to fastcgi_buffer_size arrive."""
    status, headers, body = nginx.request("/echo", "POST", b"x", {"X-Echo": "v" * 7000})
    assert (status, headers["x-echo"], body) == (200, "v" * 7000, b"x")


def test_head(nginx: Nginx) -> None:
    """HEAD is answered without a body, and the connection is good for the next."""
    for _ in range(3):
        status, headers, body = nginx.request("/environment", "HEAD")
        assert (status, body) == (200, b"")
        assert headers["content-type"] == "application/json"


def test_statuses(nginx: Nginx) -> None:
    """A 304 and a 204 come without a body; a 404 with one."""
    for status, expected in (("304 Not Modified", b""), ("204 No Content", b""), ("404 No", b"b")):
        wanted = f'{{"status": "{status}", "headers": [["Content-Type", "x/y"]], "body": ["b"]}}'
        got = nginx.request("/raw", "POST", wanted.encode())
        assert (got[0], got[2]) == (int(status[:3]), expected)


def test_upload(nginx: Nginx) -> None:
    """An upload of 8 MiB arrives byte for byte."""
    data = os.urandom(8 * MIB)
    status, _, body = nginx.request("/upload", "POST", data)
    assert status == 200
    assert hashlib.sha256(data).hexdigest().encode() in body


def test_download(nginx: Nginx) -> None:
    """A download of 16 MiB and unknown length arrives byte for byte."""
    status, _, body = nginx.request(f"/download?chunks=256&size={65536}")
    assert status == 200
    assert body == b"".join(bytes([n % 251]) * 65536 for n in range(256))


def test_chunked_upload(nginx: Nginx) -> None:
    """A chunked request that nginx collects arrives with a length."""
    pieces = [os.urandom(30_000) for _ in range(10)]
    status, _, body = nginx.request("/echo", "POST", iter(pieces), chunked=True)
    assert (status, body) == (200, b"".join(pieces))


def test_chunked_upload_streamed(streaming: Nginx) -> None:
    """A chunked request that nginx passes on as it comes arrives without a length, and whole."""
    pieces = [os.urandom(30_000) for _ in range(10)]
    status, _, body = streaming.request("/echo", "POST", iter(pieces), chunked=True)
    assert (status, body) == (200, b"".join(pieces))
    status, _, body = streaming.request("/echo", "POST", iter([]), chunked=True)
    assert (status, body) == (200, b"")


def test_client_that_leaves(gateway: Gateway, streaming: Nginx) -> None:
    """A browser that goes away stops the work done for it: nginx closes, the gateway notices."""
    name = f"leaving-{streaming.folder.name}"
    connection = streaming.connect()
    connection.request("GET", f"/wait?{name}")
    pid = int(written(gateway.folder / f"{name}.started"))
    connection.close()
    until(lambda: not processes.alive(pid), "the context to be stopped")
    assert streaming.request("/environment")[0] == 200


@pytest.mark.parametrize("end", ["segfault", "os_exit", "exception"])
def test_crash_before_headers(nginx: Nginx, end: str) -> None:
    """A crash before the headers is a 500 to the browser, never a 502."""
    for _ in range(3):
        assert nginx.request(f"/do?end={end}")[0] == 500
    assert nginx.request("/environment")[0] == 200


def _is_cut_off(nginx: Nginx) -> None:
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        nginx.request("/middle?segfault")
    assert nginx.request("/environment")[0] == 200


def test_crash_after_headers(nginx: Nginx) -> None:
    """A crash in the middle of an answer reaches the browser as an answer that is cut off.

    The end of the connection alone would not do: without fastcgi_keep_conn nginx takes it for the
    end of the answer.
    """
    _is_cut_off(nginx)


def test_crash_after_headers_streamed(streaming: Nginx) -> None:
    """Likewise without fastcgi_buffering, where nginx takes it so even with kept connections."""
    _is_cut_off(streaming)


def test_nginx_has_no_complaint(nginx: Nginx) -> None:
    """Nothing in ordinary answers, or in a 500 after a crash, is odd to nginx."""
    before = len(nginx.error_log())
    for method in ("GET", "HEAD", "POST"):
        assert nginx.request("/environment", method)[0] == 200
    assert nginx.request("/download?chunks=30&size=65535")[0] == 200
    assert nginx.request("/do?end=kill")[0] == 500
    log = nginx.error_log()[before:]
    for complaint in ("invalid", "unexpected", "unsupported", "too big", "[error]", "[crit]"):
        assert complaint not in log
