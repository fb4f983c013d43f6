# SPDX-License-Identifier: MIT
"""One worker's place among the workers of a snapshot process."""

from __future__ import annotations

from dataclasses import dataclass, field

from .backoff import Backoff


@dataclass(eq=False)
class Slot:
    """Its present process, if any, and when the next one is due."""

    number: int
    pid: int = 0
    pidfd: int = -1
    ready_fd: int = -1
    ready: bool = False
    leaving: bool = False
    """Its process is the last here."""
    started: float = 0.0
    due: float = 0.0
    backoff: Backoff = field(default_factory=Backoff)
