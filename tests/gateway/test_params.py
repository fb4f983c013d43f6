# SPDX-License-Identifier: MIT
"""What becomes of FastCGI parameters: names, lengths, duplicates, paths."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.harness import Gateway, fastcgi
from tests.harness.client import variables

if TYPE_CHECKING:
    from collections.abc import Iterable


def _environ(served: Gateway, pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    with served.connect() as connection:
        return connection.request(pairs).json()["environ"]  # type: ignore[no-any-return]


def _ask(served: Gateway, raw_params: bytes) -> int:
    """Return the status of a request with these bytes as parameters, 0 where none came."""
    with served.connect() as connection:
        connection.send(
            fastcgi.begin(),
            fastcgi.closed_stream(fastcgi.PARAMS, 1, raw_params),
            fastcgi.record(fastcgi.STDIN, 1),
        )
        answer = connection.answer()
        assert answer.complete or answer.closed
        return answer.status


PLAIN = list(variables("/environment").items())


@pytest.mark.parametrize(
    "lengths",
    [
        pytest.param(struct.pack(">II", 0xFFFFFFFF, 0xFFFFFFFF), id="both 2^31-1"),
        pytest.param(b"\x01" + struct.pack(">I", 0xFFFFFFFF), id="value 2^31-1"),
        pytest.param(struct.pack(">I", 0xFFFFFFFF) + b"\x01", id="name 2^31-1"),
        pytest.param(struct.pack(">I", 0x80000000 + 100_000) + b"\x01", id="name past the end"),
        pytest.param(b"\x04\x05", id="value past the end"),
        pytest.param(b"\xff", id="cut inside a length"),
    ],
)
def test_lengths_that_lie(served: Gateway, lengths: bytes) -> None:
    """A declared length past the end is refused (CVE-2025-23016, HAProxy 96286b2a8, 52fd8a1b7)."""
    for params in (lengths + b"NAME", fastcgi.pairs(PLAIN) + lengths):
        assert _ask(served, params) == 400
    assert served.get("/environment").status == 200


def test_nul(served: Gateway) -> None:
    """A NUL in a name or a value is refused: it would split the pair in two."""
    assert _ask(served, fastcgi.pairs([*PLAIN, (b"HTTP_X", b"a\0HTTP_Y\0b")])) == 400
    assert _ask(served, fastcgi.pairs([*PLAIN, (b"HTTP_X\0HTTP_Y", b"a")])) == 400


def test_empty_name(served: Gateway) -> None:
    """A pair without a name is refused."""
    assert _ask(served, fastcgi.pairs([*PLAIN, (b"", b"value")])) == 400


def test_no_params(served: Gateway) -> None:
    """A request without any parameter gets an answer, whatever the application makes of it."""
    assert _ask(served, b"") in (200, 400, 500)
    assert served.get("/environment").status == 200


def test_httpoxy(served: Gateway) -> None:
    """A Proxy header reaches neither environ nor the process (CVE-2016-1000110)."""
    with served.connect() as connection:
        seen = connection.get("/environment", HTTP_PROXY="http://evil.example").json()
    assert "HTTP_PROXY" not in seen["environ"]
    assert "http_proxy" not in {name.lower() for name in seen["process"]}


def test_no_param_reaches_the_process(served: Gateway) -> None:
    """No parameter becomes an environment variable of the process, PYTHONPATH least of all."""
    with served.connect() as connection:
        more = {"PYTHONPATH": "/evil", "LD_PRELOAD": "/evil.so", "X_PARAM": "1"}
        process = connection.get("/environment", **more).json()["process"]
    assert "/evil" not in process.get("PYTHONPATH", "")
    assert "LD_PRELOAD" not in process
    assert not {"X_PARAM", "REQUEST_METHOD", "PATH_INFO"} & process.keys()


def test_headers_that_name_the_body(served: Gateway) -> None:
    """HTTP_CONTENT_LENGTH and HTTP_CONTENT_TYPE are dropped in favour of the real ones."""
    pairs = [*PLAIN, (b"HTTP_CONTENT_LENGTH", b"7"), (b"HTTP_CONTENT_TYPE", b"x/y")]
    environ = _environ(served, [*pairs, (b"CONTENT_TYPE", b"text/plain")])
    assert "HTTP_CONTENT_LENGTH" not in environ
    assert "HTTP_CONTENT_TYPE" not in environ
    assert environ["CONTENT_TYPE"] == "text/plain"


def test_empty_content_length(served: Gateway) -> None:
    """An empty CONTENT_LENGTH, as nginx sends with a GET, counts as none."""
    environ = _environ(served, [*PLAIN, (b"CONTENT_LENGTH", b""), (b"CONTENT_TYPE", b"")])
    assert environ.get("CONTENT_LENGTH", "0") in ("", "0")


@pytest.mark.parametrize("value", ["-2", "1x", "0x10", "+5", " 5", "9" * 19, "1,1"])
def test_content_length_that_is_no_number(served: Gateway, value: str) -> None:
    """A CONTENT_LENGTH that is not a plain decimal number is refused."""
    assert served.get("/environment", CONTENT_LENGTH=value).status == 400


def test_content_length_of_minus_one(served: Gateway) -> None:
    """A CONTENT_LENGTH of -1, as Caddy 2.6 sends with a chunked body, says that it is not known."""
    assert served.post("/echo", b"five!", CONTENT_LENGTH="-1").body == b"five!"
    environ = served.get("/environment", CONTENT_LENGTH="-1").json()["environ"]
    assert "CONTENT_LENGTH" not in environ


def test_content_lengths_that_disagree(served: Gateway) -> None:
    """Two different CONTENT_LENGTHs are refused: a smuggling attempt (gunicorn, waitress)."""
    pairs = [*PLAIN, (b"CONTENT_LENGTH", b"1"), (b"CONTENT_LENGTH", b"2")]
    assert _ask(served, fastcgi.pairs(pairs)) == 400


def test_duplicate_headers(served: Gateway) -> None:
    """Repeated headers are joined as HTTP joins them, cookies by semicolon (nginx before 1.23)."""
    pairs = [
        (b"HTTP_ACCEPT", b"a"), (b"HTTP_COOKIE", b"a=1"), (b"HTTP_ACCEPT", b"b"),
        (b"HTTP_COOKIE", b"b=2"), (b"HTTP_ACCEPT", b"c"),
    ]  # fmt: skip
    environ = _environ(served, [*pairs, *PLAIN])
    assert environ["HTTP_ACCEPT"] == "a, b, c"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


def test_duplicate_variables(served: Gateway) -> None:
    """Of a repeated variable that is no header the last counts: the configuration overrides."""
    environ = _environ(served, [(b"SERVER_NAME", b"first"), *PLAIN, (b"SERVER_NAME", b"last")])
    assert environ["SERVER_NAME"] == "last"


def test_a_long_value(served: Gateway) -> None:
    """A value longer than any record can be passes, up to the limit."""
    environ = _environ(served, [*PLAIN, (b"HTTP_X_LONG", b"v" * 100_000)])
    assert environ["HTTP_X_LONG"] == "v" * 100_000


def test_too_many_params(served: Gateway) -> None:
    """More bytes of parameters than --max-params are refused with 431, the connection drained."""
    long = [*PLAIN, (b"HTTP_X_LONG", b"v" * 200_000)]
    with served.connect() as connection:
        answer = connection.request(long, keep=True)
        assert answer.complete
        assert answer.status == 431
        assert connection.get("/environment").status == 200


def test_too_many_pairs(served: Gateway) -> None:
    """Thousands of tiny pairs are refused rather than compared with each other for ever."""
    pairs = [*PLAIN, *((b"HTTP_%d" % n, b"") for n in range(5000))]
    assert _ask(served, fastcgi.pairs(pairs)) == 431


PATHS = [
    # Each: parameters, then the SCRIPT_NAME and the PATH_INFO they make.
    pytest.param({"SCRIPT_NAME": "/app", "PATH_INFO": "/x"}, "/app", "/x", id="both"),
    pytest.param({"SCRIPT_NAME": "/app", "PATH_INFO": ""}, "/app", "", id="empty PATH_INFO"),
    pytest.param({"SCRIPT_NAME": "", "PATH_INFO": "/"}, "", "/", id="the root"),
    pytest.param({"SCRIPT_NAME": "/a/b"}, "", "/a/b", id="Debian's fastcgi_params"),
    pytest.param({"SCRIPT_NAME": "/a%2Fb"}, "", "/a%2Fb", id="%25 is decoded once"),
    pytest.param({"SCRIPT_NAME": "/a\nb"}, "", "/a\nb", id="newline (CVE-2019-11043)"),
    pytest.param({"SCRIPT_NAME": "/\xe9\xff"}, "", "/\xe9\xff", id="not UTF-8"),
    pytest.param({"SCRIPT_NAME": "/\xc3\xa9"}, "", "/\xc3\xa9", id="UTF-8 as latin-1"),
    pytest.param({"SCRIPT_NAME": "//a//b"}, "", "//a//b", id="double slashes"),
]


@pytest.mark.parametrize(("params", "script_name", "path_info"), PATHS)
def test_paths(served: Gateway, params: dict[str, str], script_name: str, path_info: str) -> None:
    """SCRIPT_NAME and PATH_INFO come out right for every way web servers send them."""
    sent = variables("/x")
    del sent[b"SCRIPT_NAME"], sent[b"PATH_INFO"]
    sent |= {name.encode(): value.encode("latin-1") for name, value in params.items()}
    environ = _environ(served, sent.items())
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


def test_no_path_at_all(served: Gateway) -> None:
    """Without SCRIPT_NAME and PATH_INFO the path is that of REQUEST_URI, decoded."""
    sent = variables("/a%20b%2Fc?q=%20")
    del sent[b"SCRIPT_NAME"], sent[b"PATH_INFO"]
    environ = _environ(served, sent.items())
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/a b/c")


def test_mount_point() -> None:
    """With --script-name the application is mounted, and only below its mount point."""
    with Gateway(options={"script-name": "/app"}) as gateway:
        for path, expected in {
            "/app/x": ("/app", "/x"),
            "/app": ("/app", ""),
            "/apple": ("", "/apple"),
            "/": ("", "/"),
        }.items():
            sent = variables(path)
            del sent[b"PATH_INFO"]
            sent[b"SCRIPT_NAME"] = path.encode()
            environ = _environ(gateway, sent.items())
            assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == expected
