# SPDX-License-Identifier: MIT
"""What the service manager is told: sd_notify(3), and the watchdog of sd_watchdog_enabled(3).

Nothing here can fail the gateway: a service manager that does not listen is its own affair.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

from .logs import Log, escape


class Notifier:
    """The service manager's end, if there is one.

    Parameters:
        environment: where NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are looked for.
        log: what goes wrong is told there, once.
    """

    def __init__(self, environment: Mapping[str, str], log: Log) -> None:
        self._log = log
        self._silent = False
        self._told = ""
        self.reloads = False
        """A reload was told, and not yet its end."""
        path = environment.get("NOTIFY_SOCKET", "")
        # "@" begins an abstract address (unix(7)). Others, such as vsock, are not spoken here.
        self._address = ("\0" if path[:1] == "@" else path[:1]) + path[1:]
        self._interval = _watchdog_seconds(environment) / 2 if self.is_there else 0.0
        self.due: float | None = time.monotonic() if self._interval else None
        """When `tick` wants to be called (time.monotonic()); None for never."""

    @property
    def is_there(self) -> bool:
        """True where a service manager wants to be told."""
        return self._address[:1] in ("\0", "/")

    def ready(self, status: str) -> None:
        """Tell that all workers serve: after the start, and after `reloading`."""
        self.reloads, self._told = False, status
        self._send("READY=1", f"MAINPID={os.getpid()}", _status(status))

    def reloading(self, status: str) -> None:
        """Tell that a reload has begun; `ready` ends it, however it went."""
        # MONOTONIC_USEC is for Type=notify-reload, which others ignore.
        self.reloads = True
        usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={usec}", _status(status))

    def stopping(self, status: str) -> None:
        """Tell that the gateway stops."""
        self._send("STOPPING=1", _status(status))

    def status(self, status: str) -> None:
        """Tell what is going on, for `systemctl status`; once, however often it is said."""
        if status != self._told:
            self._send(_status(status))
            self._told = status

    def tick(self, now: float) -> None:
        """Feed the watchdog when it is time: the supervisor's loop turns."""
        if self.due is not None and now >= self.due:
            self.due = now + self._interval
            self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if not self.is_there:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(assignments).encode(), self._address)
        except (OSError, ValueError) as error:  # ValueError: no address at all
            if not self._silent:
                self._log.write("warning", f"the service manager cannot be told: {error}")
            self._silent = True


def _status(text: str) -> str:
    """Return the assignment of STATUS, on one line whatever *text* holds."""
    return f"STATUS={escape(text)}"


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """Return how long the watchdog waits; 0 where it is not meant for this process."""
    usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID")
    if not (usec.isascii() and usec.isdigit()) or pid not in (None, str(os.getpid())):
        return 0.0
    return int(usec) / 1e6
