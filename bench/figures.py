# SPDX-License-Identifier: MIT
"""What the rounds of bench/throughput.py amount to: medians, spreads, ratios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from bench.contenders import NONE, RECYCLING
from bench.turns import Contender, Turn


@dataclass(frozen=True)
class Spread:
    """The values of all rounds in five.

    Parameters:
        lowest, highest: of all.
        lower, upper: quartiles.
        middle: median.
    """

    lowest: float
    lower: float
    middle: float
    upper: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        if len(values) == 1:
            return cls(*values * 5)
        lower, middle, upper = quantiles(values, n=4, method="inclusive")
        return cls(min(values), lower, middle, upper, max(values))


@dataclass(frozen=True)
class Figures:
    """What is told of one contender.

    Parameters:
        app, server: names.
        rate: good answers per second.
        to_none: median over the rounds of the ratio to lwcgi's engine none in the same round.
        to_recycling: likewise to gunicorn with --max-requests 1.
        cpu: microseconds of the server's processes per request.
        p50, p99: milliseconds until the answer, medians over the rounds.
        memory: MiB, proportional set size of all its processes.
        worker: MiB, the same without the master.
        errors: answers that were errors, and requests without one.
    """

    app: str
    server: str
    rate: Spread
    to_none: float | None
    to_recycling: float | None
    cpu: Spread
    p50: float
    p99: float
    memory: float
    worker: float
    errors: int


def ratio(
    ones: Sequence[Turn], others: Sequence[Turn], of: Callable[[Turn], float]
) -> float | None:
    """Return the median of the ratios within a round; None where no round has both.

    One that dropped out has fewer rounds, the first ones.
    """
    pairs = [(of(a), of(b)) for a, b in zip(ones, others, strict=False)]
    found = [a / b for a, b in pairs if b]
    return median(found) if found else None


def short(value: float | None) -> str:
    """Return a ratio in three digits, and nothing where there is none."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def of(contenders: Sequence[Contender]) -> list[Figures]:
    """Return the figures of those *contenders*, of one application, that had a round."""
    turns = {one.server: one.turns for one in contenders}
    return [_figures(one, turns) for one in contenders if one.turns]


def _figures(one: Contender, turns: dict[object, list[Turn]]) -> Figures:
    reports = [turn.report for turn in one.turns]
    return Figures(
        app=one.app.name,
        server=one.server.name,
        rate=Spread.of([report.rate for report in reports]),
        to_none=ratio(one.turns, turns.get(NONE, []), lambda turn: turn.report.rate),
        to_recycling=ratio(one.turns, turns.get(RECYCLING, []), lambda turn: turn.report.rate),
        cpu=Spread.of([turn.cpu_per_request for turn in one.turns]),
        p50=median(report.p50 for report in reports) / 1e3,
        p99=median(report.p99 for report in reports) / 1e3,
        memory=one.memory,
        worker=one.worker,
        errors=sum(report.not_ok + report.failed for report in reports),
    )
