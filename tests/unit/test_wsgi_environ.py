# SPDX-License-Identifier: MIT
"""From CGI variables to a WSGI environ."""

from __future__ import annotations

from typing import Any

import pytest

from lwcgi import wsgi
from tests.unit.recorder import block


def environ(script_name: str = "", /, **variables: str | None) -> dict[str, Any]:
    """Return the environ made of stock variables and *variables*."""
    return wsgi.build_environ(block(variables), script_name)


def place(script_name: str = "", /, **variables: str | None) -> tuple[str, str]:
    """Return SCRIPT_NAME and PATH_INFO."""
    made = environ(script_name, **variables)
    return made["SCRIPT_NAME"], made["PATH_INFO"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SCRIPT_NAME": "/"}, ("", "/")),
        ({"SCRIPT_NAME": "/a/b"}, ("", "/a/b")),
        ({"SCRIPT_NAME": "/a", "PATH_INFO": "/b"}, ("/a", "/b")),
        ({"SCRIPT_NAME": "/a", "PATH_INFO": ""}, ("/a", "")),
        ({"SCRIPT_NAME": "", "PATH_INFO": "/b"}, ("", "/b")),
        ({"SCRIPT_NAME": "", "PATH_INFO": ""}, ("", "")),
        ({"SCRIPT_NAME": None, "PATH_INFO": "/b"}, ("", "/b")),
        ({"SCRIPT_NAME": "/", "PATH_INFO": ""}, ("", "/")),
        ({"SCRIPT_NAME": "/", "PATH_INFO": "b"}, ("", "/b")),
        ({"SCRIPT_NAME": None, "REQUEST_URI": "/a%20b?c=%20d"}, ("", "/a b")),
        ({"SCRIPT_NAME": None, "REQUEST_URI": "/a%2Fb"}, ("", "/a/b")),
        ({"SCRIPT_NAME": None, "REQUEST_URI": "/%E2%82%ac/%ff"}, ("", "/\xe2\x82\xac/\xff")),
        ({"SCRIPT_NAME": None, "REQUEST_URI": "/\xff"}, ("", "/\xff")),
        ({"SCRIPT_NAME": None, "REQUEST_URI": "http://host:1/a/b?c"}, ("", "/a/b")),
        ({"SCRIPT_NAME": None, "REQUEST_URI": "http://host"}, ("", "/")),
        ({"SCRIPT_NAME": None, "REQUEST_URI": "*"}, ("", "/")),
        ({"SCRIPT_NAME": None, "REQUEST_URI": None}, ("", "/")),
        ({"SCRIPT_NAME": "/\xe2\x82\xac\xff"}, ("", "/\xe2\x82\xac\xff")),
        ({"SCRIPT_NAME": "/a\nb\r\n"}, ("", "/a\nb\r\n")),
        ({"SCRIPT_NAME": "/a\nb.php", "PATH_INFO": "\n"}, ("/a\nb.php", "\n")),
    ],
)
def test_path(variables: dict[str, str | None], expected: tuple[str, str]) -> None:
    """Without PATH_INFO the path is SCRIPT_NAME, or else REQUEST_URI; with it both are kept."""
    assert place(**variables) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SCRIPT_NAME": "/app"}, ("/app", "")),
        ({"SCRIPT_NAME": "/app/"}, ("/app", "/")),
        ({"SCRIPT_NAME": "/app/x/y"}, ("/app", "/x/y")),
        ({"SCRIPT_NAME": "/app//x"}, ("/app", "//x")),
        ({"SCRIPT_NAME": "/application"}, ("", "/application")),
        ({"SCRIPT_NAME": "/other/app"}, ("", "/other/app")),
        ({"SCRIPT_NAME": "/app", "PATH_INFO": "/x"}, ("/app", "/x")),
        ({"SCRIPT_NAME": "", "PATH_INFO": "/app/x"}, ("/app", "/x")),
        ({"SCRIPT_NAME": "/app/x", "PATH_INFO": "/y"}, ("/app", "/x/y")),
        ({"SCRIPT_NAME": "/ap", "PATH_INFO": "p/x"}, ("/app", "/x")),
        ({"SCRIPT_NAME": "/", "PATH_INFO": "app/x"}, ("/app", "/x")),
        ({"SCRIPT_NAME": "/", "PATH_INFO": "other"}, ("", "/other")),
    ],
)
def test_mount_point(variables: dict[str, str | None], expected: tuple[str, str]) -> None:
    """A path below the mount point is split there; any other stays as it is."""
    assert place("/app", **variables) == expected


def test_mount_point_beyond_ascii() -> None:
    """The mount point is compared in the encoding of the path: UTF-8."""
    sent = "/caf\u00e9/x".encode().decode("latin-1")
    assert place("/caf\u00e9", SCRIPT_NAME=sent) == (sent[:-2], "/x")


def test_variables_of_the_proxy_header_are_dropped() -> None:
    """`Proxy:` and the unchecked copies of length and type never arrive."""
    made = environ(
        HTTP_PROXY="evil:1", HTTP_CONTENT_LENGTH="9", HTTP_CONTENT_TYPE="x/y", CONTENT_LENGTH="3"
    )
    assert made["CONTENT_LENGTH"] == "3"
    assert not made.keys() & {"HTTP_PROXY", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"}


def test_empty_length_and_type_are_absent() -> None:
    """What nginx sends empty for a request without a body is as if it was not sent."""
    assert not environ().keys() & {"CONTENT_LENGTH", "CONTENT_TYPE"}


def test_values_are_kept() -> None:
    """Every other variable arrives as it was sent, empty ones and separators included."""
    made = environ(HTTP_X="a=b; c\t\xfc", EMPTY="", QUERY_STRING="a=%00&b")
    assert (made["HTTP_X"], made["EMPTY"]) == ("a=b; c\t\xfc", "")
    assert made["QUERY_STRING"] == "a=%00&b"


def test_no_variables_at_all() -> None:
    """A request without variables still has what PEP 3333 requires."""
    assert wsgi.build_environ(b"", "") == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
    }


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SERVER_NAME": "", "HTTP_HOST": "example.org:81"}, ("example.org", "8000")),
        ({"SERVER_NAME": "", "HTTP_HOST": "[::1]:81"}, ("[::1]", "8000")),
        ({"SERVER_NAME": "", "HTTP_HOST": "[::1]"}, ("[::1]", "8000")),
        ({"SERVER_NAME": "", "HTTP_HOST": None, "SERVER_ADDR": "::1"}, ("::1", "8000")),
        ({"SERVER_NAME": None, "HTTP_HOST": ""}, ("localhost", "8000")),
        ({"SERVER_PORT": "", "HTTPS": "on"}, ("localhost", "443")),
        ({"SERVER_PORT": None}, ("localhost", "80")),
    ],
)
def test_server_is_always_named(
    variables: dict[str, str | None], expected: tuple[str, str]
) -> None:
    """SERVER_NAME and SERVER_PORT are never empty, also behind an empty `server_name`."""
    made = environ(**variables)
    assert (made["SERVER_NAME"], made["SERVER_PORT"]) == expected
