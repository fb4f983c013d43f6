# SPDX-License-Identifier: MIT
"""Gateways that take turns: all are up, and each is asked for a short while in every round."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import arrivals, census, parts, stamps
from bench.burst import BURST, Client, request
from bench.measured_apps import FOLDER
from demo_apps.stage import Stage, StageError, lwcgi_site

ROOT = Path(__file__).parents[1]
SHARED = "/dev/shm"
STOP_SECONDS = 20.0
LOAD = 0.7
"""Part of the most requests per second, when delays are measured."""
LONGER = 3
PAUSE = 3
"""Between two bursts, in requests."""


LEARNING = 0.3
"""Seconds of requests before the first round: what an engine learns of them, it has learned."""


@dataclass(frozen=True)
class Way:
    """A way for requests to be isolated and to end.

    Parameters:
        name: as printed.
        engine: of the gateway.
        options: more of its options.
        end: what every request does to end this way (measured_apps.py).
        counter: what the worker calls this way when it counts its requests.
    """

    name: str
    engine: str
    options: tuple[str, ...] = ()
    end: str = ""
    counter: str = ""


NONE = Way("none", "none")
IN_PLACE = Way("rewind, in place", "rewind", counter="undone in place")
MORTAL = Way("rewind, --no-immortal", "rewind", ("--no-immortal",), "", "undone in place")
NEW_TASK = Way("rewind, new task", "rewind", (), "task", "with a new task")
BLIND = Way("rewind, blind", "rewind", ("--no-dispatch",), "", "blind")
CRASH = Way("rewind, crash", "rewind", (), "crash", "after their process ended")
FORK = Way("fork", "fork", counter="contexts")
FORK_CRASH = Way("fork, crash", "fork", (), "crash", "crashed")
WAYS = (NONE, IN_PLACE, MORTAL, NEW_TASK, BLIND, CRASH, FORK, FORK_CRASH)


@dataclass(kw_only=True)
class Contender:
    """One gateway with one application, and what was measured.

    Parameters:
        app: a factory in measured_apps.py.
        way: how its requests are isolated and end.
        environ: environment variables that the factory reads.
        targets: paths requested in turn.
        warmup: paths requested before the snapshot.
        rounds: the parts of a request, for each round.
        counters: what the worker counted.
        logged: what the engine says of the parts.
        memory: proportional set size of all its processes, in MiB.
        delays: of requests that came at random times, in microseconds, for each round.
    """

    app: str
    way: Way
    environ: dict[str, str] = field(default_factory=dict)
    targets: Sequence[str] = ("/",)
    warmup: Sequence[str] = ("/",)
    rounds: list[parts.Parts] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    logged: dict[str, float] = field(default_factory=dict)
    memory: float = 0.0
    delays: list[list[float]] = field(default_factory=list)

    def middle(self, part: str = "whole") -> float:
        """Return the median over the rounds of a part, in microseconds."""
        return median(getattr(each, part) for each in self.rounds)

    def cost(self, none: Contender) -> float:
        """Return how much more a request costs than one of *none*, which had its turns beside."""
        return median(
            mine.whole - its.whole for mine, its in zip(self.rounds, none.rounds, strict=True)
        )

    def undo(self, none: Contender) -> float:
        """Return what of a turn is not there after a pause, nor in one of *none*."""
        return median(
            (mine.turn - mine.wake) - (its.turn - its.wake)
            for mine, its in zip(self.rounds, none.rounds, strict=True)
        )

    def delay(self, part: float) -> float:
        """Return the median over the rounds of a quantile of the delays, in microseconds."""
        return median(each[int(part * len(each))] for each in self.delays)

    def per_request(self, counter: str) -> float | None:
        """Return what the worker counted, per request; None where it does not count that."""
        count = self.counters.get(counter)
        return None if count is None else count / max(1, self.counters["requests"])


def find(contenders: Iterable[Contender], way: Way) -> Contender:
    """Return the contender that goes this way; there must be one."""
    return next(one for one in contenders if one.way == way)


def costs(contenders: Iterable[Contender]) -> dict[Way, float]:
    """Return how much more than without isolation a request costs, by way, in microseconds."""
    contenders = list(contenders)
    none = find(contenders, NONE)
    return {one.way: one.cost(none) for one in contenders if one is not none}


class _Running:
    """A contender on the stage."""

    def __init__(self, contender: Contender, number: int, folder: Path, files: str) -> None:
        self.contender = contender
        way = contender.way
        file = folder / str(number)
        self.stamps = stamps.Stamps(file)
        environ = contender.environ | {FOLDER: files, stamps.FILE: str(file)}
        warmup = [word for path in contender.warmup for word in ("--warmup", path)]
        self.site = lwcgi_site(
            f"bench.measured_apps:{contender.app}",
            ROOT,
            *("--factory", "--pythonpath", str(ROOT), "--allow", "shared-mapping"),
            *(*warmup, *way.options),
            engine=way.engine,
            mount=f"/{number}",
            environ=tuple(environ.items()),
        )
        self.bursts = 1
        self.client = Client("", ())

    def start(self, stage: Stage, core: int) -> None:
        """Learn how long requests take, and keep the gateway on *core* from then on."""
        self.address = str(stage.prefix / f"{self.site.name}.sock")
        end = self.contender.way.end
        requests = [request(path, end) for path in self.contender.targets]
        self.client = Client(self.address, requests, closes=end == "crash")
        self.root = stage.processes[self.site.name].pid
        self.client.run(1)
        for pid in census.tree(self.root):
            try:
                os.sched_setaffinity(pid, {core})
            except ProcessLookupError:  # a context that has just ended
                continue
        seconds = 0.0
        while seconds < LEARNING:
            seconds += self._run(LEARNING - seconds) / 1e6

    def measure(self, seconds: float) -> None:
        """Have a round of about *seconds*."""
        self._run(seconds)
        self.contender.rounds.append(parts.read(self.stamps, self.client.sent))

    def load(self, rate: float, seconds: float) -> None:
        """Have a round of requests at random times, *rate* of them a second."""
        seed = len(self.contender.delays)
        self.contender.delays.append(arrivals.delays(self.address, rate, seconds, seed))

    def stop(self, stage: Stage) -> None:
        """End the gateway and take what it has to say."""
        self.client.close()
        self.contender.memory = census.take(self.root).pss / 1024
        process = stage.processes[self.site.name]
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise StageError(
                f"{self.contender.app}, {self.contender.way.name}: did not stop:\n"
                + stage.log(self.site.name)
            ) from None
        log = stage.log(self.site.name)
        self.contender.counters = parts.counters(log)
        self.contender.logged = parts.logged(log)

    def _run(self, seconds: float) -> float:
        """Make requests for about *seconds*; return for how long, in microseconds."""
        self.stamps.clear()
        self.client.run(self.bursts)
        one = parts.read(self.stamps, self.client.sent).whole
        self.client.pause = PAUSE * one / 1e6
        took = BURST * self.bursts * one
        most = stamps.SLOTS // BURST
        self.bursts = max(1, min(most, round(self.bursts * seconds * 1e6 / took)))
        return took


def hold(
    nginx: str,
    contenders: Sequence[Contender],
    rounds: int,
    seconds: float,
    delayed: Sequence[Way] = (),
) -> None:
    """Measure *contenders* in *rounds* rounds, *seconds* each in every one.

    Those of the ways *delayed* then have as many rounds, LONGER each, at the same random times:
    LOAD of what the slowest of them could answer.

    Raises:
        StageError: one did not start or stop.
        BurstError, OSError: one did not answer as before.
    """
    cores = sorted(os.sched_getaffinity(0))
    shared = SHARED if os.path.isdir(SHARED) else None
    with (
        tempfile.TemporaryDirectory(prefix="lwcgi-bench-", dir=shared) as folder,
        tempfile.TemporaryDirectory(prefix="lwcgi-bench-") as files,
    ):
        running = [_Running(one, n, Path(folder), files) for n, one in enumerate(contenders)]
        with Stage(nginx, 0, tuple(one.site for one in running)) as stage:
            try:
                os.sched_setaffinity(0, {cores[0]})
                for one in running:
                    one.start(stage, cores[-1])
                for _ in range(rounds):
                    for one in running:
                        one.measure(seconds)
                loaded = [one for one in running if one.contender.way in delayed]
                for _ in range(rounds if loaded else 0):
                    slowest = max(one.contender.middle() for one in loaded)
                    for one in loaded:
                        one.load(LOAD * 1e6 / slowest, LONGER * seconds)
            finally:
                os.sched_setaffinity(0, cores)
            for one in running:
                one.stop(stage)


def possible(nginx: str, ways: Iterable[Way]) -> tuple[list[Way], dict[str, str]]:
    """Return those *ways* that this machine and this version have, and why not the others.

    Raises:
        StageError: those that every machine has do not work.
    """
    found, missing = [], {}
    for way in ways:
        if way == MORTAL and sys.version_info < (3, 12):
            missing[way.name] = "CPython has immortal objects since 3.12"
            continue
        try:
            hold(nginx, [Contender(app="hello", way=way)], 1, 0.01)
        except StageError as error:
            if way in (NONE, FORK):
                raise
            missing[way.name] = str(error).strip().rpartition("\n")[2]
        else:
            found.append(way)
    return found, missing
