# SPDX-License-Identifier: MIT
"""What `make bench-isolation` runs: what it costs to undo a request, and what that depends on.

The gateways are asked directly over their sockets, one worker on one core; bench/README.md
tells the method.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import contest, plot, tables
from bench.burst import BurstError
from bench.contest import FORK, IN_PLACE, NONE, WAYS, Contender, Way
from bench.measured_apps import ENDPOINT_PAGES, ENDPOINTS
from demo_apps.stage import StageError

RESULTS = Path(__file__).parent / "results"
APPS = {"3-line WSGI": "hello", "Flask hello": "flask", "Django page": "django"}
EFFECTS = {"line to a log": "logging", "sqlite insert": "sqlite"}
SETS = {f"{ENDPOINTS} x {ENDPOINT_PAGES} pages": "disjoint", f"{ENDPOINTS} Flask views": "views"}
DELAYED = (NONE, IN_PLACE)
GATEWAYS = 4  # each with an image of its own, and a copy of what contexts write
ONE, ALL = "one of them", "all, by Zipf's law"
ZIPF_LENGTH = 1024


@dataclass(frozen=True)
class Point:
    """A request that writes *pages* pages of an image of *mib* MiB in *mappings* mappings."""

    pages: int = 400
    mib: int = 64
    mappings: int = 10

    def environ(self) -> dict[str, str]:
        """Return the environment that measured_apps.synthetic reads."""
        return {f"BENCH_{name.upper()}": str(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Amount:
    """How much is measured.

    Parameters:
        rounds: turns of each contender.
        seconds: the length of one.
        pages, mib, mappings: what is tried around the middle point, one thing at a time.
    """

    rounds: int
    seconds: float
    pages: tuple[int, ...]
    mib: tuple[int, ...]
    mappings: tuple[int, ...]

    def points(self) -> list[Point]:
        """Return all points for which there is memory, the middle first."""
        points = [
            Point(),
            *(Point(pages=number) for number in self.pages),
            *(Point(mib=number) for number in self.mib),
            *(Point(mappings=number) for number in self.mappings),
        ]
        room = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
        return [point for point in points if point.mib * GATEWAYS < room]


FULL = Amount(9, 0.3, (0, 50, 100, 200, 800, 1600), (16, 256, 640), (1, 100, 300))
QUICK = Amount(3, 0.1, (0, 1600), (16, 256), (1, 100))


class Contests:
    """Everything that is compared: by line of a table, the contenders that take turns.

    Parameters:
        ways: those that are possible here; NONE is among them.
        amount: how much is measured.
    """

    def __init__(self, ways: Sequence[Way], amount: Amount) -> None:
        core = [way for way in (NONE, IN_PLACE, FORK) if way in ways]
        paths = [f"/{number}" for number in range(ENDPOINTS)]
        weights = [1 / (1 + number) for number in range(ENDPOINTS)]
        asked = {ONE: paths[:1], ALL: random.Random(1).choices(paths, weights, k=ZIPF_LENGTH)}
        image = Point(mappings=1).environ()
        self.applications = {
            name: [Contender(app=app, way=way) for way in ways] for name, app in APPS.items()
        }
        self.effects = {
            name: [Contender(app=app, way=way) for way in core] for name, app in EFFECTS.items()
        }
        self.synthetic = {
            point: [Contender(app="synthetic", way=way, environ=point.environ()) for way in core]
            for point in amount.points()
        }
        self.endpoints = {
            (name, which): [
                Contender(app=app, way=way, environ=image, targets=targets, warmup=paths)
                for way in core
            ]
            for name, app in SETS.items()
            for which, targets in asked.items()
        }

    def all(self) -> list[list[Contender]]:
        """Return the contenders of each line."""
        groups = (self.applications, self.effects, self.synthetic, self.endpoints)
        return [line for group in groups for line in group.values()]


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nginx", default="/usr/sbin/nginx")
    parser.add_argument("--quick", action="store_true", help="3 rounds, fewer points")
    options = parser.parse_args()
    amount = QUICK if options.quick else FULL
    started = time.monotonic()
    try:
        ways, missing = contest.possible(options.nginx, WAYS)
        contests = Contests(ways, amount)
        for line in contests.all():
            delayed = DELAYED if line in contests.applications.values() else ()
            contest.hold(options.nginx, line, amount.rounds, amount.seconds, delayed)
    except (StageError, BurstError, OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    for name, why in missing.items():
        print(f"not measured: {name}: {why}")
    tables.applications(contests.applications | contests.effects)
    tables.delays(contests.applications)
    tables.synthetic(contests.synthetic)
    tables.endpoints(contests.endpoints)
    files = plot.draw(contests, RESULTS)
    took = time.monotonic() - started
    left_out = max(one.middle("interrupted") for line in contests.all() for one in line)
    print(
        f"\nInterrupted by other programs and left out: at most {left_out:.1%} of a line's requests."
    )
    print(
        f"bench: {amount.rounds} rounds of {amount.seconds:g} s, one worker, {took:.0f} s in all; "
        f"{tables.summary(contests.applications['Flask hello'])}; figure: {', '.join(files)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
