# SPDX-License-Identifier: MIT
"""Runs wrk, and reads what bench/report.lua makes it say."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

SCRIPT = Path(__file__).with_name("report.lua")
ANSWER_SECONDS = 10
"""Later answers are lost ones. Where every request costs a process, wrk's own 2 s are short."""
STOP_SECONDS = 30.0


class WrkError(Exception):
    """wrk did not run to its end, or did not report; the text has what it said."""


@dataclass(frozen=True)
class Report:
    """What one run of wrk has seen.

    Parameters:
        requests: answers that came whole.
        duration: length of the run, in microseconds.
        p50, p99: quantiles of the time until an answer was whole, in microseconds.
        not_ok: answers among *requests* with a status of 400 or more.
        failed: connections refused or broken, and answers not there in ANSWER_SECONDS.
    """

    requests: int
    duration: int
    p50: int
    p99: int
    not_ok: int
    failed: int

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return (self.requests - self.not_ok) / self.duration * 1e6


def parse(output: str) -> Report:
    """Return the report in the last line of wrk's *output*.

    Raises:
        WrkError: there is none, or it has other numbers than a Report.
    """
    line = output.rstrip().rpartition("\n")[2]
    try:
        found = json.loads(line)
    except ValueError:
        raise WrkError(f"wrk does not end with a report: {output.strip()[-500:]!r}") from None
    names = {field.name for field in fields(Report)}
    if not isinstance(found, dict) or found.keys() != names:
        raise WrkError(f"{SCRIPT.name} reports {line!r}; expected {', '.join(sorted(names))}")
    if not found["duration"] > 0:
        raise WrkError(f"wrk reports a run without length: {line!r}")
    return Report(**found)


def run(program: str, url: str, connections: int, seconds: int) -> Report:
    """Load *url* and return what came of it.

    Parameters:
        program: path of wrk.
        url: what is requested, again and again.
        connections: each with one request under way at a time.
        seconds: for how long, at least 1.

    Raises:
        WrkError: wrk cannot be started, failed, or hung.
    """
    command = [program, "-t1", f"-c{connections}", f"-d{seconds}s"]
    command += [f"--timeout={ANSWER_SECONDS}s", f"--script={SCRIPT}", url]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds + STOP_SECONDS
        )
    except OSError as error:
        raise WrkError(
            f"cannot start {program}: {error.strerror}; install it: apt-get install wrk"
        ) from error
    except subprocess.TimeoutExpired:
        raise WrkError(f"wrk did not end {STOP_SECONDS:.0f} s after its time") from None
    if done.returncode:
        said = (done.stderr + done.stdout).strip()[-500:]
        raise WrkError(f"wrk ended with exit code {done.returncode}: {said}")
    return parse(done.stdout)
