# SPDX-License-Identifier: MIT
"""The `rewind` engine: requests run in the worker's own memory, and are undone page by page."""

from __future__ import annotations

import os
import signal

from .. import _core
from .base import Engine, Verdict


def examine() -> Verdict:
    """Tell what the core's self-test says about this machine."""
    found = _core.selftest()
    if found.premise:
        where = f" for {found.mapping}" if found.mapping else ""
        return Verdict(
            lacks=f'premise "{found.premise}" does not hold{where}{_because(found.err)}',
            remedy=found.remedy,
        )
    if found.unseen is not None:
        return Verdict(
            slower=f"system calls cannot be seen{_because(found.unseen)}",
            remedy="use Linux 5.11 or later with syscall user dispatch; in a container, let its "
            "profile allow prctl(PR_SET_SYSCALL_USER_DISPATCH)",
        )
    return Verdict()


def _because(err: int) -> str:
    if err > 0:
        return f" ({os.strerror(err)})"
    return f" (trying it ended in {signal.Signals(-err).name})" if err else ""


ENGINE = Engine(
    name="rewind",
    number=_core.ENGINE_REWIND,
    levels=("leak", "bug"),
    forks=False,
    summary="every request is undone in memory, by page; isolates, on Linux 6.7 or later",
    short="a request shares the memory of its worker",
    examine=examine,
)
