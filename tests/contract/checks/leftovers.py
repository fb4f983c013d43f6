# SPDX-License-Identifier: MIT
"""Promise 5: no thread and no child of a request is left."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.contract.checks.asking import differences, is_closed, same_worker, state
from tests.contract.checks.state import ENDS
from tests.contract.checks.ways import act
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
    for name in _ACTS:
        # An orphan is the root's child at once, or after its request at the latest.
        answer = act(gateway, [name], look="tasks")[0].json()
        if name == "leave_thread" and is_closed(gateway):
            assert not answer["done"]
            continue
        assert answer["done"] == [name]
        assert differences(before, answer["seen"]), f"{name} leaves no trace"


def no_task_is_left(gateway: Gateway) -> None:
    """Threads, children, orphans, zombies and programs are gone before the next request."""
    before = state(gateway)
    family = gateway.processes()
    for end in ENDS:
        act(gateway, _ACTS, end)
        after = state(gateway)
        found = differences(before["tasks"], after["tasks"])
        assert not found, f"after {end}: {found}"
        same_worker(gateway, before, after)
        left = {p.pid for p in gateway.processes()} - {p.pid for p in family}
        left -= {after["pid"], state(gateway)["pid"]}  # the next may be there already
        assert not left, f"after {end}: still running: {left}"


def a_task_that_shares_memory_is_ended(gateway: Gateway) -> None:
    """A task that shares the request's memory is killed before the next, detached or not."""
    before = state(gateway)
    for end in ("goes_on", "exception", "segfault", "stuck_in_python"):
        (gateway.folder / "sharing").unlink(missing_ok=True)
        act(gateway, ["leave_sharing_task"], end)
        pid = int((gateway.folder / "sharing").read_text())
        after = state(gateway)
        assert not processes.alive(pid)
        assert not differences(before["memory"], after["memory"])
        same_worker(gateway, before, after)


def a_detached_child_lives_on(gateway: Gateway) -> None:
    """A child in a session of its own is not killed, and reaped when it ends."""
    before = state(gateway)
    (gateway.folder / "detached").unlink(missing_ok=True)
    act(gateway, ["detach"])
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
SHARED_MEMORY = (a_task_that_shares_memory_is_ended,)
