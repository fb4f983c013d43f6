# SPDX-License-Identifier: MIT
"""What an engine is to the rest of the gateway."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One way to enter a context and to get rid of its effects.

    Parameters:
        name: as given to ``--engine``.
        number: the core's number for it (keep.h, enum engine).
        isolates: promises 1 to 6 are kept: a request starts from the snapshot.
        summary: one line for ``lwcgi check`` and the log.
    """

    name: str
    number: int
    isolates: bool
    summary: str
