# SPDX-License-Identifier: MIT
"""What the level `hostile` needs, whatever the engine."""

from __future__ import annotations

import os
from pathlib import Path

from .. import _core
from .base import Verdict

_NET_BIND_SERVICE = 10  # <linux/capability.h>
_HARMLESS = 1 << _NET_BIND_SERVICE
STATUS = Path("/proc/thread-self/status")
_USER = "run the application as a user of its own: --user NAME"
_KERNEL = (
    "use Linux 5.19 or later with Landlock (`lsm=landlock,…` on the kernel's command line where "
    "the distribution leaves it out); in a container, let its profile allow the landlock calls"
)


def examine() -> Verdict:
    """Tell whether this process's user can be kept from other requests, and by this kernel."""
    if 0 in os.getresuid():
        return Verdict(lacks="the application would run as root", remedy=_USER)
    rights = _capabilities() & ~_HARMLESS
    if rights:
        return Verdict(
            lacks=f"the application would have capabilities of root ({rights:#x})",
            remedy=f"{_USER}; or start without them",
        )
    found = _core.confinement()
    if found < 0:
        return Verdict(
            lacks=f"its requests cannot be kept from other processes ({os.strerror(-found)})",
            remedy=_KERNEL,
        )
    return Verdict()


def _capabilities() -> int:
    """Return what this process may have, as capabilities(7) numbers them."""
    sets = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(sets["CapPrm"], 16) | int(sets["CapInh"], 16) | int(sets["CapAmb"], 16)
