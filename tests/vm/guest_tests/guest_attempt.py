# SPDX-License-Identifier: MIT
"""Attempts: something is tried in an lwC, and nothing of it remains but a value."""

from __future__ import annotations

import asyncio
import ctypes
import mmap
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lwcgi import lwc
from tests.vm.guest_tests.programs import Board, execute, program

if TYPE_CHECKING:
    from collections.abc import Iterator

state: dict[str, Any] = {"number": 1}


@program
def test_everything_is_rolled_back() -> None:
    """Objects, modules, descriptors, credentials, mappings: only the result comes out."""
    open_before = os.listdir("/proc/self/fd")
    kept = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    folder = tempfile.mkdtemp()
    with lwc.attempt() as trial:
        state["number"] += 1
        state["more"] = [object() for _ in range(100_000)]
        kept[0] = 1
        kept.close()
        sys.modules.pop("asyncio")
        held = (Path(folder) / "left").open("w")
        os.setuid(1000)
        trial.result = (state["number"], os.getuid(), held.name)
    assert trial.result == (2, 1000, f"{folder}/left")
    assert state == {"number": 1}
    assert kept[0] == 0
    assert "asyncio" in sys.modules
    assert os.getuid() == 0
    assert "held" not in locals()
    assert len(os.listdir("/proc/self/fd")) == len(open_before) + 1  # the door
    assert os.listdir(folder) == ["left"]  # files are no part of an lwC


@program
def test_many_attempts() -> None:
    """A hundred in a row, some of which fail, leave no lwC, descriptor or tracer behind."""
    results = []
    with lwc.attempt():
        pass
    before = os.listdir("/proc/self/fd")
    for number in range(100):
        try:
            with lwc.attempt() as trial:
                state["number"] += number
                if number % 3 == 2:
                    raise ValueError(number)
                trial.result = state["number"]
            results.append(trial.result)
        except ValueError as error:
            results.append(error.args[0])
    assert results == [n if n % 3 == 2 else n + 1 for n in range(100)]
    assert lwc.SELF.info().contexts == 1
    assert os.listdir("/proc/self/fd") == before
    assert sys.gettrace() is None


@program
def test_a_large_result() -> None:
    """Of any size."""
    with lwc.attempt() as trial:
        trial.result = bytes(50_000_000)
    assert len(trial.result) == 50_000_000


@program
def test_the_form_for_functions() -> None:
    """A function is called in the copy."""

    def risky(number: int) -> float:
        state["number"] = number
        return 10 / number

    assert lwc.attempt().call(risky, 5) == 2
    with pytest.raises(ZeroDivisionError) as caught:
        lwc.attempt().call(risky, 0)
    assert "return 10 / number" in caught.value.__notes__[0]
    assert state == {"number": 1}


@program
def test_wherever_the_statement_stands() -> None:
    """In a class, a generator, a coroutine; in another attempt; in the handler of an exception."""

    class Holder:
        with lwc.attempt() as trial:
            state["number"] = 2
            trial.result = 3

    assert Holder.trial.result == 3

    def generator() -> Iterator[int]:
        for number in range(3):
            with lwc.attempt() as trial:
                try:
                    trial.result = state["number"] = state["number"] + number
                finally:
                    state.clear()
            yield trial.result

    assert [*generator()] == [1, 2, 3]

    async def coroutine() -> int:
        await asyncio.sleep(0)
        with lwc.attempt() as trial:
            state["number"] = 9
            trial.result = 5
        await asyncio.sleep(0)
        return int(trial.result)

    assert asyncio.run(coroutine()) == 5
    try:
        raise KeyError("outside")
    except KeyError:
        with lwc.attempt() as outer:
            state["number"] = 20
            with lwc.attempt() as inner: inner.result = state["number"]; state.clear()  # fmt: skip # noqa: E701, E702
            outer.result = (inner.result, state["number"], repr(sys.exc_info()[1]))
    assert outer.result == (20, 20, "KeyError('outside')")
    assert state == {"number": 1}


@program
def test_the_end_of_the_program_in_the_body() -> None:
    """sys.exit() is an exception like others, and is raised here."""
    with pytest.raises(SystemExit) as caught:
        with lwc.attempt():
            sys.exit(7)
    assert caught.value.code == 7
    assert lwc.SELF.info().state & lwc.State.ROOT


def test_a_crash_ends_the_process() -> None:
    """So does os._exit(): an lwC is no process."""

    def exits() -> None:
        with lwc.attempt():
            os._exit(9)

    def crashes() -> None:
        with lwc.attempt():
            ctypes.string_at(0)

    assert execute(exits) == (9, "")
    assert execute(crashes) == (-signal.SIGSEGV, "")


@program
def test_signals_wait() -> None:
    """A signal that comes meanwhile is taken behind the body, and its handler's note is kept."""
    seen: list[int] = []
    signal.signal(signal.SIGALRM, lambda number, _: seen.append(number))
    with lwc.attempt() as trial:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        time.sleep(0.3)
        trial.result = list(seen)
    assert trial.result == []
    assert seen == [signal.SIGALRM]


@program
def test_signals_in_the_body() -> None:
    """Asked for, they end what takes too long."""

    def too_long(*_: object) -> None:
        raise TimeoutError("too long")

    signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(TimeoutError):
        with lwc.attempt(signals=True):
            time.sleep(100)


@program
def test_other_threads() -> None:
    """They run on here, are not in the copy, and are warned of where the statement stands."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with lwc.attempt() as trial:
            trial.result = threading.active_count()
        lwc.attempt().call(int)
    assert trial.result == 1
    assert [warning.category for warning in caught] == [RuntimeWarning] * 2
    assert {warning.filename for warning in caught} == {__file__}
    assert thread.is_alive()
    stop.set()
    thread.join()


@program
def test_what_leaves_the_interpreter_stays() -> None:
    """Shared memory and files; and random numbers differ from attempt to attempt."""
    board = Board()
    drawn = set()
    for _ in range(3):
        with lwc.attempt() as trial:
            board.say("tried")
            trial.result = random.getrandbits(60)
        drawn.add(trial.result)
    assert board.lines() == ["tried"] * 3
    assert len(drawn) == 3


@program
def test_a_refused_attempt() -> None:
    """Where there can be no lwC, the body does not run, and nothing is left open."""
    lwc.use_door(lwc.Door())
    before = os.listdir("/proc/self/fd")
    os.close(lwc.current_door().fd)
    with pytest.raises(lwc.LwcError):
        with lwc.attempt():
            state["number"] = 5
    assert len(os.listdir("/proc/self/fd")) == len(before) - 1
    assert state == {"number": 1}
    lwc.use_door(None)
