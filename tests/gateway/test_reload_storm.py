# SPDX-License-Identifier: MIT
"""Reloads without end under load, through nginx: not one request is lost or answered wrong.

POST is the hard one: nginx never repeats it, so each that is lost is seen.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.harness import Gateway, Nginx, processes, until
from tests.harness.code import Code
from tests.harness.crowd import Crowd

USERS = 8
PAUSE = 0.2

LENGTH = pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.slow)])
KEEP = pytest.mark.parametrize("keep", [False, True], ids=["close", "keep"])
ENGINES = pytest.mark.parametrize("engine", ["rewind", "fork", "none"])


class Users(Crowd):
    """Users that ask one question after the other, and what was wrong with the answers.

    Half of them close their connection to nginx after each question. Some questions take more
    than one record.
    """

    def __init__(self, nginx: Nginx) -> None:
        super().__init__(USERS)
        self._nginx = nginx
        self.right: Counter[str] = Counter()
        self.wrong: list[str] = []

    def _act(self, user: int) -> None:
        connection = self._nginx.connect()
        number = 0
        while not self._stop.is_set():
            number += 1
            method = ("GET", "POST")[(user + number) % 2]
            name = f"{user}-{number}"
            body = name.encode() * (1 + 20_000 * (number % 3 == 0)) if method == "POST" else b""
            try:
                connection.request(method, f"/?{name}", body or None)
                answer = connection.getresponse()
                got = answer.read()
            except OSError as error:
                self.wrong.append(f"{method} {name}: {error!r}")
                connection.close()
                continue
            version, _, query, rest = got.split(b" ", 3) if got.count(b" ") >= 3 else [got] * 4
            if answer.status == 200 and (query, rest) == (name.encode(), body):
                self.right[version.decode()] += 1
            else:
                self.wrong.append(f"{method} {name}: {answer.status} {got[:99]!r}")
            if user % 2:
                connection.close()
        connection.close()

    def count(self) -> int:
        """Return how many right answers there were."""
        return sum(self.right.values())


@contextmanager
def storm(folder: Path, engine: str, keep: bool, options: dict[str, object]) -> Iterator[tuple]:
    """A gateway under load; afterwards nothing was lost, and nothing is left over."""
    code = Code(folder)
    named = {"workers": 2, "pythonpath": str(folder), **options}
    with Gateway(Code.app, engine, named) as gateway:
        gateway.wait_for_log("INFO ready")
        with Nginx(gateway.address, keep=keep) as nginx:
            with Users(nginx) as users:
                until(lambda: users.count() > USERS or users.wrong, "the first answers")
                yield gateway, code, users
                code.write("last")
                gateway.process.send_signal(signal.SIGHUP)
                until(lambda: users.right["last"] > USERS or users.wrong, "the last version", 60)
            assert not users.wrong, f"{len(users.wrong)} of {users.count()}: {users.wrong[:9]}"
        assert gateway.process.poll() is None
        until(lambda: _is_settled(gateway), "the old generations to go", 40)
        assert " ERROR " not in gateway.log()


def _is_settled(gateway: Gateway) -> bool:
    children = processes.children(gateway.process.pid)
    return len(children) == 1 and children[0].state != "Z"


@LENGTH
@KEEP
@ENGINES
def test_reload_storm(tmp_path: Path, engine: str, keep: bool, seconds: int) -> None:
    """SIGHUP every 200 ms, each time with new code."""
    with storm(tmp_path, engine, keep, {}) as (gateway, code, users):
        end = time.monotonic() + seconds
        number = 0
        while time.monotonic() < end and not users.wrong:
            number += 1
            code.write(f"v{number}")
            gateway.process.send_signal(signal.SIGHUP)
            time.sleep(PAUSE)
    assert gateway.process.returncode == 0
    assert len(users.right) >= 3, users.right


@LENGTH
@KEEP
@ENGINES
def test_mixed_storm(tmp_path: Path, engine: str, keep: bool, seconds: int) -> None:
    """SIGHUP, SIGTTIN, SIGTTOU and SIGUSR2 in any order, and workers that are told to end."""
    dice = random.Random(f"{engine} {keep}")
    kinds = ["HUP"] * 4 + ["TTIN"] * 2 + ["TTOU"] * 2 + ["USR2", "worker"]
    with storm(tmp_path, engine, keep, {}) as (gateway, code, users):
        end = time.monotonic() + seconds
        number = 0
        while time.monotonic() < end and not users.wrong:
            number += 1
            code.write(f"v{number}")
            kind = dice.choice(kinds)
            if kind == "worker":
                _stop_a_worker(gateway)
            elif kind != "TTIN" or number % 4:  # the machine is not to drown in workers
                gateway.process.send_signal(getattr(signal, f"SIG{kind}"))
            time.sleep(PAUSE)


def _stop_a_worker(gateway: Gateway) -> None:
    """Have one worker of the oldest generation end gracefully."""
    snapshots = processes.children(gateway.process.pid)
    for worker in processes.children(snapshots[0].pid) if snapshots else []:
        if worker.session == snapshots[0].pid:
            with suppress(ProcessLookupError):  # it was ending anyway
                os.kill(worker.pid, signal.SIGTERM)
            return
