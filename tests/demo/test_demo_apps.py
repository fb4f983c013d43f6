# SPDX-License-Identifier: MIT
"""Every demo application behind a real nginx, with every engine, inside wsgiref's validator."""

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from demo_apps.stage import DEMO_APPS, Stage, fetch, lwcgi_site

ENGINES = ("rewind", "fork", "none")
FILE = bytes(range(256)) * 4096
FORM = "multipart/form-data; boundary=cut"


def form(text: str, file: bytes = b"", name: str = "") -> bytes:
    """Return the form that a browser sends to the notes, in the encoding FORM."""
    parts = [f'--cut\r\nContent-Disposition: form-data; name="text"\r\n\r\n{text}'.encode()]
    if name:
        head = f'Content-Disposition: form-data; name="file"; filename="{name}"'
        parts.append(f"\r\n--cut\r\n{head}\r\n\r\n".encode() + file)
    return b"".join((*parts, b"\r\n--cut--\r\n"))


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The engine under test."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def stage(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The three applications at /hello, /counter and /notes."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if nginx is None:
        pytest.skip("needs nginx (make test installs it)")
    notes_dir = tmp_path_factory.mktemp("notes")
    paths = [f"--pythonpath={DEMO_APPS / name}" for name in ("hello", "counter", "flask_notes")]
    sites = tuple(
        lwcgi_site(
            f"validated:{name}",
            Path(__file__).parent,
            *paths,
            "--no-warmup",
            engine=engine,
            mount=f"/{name}",
            environ=(("NOTES_DIR", str(notes_dir)),),
        )
        for name in ("hello", "counter", "notes")
    )
    with Stage(nginx, 0, sites) as running:
        yield running
        for site in sites:
            log = running.log(site.name)
            assert "Traceback" not in log, f"the validator complained, or the gateway did:\n{log}"


def test_hello(stage: Stage) -> None:
    """The plain application's answer arrives whole."""
    assert stage.get("/hello/") == (200, b"Hello, world.\n")


def test_hello_head(stage: Stage) -> None:
    """HEAD is answered like GET, without a body."""
    with closing(HTTPConnection("127.0.0.1", stage.port, timeout=30)) as connection:
        for method, body in (("GET", b"Hello, world.\n"), ("HEAD", b"")):
            connection.request(method, "/hello/")
            answer = connection.getresponse()
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert answer.read() == body


def test_counter(stage: Stage, engine: str) -> None:
    """Ten visitors are counted 1 to 10 without isolation; with it each is the first."""
    bodies = [stage.get("/counter/?name=ann")[1] for _ in range(10)]
    numbers = [int(body.split()[3].rstrip(b".")) for body in bodies]
    names = {body.split()[-1] for body in bodies[1:]}
    if engine == "none":
        assert (numbers, names) == (list(range(1, 11)), {b"ann."})
    else:
        assert (numbers, names) == ([1] * 10, {b"nobody."})


def test_notes_file(stage: Stage) -> None:
    """A note with a file of 1 MiB is stored; the file comes back byte by byte, under its name."""
    body = form("with a file", FILE, "dir/all bytes.bin")
    assert fetch(stage.port, "POST", "/notes/", body, Content_Type=FORM)[0] == 303
    page = stage.get("/notes/")[1].decode()
    links = re.findall(r'href="(/notes/\d+/file)">all bytes.bin<', page)
    assert len(links) == 1
    assert stage.get(links[0]) == (200, FILE)
    deleted = links[0].replace("/file", "/delete")
    assert fetch(stage.port, "POST", deleted)[0] == 303
    assert stage.get(links[0])[0] == 404


def test_notes_text_is_escaped(stage: Stage) -> None:
    """What is not ASCII survives form, database and template; markup in it is text."""
    assert fetch(stage.port, "POST", "/notes/", form("Grüße <b>"), Content_Type=FORM)[0] == 303
    assert "Grüße &lt;b&gt;" in stage.get("/notes/")[1].decode()


def test_notes_refuses_nothing(stage: Stage) -> None:
    """An error page of the framework arrives as such."""
    status, body = fetch(stage.port, "POST", "/notes/", form(" "), Content_Type=FORM)
    assert status == 400
    assert b"Write a text" in body


def test_notes_export_streams(stage: Stage) -> None:
    """The streamed page, of unknown length, arrives whole and in order."""
    for number in range(5):
        body = form(f"line {number}")
        assert fetch(stage.port, "POST", "/notes/", body, Content_Type=FORM)[0] == 303
    status, exported = stage.get("/notes/export.txt")
    assert status == 200
    assert re.findall(r"'line (\d)'", exported.decode())[-5:] == ["0", "1", "2", "3", "4"]


def test_notes_static_and_not_modified(stage: Stage) -> None:
    """A static file is served; asked for again with its ETag it is a 304 without a body."""
    path = "/notes/static/notes.css"
    with closing(HTTPConnection("127.0.0.1", stage.port, timeout=30)) as connection:
        connection.request("GET", path)
        first = connection.getresponse()
        assert first.read() == (DEMO_APPS / "flask_notes/static/notes.css").read_bytes()
        connection.request("GET", path, headers={"If-None-Match": first.headers["ETag"]})
        again = connection.getresponse()
        assert (again.status, again.read()) == (304, b"")
