# SPDX-License-Identifier: MIT
"""Both logs as JSON: every line an object, whatever a client or the application says."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Connection, Gateway, until
from tests.harness.client import variables
from tests.harness.running import NotUpError

# The hardest cases of a JSON string, and of UTF-8 (RFC 3629, RFC 8259).
HOSTILE = [
    b'"quoted" and back\\slashed \\u0041 \\x41',
    bytes(range(1, 32)) + b"\x7f",
    "é € 漢 \U0001f600 \x85 \u2028 \u202e".encode(),
    b"\xff\xfe\x80\xbf",
    b"\xc0\xaf \xe0\x80\x80 \xf0\x80\x80\x80",  # overlong
    b"\xed\xa0\x80 \xed\xbf\xbf",  # surrogates
    b"\xf4\x90\x80\x80 \xf8\x88\x80\x80\x80",  # beyond U+10FFFF
    b"cut \xe2\x82",
    b"cut \xf0\x9f\x98",
    b'","forged":"',
    b'\n{"time":"2026-11-24T06:15:13.000Z","level":"error","message":"forged"}\n',
]
KNOWN = {"time", "level", "source", "pid", "request", "engine", "status", "bytes", "seconds"}


class Logged:
    """A gateway with both logs as JSON, in files of their own."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self.gateway = gateway
        self._folder = folder

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return the objects in one log; fails where a line is none."""
        text = (self._folder / name).read_bytes().decode("ascii")  # nothing else is written
        found = [json.loads(line) for line in text.split("\n")[:-1]]
        assert all(isinstance(line, dict) for line in found)
        return found

    def wait(self, name: str, count: int, **wanted: object) -> list[dict[str, Any]]:
        """Wait until there are *count* objects that have these members, and return them."""

        def find() -> list[dict[str, Any]]:
            lines = self.lines(name)
            found = [line for line in lines if wanted.items() <= line.items()]
            return found if len(found) >= count else []

        return until(find, f"{count} lines with {wanted} in the {name} log")


@pytest.fixture(scope="module", params=["rewind", "fork", "none"])
def logged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Logged]:
    """A gateway of each engine."""
    folder = tmp_path_factory.mktemp("logs")
    options = {
        "log-format": "json",
        "log-level": "debug",
        "error-log": folder / "error",
        "access-log": folder / "access",
    }
    with Gateway(engine=request.param, options=options) as gateway:
        yield Logged(gateway, folder)
        gateway.stop()
        for name in ("error", "access"):
            assert Logged(gateway, folder).lines(name), "the last lines are objects too"
    assert gateway.process.returncode == 0


def test_access(logged: Logged) -> None:
    """A request is one object: who, what, how it ended, how long it took, how it was undone."""
    answer = logged.gateway.get(
        "/environment?members", HTTP_USER_AGENT="Mozilla", HTTP_REFERER="http://a/", REQUEST_ID="7f"
    )
    (line,) = logged.wait("access", 1, target="/environment?members")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    moment = time.strptime(line["time"][:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.time() - time.mktime(moment) + time.timezone) < 60
    assert re.fullmatch(r"w1-\d{6}", line["request"])
    assert line["pid"] in logged.gateway.workers()
    expected = {
        "level": "info",
        "source": "access",
        "engine": logged.gateway.engine,
        "request_id": "7f",
        "remote_addr": "127.0.0.1",
        "method": "GET",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": len(answer.body),
        "user_agent": "Mozilla",
        "referer": "http://a/",
    }
    assert expected.items() <= line.items()
    assert 0 < line["seconds"] < 30
    undone = {"undone", "pages", "undo_seconds"}
    if logged.gateway.engine == "rewind":
        assert line["undone"] in ("in-place", "new-task")
        assert line["pages"] > 0
        assert 0 < line["undo_seconds"] < 30
        assert line.keys() == KNOWN | expected.keys() | {"target"} | undone
    else:
        assert line.keys() == KNOWN | expected.keys() | {"target"}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, None),
        ({"HTTP_X_REQUEST_ID": "header"}, "header"),
        ({"REQUEST_ID": "own", "HTTP_X_REQUEST_ID": "header"}, "own"),
        ({"HTTP_X_REQUEST_ID": "header", "REQUEST_ID": "own"}, "own"),
    ],
)
def test_id_of_the_web_server(logged: Logged, more: dict[str, str], told: str | None) -> None:
    """The web server's REQUEST_ID counts more than a header, which any client may send."""
    target = f"/environment?{'-'.join(more)}"
    logged.gateway.get(target, **more)
    (line,) = logged.wait("access", 1, target=target)
    assert line.get("request_id") == told


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_request(logged: Logged, text: bytes) -> None:
    """What a client sends is one string, told as Python tells bytes that are no UTF-8."""
    mark = b"%08x" % random.getrandbits(32)
    params = variables("/environment")
    for name in (b"REQUEST_URI", b"REQUEST_METHOD", b"HTTP_USER_AGENT", b"HTTP_REFERER"):
        params[name] = mark + text
    for name in (b"REMOTE_ADDR", b"SERVER_PROTOCOL", b"REQUEST_ID"):
        params[name] = text
    with Connection(logged.gateway.address) as connection:
        assert connection.request(params).complete
    told = (mark + text).decode("utf-8", "backslashreplace")
    (line,) = logged.wait("access", 1, target=told)
    assert line["user_agent"] == line["referer"] == told
    assert line["request_id"] == told[8:]
    for name in ("remote_addr", "protocol"):  # bounded, and otherwise the same
        assert line[name]
        assert told[8:].startswith(line[name])
    assert told.startswith(line["method"])
    assert "forged" not in line


