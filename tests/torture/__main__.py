# SPDX-License-Identifier: MIT
"""`make torture`: random programs, then CPython's regression tests, each as one request.

$ python -m tests.torture --seconds 60 --seed 1 --engine rewind
$ python -m tests.torture --replay '[["change_umask", 1, 0]]'
$ python -m tests.torture --modules test_json,test_re
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from typing import TYPE_CHECKING

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.torture import regression
from tests.torture.arena import Arena, Difference
from tests.torture.programs import programs

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.torture.programs import Program

_CHUNK = 200  # programs between two looks at the clock
_MOST_DIFFERENCES = 10
_TOLD = 20  # programs before one that failed once only


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _told(program: Program, difference: Difference) -> str:
    return f"{json.dumps(program)}\n{difference}"


def torture(
    arena: Arena,
    seconds: float,
    seed: int,
    without: Collection[str] = (),
    most: int = _MOST_DIFFERENCES,
) -> list[str]:
    """Run random programs for some time; return what went wrong, smallest programs first told.

    Parameters:
        arena: running.
        seconds: how long; reducing a program that failed comes on top.
        seed: of the programs.
        without: acts to leave out.
        most: differences after which it ends early.
    """
    end, found = time.monotonic() + seconds, []
    failed: list[tuple[Program, Difference]] = []

    def attempt(program: Program) -> None:
        if time.monotonic() < end or failed:
            try:
                arena.attempt(program)
            except Difference as difference:
                failed.append((program, difference))
                raise

    while time.monotonic() < end and len(found) < most:
        failed.clear()
        seed += 1
        run = settings(
            max_examples=_CHUNK,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            print_blob=False,
        )(hypothesis.seed(seed)(given(programs(arena.kinds, {*without, *arena.unfit}))(attempt)))
        try:
            run()
        except Difference:
            found.append(_told(*failed[-1]))
        except hypothesis.errors.HypothesisException:
            if not failed:
                raise
            # Once only: the way there may matter.
            before = json.dumps(arena.last[-_TOLD:])
            found.append(f"{_told(*failed[-1])}\nand not again; with what came before:\n{before}")
        else:
            continue
        _say(f"--- difference {len(found)}, replay with:\n{found[-1]}")
    return found


def replay(arena: Arena, text: str, times: int) -> list[str]:
    """Run one program, or a list of programs; return what went wrong."""
    given_ = json.loads(text)
    several = bool(given_) and bool(given_[0]) and isinstance(given_[0][0], list)
    found = []
    for _ in range(times):
        for program in given_ if several else [given_]:
            try:
                arena.attempt(program)
            except Difference as difference:
                found.append(str(difference))
    return found


def _summary(arena: Arena, found: list[str]) -> str:
    ways = ", ".join(f"{n} {way}" for way, n in sorted(arena.undone.items())) or "not told"
    count = arena.count
    if count["modules"]:
        return (
            f"torture: {count['modules']} modules of CPython's tests, {count['tests']} tests, "
            f"{count['absent']} modules not part of this Python; "
            f"undone: {ways}; {len(found)} differences"
        )
    return (
        f"torture: {count['programs']} programs, {count['acts']} acts ({sum(arena.done.values())} "
        f"done, {sum(arena.refused.values())} refused), {count['answered']} to be answered, "
        f"{count['failed']} to fail, {count['cut off']} to be cut off, {count['unsure']} either; "
        f"{count['workers']} workers replaced; undone: {ways}; {len(found)} differences"
    )


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--engine", default="rewind", choices=["rewind", "fork"])
    parser.add_argument("--no-dispatch", action="store_true")
    parser.add_argument("--no-immortal", action="store_true")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument(
        "--without", metavar="ACT", action="append", default=[], help="leave it out"
    )
    parser.add_argument("--replay", metavar="JSON", help="one program, or a list of them")
    parser.add_argument(
        "--modules", metavar="NAMES", help="of CPython's tests: all, or test_a,test_b"
    )
    parser.add_argument("--times", type=int, default=1, help="of a replay")
    parser.add_argument(
        "--details", action="store_true", help="tell each act's and reason's number"
    )
    chosen = parser.parse_args()
    options: dict[str, object] = {
        name: True
        for name in ("no-dispatch", "no-immortal", "verify")
        if getattr(chosen, name.replace("-", "_"))
    }
    if chosen.modules:
        options |= regression.OPTIONS
    with Arena(chosen.engine, options) as arena:
        if chosen.replay:
            found = replay(arena, chosen.replay, chosen.times)
            _say("\n".join(found))
        elif chosen.modules and (missing := regression.lacking()):
            found = [missing]
            _say(missing)
        elif chosen.modules:
            names = regression.MODULES if chosen.modules == "all" else chosen.modules.split(",")
            found = regression.run(arena, names, _say)
        else:
            _say(f"torture: seed {chosen.seed}, {chosen.engine} {' '.join(options)}")
            found = torture(arena, chosen.seconds, chosen.seed, chosen.without)
    if chosen.details:
        for name in sorted({*arena.done, *arena.refused}):
            _say(f"{name:28} {arena.done[name]:6} done {arena.refused[name]:6} refused")
        for why, times in arena.replaced.most_common():
            _say(f"{times:6} workers replaced: {why}")
    _say(_summary(arena, found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
