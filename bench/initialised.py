# SPDX-License-Identifier: MIT
"""What `make bench-init` runs: an application whose initialisation is slow, made anew or restored.

As the paper on light-weight contexts did with PHP, where a script is initialised for each request:
here by CGI, and by a server whose worker ends after one request; beside them the engines.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median

from bench import engines, rounds
from bench.rounds import HEAVY, Times, short
from bench.ways import CGI, NONE, WAYS, installed
from demo_apps.stage import StageError
from tests.vm.errors import VmError

BASES = (CGI.name, "gunicorn, not preloaded", "gunicorn, max-requests 1")
IN_GUEST = (NONE.name, "rewind", "lwc, reset", "lwc, create", "fork", CGI.name)
PAPER = (
    "The paper's speed-ups of PHP behind FastCGI by a snapshot of the initialised script: "
    "2.7 without and 1.3 with a cache of compiled code"
)


def here(nginx: str, turns: int, most: int, seconds: float) -> Times:
    """Return what was measured on this machine.

    Raises:
        StageError: a server did not start, or an answer was wrong.
    """
    ways, lacking = rounds.possible(WAYS)
    times = Times(HEAVY.name, {way.name: [] for way in ways}, lacking)
    rounds.take(
        nginx, HEAVY, ways, turns, most, seconds,
        lambda way, took: times.rounds[way].append(took),
    )  # fmt: skip
    return times


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nginx", default=installed("nginx"))
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 9")
    parser.add_argument("--kernel", action="append", help="of guests; default: 6.12")
    parser.add_argument("--no-guest", action="store_true", help="only on this machine")
    options = parser.parse_args(arguments)
    turns = 3 if options.quick else 9
    kernels = [] if options.no_guest else options.kernel or ["6.12"]
    found: dict[str, Times] = {}
    try:
        found["this machine"] = here(options.nginx, turns, 100, 1.0)
        _tell("This machine", found["this machine"])
        for kernel in kernels:
            [found[kernel]] = engines.measure(kernel, [HEAVY.name], IN_GUEST, turns, 5)
            _tell(f"Linux {kernel}, emulated", found[kernel])
    except (StageError, VmError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    engines.RESULTS.mkdir(exist_ok=True)
    saved = {where: asdict(times) for where, times in found.items()}
    (engines.RESULTS / "initialised.json").write_text(json.dumps(saved))
    print(f"\n{PAPER}.")
    told = [
        f"{way} {short(median(times.ratios(way, CGI.name)))}"
        for where, times in found.items()
        for way in ("rewind", "fork", "lwc, reset", "lwc, create")
        if way in times.rounds and (where == "this machine") != way.startswith("lwc")
    ]
    print(f"bench: {turns} rounds; times the requests of CGI: {', '.join(told)}")
    return 0


def _tell(where: str, times: Times) -> None:
    print(f"\n{where}; ratios are of requests in a time")
    print(rounds.table(times, BASES), flush=True)


if __name__ == "__main__":
    sys.exit(main())
