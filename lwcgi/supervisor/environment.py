# SPDX-License-Identifier: MIT
"""The environment variables that the application gets."""

from __future__ import annotations

import os

from .identity import Identity

# Said to the supervisor: an application that obeyed them would answer in its place.
_SERVICE_MANAGER = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
)
_USER = ("HOME", "USER", "LOGNAME", "SHELL")


def for_application(identity: Identity | None) -> dict[str, str]:
    """Return this process's variables without the service manager's; with *identity*, its own."""
    variables = {key: value for key, value in os.environ.items() if key not in _SERVICE_MANAGER}
    if identity is not None:
        for name in _USER:
            variables.pop(name, None)
        variables |= identity.variables()
    return variables
