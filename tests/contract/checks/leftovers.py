# SPDX-License-Identifier: MIT
"""Promise 5: no thread and no child of a request is left."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.contract.checks.asking import differences, do, same_worker, state
from tests.contract.checks.state import ENDS
from tests.harness import processes, until

if TYPE_CHECKING:
    from tests.harness import Gateway

_ACTS = (
    "leave_thread", "leave_child", "leave_stubborn_child", "leave_stopped_child", "leave_orphan",
    "leave_zombie", "leave_program",
)  # fmt: skip


def leftovers_can_be_seen(gateway: Gateway) -> None:
    """Each thread or child left behind is seen by the request that leaves it."""
    before = state(gateway)["tasks"]
    for act in _ACTS:
        # An orphan is the root's child at once, or after its request at the latest.
        seen = do(gateway, [act], look="tasks").json()["seen"]
        assert differences(before, seen), f"{act} leaves no trace"


def no_task_is_left(gateway: Gateway) -> None:
    """Threads, children, orphans, zombies and programs are gone before the next request."""
    before = state(gateway)
    family = gateway.processes()
    for end in ENDS:
        do(gateway, _ACTS, end)
        after = state(gateway)
        found = differences(before["tasks"], after["tasks"])
        assert not found, f"after {end}: {found}"
        same_worker(gateway, before, after)
        left = {p.pid for p in gateway.processes()} - {p.pid for p in family} - {after["pid"]}
        assert not left, f"after {end}: still running: {left}"


def a_detached_child_lives_on(gateway: Gateway) -> None:
    """A child in a session of its own is not killed, and reaped when it ends."""
    before = state(gateway)
    (gateway.folder / "detached").unlink(missing_ok=True)
    do(gateway, ["detach"])
    pid = int((gateway.folder / "detached").read_text())
    try:
        after = state(gateway)
        assert processes.alive(pid)
        assert not differences(before["tasks"], after["tasks"])
        same_worker(gateway, before, after)
    finally:
        os.kill(pid, signal.SIGKILL)
    until(lambda: processes.look(pid) is None, "the detached child to be reaped")


CHECKS = (leftovers_can_be_seen, no_task_is_left, a_detached_child_lives_on)
