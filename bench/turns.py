# SPDX-License-Identifier: MIT
"""Servers with one application that take turns under load, each behind an nginx of its own.

What goes wrong with one is noted by its name; the others go on.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from statistics import median

from bench import census, wrk
from bench.contenders import CONNECTIONS, App, Server
from demo_apps.stage import Stage, StageError

FIRST = 21
"""Answers that are checked before the first round; as many requests as `lwcgi run` warms up with."""
TAKEN = 5
"""Times that the memory is measured."""
LOG_TOLD = 1500
"""Characters of a log that a complaint quotes, its end."""


@dataclass(frozen=True)
class Turn:
    """One round of one contender.

    Parameters:
        report: what wrk has seen.
        cpu: seconds of CPU that the server's processes used.
    """

    report: wrk.Report
    cpu: float

    @property
    def cpu_per_request(self) -> float:
        """In microseconds; of a round without answers, all of it."""
        return self.cpu * 1e6 / max(1, self.report.requests)


@dataclass
class Contender:
    """One server with one application, and what was measured.

    Parameters:
        app: the application.
        server: the server.
        environ: environment variables for it.
        turns: one for each round, until something went wrong.
        memory: proportional set size of all its processes, in MiB.
        worker: the same without its first process, where that is not the worker itself.
        complaints: what went wrong.
    """

    app: App
    server: Server
    environ: tuple[tuple[str, str], ...] = ()
    turns: list[Turn] = field(default_factory=list)
    memory: float = 0.0
    worker: float = 0.0
    complaints: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As printed with complaints."""
        return f"{self.app.name}, {self.server.name}"

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Note what goes wrong in the block, and leave it."""
        try:
            yield
        except (StageError, wrk.WrkError, OSError, http.client.HTTPException) as error:
            text = str(error).strip() or repr(error)
            head, _, log = text.partition("\n")
            self.complaints.append(f"{head}\n{log[-LOG_TOLD:]}".strip())


def hold(
    nginx: str, program: str, contenders: Sequence[Contender], rounds: int, seconds: int
) -> None:
    """Let *contenders* take turns, and note in each what was measured and what went wrong.

    Parameters:
        nginx, program: paths of nginx and of wrk.
        contenders: all with the same application, so that they compare.
        rounds: turns that each gets.
        seconds: the length of a turn.
    """
    with ExitStack() as stack:
        running = []
        for one in contenders:
            with one.blamed():
                stack.enter_context(one.blamed())  # for what goes wrong when it stops
                site = replace(one.server.site(one.app.target), environ=one.environ)
                running.append((one, stack.enter_context(Stage(nginx, 0, (site,)))))
                _check(one, running[-1][1], FIRST)
        for _ in range(rounds):
            for one, stage in running:
                if not one.complaints:
                    with one.blamed():
                        _turn(one, stage, program, seconds)
        for one, stage in running:
            if one.turns:
                with one.blamed():
                    _end(one, stage)


def _root(stage: Stage) -> int:
    return stage.processes[stage.sites[0].name].pid


def _check(one: Contender, stage: Stage, times: int) -> None:
    """Ask for the page and judge the answer.

    Raises:
        StageError: it is not the expected one.
    """
    for _ in range(times):
        status, body = stage.get("/")
        if status != 200 or not one.app.answer.fullmatch(body):
            log = stage.log(stage.sites[0].name)
            raise StageError(f"answers {status} {body[:200]!r}, which is wrong\n{log}")


def _turn(one: Contender, stage: Stage, program: str, seconds: int) -> None:
    before = census.cpu(_root(stage))
    report = wrk.run(program, f"{stage.url}/", CONNECTIONS, seconds)
    one.turns.append(Turn(report, census.cpu(_root(stage)) - before))


def _end(one: Contender, stage: Stage) -> None:
    """Judge the load, see that the answer is still right, and measure the memory."""
    bad = sum(turn.report.not_ok for turn in one.turns)
    lost = sum(turn.report.failed for turn in one.turns)
    if bad or lost:
        whole = sum(turn.report.requests for turn in one.turns)
        log = stage.log("nginx")
        one.complaints.append(
            f"under load, {bad} of {whole} answers were errors, {lost} requests got none\n"
            f"{log[-LOG_TOLD:]}".strip()
        )
    # More than once: what wrk left in the queue may still cost gunicorn a worker or two.
    taken = [census.memory(_root(stage)) for _ in range(TAKEN)]
    memory, worker = (median(each) for each in zip(*taken, strict=True))
    one.memory, one.worker = memory / 1024, (worker or memory) / 1024
    _check(one, stage, 1)
