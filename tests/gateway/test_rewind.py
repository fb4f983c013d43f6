# SPDX-License-Identifier: MIT
"""The engine `rewind` when its processes are killed, and where it has less to work with."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contract import promises
from tests.contract.checks import state as states
from tests.contract.checks.asking import differences, get, state, waiting
from tests.contract.checks.ways import IN_PLACE, act
from tests.harness import Gateway, processes, until
from tests.harness.crowd import Crowd
from tests.harness.running import NotUpError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness import Answer


def _children(worker: int) -> tuple[int | None, int | None]:
    """Return the process that serves for *worker*, and the frozen copy, which has no descriptor."""
    serving = frozen = None
    for pid in map(int, Path(f"/proc/{worker}/task/{worker}/children").read_text().split()):
        try:
            if os.listdir(f"/proc/{pid}/fd"):
                serving = pid
            else:
                frozen = pid
        except OSError:
            pass  # ended meanwhile
    return serving, frozen


class Load(Crowd):
    """Users that ask one question after the other, and what they were told.

    Parameters:
        gateway: whom they ask.
        users: how many.
    """

    # Undone in place, by a scan, with a new task, with children, with a large undo.
    QUESTIONS = (
        "/echo?", "/do?act=fill_wiped", "/do?act=change_directory", "/do?act=fork_and_wait",
        "/do?act=open_hundreds&act=map_over&act=lock_memory&act=leave_child",
    )  # fmt: skip

    def __init__(self, gateway: Gateway, users: int) -> None:
        super().__init__(users)
        self._gateway = gateway
        self.told: Counter[object] = Counter()

    def _act(self, user: int) -> None:
        dice = random.Random(user)
        while not self._stop.is_set():
            question = dice.choice(self.QUESTIONS)
            text = f"{user}-{dice.random()}".encode()
            answer = self._gateway.post(question, text)
            right = answer.body == text if question == "/echo?" else b'"done"' in answer.body
            self.told[self._judge(answer, right)] += 1

    @staticmethod
    def _judge(answer: Answer, right: bool) -> object:
        if answer.complete and answer.status == 500:
            return 500
        if answer.closed and not answer.stdout:
            return None  # no answer at all
        return 200 if answer.complete and right else repr(answer)


@pytest.mark.parametrize("verify", [False, True], ids=["fast", "verified"])
def test_kills_at_any_moment(verify: bool) -> None:
    """The serving process is killed again and again; each request gets one answer, nothing stays.

    The moments are random: in the application, in the undo, in the renewal, between two requests.
    """
    kills, options = 0, {"verify": verify, "timeout": "20s"}
    with promises.start("rewind").another(options=options) as gateway:
        before = state(gateway)
        dice = random.Random(0)
        began = time.monotonic()
        act(gateway, ["open_hundreds", "map_over", "lock_memory", "leave_child"])
        # Long enough that on a slow machine, too, some requests get their answer.
        moments = (0, 0.001, 0.003, 0.01, 3 * (time.monotonic() - began))
        with Load(gateway, 3) as load:
            last, started = None, time.monotonic()
            while time.monotonic() < started + 3 or kills < 50 or load.told[200] < 30:
                assert time.monotonic() < started + 90, load.told
                assert processes.alive(before["root"]), gateway.log()[-3000:]
                serving, _ = _children(before["root"])
                if serving in (None, last):
                    continue
                time.sleep(dice.choice(moments) * dice.random())
                try:
                    os.kill(serving, signal.SIGKILL)  # type: ignore[arg-type]
                except ProcessLookupError:
                    continue
                last, kills = serving, kills + 1
        # One killed while it takes a request in leaves nobody who knows whose answer it is.
        assert set(load.told) <= {200, 500, None}, f"{load.told}\n{gateway.log()[-3000:]}"
        assert load.told[None] <= 1 + kills // 20, f"{load.told}\n{gateway.log()[-3000:]}"
        assert 0 < load.told[500] <= kills
        after = state(gateway)
        assert before["root"] == after["root"]
        assert not differences(before, after | {"pid": before["pid"]})


def test_a_killed_copy_is_replaced_with_its_worker() -> None:
    """Without the frozen copy nothing can be put back: a new worker takes over at once."""
    with promises.start("rewind", Gateway) as gateway:
        before = state(gateway)
        _, frozen = _children(before["root"])
        assert frozen
        os.kill(frozen, signal.SIGKILL)
        gateway.wait_for_log("WARNING worker 1 is replaced: ")
        after = state(gateway)
        assert after["root"] != before["root"]
        assert not differences(before["memory"], after["memory"])


def test_a_killed_copy_costs_a_request_no_answer() -> None:
    """The request that is being served meanwhile gets a complete answer, of whichever kind."""
    with promises.start("rewind", Gateway).another(options={"timeout": "20s"}) as gateway:
        before = state(gateway)
        _, frozen = _children(before["root"])
        assert frozen
        with waiting(gateway) as request:
            os.kill(frozen, signal.SIGKILL)
            gateway.wait_for_log("WARNING worker 1 is replaced: its frozen copy is gone")
            answer = request.connection.answer()
        assert answer.complete
        assert answer.status == 500


def test_a_request_without_rights_dies_with_its_worker() -> None:
    """A change of user, which clears the signal for a parent's death, does not keep it alive."""
    uid = os.geteuid() or 65534  # who is no root has the rights of nobody already
    with promises.start("rewind", Gateway).another(options={"timeout": "100s"}) as gateway:
        before = state(gateway)
        family = _children(before["root"])
        with gateway.connect() as connection:
            connection.send(get("/do?act=change_user&end=stuck_in_python"))
            status = Path(f"/proc/{before['pid']}/status")
            until(
                lambda: f"\nUid:\t{uid}\t" in status.read_text(), "the request to change its user"
            )
            os.kill(gateway.snapshot(), signal.SIGSTOP)
            try:
                os.kill(before["root"], signal.SIGKILL)
                until(lambda: not any(map(processes.alive, family)), "its processes to end")  # type: ignore[arg-type]
            finally:
                os.kill(gateway.snapshot(), signal.SIGCONT)


