# SPDX-License-Identifier: MIT
"""The beginning and the end of a program that a test starts."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.harness import waiting

if TYPE_CHECKING:
    from collections.abc import Callable


class NotUpError(Exception):
    """A program does not serve; with what it said.

    No AssertionError: a test that expects a check to fail must not take this for it.
    """


def come_up(
    is_up: Callable[[], bool], what: str, said: Callable[[], str], take_down: Callable[[], None]
) -> None:
    """Wait until a program serves.

    Parameters:
        is_up: returns whether it does; asserts that it has not ended.
        what: its name, for the failure's message.
        said: returns what it has written.
        take_down: called where it does not come up.

    Raises:
        NotUpError: it did not.
    """
    try:
        waiting.until(is_up, f"{what} to come up", waiting.to_come_up)
    except BaseException as error:
        text = said()
        take_down()
        if isinstance(error, AssertionError):
            raise NotUpError(f"{error}; it said:\n{text}") from None
        raise


def stop(
    process: subprocess.Popen[bytes], number: int, said: Callable[[], str], seconds: float
) -> int:
    """Send a program a signal, wait for its end and return its exit code.

    Raises:
        AssertionError: it runs on, with what it said.
    """
    process.send_signal(number)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise AssertionError(
            f"still running {seconds:g} s after signal {number}; it said:\n{said()}"
        ) from None
