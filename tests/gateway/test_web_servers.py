# SPDX-License-Identifier: MIT
"""Behind lighttpd, Apache and Caddy, configured as docs/deployment.md says."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import Gateway, until
from tests.harness.apache import Apache
from tests.harness.caddy import Caddy
from tests.harness.gateway import ROOT
from tests.harness.lighttpd import Lighttpd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.webserver import WebServer

MIB = 1 << 20
NOTES = ROOT / "demo_apps" / "flask_notes"


@dataclass(frozen=True)
class Kind:
    """A web server, and what it makes of requests and answers.

    Parameters:
        make: takes the path of a gateway's socket.
        streams_request: the application sees a body while it comes.
        streams_answer: a client that does not read holds the application up.
        chunked: it passes chunked bodies on, even if they take their time.
        cut: what its log says of an answer that was cut off, where the client may see a whole one.
        loses: it may put a request on a connection that is just being closed.
        odd: targets that it changes or refuses: PATH_INFO, or its own status.
    """

    make: Callable[[str], WebServer]
    streams_request: bool
    streams_answer: bool
    odd: dict[str, str | int]
    chunked: bool = True
    cut: str = ""
    loses: bool = False


_TIDY: dict[str, str | int] = {"/a//b": "/a/b", "/a/../b": "/b", "//a": "/a"}
_LIGHTTPD = _TIDY | {"/a%0Ab": 400}
_LIGHTTPD_CUT = "unexpected end-of-file"
_APACHE = _TIDY | {"/%2e%2e/a": 400}
KINDS = {
    "lighttpd": Kind(Lighttpd, False, False, _LIGHTTPD, cut=_LIGHTTPD_CUT),
    "lighttpd-streaming": Kind(
        partial(Lighttpd, streaming=True), True, True, _LIGHTTPD, chunked=False, cut=_LIGHTTPD_CUT
    ),
    "apache": Kind(Apache, True, True, _APACHE),
    "apache-keep": Kind(partial(Apache, keep=True), True, True, _APACHE, loses=True),
    "caddy": Kind(Caddy, True, True, {}, cut="invalid header version"),
}


@pytest.fixture(scope="module", params=["rewind", "fork"])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine under test."""
    return str(request.param)


@pytest.fixture(scope="module")
def acts(engine: str) -> Iterator[Gateway]:
    """A gateway whose application tells what it sees."""
    options = {"workers": 2, "log-level": "debug", "access-log": "-"}
    with Gateway(engine=engine, options=options) as running:
        yield running


