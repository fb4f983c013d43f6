# SPDX-License-Identifier: MIT
"""kill -9 under load, as users see it: through nginx."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.harness import Gateway, Nginx, processes, until
from tests.harness.crowd import Crowd

if TYPE_CHECKING:
    from collections.abc import Callable

USERS = 8


class Load(Crowd):
    """Users that ask one question after the other, and what they were told.

    Parameters:
        nginx: whom they ask.
    """

    def __init__(self, nginx: Nginx) -> None:
        super().__init__(USERS)
        self._nginx = nginx
        self.told: Counter[object] = Counter()

    def _act(self, user: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            text = f"{user}-{number}".encode()
            try:
                status, _, body = self._nginx.request("/echo", "POST", text)
            except OSError as error:
                self.told[repr(error)] += 1
                continue
            right = status != 200 or body == text
            self.told[status if right else f"{text!r} was answered {body!r}"] += 1

    def more(self, answers: int) -> None:
        """Wait for this many more good answers."""
        goal = self.told[200] + answers
        until(lambda: self.told[200] >= goal, f"{answers} more answers; so far {self.told}", 40)


def _kill_worker(gateway: Gateway) -> None:
    worker = until(gateway.workers, "a worker")[0]
    os.kill(worker, signal.SIGKILL)
    until(lambda: not processes.alive(worker), "the worker to be gone")


def _kill_snapshot(gateway: Gateway) -> None:
    snapshot = gateway.snapshot()
    os.kill(snapshot, signal.SIGKILL)
    until(lambda: not processes.alive(snapshot), "the snapshot process to be gone")


@pytest.mark.parametrize("keep", [False, True], ids=["close", "keep"])
@pytest.mark.parametrize("engine", ["rewind", "fork", "none"])
@pytest.mark.parametrize("kill", [_kill_worker, _kill_snapshot])
def test_kill_under_load(kill: Callable[[Gateway], None], engine: str, keep: bool) -> None:
    """A kill costs no more than the requests in flight; each of those gets an error, none hangs."""
    kills = 3
    with Gateway(engine=engine, options={"workers": 2}) as gateway:
        with Nginx(gateway.address, keep=keep) as nginx, Load(nginx) as load:
            load.more(40)
            for _ in range(kills):
                kill(gateway)
                load.more(40)
        # 500 where a worker that has lost its parents ends a request, 502 where the worker is dead.
        assert set(load.told) <= {200, 500, 502}, load.told
        # A user told of one end may be the first to meet the next: that of the other worker.
        assert load.told[500] + load.told[502] <= kills * (USERS + 2), load.told
        family = until(
            lambda: [p for p in gateway.processes() if p.state != "Z"], "the gateway's processes"
        )
        # A worker has its serving process, and under `rewind` its frozen copy.
        assert len(family) <= 2 + 2 * 3, family
        assert gateway.get("/environment").status == 200
