# SPDX-License-Identifier: MIT
"""A Python program that holds several lwCs of its interpreter and switches between them."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
import weakref
from typing import TYPE_CHECKING

from lwcgi import lwc
from tests.vm.guest_tests.programs import Board, execute, program, start, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

MAY_RETURN = lwc.Flag.MAY_RETURN

visits = 0


def _count_for_ever(entered: lwc.Entered) -> None:
    global visits
    mine: list[str] = []
    assert entered.creator
    while True:
        visits += 1
        mine.append("x" * 1000)
        lwc.switch(entered.creator, visits, len(mine))


@program
def test_each_has_its_own_globals() -> None:
    """Four lwCs and their creator count in the same global, and each sees only its own counting."""
    contexts = []
    for number in range(4):
        globals()["visits"] = 100 * number
        contexts.append(start(_count_for_ever))
    globals()["visits"] = -1
    for turn in range(1, 6):
        for number, context in enumerate(contexts):
            assert visit(context) == (100 * number + turn, turn)
    assert visits == -1


@program
def test_imports_and_modules_are_its_own() -> None:
    """What one imports, changes in a module or in the environment the other does not have."""

    def body(entered: lwc.Entered) -> int:
        import colorsys

        os.environ["LWC_TEST"] = "inside"
        sys.setrecursionlimit(4321)
        return int(colorsys.rgb_to_hsv(0, 0, 1)[2])

    sys.modules.pop("colorsys", None)
    limit = sys.getrecursionlimit()
    assert visit(start(body)) == (1,)
    assert "colorsys" not in sys.modules
    assert "LWC_TEST" not in os.environ
    assert sys.getrecursionlimit() == limit


@program
def test_fork_hooks_run_on_both_sides() -> None:
    """Once each: before and after in the creator at the create, in the child at its first entry."""
    board = Board()
    os.register_at_fork(
        before=lambda: board.say("before"),
        after_in_parent=lambda: board.say("parent"),
        after_in_child=lambda: board.say("child"),
    )
    context = start(lambda _: board.say("inside"))
    assert board.lines() == ["before", "parent"]
    visit(context)
    assert board.lines() == ["before", "parent", "child", "inside"]
    visit(context)
    assert len(board.lines()) == 4


@program
def test_a_refused_create_ends_the_hooks() -> None:
    """Where the module refuses, the creator's hooks run, and locks are free again."""
    board = Board()
    os.register_at_fork(
        before=lambda: board.say("before"), after_in_parent=lambda: board.say("parent")
    )
    try:
        lwc.create(flags=lwc.Flag(1 << 20))
    except lwc.LwcError:
        board.say("refused")
    assert board.lines() == ["before", "parent", "refused"]
    assert visit(start(lambda _: 5)) == (5,)


@program
def test_exceptions_stay_where_they_are() -> None:
    """Each has its own exception under way, and its own traceback."""

    def fails(entered: lwc.Entered) -> int:
        assert entered.creator
        assert repr(sys.exc_info()[1]) == "KeyError('missing')"  # of the place where it was made
        try:
            raise ValueError("inside")
        except ValueError:
            lwc.switch(entered.creator, 1)
            under_way = repr(sys.exc_info()[1])
        assert under_way == "ValueError('inside')"
        return 2

    try:
        raise KeyError("missing")
    except KeyError:
        context = start(fails)
        assert visit(context) == (1,)
        under_way = repr(sys.exc_info()[1])
    assert under_way == "KeyError('missing')"
    assert sys.exc_info()[1] is None
    try:
        raise OSError
    except OSError:
        assert visit(context) == (2,)


@program
def test_generators_and_with_blocks_go_on() -> None:
    """Made in the middle of a generator in a with block, both finish it for themselves."""
    board = Board()

    class Noted:
        def __enter__(self) -> None:
            board.say("in")

        def __exit__(self, *_: object) -> None:
            board.say("out")

    def numbers() -> Iterator[lwc.Created | lwc.Entered | int]:
        with Noted():
            yield 1
            yield lwc.create(flags=MAY_RETURN)
            yield 3

    steps = numbers()
    next(steps)
    result = next(steps)
    rest = list(steps)
    assert rest == [3]
    if isinstance(result, lwc.Entered):
        assert result.creator
        lwc.switch(result.creator, len(rest))
    assert isinstance(result, lwc.Created)
    assert visit(result.context) == (1,)
    assert board.lines() == ["in", "out", "out"]


@program
def test_a_child_process_of_an_lwc() -> None:
    """os.fork() and subprocess in an lwC make ordinary processes from it."""

    def body(entered: lwc.Entered) -> int:
        globals()["visits"] = 77
        pid = os.fork()
        if pid == 0:
            try:
                lwc.SELF.info()
            except lwc.LwcError:
                os._exit(visits)
            os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        text = subprocess.run(["echo", "5"], capture_output=True, check=True).stdout
        return code + int(text)

    assert visit(start(body)) == (82,)
    assert visits == 0


@program
def test_garbage_is_collected_in_each() -> None:
    """What one collects is there for the other, and finalisers run once in each."""
    board = Board()

    class Node:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            board.say("gone")

    def body(entered: lwc.Entered) -> int:
        globals().pop("node")
        gc.collect()
        return int(reference() is None)

    globals()["node"] = Node()
    reference = weakref.ref(globals()["node"])
    assert visit(start(body)) == (1,)
    assert board.lines() == ["gone"]
    gc.collect()
    assert reference() is globals()["node"]
    del globals()["node"]
    gc.collect()
    assert reference() is None
    assert board.lines() == ["gone", "gone"]


def test_exit_in_any_ends_the_process() -> None:
    """SystemExit in an lwC ends the process with its code."""
    assert execute(lambda: visit(start(lambda _: sys.exit(7)))) == (7, "")


@program
def test_an_event_loop_in_each() -> None:
    """An event loop of asyncio runs in a new lwC and in its creator."""

    async def add() -> int:
        await asyncio.sleep(0.001)
        return 3

    def body(entered: lwc.Entered) -> int:
        return asyncio.run(add())

    context = start(body)
    assert asyncio.run(add()) == 3
    assert visit(context) == (3,)
    assert asyncio.run(add()) == 3


def _signalled(flags: lwc.Flag) -> tuple[int, list[str]]:
    """Signal the process inside an lwC; return what it saw there, and what was noted in all."""
    board = Board()
    inside = [0]

    def note(*_: object) -> None:
        board.say("handled", inside[0])

    def body(entered: lwc.Entered) -> int:
        inside[0] = 1
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0)
        return len(board.lines())

    signal.signal(signal.SIGUSR1, note)
    context = start(body, flags=flags)
    [seen] = visit(context)
    return seen, board.lines()


@program
def test_signals_are_handled_by_the_lwc_that_takes_them() -> None:
    """With SHARE_SIGNALS a handler runs in the lwC that is there when the signal comes."""
    assert _signalled(MAY_RETURN | lwc.Flag.SHARE_SIGNALS) == (1, ["handled 1"])


@program
def test_deep_recursion() -> None:
    """Made deep in a recursion, both come back out of it."""

    def descend(depth: int) -> lwc.Created | lwc.Entered:
        return descend(depth - 1) if depth else lwc.create(flags=MAY_RETURN)

    result = descend(500)
    if isinstance(result, lwc.Entered):
        assert result.creator
        lwc.switch(result.creator, 1)
    assert visit(result.context) == (1,)
