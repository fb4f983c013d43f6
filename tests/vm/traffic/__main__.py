# SPDX-License-Identifier: MIT
"""Runs in a guest: requests through nginx to gateways with the engine `lwc`, each answer checked.

$ python -m tests.vm.traffic --requests 1000 --create 100

Each line ``TEST name ok|FAIL what`` is the result of one test; see tests/vm/test_traffic.py.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from bench import load, parts
from bench.soak_app import BAD_ENDS
from demo_apps import demo, stage
from demo_apps.stage import Stage, free_port
from tests.harness.waiting import until
from tests.vm.traffic import stand
from tests.vm.traffic.mix import Mix

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTIONS = 6
_BATCH, _SMALL_BATCH = 500, 12
_REPLACING = 24
"""lwCs that there may be while two gateways replace all their workers: twice those at rest."""

_SLOW = 20.0  # so many times slower than a machine is one that is emulated
_TAINT = Path("/proc/sys/kernel/tainted")
_OUT_OF_TREE, _UNSIGNED = 1 << 12, 1 << 13  # see admin-guide/tainted-kernels of the kernel
_NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "nginx"
_MADE_TO = re.compile(rf" GET (/soak)?/({'|'.join((*BAD_ENDS, 'crash'))}): ")
"""In lines about a request that was made to end badly."""

_ADVICE = "imported modules that the snapshot lacks"
_BY_THE_DEMO = {"remember me", "http://example.org/"}

_TOLD = ("crashed", "timed out", "answered by the gateway", "undone in place", "with a new task",
         "after their process ended", "with a new worker")  # fmt: skip


def main() -> int:
    """Run it; return 0 if all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="lwc")
    parser.add_argument("--requests", type=int, default=1000, help="with workers that are reset")
    parser.add_argument("--create", type=int, default=100, help="with a worker for each request")
    parser.add_argument("--small", action="store_true", help="without Django; fewer applications")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    stage.READY_SECONDS *= _SLOW
    stage.STOP_SECONDS *= _SLOW
    stage.ANSWER_SECONDS *= _SLOW
    load.ANSWER_SECONDS *= _SLOW
    ways = {"reset": options.requests, "create": options.create}
    # Where both are small, one's start need not wait for the end of the other.
    with ThreadPoolExecutor(2 if options.small else 1) as pool:
        begun = [
            pool.submit(
                _test,
                f"traffic_{way}",
                _requests,
                options.engine,
                ("--lwc-way", way) if options.engine == "lwc" else (),
                requests,
                not options.small,
            )
            for way, requests in ways.items()
            if requests
        ]
    good = all(one.result() for one in begun)
    if options.engine == "lwc":
        good &= _test("no_context_is_left", _nothing_lives)
        good &= _test("the_kernel_is_not_tainted", _taint)
    return 0 if good else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _test(name: str, test: Callable[..., str], *arguments: object) -> bool:
    """Run a test and say how it ended; return whether it passed."""
    begun = time.monotonic()
    try:
        said = test(*arguments)
    except Exception:  # noqa: BLE001 - whatever it was, it is told
        _say(traceback.format_exc())
        _say(f"TEST {name} FAIL {sys.exception()!r:.300}")
        return False
    _say(f"TEST {name} ok {said} in {time.monotonic() - begun:.0f} s")
    return True


