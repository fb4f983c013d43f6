# SPDX-License-Identifier: MIT
"""What a run has shown: results of tests, and whether the kernel is as it should be after it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vm.machine import Console

_TEST = re.compile(r"^TEST (\S+) (ok|FAIL|SKIP)(?: (.*))?$", re.MULTILINE)
_LIVE = re.compile(r"lwc: unloaded, (\d+) live objects")

# Lines of a kernel that found a fault in itself; boot messages of the checkers are none.
_FAULT = re.compile(
    r"BUG|WARNING|Oops|Kernel panic|Call Trace|Bad rss|Bad page|bad pmd|VM_WARN"
    r"|INFO: (?:possible|suspicious|task|rcu|lockdep|inconsistent|HARDIRQ|trying)"
    r"|possible (?:recursive|circular|irq)|suspicious RCU|KASAN: (?!.*initialized)|UBSAN:"
    r"|scheduling while atomic|sleeping function called|soft lockup|hung task|blocked for more"
    r"|kmemleak: \d+ new|unreferenced object|refcount_t|list_(?:add|del) corruption"
    r"|page_table_check|ODEBUG|stack-protector|cred_guard|Slab corruption|Poison overwritten"
    r"|Redzone|Objects remaining in"
)
_MOST_FAULTS = 5
_WORSE = ("ok", "SKIP", "FAIL")


@dataclass(frozen=True)
class Result:
    """Of one test.

    Parameters:
        kind: ok, FAIL or SKIP.
        text: the time in milliseconds, or what the test says about it.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """Of one run.

    Parameters:
        title: the kernel, its version, and what was run.
        seconds: how long the machine ran.
        results: by the name of the test.
        problems: everything but failed tests that makes the run a failed one.
        live: objects of the module that were left when it was unloaded; None: not told.
        told: all that the guest has told.
        tail: for people: the last lines the guest told, and the kernel's log around a fault.
        log: the file with the kernel's console; beside it ``.out`` has all that the guest told.
    """

    title: str
    seconds: float
    results: dict[str, Result]
    problems: list[str]
    live: int | None
    told: str
    tail: str = field(repr=False)
    log: Path

    @property
    def failed(self) -> list[str]:
        """The names of the tests that failed."""
        return [name for name, result in self.results.items() if result.kind == "FAIL"]

    @property
    def is_good(self) -> bool:
        """Whether nothing failed and the kernel is clean."""
        return not self.problems and not self.failed

    def summary(self) -> str:
        """Return one line that tells the result in numbers."""
        kinds = [result.kind for result in self.results.values()]
        live = (
            "live objects at unload not told" if self.live is None else f"{self.live} live objects"
        )
        return (
            f"{self.title}: {len(kinds)} tests, {kinds.count('FAIL')} failed, "
            f"{kinds.count('SKIP')} skipped, {live}, {len(self.problems)} problems "
            f"({self.seconds:.0f} s)"
        )

    def report(self) -> str:
        """Return what is wrong, and what people need to find out why."""
        why = "; ".join(self.problems) or "no problem is known"
        return f"{why}\n{self.tail}\n-- all of it: {self.log.with_name(self.log.stem)}.{{out,log}}"

    def around(self, name: str) -> str:
        """Return what the guest told before the result of a test, and since the one before it."""
        before = self.told.partition(f"\nTEST {name} ")[0].splitlines()
        earlier = [number for number, line in enumerate(before) if line.startswith("TEST ")]
        start = earlier[-1] + 1 if earlier else 0
        return "\n".join(before[start:][-60:])


def between(text: str, name: str) -> str | None:
    """Return what the guest told between ``LWCVM name-begin`` and ``LWCVM name-end``, or None."""
    parts = text.split(f"LWCVM {name}-begin\n", 1)
    return parts[1].partition(f"LWCVM {name}-end\n")[0] if len(parts) == 2 else None


def read(console: Console, title: str, log_file: Path) -> Verdict:
    """Judge a run by what the machine has said.

    Parameters:
        console: of the machine.
        title: of the run.
        log_file: where the console is kept.
    """
    log = between(console.told, "dmesg") or console.kernel
    words = console.told.partition("LWCVM dmesg-begin")[0]
    ended = console.told.rstrip().endswith("LWCVM end")

    problems = []
    if not ended:
        problems.append(f"the guest did not come to its end within {console.seconds:.0f} s")
    problems += re.findall(r"^LWCVM (failed: .*)$", words, re.MULTILINE)
    if "LWCVM failed: insmod" in words:
        said = re.findall(r"^.*(?:lwc[:_ ]|insmod).*$", f"{words}\n{log}", re.MULTILINE)
        problems += [f"the kernel says: {line.strip()}" for line in said[-5:]]
    problems += [
        f"exit status {status} in the guest"
        for status in re.findall(r"^LWCVM exit (\d+)$", words, re.MULTILINE)
        if status != "0" and not re.search(r"^TEST \S+ FAIL", words, re.MULTILINE)
    ]
    faults = [line.strip() for line in log.splitlines() if _FAULT.search(line)]
    problems += [f"the kernel says: {line}" for line in faults[:_MOST_FAULTS]]
    for report in re.findall(r"LWCVM kmemleak-begin\n(.*?)LWCVM kmemleak-end", words, re.DOTALL):
        if report.strip():
            problems.append(f"kmemleak: {report.strip()[:2000]}")

    counted = _LIVE.findall(log)
    live = int(counted[-1]) if counted else None
    if "LWCVM unloaded" in words and live is None:
        problems.append("no line `lwc: unloaded, N live objects` in the kernel log")
    if live:
        problems.append(f"{live} objects of the module were left at unload")
    return Verdict(
        title, console.seconds, _results(words), problems, live, words, _tail(words, log), log_file
    )


def _results(words: str) -> dict[str, Result]:
    """Return a result for each name; of several the worst, as of a test with parameters."""
    results: dict[str, Result] = {}
    for name, kind, text in _TEST.findall(words):
        if name not in results or _WORSE.index(kind) >= _WORSE.index(results[name].kind):
            results[name] = Result(kind, text.strip())
    return results


def _tail(words: str, log: str) -> str:
    """Return the last that the guest told, and of the kernel's log what begins with a fault."""
    lines = log.splitlines()
    found = (number for number, line in enumerate(lines) if _FAULT.search(line))
    start = max(0, next(found, len(lines) - 15) - 5)
    return "\n".join([*words.splitlines()[-20:], "-- kernel --", *lines[start : start + 60]])
