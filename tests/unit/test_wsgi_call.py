# SPDX-License-Identifier: MIT
"""What an application is given besides the CGI variables, and that wsgiref is content with it."""

from __future__ import annotations

from typing import Any
from wsgiref.validate import validator

import pytest

from tests.unit.recorder import serve
from tests.unit.wsgi_apps import TEXT, Start, seen


def test_environ_is_what_the_pep_requires() -> None:
    """The wsgi.* values tell the truth about a process that serves one request at a time."""
    environ = seen()
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.multithread"] is False
    assert environ["wsgi.multiprocess"] is True
    assert environ["wsgi.run_once"] is False
    assert environ["wsgi.input_terminated"] is True
    assert environ["lwcgi.request_id"] == "w1-000001"


@pytest.mark.parametrize(
    ("variables", "scheme"),
    [
        ({}, "http"),
        ({"HTTPS": "on"}, "https"),
        ({"HTTPS": "1"}, "https"),
        ({"HTTPS": "off"}, "http"),
        ({"HTTPS": ""}, "http"),
        ({"REQUEST_SCHEME": "https"}, "https"),
        ({"REQUEST_SCHEME": None}, "http"),
        ({"REQUEST_SCHEME": "javascript"}, "http"),
    ],
)
def test_url_scheme(variables: dict[str, str | None], scheme: str) -> None:
    """HTTPS decides, then REQUEST_SCHEME, and nothing but http and https comes out."""
    assert seen(variables)["wsgi.url_scheme"] == scheme


def test_variables_cannot_pose_as_the_server() -> None:
    """A FastCGI variable named like one of the server's own entries is overwritten."""
    environ = seen({"wsgi.multithread": "x", "wsgi.url_scheme": "x", "lwcgi.request_id": "x"})
    assert environ["wsgi.multithread"] is False
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["lwcgi.request_id"] == "w1-000001"


def test_authorizer_is_told_its_role() -> None:
    """An Authorizer request is the same call with FCGI_ROLE set; a Responder's has none."""
    assert seen(role=2)["FCGI_ROLE"] == "AUTHORIZER"
    assert "FCGI_ROLE" not in seen()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("script_name", ["", "/app"])
def test_validator_finds_nothing(method: str, script_name: str) -> None:
    """wsgiref.validate is content with both sides."""

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        environ["wsgi.errors"].write("a line\n")
        environ["wsgi.errors"].writelines(["another\n"])
        environ["wsgi.errors"].flush()
        body = environ["wsgi.input"].read(3) + environ["wsgi.input"].readline()
        start_response("200 OK", TEXT)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body, b"more"]

    variables = {"REQUEST_METHOD": method, "SCRIPT_NAME": "/app/x", "CONTENT_LENGTH": "8"}
    done = serve(validator(app), variables, script_name, body=b"line one")
    assert (done.logged, done.finished) == ("a line\nanother", 1)
    assert done.body == (b"" if method == "HEAD" else b"line onemore")
