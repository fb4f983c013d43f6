# SPDX-License-Identifier: MIT
"""Ways to serve that take turns, one request at a time, through an nginx of their own each.

Where a request costs a process, or the processor is emulated, requests per second under load would
tell about queues. Here one client asks, waits for the answer, and asks again. It runs on the
machine itself, and as a program in a guest, which says what it measured in lines for `heard`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.contenders import APPS, App
from bench.ways import WAYS, Way, installed
from demo_apps import stage
from demo_apps.stage import Stage, StageError

HEAVY = App(
    "0.5 s to initialise",
    "bench.heavy:application",
    re.compile(
        rb"<!doctype html><title>Flora</title>\n.*<p>Request \d+ of this process\.</p>", re.DOTALL
    ),
)
ASKED = {app.name: app for app in (*APPS, HEAVY)}
CHECKED = 3
"""Requests before the first round; as for all that follow, the answers are checked."""

ANSWER_SECONDS = 600.0
_LINE = re.compile(r"^(TURN|LACKS) (\{.*\})$", re.MULTILINE)


@dataclass
class Times:
    """What was measured of one application.

    Parameters:
        app: its name.
        rounds: seconds a request, a value for each round, by the name of the way.
        lacking: what a way lacks that could not be had, by its name.
    """

    app: str
    rounds: dict[str, list[float]] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)

    def ratios(self, way: str, base: str) -> list[float]:
        """Return how many times the requests of *base* one way serves in a time, for each round."""
        pairs = zip(self.rounds[way], self.rounds[base], strict=True)
        return [other / one for one, other in pairs]


def possible(ways: Sequence[Way]) -> tuple[list[Way], dict[str, str]]:
    """Return those *ways* that there are on this machine, and by name what the others lack."""
    lacking = {way.name: lacks for way in ways if (lacks := way.lacks())}
    return [way for way in ways if way.name not in lacking], lacking


def take(
    nginx: str,
    app: App,
    ways: Sequence[Way],
    rounds: int,
    most: int,
    seconds: float,
    note: Callable[[str, float], None],
) -> None:
    """Let *ways* take turns; call *note* with the name of one and its seconds a request.

    Parameters:
        nginx: path of the program.
        app: the application.
        ways: all up together.
        rounds: turns of each.
        most: requests of a turn; one at least is made.
        seconds: after which a turn has no further one.
        note: called for each turn.

    Raises:
        StageError: one does not start, or an answer is wrong.
    """
    with ExitStack() as stack:
        connections = {}
        for way in ways:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lwcgi-bench-")))
            site = way.site(app.target, folder)
            running = stack.enter_context(Stage(nginx, 0, (site,)))
            connections[way.name] = stack.enter_context(_connected(running))
            for _ in range(CHECKED):
                _ask(way.name, app, connections[way.name])
        for _ in range(rounds):
            for name, connection in connections.items():
                note(name, _turn(name, app, connection, most, seconds))


@contextmanager
def _connected(running: Stage) -> Iterator[http.client.HTTPConnection]:
    """Yield a connection to a stage's nginx, which keeps it."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=ANSWER_SECONDS)
    with closing(connection):
        yield connection


def _ask(name: str, app: App, connection: http.client.HTTPConnection) -> None:
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise StageError(f"{app.name}, {name}: {error!r}") from error
    if answer.status != 200 or not app.answer.fullmatch(body):
        raise StageError(f"{app.name}, {name}: answers {answer.status} {body[:200]!r}")


def _turn(
    name: str, app: App, connection: http.client.HTTPConnection, most: int, seconds: float
) -> float:
    # Others may have taken longer than nginx keeps a connection that is idle.
    connection.close()
    connection.connect()
    made, begun = 0, time.perf_counter()
    while True:
        _ask(name, app, connection)
        made += 1
        took = time.perf_counter() - begun
        if made == most or took > seconds:
            return took / made


def heard(told: str) -> list[Times]:
    """Return what this program has said in a guest, by application."""
    found: dict[str, Times] = {}
    for kind, line in _LINE.findall(told):
        said = json.loads(line)
        times = found.setdefault(said["app"], Times(said["app"]))
        if kind == "TURN":
            times.rounds.setdefault(said["way"], []).append(said["seconds"])
        else:
            times.lacking[said["way"]] = said["lacks"]
    return list(found.values())


def table(times: Times, bases: Sequence[str]) -> str:
    """Return a line for each way: time, and requests in a time as ratios to each of *bases*."""
    bases = [base for base in bases if base in times.rounds]
    head = f"{times.app:26} {'ms':>9} {'lowest..highest':>19}"
    lines = [head + "".join(f" {f'/ {base}':>24}" for base in bases)]
    for way, values in times.rounds.items():
        spread = f"{min(values) * 1e3:.2f}..{max(values) * 1e3:.2f}"
        line = f"{way:26} {median(values) * 1e3:9.2f} {spread:>19}"
        for base in bases:
            ratios = times.ratios(way, base)
            within = f"({short(min(ratios))}..{short(max(ratios))})"
            line += f" {short(median(ratios)):>8} {within:>15}"
        lines.append(line)
    lines += [f"{way:26} not measured: {lacks}" for way, lacks in times.lacking.items()]
    return "\n".join(lines)


def short(value: float) -> str:
    """Return a ratio in three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and say so in lines; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nginx", default=installed("nginx"))
    parser.add_argument("--app", action="append", choices=ASKED, required=True)
    parser.add_argument("--way", action="append", choices=[way.name for way in WAYS], required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=int, default=10, help="requests of a turn")
    parser.add_argument("--seconds", type=float, default=10, help="after which a turn ends")
    parser.add_argument("--slow", type=float, default=1, help="allow all so many times as long")
    options = parser.parse_args(arguments)
    stage.READY_SECONDS *= options.slow
    stage.STOP_SECONDS *= options.slow
    ways, lacking = possible([way for way in WAYS if way.name in options.way])
    for name in options.app:
        for way, lacks in lacking.items():
            _say("LACKS", {"app": name, "way": way, "lacks": lacks})

        def note(way: str, seconds: float, name: str = name) -> None:
            _say("TURN", {"app": name, "way": way, "seconds": seconds})

        try:
            take(
                options.nginx,
                ASKED[name],
                ways,
                options.rounds,
                options.most,
                options.seconds,
                note,
            )
        except StageError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    return 0


def _say(kind: str, what: dict[str, object]) -> None:
    print(kind, json.dumps(what), flush=True)


if __name__ == "__main__":
    sys.exit(main())
