# SPDX-License-Identifier: MIT
"""One generation: a snapshot process with its workers, from its start to its last process's end.

Several may be alive at once: one that serves, one that is being loaded, and older ones whose
requests come to their end.
"""

from __future__ import annotations

import signal
import time

from ..config import Settings
from ..errors import BY_EXIT_CODE, ApplicationError, LwcgiError
from . import processes
from .ending import QUICK_SECONDS
from .launch import Snapshot

# What a snapshot process may take to end beyond the time its workers get.
_MARGIN_SECONDS = 5.0
# How often the end of a dead snapshot process's workers is looked for.
_GLANCE_SECONDS = 0.05
# What writing a traceback may take.
_TRACEBACK_SECONDS = 1.0


class Generation:
    """A snapshot process, and what the master knows of it.

    Parameters:
        snapshot: the process, just started.
        settings: what it loads.
    """

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        self.snapshot = snapshot
        self.settings = settings
        self.started = time.monotonic()
        self.heard = True
        """Its messages are listened for."""
        self.leads = False
        """It has loaded the application, leads workers, and takes orders."""
        self.ready = False
        """All its workers serve."""
        self.notes: list[str] | None = None
        """What a completed `check` found out."""
        self.failure: LwcgiError | None = None
        """Why it gave up, or was given up."""
        self.ended: int | None = None
        """Its wait status, once it is dead; others of its session may live on for a moment."""
        self.kill_at = 0.0
        """The moment at which all of it is killed; 0 for not yet."""
        self._hurried = False
        self._patience = 0.0

    @property
    def pid(self) -> int:
        """Pid of the snapshot process, and id of the session."""
        return self.snapshot.pid

    def hear(self) -> list[str]:
        """Take in its messages; return which events they tell, in order.

        ``deaf`` is the last event: nothing will be heard of it any more.
        """
        messages = self.snapshot.receive()
        told = [event for message in messages or [] if (event := self._take(message))]
        if messages is None:
            # It is dying; or application code closed the socket, and it cannot be led any more.
            self.heard = False
            self.kill_at = self.kill_at or time.monotonic() + QUICK_SECONDS
            told.append("deaf")
        return told

    def _take(self, message: dict[str, object]) -> str:
        event = message.get("event")
        if event == "frozen" and not self.leads:
            self.leads = True
        elif event == "ready" and self.leads and not self.ready:
            self.ready = True
        elif event == "failed":
            self.failure = _error_from(message)
        elif event == "checked":
            notes = message.get("notes")
            self.notes = [str(note) for note in notes] if isinstance(notes, list) else []
        else:
            return ""
        return str(event)

    def resize(self, workers: int) -> None:
        """Have it run so many workers from now on."""
        self.snapshot.resize(workers)

    def stop(self, quick: bool) -> None:
        """Have it end: at once where there is no request to wait for, otherwise within its time.

        A quick order makes a graceful stop quick.
        """
        if not self.leads or not self.heard:
            self.kill()
            return
        self._hurried = self._hurried or quick
        grace = 0.0 if quick else self.settings.graceful_timeout
        self.snapshot.stop(quick)
        self.kill_at = time.monotonic() + grace + 2 * QUICK_SECONDS + _MARGIN_SECONDS

    def kill(self) -> None:
        """Kill every process of it."""
        self.kill_at = 0.0
        self.snapshot.kill_leftovers()

    def give_up(self, failure: LwcgiError) -> None:
        """End it because it never got ready; where it was stuck goes to the log."""
        self.failure = failure
        if self.leads:
            self.stop(quick=False)  # some workers may serve already
            return
        self.snapshot.send(signal.SIGABRT)
        self.kill_at = time.monotonic() + _TRACEBACK_SECONDS

    def died(self, status: int) -> None:
        """Note that the snapshot process was waited for, with this wait *status*."""
        self.snapshot.reaped(status)
        self.snapshot.interrupt_orphans()
        self.ended = status
        grace = QUICK_SECONDS if self.leads and not self._hurried else 0.0
        self._patience = time.monotonic() + grace

    def due(self) -> float | None:
        """Return the moment at which `tick` has something to do; None for not by itself."""
        if self.ended is not None:
            return time.monotonic() + _GLANCE_SECONDS
        return self.kill_at or None

    def tick(self) -> str:
        """Do what is due.

        Returns ``killed`` where it did not end in time, ``left`` where its processes cannot be
        killed, ``over`` where nothing is left of it; empty for nothing.
        """
        now = time.monotonic()
        if self.ended is None:
            if not self.kill_at or now < self.kill_at:
                return ""
            self.kill()
            return "killed"
        # Its workers are stopping by themselves; give them their time.
        if processes.members(self.pid):
            if now >= self._patience:
                self.snapshot.kill_leftovers()
            return "" if now < self._patience + _MARGIN_SECONDS else "left"
        return "over"

    def why(self) -> LwcgiError:
        """Return why it is dead."""
        if self.failure:
            return self.failure
        how = processes.describe(self.ended or 0)
        if self.leads:
            return ApplicationError(
                f"the snapshot process {how}",
                "if nobody ended it, the lines above or the kernel's log (dmesg) may say why",
            )
        return ApplicationError(
            f"the process that loads the application {how}",
            "what it printed is above; python -X faulthandler -c 'import MODULE' may show more",
        )


def _error_from(message: dict[str, object]) -> LwcgiError:
    code = message.get("exit_code")
    kind = BY_EXIT_CODE.get(code, LwcgiError) if isinstance(code, int) else LwcgiError
    cause, remedy, traceback = (
        str(message.get(key, "")) for key in ("message", "remedy", "traceback")
    )
    return kind(cause, remedy, traceback)
