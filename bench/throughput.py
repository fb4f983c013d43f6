# SPDX-License-Identifier: MIT
"""What `make bench` runs: requests per second through nginx, beside what people use today.

One worker each. The contenders take turns in short rounds, so that what else the machine
does meets all of them alike; told are the median of the rounds and their spread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from demo_apps.stage import DEMO_APPS, Site, Stage, StageError, lwcgi_site

BENCH = Path(__file__).parent
CONNECTIONS = 4
APPS = {
    "3-line WSGI": ("hello:application", DEMO_APPS / "hello"),
    "Flask hello": ("flask_hello:application", BENCH),
}


@dataclass
class Contender:
    """One server with one application, and what was measured.

    Parameters:
        app: a key of APPS.
        server: as printed.
        site: its place on the stage.
        rounds: what wrk reported, a mapping per round.
    """

    app: str
    server: str
    site: Site
    rounds: list[dict[str, int]] = field(default_factory=list)

    def per_second(self) -> list[float]:
        """Return good answers per second, for each round."""
        return [(r["requests"] - r["not_ok"]) / r["duration"] * 1e6 for r in self.rounds]

    def middle(self, key: str) -> float:
        """Return the median over the rounds of what wrk reported as *key*."""
        return median(r[key] for r in self.rounds)


def contenders() -> list[Contender]:
    """Return every server with every application, each at a mount of its own."""
    found = []
    for number, (app, (name, directory)) in enumerate(APPS.items()):
        for engine in ("none", "rewind", "fork"):
            site = lwcgi_site(
                name, directory, engine=engine, mount=f"/{engine}-{number}", keep=CONNECTIONS
            )
            found.append(Contender(app, f"lwcgi, {engine}", site))
        gunicorn = (sys.executable, "-m", "gunicorn", "--bind", "unix:{socket}", "--workers", "1")
        recycling = (*gunicorn, "--preload", "--max-requests", "1")
        for server, mount, command in (
            ("gunicorn sync", "sync", gunicorn),
            ("gunicorn --preload --max-requests 1", "recycling", recycling),
        ):
            site = Site(f"/{mount}-{number}", (*command, name), directory, protocol="http")
            found.append(Contender(app, server, site))
    return found


def measure(wrk: str, url: str, seconds: int) -> dict[str, int]:
    """Load *url* for some seconds; return what bench/report.lua says."""
    command = [
        wrk,
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "-s",
        str(BENCH / "report.lua"),
        url,
    ]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    report: dict[str, int] = json.loads(output.splitlines()[-1])
    return report


def table(found: list[Contender]) -> None:
    """Print all figures, one line per contender."""
    print(f"{'application':12} {'server':36} {'req/s':>8} {'lowest..highest':>17}", end="")
    print(f" {'/ fork':>7} {'p50 ms':>8} {'p99 ms':>8} {'errors':>7}")
    for one in found:
        rates = one.per_second()
        spread = f"{min(rates):.0f}..{max(rates):.0f}"
        ratio = median(rates) / median(_find(found, one.app, "lwcgi, fork").per_second())
        errors = sum(r["not_ok"] + r["failed"] for r in one.rounds)
        print(
            f"{one.app:12} {one.server:36} {median(rates):8.0f} {spread:>17} {ratio:7.2f}", end=""
        )
        print(f" {one.middle('p50') / 1e3:8.2f} {one.middle('p99') / 1e3:8.2f} {errors:7}")


def _find(found: list[Contender], app: str, server: str) -> Contender:
    return next(one for one in found if one.app == app and one.server == server)


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nginx", default="/usr/sbin/nginx")
    parser.add_argument("--wrk", default="/usr/bin/wrk")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 2 s instead of 9 of 5 s")
    options = parser.parse_args()
    rounds, seconds = (3, 2) if options.quick else (9, 5)
    found = contenders()
    try:
        with Stage(options.nginx, 0, tuple(one.site for one in found)) as stage:
            for one in found:
                status, body = stage.get(f"{one.site.mount}/")
                if (status, body) != (200, b"Hello, world.\n"):
                    raise StageError(f"{one.server} answers {status} {body!r:.200}")
            for _ in range(rounds):
                for one in found:
                    url = f"{stage.url}{one.site.mount}/"
                    one.rounds.append(measure(options.wrk, url, seconds))
    except StageError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    table(found)
    fork = median(_find(found, "Flask hello", "lwcgi, fork").per_second())
    recycling = _find(found, "Flask hello", "gunicorn --preload --max-requests 1")
    print(
        f"bench: {rounds} rounds of {seconds} s, {CONNECTIONS} connections, one worker each: "
        f"Flask hello isolated by lwcgi {fork:.0f} requests/s, "
        f"{fork / median(recycling.per_second()):.1f} times gunicorn --preload --max-requests 1"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
