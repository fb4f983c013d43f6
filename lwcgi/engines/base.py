# SPDX-License-Identifier: MIT
"""What an engine is to the rest of the gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether an engine can run on this machine; by default it can.

    Parameters:
        lacks: why it cannot; empty where it can.
        slower: why it is slower here than elsewhere; empty where it is not.
        remedy: what to do about either.
    """

    lacks: str = ""
    slower: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One way to enter a context and to get rid of its effects.

    Parameters:
        name: as given to ``--engine``.
        number: the core's number for it (keep.h, enum engine).
        levels: those of config.LEVELS that it gives.
        summary: one line for ``lwcgi check`` and the log.
        forks: a context is a copy of the process, in which the hooks of a fork must run.
        short: why it gives no more levels; empty where it gives all.
        examine: tells whether it can run here.
    """

    name: str
    number: int
    levels: tuple[str, ...]
    forks: bool
    summary: str
    short: str = ""
    examine: Callable[[], Verdict] = Verdict

    @property
    def isolates(self) -> bool:
        """Whether promises 1 to 6 are kept: a request starts from the snapshot."""
        return bool(self.levels)
