# SPDX-License-Identifier: MIT
"""What bench/throughput.py tells: a table for people, JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from bench.contenders import CONNECTIONS, SERVERS
from bench.figures import Figures, short
from bench.turns import Contender

_HEAD = (
    f"{'':24} {'req/s':>8} {'lowest..highest':>17} {'/ none':>7} {'/ max-req 1':>11}"
    f" {'CPU µs':>8} {'p50 ms':>8} {'p99 ms':>8} {'MiB':>6} {'worker':>6} {'errors':>6}"
)


@dataclass(frozen=True)
class Conditions:
    """What the figures were measured with.

    Parameters:
        rounds: turns of each contender.
        seconds: the length of one.
        started: Unix time.
        load: load averages at the start, over 1, 5 and 15 minutes.
        kernel, python, cpu: versions, and the processor's name.
        cores: those that may be used.
        versions: of the Python packages that serve.
        connections: from wrk.
    """

    rounds: int
    seconds: int
    started: float
    load: tuple[float, float, float]
    kernel: str
    python: str
    cpu: str
    cores: int
    versions: dict[str, str]
    connections: int = CONNECTIONS

    @classmethod
    def here(cls, rounds: int, seconds: int) -> Conditions:
        """Return those of this machine, now."""
        return cls(
            rounds,
            seconds,
            time.time(),
            os.getloadavg(),
            platform.release(),
            platform.python_version(),
            _cpu(),
            len(os.sched_getaffinity(0)),
            {server.package: version(server.package) for server in SERVERS},
        )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()


def table(figures: Iterable[Figures]) -> str:
    """Return all *figures* as text, a block of lines for each application."""
    lines = []
    for app, block in groupby(figures, lambda each: each.app):
        lines += ["", app, _HEAD, *map(_line, block)]
    return "\n".join(lines)


def _line(one: Figures) -> str:
    spread = f"{one.rate.lowest:.0f}..{one.rate.highest:.0f}"
    return (
        f"{one.server:24} {one.rate.middle:8.0f} {spread:>17}"
        f" {short(one.to_none):>7} {short(one.to_recycling):>11}"
        f" {one.cpu.middle:8.0f} {one.p50:8.2f} {one.p99:8.2f}"
        f" {one.memory:6.1f} {one.worker:6.1f} {one.errors:6}"
    )


def complaints(contenders: Iterable[Contender]) -> list[str]:
    """Return everything that went wrong, each with its contender's name in front."""
    return [f"{one.name}: {text}" for one in contenders for text in one.complaints]


def write(
    path: Path,
    conditions: Conditions,
    figures: Sequence[Figures],
    contenders: Iterable[Contender],
    missing: dict[str, str],
) -> None:
    """Write everything that was measured, every round of it, to *path* as JSON."""
    rounds = [
        {
            "app": one.app.name,
            "server": one.server.name,
            "rounds": [asdict(turn) for turn in one.turns],
            "complaints": one.complaints,
        }
        for one in contenders
    ]
    whole = {
        "conditions": asdict(conditions),
        "figures": [asdict(one) for one in figures],
        "contenders": rounds,
        "missing": missing,
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
