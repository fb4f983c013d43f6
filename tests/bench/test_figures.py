# SPDX-License-Identifier: MIT
"""Medians, spreads, ratios, the table and the JSON, of rounds with known numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import figures, results
from bench.contenders import APPS, NONE, RECYCLING, SERVERS, Server
from bench.figures import Spread
from bench.turns import Contender, Turn
from bench.wrk import Report

APP = APPS[0]
FORK = next(server for server in SERVERS if server.engine == "fork")


def turn(rate: int, *, cpu: float = 0.5, p50: int = 100, p99: int = 900, not_ok: int = 0) -> Turn:
    """Return a round of one second with *rate* answers."""
    return Turn(Report(rate, 1_000_000, p50, p99, not_ok, 0), cpu)


def contender(server: Server, *turns: Turn) -> Contender:
    """Return a contender that had these *turns*."""
    return Contender(APP, server, turns=list(turns), memory=40.25, worker=30.5)


@pytest.fixture
def held() -> list[Contender]:
    """Return a small contest, whose second round met a busy machine."""
    return [
        contender(NONE, turn(1000), turn(500), turn(1000)),
        contender(FORK, turn(200, p50=5000), turn(100, p50=7000, not_ok=1), turn(300, p50=6000)),
        contender(RECYCLING, turn(10), turn(5)),
    ]


def test_spread() -> None:
    """A spread is the extremes, the quartiles and the median."""
    assert Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(1, 2, 3, 4, 5)
    assert Spread.of([1.0, 2.0]) == Spread(1, 1.25, 1.5, 1.75, 2)
    assert Spread.of([7.0]) == Spread(7, 7, 7, 7, 7)


def test_ratios_are_those_within_a_round(held: list[Contender]) -> None:
    """A ratio is the median of the rounds' ratios, so that what all met does not count."""
    none, fork, recycling = figures.of(held)
    assert none.to_none == 1.0
    assert fork.to_none == pytest.approx(0.2)  # of 0.2, 0.198, 0.3
    assert fork.to_recycling == pytest.approx((20 + 19.8) / 2)  # of the two rounds it had
    assert recycling.to_none == 0.01


def test_figures(held: list[Contender]) -> None:
    """Good answers, CPU and delays are medians over the rounds; errors are a sum."""
    fork = figures.of(held)[1]
    assert fork.rate == Spread(99, 149.5, 200, 250, 300)
    assert fork.cpu.middle == pytest.approx(2500)  # of 2500, 5000, 1667 microseconds
    assert (fork.p50, fork.p99, fork.errors) == (6.0, 0.9, 1)
    assert (fork.memory, fork.worker) == (40.25, 30.5)


def test_without_a_round_no_figures(held: list[Contender]) -> None:
    """Who never had a turn is not told of, and nobody is compared with him."""
    held[0].turns.clear()
    fork, recycling = figures.of(held)
    assert fork.to_none is recycling.to_none is None
    assert fork.to_recycling is not None


def test_no_ratio_to_nothing() -> None:
    """To a round without a good answer there is no ratio."""
    both = figures.of([contender(NONE, turn(0)), contender(FORK, turn(10))])
    assert [one.to_none for one in both] == [None, None]


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, ""), (0.01234, "0.0123"), (1.0, "1"), (43.21, "43.2"), (1613, "1613")],
)
def test_short(value: float | None, told: str) -> None:
    """Ratios have three digits, or all before the point."""
    assert figures.short(value) == told


def test_table(held: list[Contender]) -> None:
    """The table has a head for each application and a line for each contender."""
    lines = results.table(figures.of(held)).splitlines()
    assert lines[:2] == ["", "3-line WSGI"]
    assert len(lines) == 6
    assert lines[4].split() == (
        [
            "lwcgi",
            "fork",
            "200",
            "99..300",
            "0.2",
            "19.9",
            "2500",
            "6.00",
            "0.90",
            "40.2",
            "30.5",
            "1",
        ]
    )


def test_json(held: list[Contender], tmp_path: Path) -> None:
    """The file has the conditions, the figures, and every round."""
    conditions = results.Conditions(3, 1, 0.0, (0.1, 0.2, 0.3), "6.12", "3.13", "a CPU", 2, {})
    held[2].complaints.append("it broke\nits log")
    path = tmp_path / "results" / "throughput.json"
    results.write(path, conditions, figures.of(held), held, {"lwcgi rewind": "not here"})
    found = json.loads(path.read_text())
    assert found["conditions"]["connections"] == 4
    assert found["figures"][1]["rate"]["middle"] == 200
    assert [one["report"]["requests"] for one in found["contenders"][1]["rounds"]] == [
        200,
        100,
        300,
    ]
    assert found["contenders"][2]["complaints"] == ["it broke\nits log"]
    assert found["missing"] == {"lwcgi rewind": "not here"}


def test_complaints_have_names(held: list[Contender]) -> None:
    """Each complaint names the application and the server."""
    assert results.complaints(held) == []
    held[2].complaints += ["it broke", "and again"]
    assert results.complaints(held) == [
        "3-line WSGI, gunicorn, max-requests 1: it broke",
        "3-line WSGI, gunicorn, max-requests 1: and again",
    ]