@pytest.fixture(scope="module")
def notes(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The demo application, as it is, at /notes."""
    folder = str(tmp_path_factory.mktemp("notes"))
    options = {"workers": 2, "pythonpath": NOTES, "script-name": "/notes"}
    with Gateway(
        "notes:application", engine, options=options, environ={"NOTES_DIR": folder}
    ) as running:
        yield running
        assert "Traceback" not in running.log()


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """The web server under test."""
    return KINDS[request.param]


@pytest.fixture(scope="module")
def server(kind: Kind, acts: Gateway) -> Iterator[WebServer]:
    """It, in front of the application that tells what it sees."""
    with kind.make(acts.address) as running:
        yield running


@pytest.fixture(scope="module")
def site(kind: Kind, notes: Gateway) -> Iterator[WebServer]:
    """It, in front of the demo application."""
    with kind.make(notes.address) as running:
        yield running


def _environ(server: WebServer, target: str, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    status, _, body = server.request(target, headers=named)
    assert status == 200, body
    return json.loads(body)["environ"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a%2Fb", "/a/b"),
        ("/a%20b+c", "/a b+c"),
        ("/%C3%A9", "/\xc3\xa9"),
        ("/%E9", "/\xe9"),
        ("/a%0Ab", "/a\nb"),
        ("/a%3Fb?c", "/a?b"),
        ("/a%25b", "/a%b"),
        ("/a%5Cb;c=1", "/a\\b;c=1"),
        ("/x.php/y", "/x.php/y"),
        ("/a//b", "/a//b"),
        ("//a", "//a"),
        ("/a/../b", "/a/../b"),
    ],
)
def test_paths(server: WebServer, kind: Kind, target: str, path: str) -> None:
    """PATH_INFO is the decoded path, tidied up by some; SCRIPT_NAME is empty."""
    expected = kind.odd.get(target, path)
    if isinstance(expected, int):
        assert server.request(target)[0] == expected
        return
    environ = _environ(server, target)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", expected)
    assert environ["REQUEST_URI"] == target
    assert environ["QUERY_STRING"] == target.partition("?")[2]


def test_variables(server: WebServer) -> None:
    """Server, client and headers are told; a Proxy header is not."""
    host = f"localhost:{server.address[1]}"
    environ = _environ(server, "/", X_Something="here", Proxy="http://evil.example")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == tuple(host.split(":"))
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["HTTP_X_SOMETHING"] == "here"
    assert "HTTP_PROXY" not in environ
    assert environ["wsgi.url_scheme"] == "http"


def test_large_headers(server: WebServer) -> None:
    """A header of 7000 bytes passes in both directions."""
    status, headers, body = server.request("/echo", "POST", b"x", {"X-Echo": "v" * 7000})
    assert (status, headers["x-echo"], body) == (200, "v" * 7000, b"x")


def test_head(server: WebServer) -> None:
    """HEAD is answered without a body, and the connection is good for the next."""
    connection = server.connect()
    for method in ("HEAD", "GET", "HEAD", "GET"):
        connection.request(method, "/environment")
        answer = connection.getresponse()
        body = answer.read()
        assert (answer.status, bool(body)) == (200, method == "GET")
    connection.close()


def test_hundred_requests(server: WebServer) -> None:
    """A hundred requests in a row are answered, each with its own."""
    for number in range(100):
        assert _environ(server, f"/environment?{number}")["QUERY_STRING"] == str(number)


def test_chunked_upload(server: WebServer, kind: Kind) -> None:
    """A chunked body arrives whole, an empty one too, whether or not its length is known."""
    if not kind.chunked:
        connection = server.connect()
        connection.putrequest("POST", "/echo")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        # It does not wait for a body that has not come yet.
        assert connection.getresponse().status == 411
        connection.close()
        return
    for pieces in ([os.urandom(30_000) for _ in range(10)], []):
        status, _, body = server.request("/echo", "POST", iter(pieces), chunked=True)
        assert (status, body) == (200, b"".join(pieces))


def test_unread_body(server: WebServer) -> None:
    """A body that the application does not read costs no later request."""
    for number in range(10):
        assert server.request(f"/quick?{number}", "POST", bytes(MIB))[0] == 200
        assert server.request("/quick")[0] == 200


def _answers_again(server: WebServer, kind: Kind) -> None:
    if kind.loses:
        until(lambda: server.request("/environment")[0] == 200, "Apache to open a new connection")
    assert server.request("/environment")[0] == 200


def test_crash(server: WebServer, kind: Kind) -> None:
    """A crash before the headers is a 500, and the next request is answered."""
    for end in ("segfault", "os_exit", "exception"):
        for _ in range(3):
            assert server.request(f"/do?end={end}")[0] == 500
            _answers_again(server, kind)


def test_crash_after_headers(server: WebServer, kind: Kind) -> None:
    """A crash in the middle of an answer reaches the client as an answer that is cut off."""
    for target in ("/middle?segfault&length", "/middle?segfault"):
        if kind.cut and target.endswith("segfault"):
            with suppress(http.client.IncompleteRead):
                server.request(target)
            until(lambda: kind.cut in server.error_log(), f"{kind.cut!r} in the server's log")
        else:
            with pytest.raises((http.client.HTTPException, ConnectionError)):
                server.request(target)
        _answers_again(server, kind)


def _access(gateway: Gateway, target: str) -> tuple[int, int]:
    """Wait for the line about *target* in the access log; return status and bytes sent."""
    pattern = rf'"\w+ {re.escape(target)} HTTP/1\.1" (\d+) (\d+) '
    [(status, sent)] = gateway.wait_for_log(pattern)
    return int(status), int(sent)


def _serves(gateway: Gateway, server: WebServer) -> None:
    assert server.request("/quick?after")[2] == b'"/quick?after"'
    assert len(gateway.workers()) == 2


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_upload_that_breaks_off(
    acts: Gateway, server: WebServer, kind: Kind, chunked: bool
) -> None:
    """A client that leaves in the middle of its upload is logged, and disturbs nobody."""
    reaches = kind.streams_request and (kind.chunked or not chunked)
    target = f"/upload?{server.folder.name}-{chunked}"
    connection = server.connect()
    connection.putrequest("POST", target)
    if chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    else:
        connection.putheader("Content-Length", str(64 * MIB))
    connection.endheaders()
    piece = bytes(MIB)
    connection.send(b"%x\r\n%b\r\n" % (MIB, piece) if chunked else piece)
    connection.close()
    if reaches:
        assert _access(acts, target)[0] in (0, 400)
        acts.wait_for_log(rf"POST {re.escape(target)}: (the request's body |the client went away)")
    _serves(acts, server)
    if not reaches:
        assert target not in acts.log()


def test_download_that_breaks_off(acts: Gateway, server: WebServer, kind: Kind) -> None:
    """A client that leaves in the middle of its download stops the application."""
    target = f"/download?chunks=1024&size=65536&{server.folder.name}"
    connection = server.connect()
    connection.request("GET", target)
    answer = connection.getresponse()
    assert answer.read(1000) == bytes(1000)
    answer.close()
    connection.close()
    status, sent = _access(acts, target)
    assert status == 200
    if kind.streams_answer:
        assert sent < 64 * MIB
        acts.wait_for_log(rf"GET {re.escape(target)}: the client went away")
    _serves(acts, server)


def _form(name: str, file: bytes) -> tuple[bytes, dict[str, str]]:
    """Return the form that a browser sends to the notes, and its headers."""
    head = (
        '--cut\r\nContent-Disposition: form-data; name="text"\r\n\r\na note\r\n'
        f'--cut\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    )
    body = b"%b%b\r\n--cut--\r\n" % (head.encode(), file)
    return body, {"Content-Type": "multipart/form-data; boundary=cut"}


def _store_and_fetch(site: WebServer, size: int, chunked: bool) -> None:
    """Store a file as a note, get it back and delete it."""
    name, file = f"{size}-{chunked}.bin", os.urandom(size)
    body, headers = _form(name, file)
    pieces = (body[at : at + MIB] for at in range(0, len(body), MIB))
    sent: object = pieces if chunked else body
    assert site.request("/notes/", "POST", sent, headers, chunked)[0] == 303
    page = site.request("/notes/")[2].decode()
    link = re.findall(rf'href="(/notes/\d+/file)">{re.escape(name)}<', page)[0]
    status, headers, body = site.request(link)
    assert (status, len(body)) == (200, size)
    assert hashlib.sha256(body).digest() == hashlib.sha256(file).digest()
    assert site.request(link.replace("/file", "/delete"), "POST")[0] == 303


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_notes(site: WebServer, kind: Kind, chunked: bool) -> None:
    """A note with a file is stored and comes back, below the mount point."""
    size = 64 * MIB if kind is KINDS["apache"] else 3 * MIB + 1
    _store_and_fetch(site, size, chunked and kind.chunked)


@pytest.mark.slow
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_notes_of_64_mib(site: WebServer, kind: Kind, chunked: bool) -> None:
    """A file of 64 MiB is stored and comes back, through each of them."""
    _store_and_fetch(site, 64 * MIB, chunked and kind.chunked)


def test_notes_not_modified(site: WebServer) -> None:
    """A static file asked for again with its ETag is a 304 without a body."""
    path = "/notes/static/notes.css"
    status, headers, body = site.request(path)
    assert (status, body) == (200, (NOTES / "static/notes.css").read_bytes())
    for _ in range(2):
        again = site.request(path, headers={"If-None-Match": headers["etag"]})
        assert (again[0], again[2]) == (304, b"")


def test_notes_export(site: WebServer) -> None:
    """A streamed answer of unknown length arrives whole."""
    status, _, body = site.request("/notes/export.txt")
    assert status == 200
    assert body == b"" or body.endswith(b"\n")
