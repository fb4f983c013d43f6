# SPDX-License-Identifier: MIT
"""Bounded waiting."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, seconds: float = 20.0) -> T:
    """Return the first true value of *condition*.

    Parameters:
        condition: called every few milliseconds.
        what: what is waited for, for the failure's message.
        seconds: how long to wait; generous, since it is only spent by a failing test.

    Raises:
        AssertionError: it stayed false.
    """
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.01)
