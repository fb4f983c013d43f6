# SPDX-License-Identifier: MIT
"""How workers are ended: asked, then hurried, then killed."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

from .slot import Slot

# How long workers get after SIGINT before they are killed.
QUICK_SECONDS = 2.0
_LAST = [(signal.SIGINT, QUICK_SECONDS), (signal.SIGKILL, QUICK_SECONDS)]


class Ending:
    """The end of some workers, step by step; it begins with the first `step`.

    Parameters:
        slots: the workers.
        quick: their requests get no time.
        seconds: how much time those get otherwise.
    """

    def __init__(self, slots: Sequence[Slot], quick: bool, seconds: float) -> None:
        self._slots = slots
        # What is left to do: a signal, and the seconds until the next step.
        self._steps = [*([] if quick else [(signal.SIGTERM, seconds)]), *_LAST]
        self._at = time.monotonic()

    def hurry(self) -> None:
        """Give requests no more time."""
        if len(self._steps) == len(_LAST):
            self._at = time.monotonic()

    @property
    def over(self) -> bool:
        """None of the workers is left."""
        return not any(slot.pid for slot in self._slots)

    def due(self) -> float | None:
        """Return the moment of the next step; None when there is none left."""
        return self._at if self._steps else None

    def step(self) -> int:
        """Take the next step when it is due; return how many workers had to be killed."""
        if not self._steps or time.monotonic() < self._at:
            return 0
        number, seconds = self._steps.pop(0)
        left = [slot for slot in self._slots if slot.pid]
        for slot in left:
            try:
                signal.pidfd_send_signal(slot.pidfd, number)
            except ProcessLookupError:
                pass
        self._at = time.monotonic() + seconds
        return len(left) if number == signal.SIGKILL else 0
