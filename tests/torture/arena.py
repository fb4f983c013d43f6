# SPDX-License-Identifier: MIT
"""Runs programs against a gateway, and looks closely after each."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from tests.contract.checks.asking import differences
from tests.harness import Gateway, until
from tests.torture.programs import ANSWERED, CUT, FAILED, UNSURE, Program, comes_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.harness import Answer, Connection

APP = "tests.apps.torture:app"
SECONDS = 5  # a request may take, on a machine that is busy with other things
OPTIONS = {
    "timeout": f"{SECONDS}s",
    "max-request-memory": "1g",
    "after-response-timeout": "1s",
    "log-level": "debug",
}
BLIND_TO = {
    "advise_area": "advice on memory of the snapshot stays",
    "seal_area": "memory that was sealed stays so",
    "change_memory_flags": "mlockall(2) may keep the kernel busy until the time is over",
    "change_by_proc": "/proc/self/oom_score_adj is that of all who share the memory",
}
"""Acts left out where no system call is seen, and the comparison that takes the place of seeing
them does not find what they do (docs/fresh-state.md)."""
HISTORY = 100  # programs remembered
MOST_LOG = 6000  # characters of it told with a difference

_UNDONE = re.compile(r" (?:GET|POST) \S+: undone (.+?)(?: after call \d+)?, \d+ pages copied")
_REPLACED = re.compile(r"is replaced: (.+)$", re.MULTILINE)
_PROBLEMS = re.compile(
    r"^.*(?:verify: |between two requests|cannot be (?:waited|watched|ended|started)"
    r"|copy is gone|the worker's own memory|; its replacement starts).*$",
    re.MULTILINE,
)

_MAPPINGS = 50  # more pieces than this, and it is not by chance


def _joined(lines: list[str]) -> list[str]:
    """Join neighbours of one file that continue each other: no program can tell them apart."""
    joined: list[tuple[int, int, str, int, str]] = []
    for line in lines:
        addresses, access, offset, device, inode, *name = line.split(maxsplit=5)
        start, end = (int(at, 16) for at in addresses.split("-"))
        same = (access, f"{device} {inode} {' '.join(name)}")
        if joined:
            first, last, access_, offset_, rest = joined[-1]
            if (last, access_, rest) == (start, *same) and int(offset, 16) - offset_ == (
                start - first if inode != "0" else 0
            ):
                joined[-1] = (first, end, access_, offset_, rest)
                continue
        joined.append((start, end, access, int(offset, 16), same[1]))
    return [f"{s:x}-{e:x} {access} {o:x} {rest}" for s, e, access, o, rest in joined]


class Difference(AssertionError):
    """A program came to something else than it must, or left a trace."""


class Arena:
    """A gateway under torture; started anew after each difference.

    Parameters:
        engine: fork or rewind.
        options: more options of the gateway.
    """

    def __init__(self, engine: str, options: Mapping[str, object] | None = None) -> None:
        self.engine = engine
        self._options = {**OPTIONS, **(options or {})}
        self.unfit = BLIND_TO if self._options.get("no-dispatch") else {}
        self._sighted = engine == "rewind" and not self._options.get("no-dispatch")
        self._kept: Connection | None = None
        self.count: Counter[str] = Counter()
        self.undone: Counter[str] = Counter()
        self.replaced: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.history: list[Program] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the gateway and learn what a pristine request sees."""
        self.gateway = Gateway(APP, self.engine, self._options).__enter__()
        self.kinds: dict[str, str] = self.gateway.get("/acts").json()
        self._looked, self.history = 0, []
        self._state = self._ask_state()
        self._sessions = {p.session for p in self.gateway.processes()}

    def stop(self) -> None:
        """Stop it, and add up what its log says."""
        self._drop_connection()
        try:
            if self.gateway.process.poll() is None:
                self.gateway.stop()
        finally:
            self.undone.update(_UNDONE.findall(self.gateway.log()))
            self.replaced.update(_REPLACED.findall(self.gateway.log()))
            self.gateway.__exit__(AssertionError)

    def attempt(self, program: Program) -> None:
        """Send a program as one request.

        Raises:
            Difference: it did not go as it must; the gateway has been started anew.
        """
        self.history = [*self.history[-HISTORY:], program]
        wrong = None
        try:
            self._send(program)
        except AssertionError as error:
            wrong = f"{error}\n{self.recent_log()}"
            self.last = self.history
            self.stop()
            self.start()
        if wrong:
            # From one place, with no other exception beside it: hypothesis tells bugs apart by that.
            raise Difference(wrong)

    def _send(self, program: Program) -> None:
        expected = comes_to(program, self.kinds, self._sighted)
        self.count["programs"] += 1
        self.count["acts"] += len(program)
        self.count[expected] += 1
        self._looked = (self.gateway.folder / "log").stat().st_size
        answer = self._post(json.dumps(program).encode())
        self._judge(program, answer, expected)
        detached = any(self.kinds[str(step[0])] == "detaching" for step in program)
        self.look(detached)
        problems = _PROBLEMS.findall(self._new_log())
        assert not problems, f"in the log: {problems}"
        if detached:
            self._end_detached()

    def _post(self, body: bytes) -> Answer:
        # Every other program goes over a connection that is kept, as web servers do.
        if self.count["programs"] % 2:
            return self.gateway.post("/run", body)
        if self._kept and self._kept.dismissed():
            self._drop_connection()
        self._kept = self._kept or self.gateway.connect()
        answer = self._kept.post("/run", body, keep=True)
        if not answer.complete:
            self._drop_connection()
        return answer

    def _drop_connection(self) -> None:
        if self._kept:
            self._kept.close()
            self._kept = None

    def _judge(self, program: Program, answer: Answer, expected: str) -> None:
        if answer.complete and answer.status == 200:
            came_to = ANSWERED
            results = json.loads(answer.body)
            for (name, _, _), result in zip(program, results, strict=False):
                (self.done if result == "done" else self.refused)[str(name)] += 1
        elif answer.complete and answer.status == 500:
            came_to = FAILED
        else:
            assert answer.closed, f"not an end: {answer}"
            came_to = CUT if answer.stdout else FAILED
        assert expected in (UNSURE, came_to), f"{came_to} instead of {expected}: {answer}"

    def _ask_state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.gateway.get("/state").json()
        del state["pid"]
        # Under `rewind` the root's are in sight: whatever a request could not use is not its.
        table = state["descriptors"]["table"]
        lines = state["mappings"]["maps"]
        state["mappings"]["maps"] = _joined(lines)
        assert len(lines) < 2 * _MAPPINGS + 2 * len(_joined(lines)), f"in too many pieces: {lines}"
        usable = state.pop("usable")
        state["descriptors"]["table"] = {n: f for n, f in table.items() if n in usable}
        return state

    def look(self, detached: bool = False) -> None:
        """Assert that a request finds what it would have found before.

        Parameters:
            detached: a process of the last request may live on.
        """
        state, before = self._ask_state(), self._state
        if detached:
            # It may hold a lock that its request took, on a file both had open.
            for name in ("flock is free", "record lock is free"):
                state["descriptors"][name] = True
        if state["root"] != before["root"]:
            self._notice_replaced()
            # Its own memory and processes are at other places.
            for part in ("mappings", "tasks", "root"):
                before = before | {part: state[part]}
        self._state = state
        found = differences(before, state)
        assert not found, f"the next request sees: {found}"

    def _notice_replaced(self) -> None:
        self.count["workers"] += 1
        until(lambda: "is replaced" in self._new_log(), "a reason for the worker's end", 3.0)

    def _end_detached(self) -> None:
        for process in self.gateway.processes():
            if process.session not in self._sessions:
                os.kill(process.pid, signal.SIGKILL)

    def recent_log(self) -> str:
        """Return the end of the log, for whoever has to find out what happened."""
        return f"--- the gateway's log:\n{self._new_log()[-MOST_LOG:]}"

    def _new_log(self) -> str:
        with open(self.gateway.folder / "log", "rb") as file:
            file.seek(self._looked)
            return file.read().decode(errors="replace")
