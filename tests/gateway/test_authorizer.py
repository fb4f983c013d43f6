# SPDX-License-Identifier: MIT
"""The Authorizer role (FastCGI 1.0, section 6.3) behind lighttpd and Apache."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests.harness import Gateway
from tests.harness.apache import Apache
from tests.harness.lighttpd import Lighttpd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.webserver import WebServer


@pytest.fixture(scope="module")
def acts() -> Iterator[Gateway]:
    """What is to be protected."""
    with Gateway(engine="none") as running:
        yield running


@pytest.fixture(scope="module", params=["rewind", "fork"])
def authorizer(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway that is asked for permission, on a Unix socket and a port."""
    options = {"bind": "127.0.0.1:0", "log-level": "debug"}
    with Gateway("tests.apps.authorizer:app", request.param, options) as running:
        yield running


@pytest.fixture(scope="module")
def lighttpd(acts: Gateway, authorizer: Gateway) -> Iterator[WebServer]:
    """Lighttpd, which asks before it serves what is below /private/."""
    with Lighttpd(acts.address, authorizer=authorizer.address) as running:
        yield running


@pytest.fixture(scope="module")
def apache(acts: Gateway, authorizer: Gateway) -> Iterator[WebServer]:
    """Apache, likewise."""
    [port] = authorizer.wait_for_log(r"listening on .*127\.0\.0\.1:(\d+)$")
    with Apache(acts.address, authorizer=int(port)) as running:
        yield running


def _basic(name: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:secret".encode()).decode()}


@pytest.mark.parametrize("body", [None, b"abc"], ids=["GET", "POST"])
def test_lighttpd_lets_in(lighttpd: WebServer, body: bytes | None) -> None:
    """A 200 lets the request through, with its variables and its own body."""
    token = {"X-Token": "anna"}
    status, _, answer = lighttpd.request("/private/x", "POST" if body else "GET", body, token)
    environ = json.loads(answer)["environ"]
    assert (status, environ["GROUP"], environ["PATH_INFO"]) == (200, "editors", "/private/x")
    assert int(environ.get("CONTENT_LENGTH", 0)) == len(body or b"")


def test_lighttpd_refuses(lighttpd: WebServer) -> None:
    """Any other answer goes to the client: status, headers and body."""
    status, headers, body = lighttpd.request("/private/x", "POST", b"abc")
    assert (status, headers["x-reason"], body) == (403, "unknown", b"not you: /private/x")


def test_lighttpd_asks_for_what_is_private(lighttpd: WebServer) -> None:
    """What is elsewhere is served without asking."""
    environ = json.loads(lighttpd.request("/public")[2])["environ"]
    assert "GROUP" not in environ


def test_lighttpd_refuses_after_a_crash(lighttpd: WebServer) -> None:
    """An Authorizer that crashes lets nobody in, and answers again."""
    token = {"X-Token": "anna"}
    assert lighttpd.request("/private/x?crash", headers=token)[0] == 500
    assert lighttpd.request("/private/x", headers=token)[0] == 200


def test_apache_lets_in(apache: WebServer, authorizer: Gateway) -> None:
    """Name and password reach the Authorizer; its variables reach the application."""
    for _ in range(3):
        status, _, body = apache.request("/private/x", "POST", b"abc", _basic("anna"))
        environ = json.loads(body)["environ"]
        assert (status, environ["GROUP"], environ["REMOTE_USER"]) == (200, "editors", "anna")
        assert environ["CONTENT_LENGTH"] == "3"


def test_apache_refuses(apache: WebServer) -> None:
    """Without a name, or with the wrong one, Apache asks for another."""
    for headers in ({}, _basic("bob")):
        status, answer, _ = apache.request("/private/x", headers=headers)
        assert (status, answer["www-authenticate"]) == (401, 'Basic realm="private"')
    assert apache.request("/public")[0] == 200


def test_apache_refuses_after_a_crash(apache: WebServer) -> None:
    """An Authorizer that crashes lets nobody in, and answers again."""
    assert apache.request("/private/x?crash", headers=_basic("anna"))[0] in (401, 500)
    assert apache.request("/private/x", headers=_basic("anna"))[0] == 200
