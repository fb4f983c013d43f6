# SPDX-License-Identifier: MIT
"""Where the time of requests went: from stamps to means, and from logs to counters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.burst import BURST
from bench.stamps import FIELDS, SLOTS, Stamps

LOGGED = ("enter", "renewal", "application", "send", "undo")
"""What an engine may tell of itself in a line ``worker N times: enter 0.4 us, …`` when it ends."""

INTERRUPTED = 1e6
"""Nanoseconds."""

_COUNTERS = re.compile(r" worker \d+ ends: (.*)")
_TIMES = re.compile(r" worker \d+ times: (.*)")


@dataclass(frozen=True)
class Parts:
    """Means over requests that followed each other without a pause, in microseconds.

    Parameters:
        turn: from one answer to the next request: undo, receive, enter, build the environ.
        renewal: what a context must not have in common with another is made anew.
        application: until it returns its iterable.
        send: until the answer is sent.
        wake: what a turn takes for a worker that has been waiting, and has nothing to undo.
        interrupted: part of the requests that are not in the means: they took INTERRUPTED longer
            than the median one, which is what a scheduler gives to another program.
    """

    turn: float
    renewal: float
    application: float
    send: float
    wake: float
    interrupted: float

    @property
    def whole(self) -> float:
        """One request's time."""
        return self.turn + self.renewal + self.application + self.send


def read(stamps: Stamps, sent: Sequence[int]) -> Parts:
    """Return the parts of the requests in *stamps*, which came in bursts.

    Parameters:
        sent: when each burst began.

    Raises:
        ValueError: not as many requests as there were in the bursts, or more than slots.
    """
    count = stamps.words[0]
    if count != len(sent) * BURST or count > SLOTS:
        raise ValueError(f"{count} requests in {len(sent)} bursts of {BURST}")
    table = np.array(stamps.words[1 : 1 + count * len(FIELDS)]).reshape(count, len(FIELDS))
    begun, renewed, entered, returned, answered = table.T
    # Under an engine that makes no context there is nothing before the application; one that
    # crashed ends where it was last seen.
    renewed = np.where(renewed, renewed, entered)
    begun = np.where(begun, begun, renewed)
    answered = np.where(answered, answered, np.where(returned, returned, entered))
    returned = np.where(returned, returned, answered)
    environ = entered - renewed
    parts = np.array(
        (
            begun[1:] - answered[:-1] + environ[1:],
            (renewed - begun)[1:],
            (returned - entered)[1:],
            (answered - returned)[1:],
        )
    )
    # The first of each burst finds the worker waiting; the others find it at work.
    parts = parts[:, np.arange(1, count) % BURST != 0]
    whole = parts.sum(axis=0)
    good = whole < np.median(whole) + INTERRUPTED
    means = parts[:, good].mean(axis=1) / 1e3
    # Its quartile: how long a worker takes to wake up depends on more than on us.
    wake = np.quantile(begun[::BURST] - np.array(sent) + environ[::BURST], 0.25) / 1e3
    return Parts(*map(float, means), wake=float(wake), interrupted=1 - float(good.mean()))


def counters(log: str) -> dict[str, int]:
    """Return what the workers of a gateway counted, by name, from its log at the end."""
    found: dict[str, int] = {}
    for line in _COUNTERS.findall(log):
        for number, name in re.findall(r"(\d+) ([a-z ]+)", line):
            found[name] = found.get(name, 0) + int(number)
    return found


def logged(log: str) -> dict[str, float]:
    """Return the parts that the engine itself measured, in microseconds; empty if it did not."""
    found = {}
    for line in _TIMES.findall(log):
        for name, value in re.findall(r"([a-z]+) ([\d.]+) us", line):
            if name in LOGGED:
                found[name] = float(value)
    return found
