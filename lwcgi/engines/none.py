# SPDX-License-Identifier: MIT
"""The `none` engine: one long-lived serving process, as in other servers."""

from __future__ import annotations

from .. import _core
from .base import Engine

ENGINE = Engine(
    name="none",
    number=_core.ENGINE_NONE,
    levels=(),
    forks=True,
    summary="requests share one process and see each other's state; for comparison only",
    short="its requests share one process",
)
