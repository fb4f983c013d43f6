# SPDX-License-Identifier: MIT
"""How long to wait before what died young is started again."""

from __future__ import annotations

YOUNG = 10.0
_FIRST, _LONGEST = 0.1, 5.0


class Backoff:
    """Delays for one process and its successors: none at first, then 0.1 s doubling to 5 s.

    A process that lived for YOUNG seconds makes its successors' delays start over.
    """

    def __init__(self) -> None:
        self._deaths = 0

    def died(self, age: float) -> float:
        """Return the seconds to wait, after a process ended at *age* seconds."""
        if age >= YOUNG:
            self._deaths = 0
        self._deaths += 1
        if self._deaths == 1:
            return 0.0
        return min(_FIRST * 2.0 ** min(self._deaths - 2, 10), _LONGEST)