CHECKS = (
    states.memory_is_restored,
    states.mappings_are_restored,
    states.descriptors_are_restored,
    states.attributes_are_restored,
)


@pytest.mark.parametrize("check", CHECKS)
def test_without_privileges(check: Callable[[Gateway], None]) -> None:
    """An ordinary user's worker can still look at its own memory, whatever a request changed."""
    with promises.start("rewind", privileged=False) as gateway:
        check(gateway)


def test_an_application_that_handles_sigsys() -> None:
    """… keeps the signal: its system calls go unseen, and each request has a process of its own."""
    with promises.start("rewind", app="tests.apps.traced:app") as gateway:
        gateway.wait_for_log("WARNING the application handles SIGSYS itself")
        gateway.options = {**gateway.options, "no-dispatch": True}  # as far as checks can tell
        for check in CHECKS:
            check(gateway)


def test_native_threads() -> None:
    """Threads that numpy starts by itself, before the snapshot or in a request, change nothing."""
    options = {"max-request-memory": 0}
    with promises.start("rewind").another(app="tests.apps.draws:app", options=options) as gateway:
        for _ in range(10):
            for path in ("/native-threads", "/in-place"):
                assert gateway.get(path).json() == 1


def test_a_thread_of_the_warm_up_is_found() -> None:
    """A warm-up request runs in the process that will be frozen: a thread it leaves is refused."""
    options = {"no-warmup": False, "warmup": "/do?act=leave_thread"}
    with pytest.raises(NotUpError, match="thread 'left behind'"):
        promises.start("rewind").another(options=options).__enter__()


def test_counters_add_up() -> None:
    """When a worker ends, the log says how many requests were undone in which way."""
    with promises.start("rewind") as gateway:
        for name, end in (
            ("spoil_c_memory", "goes_on"), ("spoil_c_memory", "exception"),
            ("change_directory", "goes_on"), ("join_thread", "goes_on"), ("seek", "abort"),
        ):  # fmt: skip
            act(gateway, [name], end)
        gateway.stop()
        (line,) = gateway.wait_for_log(r"worker 1 ends: .*")
    counted = {what: int(n) for n, what in re.findall(r"(\d+) ([a-z ]+)", line.partition(": ")[2])}
    assert counted["requests"] == 5
    assert counted["undone in place"] == 2
    assert counted["with a new task"] == 2
    assert counted["after their process ended"] == 1
    assert counted["blind"] == 1


def test_most_requests_stay_in_place() -> None:
    """Once the pages are known that requests write, neither a scan nor a new task is needed."""
    with promises.start("rewind") as gateway:
        for _ in range(60):
            gateway.get("/quick")
        how = [act(gateway, ["round_upward"])[1] for _ in range(50)]
    assert all(one and one.way == IN_PLACE for one in how)
    assert sum(one is not None and one.found == 0 for one in how) >= 40


def test_without_immortal_objects() -> None:
    """The engine isolates as well where references to the snapshot's objects are counted."""
    with promises.start("rewind").another(options={"no-immortal": True}) as gateway:
        for check in CHECKS:
            check(gateway)