def test_longest_request(logged: Logged) -> None:
    """Fields of any length are cut, and those that follow are there nevertheless."""
    for number, filling in enumerate(("x", '"', "\\", "\x01", "\xff", "\U0001f600", "é", "ab€")):
        long = filling.encode("latin-1" if filling == "\xff" else "utf-8") * 9000
        params = variables("/environment") | {b"HTTP_USER_AGENT": long, b"HTTP_REFERER": long}
        params |= {b"REQUEST_URI": b"/%d" % number + long[:60000], b"REMOTE_ADDR": long[:9000]}
        params |= {b"REQUEST_ID": long[:9000], b"SERVER_PROTOCOL": long[:9000]}
        with Connection(logged.gateway.address) as connection:
            connection.request({key: value[:14000] for key, value in params.items()})
        begins = f"/{number}"
        line = until(
            lambda begins=begins: [  # type: ignore[misc] # bound per round
                line for line in logged.lines("access") if line["target"].startswith(begins)
            ],
            "the line",
        )[0]
        assert line.keys() >= KNOWN
        assert len(line["target"]) > 100
        told = long.decode("utf-8", "backslashreplace")
        assert line["target"][2:] == told[: len(line["target"]) - 2]
    raw = (logged._folder / "access").read_bytes().split(b"\n")
    assert max(map(len, raw)) < 4096, "one write to a pipe is whole up to that"


@pytest.mark.parametrize("where", ["errors", "1", "2"])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_output(logged: Logged, where: str, text: bytes) -> None:
    """What the application writes is one object a line, marked as its own, and all text."""
    mark = f"{random.getrandbits(32):08x}"
    body = mark.encode() + text.replace(b"\r", b"").replace(b"\n", b" ") + b"\n"
    if where == "errors":
        body = body.decode("utf-8", "backslashreplace").encode()
    logged.gateway.post(f"/log?{where}", body)
    line = until(
        lambda: [line for line in logged.lines("error") if mark in line["message"]], "the line"
    )[0]
    assert line["source"] == "app"
    assert line["pid"] > 0
    if where == "errors":  # the core escapes its part of the line before
        assert re.fullmatch(r"w1-\d{6}", line["request"])
        assert line["level"] == "error"
    else:
        assert "request" not in line
        told = body[:-1].decode("utf-8", "backslashreplace")
        assert line["message"] == told


def test_the_servers_own_lines(logged: Logged) -> None:
    """What lwcgi says is marked so; with the request's id where it is about one."""
    logged.gateway.get("/do?end=kill&mark=json")
    (line,) = (
        line
        for line in until(
            lambda: [
                line
                for line in logged.lines("error")
                if "mark=json" in line["message"] and "killed by signal" in line["message"]
            ],
            "the line",
        )
    )
    assert line["source"] == "lwcgi"
    assert line["level"] == "error"
    assert re.fullmatch(r"w1-\d{6}", line["request"])
    (access,) = logged.wait("access", 1, target="/do?end=kill&mark=json")
    assert access["request"] == line["request"]
    assert access["status"] == 500
    if logged.gateway.engine == "rewind":
        assert access["undone"] == "process-ended"


def test_output_cannot_name_a_request(logged: Logged) -> None:
    """A printed line that begins like one of a request's gets no id."""
    logged.gateway.post("/log?1", b"w1-000001 GET /: forged by printing\n")
    line = until(
        lambda: [x for x in logged.lines("error") if "forged by printing" in x["message"]], "it"
    )[0]
    assert "request" not in line
    assert line["message"] == "w1-000001 GET /: forged by printing"


def test_failure_at_the_start(tmp_path: Path) -> None:
    """Why a gateway does not start is in the error log too, as objects."""
    path = tmp_path / "error"
    options = {"log-format": "json", "error-log": path}
    with (
        pytest.raises(NotUpError, match="ended with code 3"),
        Gateway("no_such_module:app", options=options),
    ):
        pass
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert any("no_such_module" in line["message"] for line in lines if line["level"] == "error")
