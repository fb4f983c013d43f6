# SPDX-License-Identifier: MIT
"""When a snapshot is too old, or has been probed too often, to go on serving."""

from __future__ import annotations

import random
import time

from ..config import Settings

# Gateways that were started together do not rebuild together: up to this part earlier.
_SPREAD = 0.1
# After a rebuild that failed, the next one waits for this part of the maximum age.
_AGAIN = 0.1
# Crashes are made by requests: they may cost no more than one rebuild in so many seconds.
CRASH_PAUSE = 60.0


class Freshness:
    """Watches the snapshot that serves.

    All requests see the same addresses, the same hash seed, the same stack canary: those of the
    snapshot. Whoever may crash requests over and over finds them out a piece at a time.
    """

    def __init__(self) -> None:
        self._max_age = 0.0
        self._max_crashes = 0
        self._crashes = 0
        self._too_old_at = 0.0
        self._not_before = 0.0

    def renewed(self, settings: Settings, made: float = 0.0) -> None:
        """Begin anew, with a snapshot that was made with *settings*, now or at the moment *made*."""
        self._max_age = settings.snapshot_max_age
        self._max_crashes = settings.snapshot_max_crashes
        self._crashes = 0
        age = self._max_age * random.uniform(1.0 - _SPREAD, 1.0)
        self._too_old_at = (made or time.monotonic()) + age if age else 0.0

    def crashed(self) -> None:
        """Note that a request's process was killed by a signal."""
        self._crashes += 1

    def due(self) -> float | None:
        """Return the moment at which a rebuild is due; None for never, as far as is known."""
        if self._max_crashes and self._crashes >= self._max_crashes:
            return self._not_before
        return self._too_old_at or None

    def complaint(self) -> str:
        """Return why a rebuild is due now; empty where it is not. Asking begins the next pause."""
        now = time.monotonic()
        due = self.due()
        if due is None or now < due:
            return ""
        if self._max_crashes and self._crashes >= self._max_crashes:
            why = f"{self._crashes} requests have crashed since the snapshot was made"
            self._crashes = 0
            self._not_before = now + CRASH_PAUSE
            return why
        # Should the rebuild fail: with success, `renewed` says otherwise.
        self._too_old_at = now + _AGAIN * self._max_age
        return "the snapshot has reached its maximum age"
