# SPDX-License-Identifier: MIT
"""What a context may do to the channel and to its process group, and the root must withstand."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING

from tests.contract.checks.asking import same_worker, state, waiting, written

if TYPE_CHECKING:
    from tests.harness import Gateway


def a_signal_to_its_group_stays_inside(gateway: Gateway) -> None:
    """kill(0, SIGTERM), as in clean-up code, ends that request and no other process."""
    with gateway.another(options={"workers": 2, "timeout": "30s"}) as pair:
        snapshot = pair.snapshot()
        with waiting(pair) as other:
            assert pair.get("/do?end=kill_group").status == 500
            assert os.path.exists(f"/proc/{other.pid}")
            other.release()
            assert other.connection.answer().status == 200
        assert pair.get("/environment").status == 200
        assert pair.snapshot() == snapshot


def descriptors_sent_to_the_root(gateway: Gateway) -> None:
    """A socket that lingers, sent over the channel, does not put the root to sleep."""
    before = state(gateway)
    started = time.monotonic()
    try:
        assert gateway.get("/linger?25").status == 500
        same_worker(gateway, before, state(gateway))
    finally:
        if gateway.options.get("isolate") != "hostile":  # there it was ended with its request
            os.kill(int(written(gateway.folder / "holder")), signal.SIGKILL)
    # The gateway's time limit is a second; closing the socket as it came would take 25.
    assert time.monotonic() - started < 15


def a_flood_from_the_left_behind(gateway: Gateway) -> None:
    """Children that go on talking on the channel do not keep the worker from the next request."""
    before = state(gateway)
    started = time.monotonic()
    gateway.get("/flood?60")
    same_worker(gateway, before, state(gateway))
    # They would go on for half a minute.
    assert time.monotonic() - started < 15


def switches_that_cannot_be_meant(gateway: Gateway) -> None:
    """Words, lengths and lwCs that the root has not asked for cost that request alone."""
    before = state(gateway)
    length, another = "said more than there is room for", "made another come in its place"
    for kind, status, told in (
        ("none.0.0", 500, "said what it cannot mean"),
        ("write.99999999.0", 500, length),
        ("log.18446744073709551615.87", 500, length),
        ("read.32769.0", 500, length),
        ("block.10.18446744073709551615", 200, ""),
        ("leave.0.0", 500, ""),
        ("discard", 500, another),
        ("another", 500, another),
        ("offspring", 200, ""),
    ):
        answer = gateway.get(f"/switch?{kind}")
        assert answer.complete, kind
        assert answer.status == status, f"{kind}: {answer.status}"
        if told:
            gateway.wait_for_log(rf"/switch\?{re.escape(kind)}: its context {told}$")
        # At once: a look at all of the state has the task replaced.
        assert gateway.get("/switch?contexts").status == 200, kind
        after = state(gateway)
        same_worker(gateway, before, after)
        assert after["memory"] == before["memory"], kind


def calls_of_the_root_are_not_filtered(gateway: Gateway) -> None:
    """A request cannot have its root believe that it has sent what it has not, in any way."""
    before = state(gateway)
    answer = gateway.get("/fake_sends")
    assert answer.complete
    assert answer.status == 200
    assert answer.json() == []
    same_worker(gateway, before, state(gateway))


GROUP = (a_signal_to_its_group_stays_inside,)
SWITCHES = (switches_that_cannot_be_meant, calls_of_the_root_are_not_filtered)
CHANNEL = (descriptors_sent_to_the_root, a_flood_from_the_left_behind)
