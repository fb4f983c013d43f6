# SPDX-License-Identifier: MIT
"""What a context may try on processes beside it, of the same user, and does not get.

With two workers: one request keeps a secret and runs a program, and another attacks it, both
workers, the process they were forked from and the supervisor (tests.apps.neighbour).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.contract.checks.asking import differences, get, same_worker, state, written
from tests.contract.checks.ways import act
from tests.harness import processes, until

if TYPE_CHECKING:
    from tests.harness import Gateway

_WORK = {"read memory", "write memory", "open memory", "attach", "seize", "take descriptors",
         "state of descriptors", "see through descriptors", "maps", "environment", "directory", "program",
         "compare", "robust list", "signal"}  # fmt: skip
"""Attacks that succeed where nothing is done against them; the others may need more rights."""

_CALLS_OF_A_DEBUGGER = {"read memory", "write memory", "attach", "seize", "take descriptors"}
"""The engine `lwc` refuses them at any level: its root is in the process that makes them."""

_LANDLOCK_CREATE_RULESET, _VERSION = 444, 1
_REFUSES_SIGNALS = 6


def _let_in() -> list[str]:
    """Return the attacks that this kernel cannot refuse: signals, before Linux 6.12."""
    call = ctypes.CDLL(None).syscall
    return (
        [] if call(_LANDLOCK_CREATE_RULESET, None, 0, _VERSION) >= _REFUSES_SIGNALS else ["signal"]
    )


@dataclass
class _Attack:
    """One request's attack on another.

    Parameters:
        let_in: which attacks were not refused, by target.
        secret: what the victim put into its memory.
        left: what was there afterwards.
    """

    let_in: dict[str, list[str]]
    secret: str
    left: str


def _attack(gateway: Gateway, **options: object) -> _Attack:
    """Have one request attack another, in a gateway like this one with two workers."""
    usual = {"workers": 2, "timeout": "30s"}
    with gateway.another(options=usual | options) as pair, pair.connect() as connection:
        name = uuid.uuid4().hex
        connection.send(get(f"/victim?{name}"))
        try:
            told = json.loads(written(pair.folder / f"{name}.started"))
            its_worker = processes.look(told["pid"])
            assert its_worker
            (own_worker,) = set(pair.workers()) - {its_worker.parent}
            targets = {
                "neighbour": told["pid"],
                "its program": told["program"],
                "its worker": its_worker.parent,
                "own worker": own_worker,
                "snapshot": pair.snapshot(),
                "supervisor": pair.process.pid,
            }
            query = "&".join(f"{role.replace(' ', '+')}={pid}" for role, pid in targets.items())
            let_in = pair.get(f"/attack?{query}").json()
        finally:
            (pair.folder / name).touch()
        answer = connection.answer()
        assert answer.status == 200
        return _Attack(let_in, f"the secret of {name}", answer.json())


def neighbours_can_be_attacked(gateway: Gateway) -> None:
    """At the level `bug` all of these attacks on the user's own processes succeed."""
    attack = _attack(gateway, isolate="bug")
    refused = _CALLS_OF_A_DEBUGGER if gateway.engine == "lwc" else set()
    for role in ("neighbour", "its program"):
        found = _WORK - set(attack.let_in[role])
        assert found == refused, f"{role}: {found}"
    assert attack.left == ("overwritten" if "write memory" not in refused else attack.secret)


def neighbours_cannot_be_reached(gateway: Gateway) -> None:
    """No memory is read or written, no descriptor taken, nobody traced: all is refused."""
    attack = _attack(gateway)
    assert len(attack.let_in) == 6
    possible = _let_in()
    # Another user's processes are signalled by root alone.
    foreign = ("supervisor",) if "user" in gateway.options else ()
    expected = {role: [] if role in foreign else possible for role in attack.let_in}
    assert attack.let_in == expected, attack.let_in
    assert attack.left == attack.secret


def own_processes_can_be_traced(gateway: Gateway) -> None:
    """A request may do with the processes it has started as it likes.

    Under `lwc` such calls are refused to it, whatever their aim, and not to what it starts.
    """
    refused = ["attach", "read memory"] if gateway.engine == "lwc" else []
    assert gateway.get("/debug_child").json() == refused


def files_can_be_moved(gateway: Gateway) -> None:
    """What keeps processes apart keeps nobody from its files."""
    assert gateway.get("/move_files").json() == ["b", "c", "d"]


def a_detached_child_is_ended(gateway: Gateway) -> None:
    """What is left in a session of its own does not survive the request either."""
    before = state(gateway)
    (gateway.folder / "detached").unlink(missing_ok=True)
    act(gateway, ["detach"])
    pid = int((gateway.folder / "detached").read_text())
    after = state(gateway)
    if processes.alive(pid):
        os.kill(pid, signal.SIGKILL)
        raise AssertionError("it lives on")
    assert not differences(before["tasks"], after["tasks"])
    same_worker(gateway, before, after)


def a_detached_child_is_ended_with_its_worker(gateway: Gateway) -> None:
    """Nor where its worker is killed before it could be ended."""
    with gateway.another(options={"timeout": "60s"}) as other, other.connect() as connection:
        connection.send(get("/do?act=detach&end=stuck_in_python"))
        path = other.folder / "detached"  # which is there before the pid is in it
        pid = int(until(lambda: path.exists() and path.read_text(), "the pid of what detached"))
        (worker,) = other.workers()
        os.kill(worker, signal.SIGKILL)
        try:
            until(lambda: not processes.alive(pid), "what it has left to end")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: other.get("/quick").status == 200, "another worker")


def programs_gain_no_rights(gateway: Gateway) -> None:
    """A set-user-ID program runs with the rights of the request, and no others."""
    assert state(gateway)["attributes"]["status"]["NoNewPrivs"] == "1"
    if os.geteuid() != 0:
        return
    program = gateway.folder / "whoami"
    shutil.copy("/usr/bin/id", program)
    program.chmod(0o4755)
    seen = gateway.get(f"/gain?{program}").json()
    assert seen == f"{gateway.folder.stat().st_uid}\n"
    # And without what is done against it, root's.
    with gateway.another(options={"isolate": "bug"}) as other:
        assert other.get(f"/gain?{program}").json() == "0\n"


def output_of_others_cannot_be_read(gateway: Gateway) -> None:
    """The pipe into which all requests write what goes to the log gives nothing back."""
    if "user" not in gateway.options:
        return  # the pipe is the user's own: docs/threats.md
    assert gateway.get("/read_output").json() == "refused"
    with gateway.another(options={"isolate": "bug", "user": False}) as owner:
        assert owner.get("/read_output").json() == "opened"


CHECKS = (
    neighbours_can_be_attacked,
    neighbours_cannot_be_reached,
    own_processes_can_be_traced,
    files_can_be_moved,
    a_detached_child_is_ended,
    a_detached_child_is_ended_with_its_worker,
    programs_gain_no_rights,
    output_of_others_cannot_be_read,
)
