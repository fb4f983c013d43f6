# SPDX-License-Identifier: MIT
"""What `make bench-engine` runs: the engine `lwc` beside the others, in guests with the module.

The processor is emulated, so milliseconds are those of no machine; ratios within a round are told.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bench import rounds
from bench.rounds import Times, short
from bench.ways import NONE
from tests.vm import guest
from tests.vm.errors import VmError

RESULTS = Path(__file__).parent / "results"
APPS = ("3-line WSGI", "Flask hello")
WAYS = (NONE.name, "rewind", "lwc, reset", "lwc, create", "fork")
_SLOW = 20
_SECONDS = 7200


def measure(
    kernel: str, apps: Sequence[str], ways: Sequence[str], turns: int, most: int
) -> list[Times]:
    """Boot a kernel and return what bench/rounds.py measures in it.

    Parameters:
        kernel: its name.
        apps, ways: names.
        turns: of each way.
        most: requests of a turn.

    Raises:
        VmError: it could not be booted, did not come to its end, or an answer was wrong.
    """
    words = ["--rounds", str(turns), "--most", str(most), "--slow", str(_SLOW)]
    words += [word for app in apps for word in ("--app", app)]
    words += [word for way in ways for word in ("--way", way)]
    command = f'"$PYTHON" -m bench.rounds {shlex.join(words)}'
    verdict = guest.run(kernel, command, label="bench-engine", seconds=_SECONDS)
    if not verdict.is_good:
        raise VmError(verdict.report())
    return rounds.heard(verdict.told)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", action="append", help="default: 6.1 and 6.12")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 5 requests, not 15 of 10")
    options = parser.parse_args(arguments)
    turns, most = (3, 5) if options.quick else (15, 10)
    found: dict[str, list[Times]] = {}
    try:
        for kernel in options.kernel or ("6.1", "6.12"):
            found[kernel] = measure(kernel, APPS, WAYS, turns, most)
            for times in found[kernel]:
                print(f"\nLinux {kernel}, emulated; ratios are of requests in a time")
                print(rounds.table(times, (NONE.name, "fork")), flush=True)
    except VmError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    RESULTS.mkdir(exist_ok=True)
    saved = {kernel: [asdict(times) for times in each] for kernel, each in found.items()}
    (RESULTS / "engines.json").write_text(json.dumps(saved))
    told = [
        f"{short(median(times.ratios('lwc, reset', NONE.name)))} of none's "
        f"and {short(median(times.ratios('lwc, reset', 'fork')))} times fork's on {kernel}"
        for kernel, each in found.items()
        for times in each[:1]
    ]
    print(
        f"bench: {turns} rounds of {most} requests, {APPS[0]}: "
        f"lwc with reset serves {', '.join(told)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
