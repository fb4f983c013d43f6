# SPDX-License-Identifier: MIT
"""What `make bench` runs: requests per second through nginx, beside what people use today.

One worker each. The contenders of an application take turns in short rounds, so that what else
the machine does meets all of them alike; bench/README.md tells the method.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from bench import bars, contenders, figures, results, turns
from bench.contenders import APPS, CONNECTIONS, RECYCLING, SERVERS, App, Server
from bench.figures import Figures, short
from bench.turns import Contender
from demo_apps.stage import StageError
from lwcgi.supervisor import machine

RESULTS = Path(__file__).parent / "results"
ISOLATING = [server.name for server in SERVERS if server.engine not in ("", "none")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code: 0 when nothing went wrong with any contender."""
    options = _parser().parse_args(arguments)
    rounds, seconds = (3, 1) if options.quick else (7, 3)
    rounds, seconds = options.rounds or rounds, options.seconds or seconds
    started = time.monotonic()
    conditions = results.Conditions.here(rounds, seconds)
    servers, missing = _possible([one for one in SERVERS if _wanted(one, options.server)])
    apps = [app for app in APPS if _wanted(app, options.app)]
    if not servers or not apps:
        print("bench: no such server or application", file=sys.stderr)
        return 2
    held: list[Contender] = []
    told: list[Figures] = []
    with tempfile.TemporaryDirectory(prefix="lwcgi-bench-") as folder:
        database = Path(folder) / "db.sqlite3"
        try:
            contenders.make_database(database)
        except StageError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        environ = ((contenders.DATABASE, str(database)),)
        for app in apps:
            line = [Contender(app, server, environ if app.database else ()) for server in servers]
            turns.hold(options.nginx, options.wrk, line, rounds, seconds)
            held += line
            told += figures.of(line)
    print(results.table(told))
    for name, why in missing.items():
        print(f"\nnot measured: {name}: {why}")
    results.write(options.results / "throughput.json", conditions, told, held, missing)
    title = f"One worker, {CONNECTIONS} connections, {rounds} rounds of {seconds} s"
    title += f"; CPython {conditions.python}, Linux {conditions.kernel}, {conditions.cores} cores"
    files = bars.draw(told, title, options.results)
    print("", *_sums(told), sep="\n", flush=True)
    wrong = results.complaints(held)
    for complaint in wrong:
        print(f"bench: {complaint}", file=sys.stderr)
    well = sum(not one.complaints for one in held)
    print(
        f"bench: {title}: {well} of {len(held)} contenders measured without a complaint "
        f"in {time.monotonic() - started:.0f} s; chart: {', '.join(files)}"
    )
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nginx", default="/usr/sbin/nginx")
    parser.add_argument("--wrk", default="/usr/bin/wrk")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 1 s instead of 7 of 3 s")
    parser.add_argument("--rounds", type=int, help="turns of each contender")
    parser.add_argument("--seconds", type=int, help="length of a turn")
    parser.add_argument("--app", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--server", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where files are written")
    return parser


def _wanted(one: App | Server, names: Sequence[str]) -> bool:
    return not names or one.name in names


def _possible(servers: Sequence[Server]) -> tuple[list[Server], dict[str, str]]:
    """Return those *servers* that this machine can run, and why not the others.

    Only what a kernel lacks is a reason; anything else has to show as a complaint.
    """
    lacking = {row.name: row.remark for row in machine.table() if not row.available}
    missing = {one.name: lacking[one.engine] for one in servers if one.engine in lacking}
    return [one for one in servers if one.name not in missing], missing


def _sums(told: Sequence[Figures]) -> list[str]:
    """Return a line for each application: what the isolating engines reach."""
    lines = []
    for app, block in groupby(told, lambda each: each.app):
        parts = [
            f"{one.server} {short(one.to_none)} of none's requests/s and "
            f"{short(one.to_recycling)} times those of {RECYCLING.name}"
            for one in block
            if one.server in ISOLATING and one.to_none and one.to_recycling
        ]
        if parts:
            lines.append(f"{app}: {'; '.join(parts)}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
