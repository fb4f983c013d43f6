# SPDX-License-Identifier: MIT
"""Bounded waiting."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


patience = 20.0
"""Seconds a wait may take; generous, since they are only spent by a failing test."""

to_come_up = 20.0
"""Seconds a program may take to serve."""


def until(condition: Callable[[], T], what: str, seconds: float | None = None) -> T:
    """Return the first true value of *condition*.

    Parameters:
        condition: called every few milliseconds.
        what: what is waited for, for the failure's message.
        seconds: how long to wait, by default `patience`.

    Raises:
        AssertionError: it stayed false.
    """
    seconds = patience if seconds is None else seconds
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.01)