def _requests(engine: str, options: tuple[str, ...], requests: int, whole: bool) -> str:
    """Make so many requests; return what happened, in numbers.

    Raises:
        AssertionError: an answer was not as it must be, or a gateway has complained.
    """
    mix, port, begun = Mix(whole), free_port(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lwcgi-traffic-") as folder:
        sites = tuple(stand.sites(Path(folder), port, engine, options, whole))
        with Stage(_NGINX, port, sites) as running:
            _say(f"# {len(sites)} gateways up after {time.monotonic() - begun:.0f} s")
            wrong = ["a check of the demo"] if whole and demo.run_checks(running) else []
            said, live = asyncio.run(_drive(port, mix, requests, _BATCH if whole else _SMALL_BATCH))
            wrong += said
            if live[-1] > max(2 * live[0], _REPLACING):
                wrong.append(f"the lwCs that exist grow with the requests: {live}")
            codes, logs = _stopped(running)
        stored = _stored(Path(folder), mix)
    wrong += [f"{name} ended with code {code}" for name, code in codes.items() if code]
    wrong += [f"{name}: {line}" for name, log in logs.items() for line in _complaints(log)]
    if wrong:
        for name, log in logs.items():
            _say(f"--- log of {name} ---\n{_late(log)}{log[-2000:]}")
        for line in wrong:
            _say(f"# {line:.500}")
        raise AssertionError(f"{len(wrong)} wrong: {' | '.join(wrong[:5])}"[:2000])
    counted: Counter[str] = Counter()
    for log in logs.values():
        counted.update(parts.counters(log))
    ended = ", ".join(f"{counted[name]} {name}" for name in _TOLD if counted[name])
    return (
        f"{requests} requests, {mix.crashes} that end badly or leave something, none wrong; {ended}; "
        f"{min(live)} to {max(live)} lwCs; {stored}"
    )


async def _drive(port: int, mix: Mix, requests: int, at_once: int) -> tuple[list[str], list[int]]:
    """Make requests, so many at once; return what was wrong, and how many lwCs there were then."""
    clients = [load.Client(port) for _ in range(CONNECTIONS)]
    wrong, live = [], []
    for done in range(0, requests, at_once):
        begun, batch = time.monotonic(), min(at_once, requests - done)
        wrong += await load.drive(clients, itertools.islice(mix, batch))
        live.append(_live())
        took = time.monotonic() - begun
        _say(f"# {done + batch} requests, {took:.0f} s for {batch}, {live[-1]} lwCs")
    for client in clients:
        client.close()
    return wrong, live


def _live() -> int:
    """Return how many lwCs there are; without the module there is none."""
    return int(stand.LIVE.read_text()) if stand.LIVE.exists() else 0


def _stopped(running: Stage) -> tuple[dict[str, int], dict[str, str]]:
    """Stop the gateways; return how each ended, and all that they have logged."""
    gateways = {site.name: running.processes[site.name] for site in running.sites}
    for gateway in gateways.values():
        gateway.send_signal(signal.SIGTERM)
    codes = {name: gateway.wait(stage.STOP_SECONDS) for name, gateway in gateways.items()}
    return codes, {name: running.log(name) for name in gateways}


def _complaints(log: str) -> list[str]:
    """Return the lines of a gateway's log that should not be in it."""
    words = ("Traceback", " WARNING ", " ERROR ")
    found = [line for line in log.splitlines() if any(word in line for word in words)]
    return [line for line in found if _ADVICE not in line and not _MADE_TO.search(line)]


def _late(log: str) -> str:
    """Return what a log tells of requests that took too long, but for those that were made to."""
    pattern = r"^.* (?!GET /soak/hang|GET /hang)[A-Z]+ \S+: no complete answer within.*\n(?:.* app: .*\n)*"
    return "".join(re.findall(pattern, log, re.MULTILINE))


def _stored(folder: Path, mix: Mix) -> str:
    """Return what was stored, in numbers.

    Raises:
        AssertionError: not all of what was answered to be, or more.
    """
    told = []
    for path, query, expected in (
        (folder / "notes" / "notes.sqlite", "SELECT text FROM note", mix.notes),
        (folder / "shorty.sqlite", "SELECT target FROM link", mix.links),
    ):
        if not path.exists():
            assert not expected, f"there is no {path.name}"
            continue
        with closing(sqlite3.connect(path)) as database:
            found = [text for (text,) in database.execute(query)]
        stored = Counter(text for text in found if text not in _BY_THE_DEMO)
        answered = Counter(expected)
        assert stored == answered, (
            f"{path.name}: {stored - answered} were stored, {answered - stored} answered alone"
        )
        told.append(f"{len(found)} rows in {path.name}")
    return ", ".join(told)


def _nothing_lives() -> str:
    """No lwC is left when all gateways have stopped; the last ones may take a grace period."""
    return until(lambda: _live() == 0 and "0 lwCs", "no lwC", 30)


def _taint() -> str:
    """The kernel is tainted by the module's origin, and by nothing that has happened since."""
    taint = int(_TAINT.read_text())
    assert taint & ~(_OUT_OF_TREE | _UNSIGNED) == 0, f"taint {taint:#x}"
    return f"taint {taint:#x}"


if __name__ == "__main__":
    sys.exit(main())
