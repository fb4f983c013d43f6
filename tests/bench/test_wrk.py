# SPDX-License-Identifier: MIT
"""What wrk says is read as it is meant, and anything else is an error that names the cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import wrk

HEAD = """Running 1s test @ http://127.0.0.1:80/
  1 threads and 4 connections
Requests/sec:  12000.50
Transfer/sec:      2.10MB

"""
REPORT = (
    '{"requests": 1200, "duration": 2000000, "p50": 310, "p99": 900, "not_ok": 200, "failed": 3}'
)


def program(folder: Path, script: str) -> str:
    """Return the path of a shell *script* that stands for wrk."""
    path = folder / "wrk"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_report() -> None:
    """The last line is the report; bad answers do not count in the rate."""
    report = wrk.parse(f"{HEAD}{REPORT}\n\n")
    assert report == wrk.Report(1200, 2_000_000, 310, 900, 200, 3)
    assert report.rate == 500.0


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("", "does not end with a report: ''"),
        (HEAD, "does not end with a report: .*Transfer"),
        ("[1, 2]", "expected duration, failed"),
        ('{"requests": 1}', "expected duration, failed"),
        (REPORT.replace("2000000", "0"), "run without length"),
    ],
)
def test_no_report(output: str, told: str) -> None:
    """Output that is no report is an error which quotes it."""
    with pytest.raises(wrk.WrkError, match=told):
        wrk.parse(output)


def test_asked_as_meant(tmp_path: Path) -> None:
    """Wrk gets the connections, the time, our script and the address."""
    words = tmp_path / "words"
    fake = program(tmp_path, f"echo \"$@\" > {words}; echo '{REPORT}'")
    assert wrk.run(fake, "http://127.0.0.1:1/", 4, 3).requests == 1200
    assert words.read_text().split() == [
        *("-t1", "-c4", "-d3s", "--timeout=10s", f"--script={wrk.SCRIPT}", "http://127.0.0.1:1/")
    ]


def test_failure_tells_what_wrk_said(tmp_path: Path) -> None:
    """When wrk fails, its exit code and its words are in the error."""
    fake = program(tmp_path, "echo unable to connect >&2; exit 3")
    with pytest.raises(wrk.WrkError, match="exit code 3: unable to connect"):
        wrk.run(fake, "http://127.0.0.1:1/", 4, 1)


def test_missing_wrk_has_a_remedy(tmp_path: Path) -> None:
    """Without wrk, the error says how to get it."""
    with pytest.raises(wrk.WrkError, match="apt-get install wrk"):
        wrk.run(str(tmp_path / "none"), "http://127.0.0.1:1/", 4, 1)


def test_wrk_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrk gets its time and a little more, not for ever."""
    monkeypatch.setattr(wrk, "STOP_SECONDS", -0.9)
    with pytest.raises(wrk.WrkError, match="did not end"):
        wrk.run(program(tmp_path, "exec sleep 60"), "http://127.0.0.1:1/", 4, 1)
