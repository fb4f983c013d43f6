# SPDX-License-Identifier: MIT
"""Test functions as programs: each runs in a process of its own, in which lwCs can be made.

An lwC of the test runner itself would return from the test into a copy of the runner.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import resource
import signal
import time
import traceback
from typing import TYPE_CHECKING, NoReturn

import pytest

from lwcgi import lwc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SECONDS = 100  # for one program, in a guest without hardware virtualization
_LENGTH = 1 << 16


class Board:
    """Lines of text that all lwCs of a process and their creator can read and write."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _LENGTH)
        self._shared.seek(8)

    def say(self, *words: object) -> None:
        """Write a line. The place to write at is shared too."""
        text = self.text() + " ".join(map(str, words)) + "\n"
        data = text.encode()[: _LENGTH - 8]
        self._shared[8 : 8 + len(data)] = data
        self._shared[:8] = len(data).to_bytes(8, "little")

    def text(self) -> str:
        """Return all that was said."""
        length = int.from_bytes(self._shared[:8], "little")
        return self._shared[8 : 8 + length].decode()

    def lines(self) -> list[str]:
        """Return what was said, line by line."""
        return self.text().splitlines()


def program(function: Callable[[], None]) -> Callable[[], None]:
    """Have a test function run in a process of its own.

    It fails with what was raised in any lwC, and where another one than the root comes to the end
    of the function.
    """

    @functools.wraps(function)
    def run() -> None:
        code, text = execute(function)
        assert not text, text
        assert code == 0, f"the program ended with {code}"

    return run


def execute(function: Callable[[], None], seconds: float = _SECONDS) -> tuple[int | None, str]:
    """Run a function in a process of its own.

    Returns:
        Its exit code (minus the signal that ended it; None: it did not end in time), and the
        traceback of what was raised.
    """
    board = Board()
    pid = os.fork()
    if pid == 0:
        _be(function, board)
    deadline = time.monotonic() + seconds
    ended, status = 0, 0
    while not ended and time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if not ended:
        os.waitpid(pid, 0)
        return None, board.text() or f"it did not end in {seconds:g} s"
    return os.waitstatus_to_exitcode(status), board.text()


def _be(function: Callable[[], None], board: Board) -> NoReturn:
    code = 1
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        function()
        assert _is_root(), "an lwC came to the end of the test"
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - of any lwC, told by the test
        board.say(traceback.format_exc())
        [summary, *_] = str(error).splitlines() or [""]
        board.say(f"{type(error).__name__}: {summary}")
    finally:
        os._exit(code)


def _is_root() -> bool:
    try:
        return bool(lwc.SELF.info().state & lwc.State.ROOT)
    except lwc.LwcError:  # it has made none, or there is no module
        return True


def start(
    body: Callable[[lwc.Entered], object],
    *,
    flags: lwc.Flag = lwc.Flag.MAY_RETURN,
    specs: Sequence[lwc.Spec] = (),
) -> lwc.Context:
    """Make an lwC that calls *body* when it is entered, and then goes back to its creator.

    What *body* returns, a number or None, goes along. Entered again, it goes back again.
    """
    result = lwc.create(flags=flags, specs=specs)
    if isinstance(result, lwc.Entered):
        _go_back(body, result)
    return result.context


def freeze(body: Callable[[lwc.Entered], object]) -> lwc.Context:
    """Make a snapshot whose workers call *body* when entered, and then go back to their creator."""
    result = lwc.snapshot()
    if isinstance(result, lwc.Entered):
        _go_back(body, result)
    return result


def _go_back(body: Callable[[lwc.Entered], object], entered: lwc.Entered) -> NoReturn:
    answer = body(entered)
    assert entered.creator
    while True:
        lwc.switch(entered.creator, *([answer] if isinstance(answer, int) else []))


def visit(context: lwc.Context, *args: int) -> tuple[int, ...]:
    """Enter another lwC, and return the words that came along when this one is entered again."""
    return lwc.switch(context, *args).args


def refused(kind: type[lwc.LwcError], call: Callable[[], object]) -> lwc.LwcError:
    """Return the error of a call that must be refused so."""
    with pytest.raises(lwc.LwcError) as caught:
        call()
    error = caught.value
    assert type(error) is kind, f"{type(error).__name__}, not {kind.__name__}: {error}"
    return error
