# SPDX-License-Identifier: MIT
"""What applications and clients can make the log say (CVE-2024-9026, HAProxy f495d486e)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.contract.checks.asking import get, written
from tests.harness import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[\d+\] (DEBUG|INFO|WARNING|ERROR) .*")
FORGED = "2026-11-24 06:15:13 [1] ERROR forged"


@pytest.fixture(scope="module", params=["rewind", "fork", "none"])
def logged(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway whose log and access log the tests read."""
    with Gateway(engine=request.param, options={"access-log": "-"}) as gateway:
        yield gateway


def _lines(gateway: Gateway, word: str) -> list[str]:
    return [line for line in gateway.log().splitlines() if word in line]


def test_errors_are_logged_line_by_line(logged: Gateway) -> None:
    """Each line written to wsgi.errors is a line of the log, with the id of its request."""
    logged.post("/log?errors", b"first line\nsecond line\nthird")
    logged.wait_for_log("third")
    found = [_lines(logged, text)[-1] for text in ("first line", "second line", "third")]
    ids = {re.search(r"w\d+-\d{6}", line)[0] for line in found}  # type: ignore[index]
    assert len(ids) == 1
    assert all(LINE.fullmatch(line) for line in found)


@pytest.mark.parametrize("where", ["errors", "1", "2"])
def test_no_line_can_be_forged(logged: Gateway, where: str) -> None:
    """What an application writes cannot pass for a line of the server, or move the cursor."""
    logged.post(f"/log?{where}", f"\r{FORGED}\x1b[2J\x9b1A\n{FORGED}\nend of {where}\n".encode())
    logged.wait_for_log(f"end of {where}")
    assert not [line for line in logged.log().split("\n") if line.startswith(FORGED)]
    assert "\x1b" not in logged.log()
    assert "\r" not in logged.log()
    assert "\x9b" not in logged.log()


def test_no_line_can_be_forged_by_a_client(logged: Gateway) -> None:
    """Control characters in a request's line and headers are escaped in both logs."""
    target = f"/do?end=exception\n{FORGED}\x1b[2J"
    logged.get(target, REQUEST_METHOD="G\nET", REMOTE_ADDR=f"1.2.3.4\n{FORGED}")
    logged.wait_for_log("Oops|Traceback|end=exception")
    assert not [line for line in logged.log().split("\n") if line.startswith(FORGED)]
    assert "\x1b" not in logged.log()


def test_a_long_line_is_bounded(logged: Gateway) -> None:
    """A line of a megabyte does not reach the log in one piece, nor hide what comes after."""
    logged.post("/log?errors", b"x" * 1_000_000 + b"\nafter the long line\n")
    logged.wait_for_log("after the long line")
    assert max(map(len, logged.log().splitlines())) < 10_000


def test_descriptors_of_the_log_stay_blocking(logged: Gateway) -> None:
    """An application that makes its stdout non-blocking does not disturb the log (CVE-2015-9253)."""
    for number in range(20):
        logged.post("/log?1", b"y" * 4000 + b" piece %d\n" % number)
    logged.post("/log?2", b"still logged\n")
    logged.wait_for_log("still logged")


def test_access_log(logged: Gateway) -> None:
    """The access log has one line a request: client, time, request, status, body, ids, undo."""
    answer = logged.get("/environment?for-the-access-log", HTTP_REFERER="x")
    (line,) = logged.wait_for_log(r"^.*for-the-access-log.*$")
    pattern = (
        r"127\.0\.0\.1 - - \[[0-9TZ:-]+\] \"GET /environment\?for-the-access-log HTTP/1\.1\" "
        rf"200 {len(answer.body)} \d+\.\d{{6}} w1-\d{{6}} {logged.engine} \"-\""
        + (r" (in-place|new-task) \d+ 0\.\d{6}" if logged.engine == "rewind" else "")
    )
    assert re.fullmatch(pattern, line), line


def test_access_log_of_bad_ends(logged: Gateway) -> None:
    """A crash and a refusal are in the access log too, with the status the client got."""
    logged.get("/do?end=kill&mark=crash")
    logged.get("/environment?refusal", CONTENT_LENGTH="nonsense")
    logged.wait_for_log(r'mark=crash HTTP/1\.1" 500 ')
    logged.wait_for_log(r'refusal HTTP/1\.1" 400 ')


def test_access_log_of_a_client_that_left(logged: Gateway) -> None:
    """A request whose client went away has its line, with status 000 where nothing was answered."""
    with logged.connect() as connection:
        connection.send(get("/wait?left-behind"))
        written(logged.folder / "left-behind.started")
    logged.wait_for_log(r'left-behind HTTP/1\.1" 000 0 ')


def test_access_log_to_a_file(tmp_path: Path) -> None:
    """The access log can be a file; the server's log does not mix with it."""
    path = tmp_path / "access.log"
    with Gateway(options={"access-log": str(path)}) as gateway:
        for number in range(3):
            gateway.get(f"/environment?{number}")
    lines = path.read_text().splitlines()
    assert [line.split('"')[1].split()[1] for line in lines] == [
        f"/environment?{number}" for number in range(3)
    ]
