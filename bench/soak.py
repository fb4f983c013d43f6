# SPDX-License-Identifier: MIT
"""What `make soak` runs: many requests through nginx, one in a hundred ends badly.

Every answer is checked. Between batches, while nothing is under way, the gateway's
processes are counted and measured: nothing may grow over the last 80 % of the run.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench import census
from bench.load import Answer, Client, Job, drive, request_bytes
from bench.soak_app import BAD_ENDS, LEAVING, LEAVING_SAYS
from demo_apps.stage import Stage, StageError, lwcgi_site

BATCHES = 50
BAD_ONE_IN = 100
LARGE = 300_000
# What may be noise, as parts of the middle value and as an absolute number.
TOLERANCES = {
    "pss": (0.02, 1024),
    "descriptors": (0.01, 2),
    "maps": (0.01, 8),
    "processes": (0.0, 0.5),
}


def plan(engine: str, mount: str = "", bad_one_in: int = BAD_ONE_IN) -> Iterator[Job]:
    """Return the endless sequence of requests and what their answers must be.

    Parameters:
        engine: its name; under `none` what is left behind piles up, as it should.
        mount: URL prefix of the application.
        bad_one_in: so many requests, one ends badly.
    """
    bad = itertools.cycle([*BAD_ENDS, *(LEAVING if engine != "none" else ())])
    for number in itertools.count():
        if number % bad_one_in == bad_one_in // 2:
            yield _bad(mount, next(bad))
        elif number % 10 == 3:
            yield _post(mount, number)
        elif number % 10 == 7:
            yield _large(mount, number % LARGE)
        else:
            yield _echo(mount, number, isolated=engine != "none")


def _echo(mount: str, number: int, *, isolated: bool) -> Job:
    def wrong(answer: Answer) -> str:
        echoed, _, visits = answer.body.decode().strip().partition(" ")
        good = answer.status == 200 and answer.complete and echoed == str(number)
        return "" if good and (visits == "1" or not isolated) else repr(answer)

    return Job(request_bytes("GET", f"{mount}/echo?{number}"), wrong)


def _post(mount: str, number: int) -> Job:
    body = number.to_bytes(4, "big") * (1 + number % 5000)
    expected = Answer(200, f"{hashlib.sha256(body).hexdigest()}\n".encode(), complete=True)
    return Job(
        request_bytes("POST", f"{mount}/post", body),
        lambda a: "" if a == expected else f"{a!r:.300}",
    )


def _large(mount: str, size: int) -> Job:
    expected = Answer(200, b"x" * size, complete=True)
    return Job(
        request_bytes("GET", f"{mount}/large/{size}"),
        lambda a: "" if a == expected else f"{a.status}, {len(a.body)} bytes, {a.complete}",
    )


def _bad(mount: str, kind: str) -> Job:
    def wrong(answer: Answer) -> str:
        if kind == "half":
            # How much of it arrives is up to nginx, which drops what it has not sent yet.
            good = answer.status in (0, 200) and not answer.complete
        elif kind in LEAVING:
            good = answer == Answer(200, f"{LEAVING_SAYS[kind]}\n".encode(), complete=True)
        else:
            good = answer.status == 500 and answer.complete
        return "" if good else repr(answer)

    return Job(request_bytes("GET", f"{mount}/{kind}"), wrong)


async def run(
    stage: Stage, engine: str, requests: int, connections: int
) -> tuple[list[str], list[census.Census]]:
    """Make *requests* requests; return what was wrong and the samples taken between batches."""
    root = stage.processes["root"].pid
    clients = [Client(stage.port) for _ in range(connections)]
    jobs = plan(engine)
    complaints: list[str] = []
    samples = []
    for batch in range(BATCHES):
        size = requests * (batch + 1) // BATCHES - requests * batch // BATCHES
        complaints += await drive(clients, itertools.islice(jobs, size))
        samples.append(census.take(root))
    for client in clients:
        client.close()
    return complaints, samples


def judge(samples: list[census.Census]) -> list[str]:
    """Print one line for each thing measured; return the names of those that grew."""
    grew = []
    late = samples[len(samples) // 5 :]
    print(f"{'':12} {'lowest':>10} {'highest':>10} {'growth':>10} {'allowed':>10}")
    for name, (part, least) in TOLERANCES.items():
        values = [getattr(sample, name) for sample in late]
        allowed = max(least, part * sorted(values)[len(values) // 2])
        growth = census.drift(values)
        if growth > allowed:
            grew.append(name)
        label = "pss [KiB]" if name == "pss" else name
        print(f"{label:12} {min(values):10} {max(values):10} {growth:+10.1f} {allowed:10.1f}")
    zombies = max(sample.zombies for sample in samples)
    if zombies:
        grew.append(f"{zombies} zombies")
    return grew


def main() -> int:
    """Run the soak test; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nginx", default="/usr/sbin/nginx")
    parser.add_argument("--engine", default="rewind")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    site = lwcgi_site(
        "soak_app:application",
        Path(__file__).parent,
        # A new snapshot for so many crashes would hide what the old one had gathered.
        *("--timeout", "200ms", "--no-warmup", "--snapshot-max-crashes", "0"),
        engine=options.engine,
        workers=options.workers,
        keep=options.connections,
    )
    started = time.monotonic()
    try:
        with Stage(options.nginx, 0, (site,)) as stage:
            complaints, samples = asyncio.run(
                run(stage, options.engine, options.requests, options.connections)
            )
            took = time.monotonic() - started
    except StageError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    for complaint in complaints[:20]:
        print(f"wrong: {complaint:.400}")
    grew = judge(samples)
    verdict = "FAILED" if complaints or grew else "passed"
    print(
        f"soak: engine {options.engine}: {options.requests} requests, "
        f"{options.requests // BAD_ONE_IN} of them crashes or hangs, "
        f"{options.connections} connections, {took:.0f} s: {len(complaints)} wrong or lost, "
        f"growing: {', '.join(grew) or 'nothing'}: {verdict}"
    )
    return 1 if complaints or grew else 0


if __name__ == "__main__":
    sys.exit(main())
